// The kernels on AVX-512 with its dot product of bytes (VNNI).
#if defined(__x86_64__) 
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
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")
#endif

#include "simd_avx512.h"

#define CAUSERIE_VNNI 1
#define CAUSERIE_NAME "avx512-vnni"
#define CAUSERIE_KERNELS kAvx512
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
