// The kernels on AVX-512 VNNI, and sixteen rows at a time on AMX.
#include "decoder.h"

#if defined(__x86_64__) && CAUSERIE_HAS_AMX
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels.h"

using causerie::Team;

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8")
#endif

#include "simd_avx512.h"

#define CAUSERIE_VNNI 1
#define CAUSERIE_AMX 1
#define CAUSERIE_NAME "amx-int8"
#define CAUSERIE_KERNELS kAmx
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
