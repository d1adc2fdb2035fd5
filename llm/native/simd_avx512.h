// Sixteen floats at once on AVX-512; see simd_portable.h for what each function means.
#pragma once

namespace {

using V16 = __m512;
using I16 = __m512i;
using M16 = __mmask16;

#define CAUSERIE_INLINE inline __attribute__((always_inline))

CAUSERIE_INLINE V16 load(const float* p) { return _mm512_loadu_ps(p); }
CAUSERIE_INLINE void store(float* p, V16 a) { _mm512_storeu_ps(p, a); }
CAUSERIE_INLINE V16 set1(float a) { return _mm512_set1_ps(a); }
CAUSERIE_INLINE V16 add(V16 a, V16 b) { return _mm512_add_ps(a, b); }
CAUSERIE_INLINE V16 sub(V16 a, V16 b) { return _mm512_sub_ps(a, b); }
CAUSERIE_INLINE V16 mul(V16 a, V16 b) { return _mm512_mul_ps(a, b); }
CAUSERIE_INLINE V16 div(V16 a, V16 b) { return _mm512_div_ps(a, b); }
CAUSERIE_INLINE V16 fma(V16 a, V16 b, V16 c) { return _mm512_fmadd_ps(a, b, c); }
CAUSERIE_INLINE V16 maximum(V16 a, V16 b) { return _mm512_max_ps(a, b); }
CAUSERIE_INLINE V16 minimum(V16 a, V16 b) { return _mm512_min_ps(a, b); }
CAUSERIE_INLINE V16 magnitude(V16 a) { return _mm512_abs_ps(a); }
CAUSERIE_INLINE V16 round_even(V16 a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
CAUSERIE_INLINE V16 power_of_two(V16 whole) { return _mm512_scalef_ps(_mm512_set1_ps(1.0f), whole); }
CAUSERIE_INLINE V16 load_half(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
CAUSERIE_INLINE void store_half(uint16_t* p, V16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
CAUSERIE_INLINE I16 to_int(V16 a) { return _mm512_cvtps_epi32(a); }
CAUSERIE_INLINE V16 from_int(I16 a) { return _mm512_cvtepi32_ps(a); }
CAUSERIE_INLINE void store_bytes(int8_t* p, I16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
}
CAUSERIE_INLINE int32_t sum(I16 a) { return _mm512_reduce_add_epi32(a); }
CAUSERIE_INLINE I16 add(I16 a, I16 b) { return _mm512_add_epi32(a, b); }
CAUSERIE_INLINE I16 count_from(int32_t first) {
  return _mm512_add_epi32(_mm512_set1_epi32(first),
                          _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
CAUSERIE_INLINE M16 between(I16 a, int32_t low, int32_t high) {
  return _mm512_cmpge_epi32_mask(a, _mm512_set1_epi32(low)) &
         _mm512_cmple_epi32_mask(a, _mm512_set1_epi32(high));
}
CAUSERIE_INLINE V16 where(M16 mask, V16 a, V16 b) { return _mm512_mask_blend_ps(mask, b, a); }

}  // namespace
