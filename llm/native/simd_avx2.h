// Sixteen floats at once as two AVX2 registers; see simd_portable.h for what each function means.
#pragma once

namespace {

struct V16 {
  __m256 lo, hi;
};
struct I16 {
  __m256i lo, hi;
};
using M16 = I16;

#define CAUSERIE_INLINE inline __attribute__((always_inline))

CAUSERIE_INLINE V16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
CAUSERIE_INLINE void store(float* p, V16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
CAUSERIE_INLINE V16 set1(float a) { return {_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
CAUSERIE_INLINE V16 add(V16 a, V16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 sub(V16 a, V16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 mul(V16 a, V16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 div(V16 a, V16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 fma(V16 a, V16 b, V16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
CAUSERIE_INLINE V16 maximum(V16 a, V16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 minimum(V16 a, V16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
CAUSERIE_INLINE V16 magnitude(V16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
CAUSERIE_INLINE V16 round_even(V16 a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kMode), _mm256_round_ps(a.hi, kMode)};
}
CAUSERIE_INLINE __m256 power_of_two_half(__m256 whole) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_max_epi32(biased, _mm256_setzero_si256()), 23));
}
CAUSERIE_INLINE V16 power_of_two(V16 whole) {
  return {power_of_two_half(whole.lo), power_of_two_half(whole.hi)};
}
CAUSERIE_INLINE V16 load_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
CAUSERIE_INLINE void store_half(uint16_t* p, V16 a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, kMode));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, kMode));
}
CAUSERIE_INLINE I16 to_int(V16 a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
CAUSERIE_INLINE V16 from_int(I16 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
CAUSERIE_INLINE void store_bytes(int8_t* p, I16 a) {
  alignas(32) int32_t wide[16];
  _mm256_store_si256(reinterpret_cast<__m256i*>(wide), a.lo);
  _mm256_store_si256(reinterpret_cast<__m256i*>(wide + 8), a.hi);
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(wide[i]);
}
CAUSERIE_INLINE int32_t sum(I16 a) {
  alignas(32) int32_t wide[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(wide), _mm256_add_epi32(a.lo, a.hi));
  int32_t total = 0;
  for (int i = 0; i < 8; ++i) total += wide[i];
  return total;
}
CAUSERIE_INLINE I16 add(I16 a, I16 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
CAUSERIE_INLINE I16 count_from(int32_t first) {
  const __m256i base = _mm256_set1_epi32(first);
  return {_mm256_add_epi32(base, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
          _mm256_add_epi32(base, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
CAUSERIE_INLINE __m256i between_half(__m256i a, int32_t low, int32_t high) {
  const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(low), a);
  const __m256i above = _mm256_cmpgt_epi32(a, _mm256_set1_epi32(high));
  return _mm256_andnot_si256(_mm256_or_si256(below, above), _mm256_set1_epi32(-1));
}
CAUSERIE_INLINE M16 between(I16 a, int32_t low, int32_t high) {
  return {between_half(a.lo, low, high), between_half(a.hi, low, high)};
}
CAUSERIE_INLINE V16 where(M16 mask, V16 a, V16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(mask.lo)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(mask.hi))};
}

}  // namespace
