// Words of Philox4x32-10 for single tokens, and the tournament of two leaves.
//
// Sums run in eight lanes that are added in a fixed order: the same bits on every processor.
#include "keyed_words.h"

#include <algorithm>

namespace {

constexpr int kRounds = 10;
constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kStep0 = 0x9E3779B9u, kStep1 = 0xBB67AE85u;
constexpr uint32_t kWatermark = 5;  // Purpose.WATERMARK of llm/philox.py
constexpr int kLanes = 8;

uint32_t word_of(uint64_t token, uint64_t seed) {
  uint32_t c[4] = {static_cast<uint32_t>(token >> 2), 0, 0, kWatermark};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t p0 = static_cast<uint64_t>(kMultiplier0) * c[0];
    const uint64_t p1 = static_cast<uint64_t>(kMultiplier1) * c[2];
    c[0] = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0;
    c[1] = static_cast<uint32_t>(p1);
    c[2] = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
    c[3] = static_cast<uint32_t>(p0);
    k0 += kStep0;
    k1 += kStep1;
  }
  return c[token & 3];
}

double total(const double (&lanes)[kLanes]) {
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
         ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

// Sums each(i) over [0, n).
template <typename Each>
double sum(int64_t n, Each each) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += each(i + lane);
  for (int lane = 0; i < n; ++i, ++lane) lanes[lane] += each(i);
  return total(lanes);
}

}  // namespace

void causerie_keyed_words(const int64_t* tokens, const uint64_t* seeds, int64_t seed_stride,
                          int64_t n, uint32_t* words) {
  for (int64_t i = 0; i < n; ++i)
    words[i] = word_of(static_cast<uint64_t>(tokens[i]), seeds[i * seed_stride]);
}

void causerie_tournament(double* probs, const uint32_t* words, int64_t r, int64_t n, int32_t l,
                         double* meetings) {
  if (meetings) std::fill(meetings, meetings + l, 0.0);
  for (int64_t row = 0; row < r; ++row) {
    double* p = probs + row * n;
    const uint32_t* bits = words + row * n;
    for (int32_t layer = 0; layer < l; ++layer) {
      const auto bit = [=](int64_t i) { return static_cast<double>(bits[i] >> layer & 1u); };
      if (meetings) meetings[layer] += sum(n, [=](int64_t i) { return p[i] * p[i]; });
      const double rest = 1 - std::min(sum(n, [=](int64_t i) { return p[i] * bit(i); }), 1.0);
      for (int64_t i = 0; i < n; ++i) p[i] *= bit(i) + rest;
    }
    const double all = sum(n, [=](int64_t i) { return p[i]; });
    for (int64_t i = 0; i < n; ++i) p[i] /= all;
  }
  if (meetings && r > 0)
    for (int32_t layer = 0; layer < l; ++layer) meetings[layer] /= static_cast<double>(r);
}
