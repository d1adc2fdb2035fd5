// The kernels on AVX2 with FMA and half floats.
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
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

#include "simd_avx2.h"

#define CAUSERIE_AVX2 1
#define CAUSERIE_NAME "avx2"
#define CAUSERIE_KERNELS kAvx2
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
