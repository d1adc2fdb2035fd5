// Masks, the best candidates of a row, and what the row weighs.
#include "logit_rows.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <new>
#include <vector>

#include "sampling_loops.h"

namespace {

struct Space {
  std::vector<int32_t> peaks, some, ids, ranks;
  std::vector<float> logits;

  void hold(int64_t v) {
    const size_t n = static_cast<size_t>(v + kBlock);
    if (logits.size() >= n) return;
    peaks.resize(n / kBlock + 1);
    some.resize(n / kBlock + 1);
    ids.resize(n);
    ranks.resize(n);
    logits.resize(n);
  }
};

Space& own_space(int64_t v) {
  static thread_local Space space;
  space.hold(v);
  return space;
}

bool is_damaged(const int32_t* range) {
  return range[0] < kMinusInfinity || range[1] >= kPlusInfinity || range[1] == kMinusInfinity;
}

// The k-th highest of n ranks, k in [1, n]; leaves them in another order.
int32_t highest(int32_t* ranks, int64_t n, int64_t k) {
  std::nth_element(ranks, ranks + k - 1, ranks + n, std::greater<int32_t>());
  return ranks[k - 1];
}

// Some logit that no token among the k best lies below: the k-th highest of the blocks' maxima.
float low_enough(Space& space, int64_t v, int64_t k) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  const int64_t blocks = (v + kBlock - 1) / kBlock;
  if (k > blocks) return kLowest;
  std::copy_n(space.peaks.data(), blocks, space.some.data());
  return std::max(unordered(highest(space.some.data(), blocks, k)), kLowest);
}

}  // namespace

int causerie_forbid(const void* loops, float* logits, int64_t v, const int32_t* mask) try {
  int32_t range[2];
  const Loops& own = *static_cast<const Loops*>(loops);
  if (mask == nullptr)
    own.scan(logits, v, own_space(v).peaks.data(), range);
  else
    own.forbid(logits, v, mask, range);
  return is_damaged(range);
} catch (const std::bad_alloc&) {
  return 2;
}

int64_t causerie_best(const void* loops_of, const float* logits, int64_t v, int64_t k,
                      int64_t* ids, float* values, double* log_total) try {
  const Loops& loops = *static_cast<const Loops*>(loops_of);
  Space& space = own_space(v);
  int32_t range[2];
  loops.scan(logits, v, space.peaks.data(), range);
  if (is_damaged(range)) return -1;
  const double peak = static_cast<double>(unordered(range[1]));
  const int64_t total =
      loops.weigh_roughly(logits, v, space.peaks.data(), unordered(range[1]));
  *log_total = peak + natural_log(static_cast<double>(total) * kRoughUnit);
  const int64_t n = loops.collect(logits, v, space.peaks.data(), low_enough(space, v, k),
                                  space.logits.data(), space.ids.data());
  int32_t least = std::numeric_limits<int32_t>::min();
  int64_t equals = n;  // of the least, how many are kept
  if (n > k) {
    for (int64_t i = 0; i < n; ++i)
      space.ranks[static_cast<size_t>(i)] = ordered(space.logits[static_cast<size_t>(i)]);
    least = highest(space.ranks.data(), n, k);
    const auto above = std::count_if(space.ranks.data(), space.ranks.data() + k,
                                     [least](int32_t rank) { return rank > least; });
    equals = k - static_cast<int64_t>(above);
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float logit = space.logits[static_cast<size_t>(i)];
    const int32_t rank = ordered(logit);
    if (rank < least || (rank == least && equals-- <= 0)) continue;
    ids[kept] = space.ids[static_cast<size_t>(i)];
    values[kept++] = logit;
  }
  return kept;
} catch (const std::bad_alloc&) {
  return -2;
}
