// Exponential, logarithm and noise as the numpy twin has them (llm/decoding/elementary.py): fixed
// sequences of IEEE operations, never contracted. Probabilities are integers in units of 2^-44 of
// the most probable token, so no order of summation can matter.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__clang__)
#pragma clang fp contract(off)
#endif

#define CAUSERIE_BODY inline __attribute__((always_inline))

namespace {

constexpr double kFarthest = 64.0;             // e^-64 is nothing in units of 2^-44
constexpr double kUnit = 0x1p-44;              // of mass
constexpr int kRoughBits = 32;
constexpr double kRoughUnit = 0x1p-32;         // so that 2^18 of them add up without an error
constexpr float kRoughFarthest = 23.0f;        // e^-23 is nothing in this unit
constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
constexpr int64_t kMagicBits = 0x4338000000000000;
constexpr int32_t kPlusInfinity = 0x7f800000;  // as ordered() gives them
constexpr int32_t kMinusInfinity = static_cast<int32_t>(0xff800000 ^ 0x7fffffff);

template <class To, class From>
CAUSERIE_BODY To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits are kept");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// e^x * 2^44 for x in (-64, 0]; below that 0, which is what the integer would be.
CAUSERIE_BODY double scaled_exp(double x) {
  const double s = x * 0x1.71547652b82fep+0;
  const double shifted = s + kMagic;
  const double f = s - (shifted - kMagic);
  double p = 0x1.e5e9f548e5725p-28;
  p = p * f + 0x1.b6571de2f2351p-24;
  p = p * f + 0x1.62bfe46117445p-20;
  p = p * f + 0x1.ffcb76789860fp-17;
  p = p * f + 0x1.4309130378460p-13;
  p = p * f + 0x1.5d87fe908f88ap-10;
  p = p * f + 0x1.3b2ab6fba385fp-7;
  p = p * f + 0x1.c6b08d7044119p-5;
  p = p * f + 0x1.ebfbdff82c590p-3;
  p = p * f + 0x1.62e42fefa39f7p-1;
  p = p * f + 1.0;
  const uint64_t exponent = same_bits<uint64_t>(shifted) - kMagicBits + (1023 + 44);
  p *= same_bits<double>(exponent << 52);
  const int64_t alive = -static_cast<int64_t>(x > -kFarthest);  // a mask, as branches stop vectors
  return same_bits<double>(same_bits<int64_t>(p) & alive);
}

// e^x / kRoughUnit for x <= 0, to be rounded: a sum over a row is right to 1e-6.
CAUSERIE_BODY float rough_exp(float x) {
  constexpr float kRoughMagic = 12582912.0f;  // 1.5 * 2^23
  constexpr int32_t kRoughMagicBits = 0x4b400000;
  const float s = x * 0x1.715476p+0f;
  const float shifted = s + kRoughMagic;
  const float f = s - (shifted - kRoughMagic);
  float p = 0x1.444000p-13f;
  p = p * f + 0x1.5f48c0p-10f;
  p = p * f + 0x1.3b2a1cp-7f;
  p = p * f + 0x1.c6aeccp-5f;
  p = p * f + 0x1.ebfbe0p-3f;
  p = p * f + 0x1.62e430p-1f;
  p = p * f + 1.0f;
  const int32_t exponent = same_bits<int32_t>(shifted) - kRoughMagicBits + (127 + kRoughBits);
  p *= same_bits<float>(static_cast<int32_t>(static_cast<uint32_t>(exponent) << 23));
  const int32_t alive = -static_cast<int32_t>(x > -80.0f);
  return same_bits<float>(same_bits<int32_t>(p) & alive);
}

CAUSERIE_BODY int64_t to_integer(double x) { return same_bits<int64_t>(x + kMagic) - kMagicBits; }

CAUSERIE_BODY int64_t mass_of(double tempered) { return to_integer(scaled_exp(tempered)); }

// ln x for a normal x > 0, as in fdlibm's e_log.c.
CAUSERIE_BODY double natural_log(double x) {
  const uint64_t raised = same_bits<uint64_t>(x) + (0x3ff0000000000000 - 0x3fe6a09e00000000);
  const uint64_t mantissa = (raised & 0x000fffffffffffff) + 0x3fe6a09e00000000;
  const int64_t exponent = static_cast<int64_t>(raised >> 52) - 1023;
  const double k = same_bits<double>(exponent + kMagicBits) - kMagic;
  const double f = same_bits<double>(mantissa) - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  double p = 1.479819860511658591e-01;
  p = p * z + 1.531383769920937332e-01;
  p = p * z + 1.818357216161805012e-01;
  p = p * z + 2.222219843214978396e-01;
  p = p * z + 2.857142874366239149e-01;
  p = p * z + 3.999999999940941908e-01;
  p = p * z + 6.666666666666735130e-01;
  const double half_square = 0.5 * f * f;
  const double low = s * (half_square + p * z) + k * 1.90821492927058770002e-10;
  return k * 6.93147180369123816490e-01 - ((half_square - low) - f);
}

CAUSERIE_BODY double gumbel(uint32_t word) {
  const double u = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return -natural_log(-natural_log(u));
}

// Integers in the order of the floats; both zeros are one.
CAUSERIE_BODY int32_t ordered(float x) {
  const int32_t bits = same_bits<int32_t>(x + 0.0f);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

CAUSERIE_BODY float unordered(int32_t x) { return same_bits<float>(x ^ ((x >> 31) & 0x7fffffff)); }

}  // namespace
