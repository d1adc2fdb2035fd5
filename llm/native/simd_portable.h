// Sixteen floats at once in plain C++: what the vector versions have to agree with.
#pragma once

namespace {

struct V16 {
  float v[16];
};
struct I16 {
  int32_t v[16];
};
struct M16 {
  bool v[16];
};

#define CAUSERIE_INLINE inline __attribute__((always_inline))
#define CAUSERIE_EACH(expression)               \
  V16 out;                                      \
  for (int i = 0; i < 16; ++i) out.v[i] = (expression); \
  return out

CAUSERIE_INLINE V16 load(const float* p) { CAUSERIE_EACH(p[i]); }
CAUSERIE_INLINE void store(float* p, V16 a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
CAUSERIE_INLINE V16 set1(float a) { CAUSERIE_EACH(a); }
CAUSERIE_INLINE V16 add(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] + b.v[i]); }
CAUSERIE_INLINE V16 sub(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] - b.v[i]); }
CAUSERIE_INLINE V16 mul(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] * b.v[i]); }
CAUSERIE_INLINE V16 div(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] / b.v[i]); }
CAUSERIE_INLINE V16 fma(V16 a, V16 b, V16 c) { CAUSERIE_EACH(a.v[i] * b.v[i] + c.v[i]); }
CAUSERIE_INLINE V16 maximum(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
CAUSERIE_INLINE V16 minimum(V16 a, V16 b) { CAUSERIE_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
CAUSERIE_INLINE V16 magnitude(V16 a) { CAUSERIE_EACH(std::fabs(a.v[i])); }
CAUSERIE_INLINE V16 round_even(V16 a) { CAUSERIE_EACH(std::nearbyint(a.v[i])); }
// 2^whole; below 2^-126 zero or nearly so.
CAUSERIE_INLINE V16 power_of_two(V16 whole) {
  CAUSERIE_EACH(std::ldexp(1.0f, static_cast<int>(whole.v[i])));
}
CAUSERIE_INLINE float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const int exponent = (half >> 10) & 31;
  const uint32_t mantissa = half & 1023u;
  uint32_t bits;
  if (exponent == 31) {
    bits = sign | 0x7f800000u | (mantissa << 13);
  } else if (exponent != 0) {
    bits = sign | (static_cast<uint32_t>(exponent + 112) << 23) | (mantissa << 13);
  } else {
    const float tiny = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
    return sign ? -tiny : tiny;
  }
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
CAUSERIE_INLINE uint16_t float_to_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const float size = std::fabs(value);
  if (!(size == size)) return static_cast<uint16_t>(sign | 0x7e00u);
  if (size >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00u);
  if (size < 6.103515625e-5f)  // 2^-14: a subnormal, in steps of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(size * 16777216.0f)));
  const uint32_t magnitude_bits = bits & 0x7fffffffu;
  const uint32_t odd = (magnitude_bits >> 13) & 1u;
  const uint32_t rounded = magnitude_bits + 0xfffu + odd;
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}
CAUSERIE_INLINE V16 load_half(const uint16_t* p) { CAUSERIE_EACH(half_to_float(p[i])); }
CAUSERIE_INLINE void store_half(uint16_t* p, V16 a) {
  for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
}
// To the nearest whole number, ties to even.
CAUSERIE_INLINE I16 to_int(V16 a) {
  I16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = static_cast<int32_t>(std::nearbyint(a.v[i]));
  return out;
}
CAUSERIE_INLINE V16 from_int(I16 a) { CAUSERIE_EACH(static_cast<float>(a.v[i])); }
CAUSERIE_INLINE void store_bytes(int8_t* p, I16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(a.v[i]);
}
CAUSERIE_INLINE int32_t sum(I16 a) {
  int32_t total = 0;
  for (int i = 0; i < 16; ++i) total += a.v[i];
  return total;
}
CAUSERIE_INLINE I16 add(I16 a, I16 b) {
  I16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = a.v[i] + b.v[i];
  return out;
}
// first, first + 1, ...
CAUSERIE_INLINE I16 count_from(int32_t first) {
  I16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = first + i;
  return out;
}
CAUSERIE_INLINE M16 between(I16 a, int32_t low, int32_t high) {
  M16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = a.v[i] >= low && a.v[i] <= high;
  return out;
}
CAUSERIE_INLINE V16 where(M16 mask, V16 a, V16 b) { CAUSERIE_EACH(mask.v[i] ? a.v[i] : b.v[i]); }

#undef CAUSERIE_EACH

}  // namespace
