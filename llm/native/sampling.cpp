// The sampler's head: temperature, cuts and draw of whole rows, without a sort where none is asked
// for.
//
// The numpy twin (llm/decoding/truncate.py, draw.py) decides on the same numbers, bit for bit. What
// is skipped here is skipped because a bound shows that it cannot win.
#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "sampling_loops.h"

namespace {

constexpr double kGreedyBelow = 1e-5;

// --- one row ------------------------------------------------------------------------------------

struct Scratch {
  std::vector<int32_t> peaks, ids, buckets;
  std::vector<float> rough, logits;
  std::vector<double> tempered;
  std::vector<int64_t> mass;
  std::vector<uint64_t> words, spare;

  void hold(int64_t v) {
    const size_t n = static_cast<size_t>(v + kBlock);
    if (words.size() >= n) return;
    peaks.resize(n / kBlock + 1);
    ids.resize(n);
    buckets.resize(n);
    rough.resize(n);
    logits.resize(n);
    tempered.resize(n);
    mass.resize(n);
    spare.resize(n);
    words.resize(n);
  }
};

struct Row {
  const Loops& loops;
  const float* z;
  int64_t v;
  int32_t highest = 0;  // ordered() of the largest logit
  double peak = 0;
  double inverse = 0;
  int64_t total = 0;
  double log_total = 0;

  Row(const CauserieSampling& batch, int64_t i)
      : loops(*static_cast<const Loops*>(batch.loops)),
        z(batch.logits + i * batch.stride),
        v(batch.vocabulary) {}

  double tempered(float logit) const { return (static_cast<double>(logit) - peak) * inverse; }
};

// Tokens in the order of their rank: as words they ascend.
uint64_t rank_word(float logit, int64_t id) {
  const uint32_t down = static_cast<uint32_t>(ordered(logit)) ^ 0x7fffffffu;
  return static_cast<uint64_t>(down) << 32 | static_cast<uint64_t>(id);
}

float logit_of(uint64_t word) {
  return unordered(static_cast<int32_t>(static_cast<uint32_t>(word >> 32) ^ 0x7fffffffu));
}

int64_t id_of(uint64_t word) { return static_cast<int64_t>(word & 0xffffffffu); }

// Sorts words[0..n); equal logits must stand in the order of their ids already.
void sort_words(uint64_t* words, uint64_t* spare, int64_t n) {
  constexpr int kDigit = 11;
  if (n < 192) {
    std::sort(words, words + n);
    return;
  }
  uint64_t* from = words;
  uint64_t* to = spare;
  for (int shift = 32; shift < 64; shift += kDigit) {
    int64_t begins[1 << kDigit] = {};
    const auto digit = [shift](uint64_t word) { return (word >> shift) & ((1 << kDigit) - 1); };
    for (int64_t i = 0; i < n; ++i) ++begins[digit(from[i])];
    if (begins[digit(from[0])] == n) continue;
    int64_t sum = 0;
    for (int64_t& begin : begins) sum += std::exchange(begin, sum);
    for (int64_t i = 0; i < n; ++i) to[begins[digit(from[i])]++] = from[i];
    std::swap(from, to);
  }
  if (from != words) std::copy(from, from + n, words);
}

// Returns whether the row can be drawn from; fills in what needs no exponential.
bool open_row(Scratch& scratch, Row& row) {
  int32_t range[2];
  row.loops.scan(row.z, row.v, scratch.peaks.data(), range);
  if (range[0] < kMinusInfinity || range[1] >= kPlusInfinity || range[1] == kMinusInfinity)
    return false;
  row.highest = range[1];
  row.peak = static_cast<double>(unordered(range[1]));
  return true;
}

int64_t arg_max(const Row& row, const Scratch& scratch) {
  int64_t i = 0;
  while (scratch.peaks[static_cast<size_t>(i)] != row.highest) ++i;
  i *= kBlock;
  while (ordered(row.z[i]) != row.highest) ++i;
  return i;
}

void weigh_row(double temperature, Scratch& scratch, Row& row) {
  row.inverse = 1.0 / temperature;
  row.total = row.loops.weigh(row.z, row.v, row.peak, row.inverse, scratch.rough.data());
  row.log_total = natural_log(static_cast<double>(row.total) * kUnit);
}

struct Cuts {
  int64_t count;  // stop when so many are kept
  int64_t mass;   // or when they weigh so much
  double floor;   // none below this tempered logit

  bool reached(int64_t n, int64_t weight) const { return n >= count || weight >= mass; }
};

bool is_cut(const CauserieSampling& batch, int64_t i) {
  return (batch.top_k[i] > 0 && batch.top_k[i] < batch.vocabulary) || batch.top_p[i] < 1 ||
         batch.min_p[i] > 0;
}

Cuts cuts_of(const CauserieSampling& batch, int64_t i, int64_t total) {
  Cuts cuts{batch.top_k[i] > 0 ? batch.top_k[i] : std::numeric_limits<int64_t>::max(),
            std::numeric_limits<int64_t>::max(), -std::numeric_limits<double>::infinity()};
  if (batch.top_p[i] < 1) {
    const double mass = std::ceil(batch.top_p[i] * static_cast<double>(total));
    cuts.mass = std::min(static_cast<int64_t>(mass), total);
  }
  if (batch.min_p[i] > 0) cuts.floor = natural_log(batch.min_p[i]);
  return cuts;
}

int64_t collect(const Row& row, float least, Scratch& scratch) {
  return row.loops.collect(row.z, row.v, scratch.peaks.data(), least, scratch.logits.data(),
                           scratch.ids.data());
}

// Some logit such that no token with a tempered logit of at least `depth` lies below it.
float logit_below(const Row& row, double depth) {
  const double width = depth / row.inverse;
  const double z = row.peak + width - 1e-6 * (std::fabs(row.peak) + std::fabs(width));
  constexpr double kLowest = std::numeric_limits<float>::lowest();
  return static_cast<float>(z > kLowest ? z : kLowest);
}

// The first `candidates` of scratch hold all survivors: those whose word is not above `last`.
struct Kept {
  int64_t candidates;
  uint64_t last;
};

constexpr uint64_t kNoLast = std::numeric_limits<uint64_t>::max();

uint64_t word_at(const Scratch& scratch, int64_t i) {
  return rank_word(scratch.logits[static_cast<size_t>(i)], scratch.ids[static_cast<size_t>(i)]);
}

template <class Keep>
int64_t keep_candidates(Scratch& scratch, int64_t n, Keep keep) {
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const size_t from = static_cast<size_t>(i), to = static_cast<size_t>(kept);
    kept += keep(i);
    scratch.logits[to] = scratch.logits[from];
    scratch.ids[to] = scratch.ids[from];
    scratch.mass[to] = scratch.mass[from];
    scratch.buckets[to] = scratch.buckets[from];
  }
  return kept;
}

// Of candidates that reach a cut, returns the word of the last to be kept.
uint64_t last_kept(const Row& row, const Cuts& cuts, Scratch& scratch, int64_t n) {
  // Only the bucket in which the cut is reached needs an order.
  int64_t counts[kBuckets] = {}, masses[kBuckets] = {};
  for (int64_t i = 0; i < n; ++i) {
    const size_t bucket = static_cast<size_t>(scratch.buckets[static_cast<size_t>(i)]);
    ++counts[bucket];
    masses[bucket] += scratch.mass[static_cast<size_t>(i)];
  }
  int64_t count = 0, mass = 0;
  int32_t end = 0;
  while (!cuts.reached(count + counts[end], mass + masses[end])) {
    count += counts[end];
    mass += masses[end++];
  }
  uint64_t* words = scratch.words.data();
  int64_t m = 0;
  for (int64_t i = 0; i < n; ++i) {
    words[m] = word_at(scratch, i);
    m += scratch.buckets[static_cast<size_t>(i)] == end;
  }
  sort_words(words, scratch.spare.data(), m);
  for (int64_t i = 0;; ++i) {
    mass += mass_of(row.tempered(logit_of(words[i])));
    if (cuts.reached(++count, mass)) return words[i];
  }
}

// Some logit that at least `count` tokens have: the least of as many blocks' maxima.
float logit_of_some(const Row& row, int64_t count, Scratch& scratch) {
  const int64_t blocks = (row.v + kBlock - 1) / kBlock;
  if (count > blocks) return std::numeric_limits<float>::lowest();
  int32_t* peaks = scratch.ids.data();
  std::copy_n(scratch.peaks.data(), blocks, peaks);
  std::nth_element(peaks, peaks + count - 1, peaks + blocks, std::greater<int32_t>());
  return std::max(unordered(peaks[count - 1]), std::numeric_limits<float>::lowest());
}

// Looks for the survivors ever farther from the peak: a language model's are mostly near.
Kept survivors_of(const Row& row, const Cuts& cuts, Scratch& scratch) {
  constexpr double kNear = 3.0, kStep = 1.6, kFar = 20.0;  // in tempered logits
  constexpr double kEverything = std::numeric_limits<double>::infinity();
  const float enough = logit_of_some(row, cuts.count, scratch);
  for (double depth = kNear;; depth = depth < kFar ? depth * kStep : kEverything) {
    const float least = std::max(logit_below(row, std::max(-depth, cuts.floor)), enough);
    int64_t n = collect(row, least, scratch);
    const double scale = (kBuckets - 1) / std::min(-row.tempered(least) + 1e-9, kFarthest);
    row.loops.weigh_some(scratch.logits.data(), n, row.peak, row.inverse, scale,
                         scratch.tempered.data(), scratch.mass.data(), scratch.buckets.data());
    if (cuts.floor >= -depth && cuts.floor > -kEverything)
      n = keep_candidates(scratch, n, [&](int64_t i) {
        return scratch.tempered[static_cast<size_t>(i)] >= cuts.floor;
      });
    int64_t mass = 0;
    for (int64_t i = 0; i < n; ++i) mass += scratch.mass[static_cast<size_t>(i)];
    if (cuts.reached(n, mass)) return {n, last_kept(row, cuts, scratch, n)};
    if (cuts.floor >= -depth) return {n, kNoLast};
    if (n > row.v / 2) depth = kFar;
  }
}

// --- the draw -----------------------------------------------------------------------------------

Noise noise_of(const CauserieSampling& batch, int64_t i) {
  return {{static_cast<uint32_t>(batch.seed[i]), static_cast<uint32_t>(batch.seed[i] >> 32)},
          static_cast<uint32_t>(static_cast<uint64_t>(batch.position[i])),
          batch.stream[i],
          static_cast<uint32_t>(static_cast<uint64_t>(batch.position[i]) >> 32)};
}

struct Race {
  explicit Race(const Row& of) : row(of) {}

  const Row& row;
  double best = -std::numeric_limits<double>::infinity();
  int64_t token = -1;
  float limit = std::numeric_limits<float>::infinity();

  void enter(int64_t id, float logit, uint32_t word) {
    const double score = (row.tempered(logit) - row.log_total) + gumbel(word);
    if (score > best) {
      best = score;
      token = id;
      // In the scale of hopeful(), and a little more, so that no rounding can hide a winner.
      limit = static_cast<float>(std::exp(-(score + row.log_total)) * (1.001 * kUnit * 0x1p31));
    } else if (score == best && id < token) {
      token = id;
    }
  }
};

// Draws from all finite tokens whose word is not above `last`.
int64_t draw_from_all(const Row& row, uint64_t last, const Noise& noise, Scratch& scratch) {
  Race race(row);
  uint32_t words[kChunk];
  float* rough = scratch.rough.data();
  const int64_t padded = (row.v + kBlock - 1) / kBlock * kBlock;
  std::fill(rough + row.v, rough + padded, 0.0f);
  const int32_t top = static_cast<int32_t>(arg_max(row, scratch));
  row.loops.words_of(&top, 1, noise, words);
  race.enter(top, row.z[top], words[0]);  // a good bound to begin with
  for (int64_t start = 0; start < padded; start += kChunk) {
    const int64_t n = std::min(kChunk, padded - start);
    row.loops.words(start, n, noise, words);
    for (int64_t block = 0; block < n; block += kBlock) {
      if (!row.loops.any_hopeful(words + block, rough + start + block, race.limit)) continue;
      for (int64_t i = block; i < std::min(block + kBlock, row.v - start); ++i) {
        const float logit = row.z[start + i];
        if (hopeful(words[i], rough[start + i], race.limit) && std::isfinite(logit) &&
            rank_word(logit, start + i) <= last)
          race.enter(start + i, logit, words[i]);
      }
    }
  }
  return race.token;
}

int64_t draw_from_some(const Row& row, const Noise& noise, const Scratch& scratch, int64_t n) {
  if (n == 1) return scratch.ids[0];
  Race race(row);
  uint32_t words[kChunk / 4];
  for (int64_t start = 0; start < n; start += kChunk / 4) {
    const int64_t size = std::min(kChunk / 4, n - start);
    row.loops.words_of(scratch.ids.data() + start, size, noise, words);
    for (int64_t i = 0; i < size; ++i) {
      const size_t at = static_cast<size_t>(start + i);
      if (hopeful(words[i], static_cast<float>(scratch.mass[at] + 1), race.limit))
        race.enter(scratch.ids[at], scratch.logits[at], words[i]);
    }
  }
  return race.token;
}

int64_t sample_row(const CauserieSampling& batch, int64_t i, Scratch& scratch) {
  constexpr int64_t kMany = 16;  // one token in so many: then all noise is made rather than some
  Row row(batch, i);
  if (!open_row(scratch, row)) return -1;
  if (batch.temperature[i] < kGreedyBelow) return arg_max(row, scratch);
  weigh_row(batch.temperature[i], scratch, row);
  const Noise noise = noise_of(batch, i);
  if (!is_cut(batch, i)) return draw_from_all(row, kNoLast, noise, scratch);
  const Kept kept = survivors_of(row, cuts_of(batch, i, row.total), scratch);
  if (kept.last != kNoLast && kept.candidates > row.v / kMany)
    return draw_from_all(row, kept.last, noise, scratch);
  const int64_t n = keep_candidates(scratch, kept.candidates, [&](int64_t at) {
    return word_at(scratch, at) <= kept.last;
  });
  return draw_from_some(row, noise, scratch, n);
}

int64_t list_survivors(const CauserieSampling& batch, int64_t i, Scratch& scratch) {
  Row row(batch, i);
  int32_t* ids = batch.id + i * batch.vocabulary;
  double* log_probs = batch.log_prob + i * batch.vocabulary;
  if (!open_row(scratch, row)) return -1;
  if (batch.temperature[i] < kGreedyBelow) {
    ids[0] = static_cast<int32_t>(arg_max(row, scratch));
    log_probs[0] = 0.0;
    return 1;
  }
  weigh_row(batch.temperature[i], scratch, row);
  const Kept kept =
      is_cut(batch, i)
          ? survivors_of(row, cuts_of(batch, i, row.total), scratch)
          : Kept{collect(row, std::numeric_limits<float>::lowest(), scratch), kNoLast};
  uint64_t* words = scratch.words.data();
  int64_t n = 0;
  for (int64_t j = 0; j < kept.candidates; ++j) {
    words[n] = word_at(scratch, j);
    n += words[n] <= kept.last;
  }
  sort_words(words, scratch.spare.data(), n);
  for (int64_t j = 0; j < n; ++j) {
    ids[j] = static_cast<int32_t>(id_of(words[j]));
    log_probs[j] = row.tempered(logit_of(words[j])) - row.log_total;
  }
  return n;
}

int64_t draw_listed(const Loops& loops, const Noise& noise, const int32_t* ids,
                    const double* log_probs, int64_t n) {
  if (n == 0) return -1;
  int64_t token = ids[0];
  double best = -std::numeric_limits<double>::infinity();
  uint32_t words[kChunk / 4];
  double gumbels[kChunk / 4];
  for (int64_t start = 0; n > 1 && start < n; start += kChunk / 4) {
    const int64_t size = std::min(kChunk / 4, n - start);
    loops.words_of(ids + start, size, noise, words);
    loops.gumbels(words, size, gumbels);
    for (int64_t i = 0; i < size; ++i) {
      const double score = log_probs[start + i] + gumbels[i];
      if (score > best || (score == best && ids[start + i] < token)) {
        best = score;
        token = ids[start + i];
      }
    }
  }
  return token;
}

Scratch& own_scratch(int64_t v) {
  static thread_local Scratch scratch;
  scratch.hold(v);
  return scratch;
}

}  // namespace

const void* causerie_sampling_loops(const char* name) {
  const auto asked = [name](const char* other) {
    return name == nullptr || std::strcmp(name, other) == 0;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (asked("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return &kAvx512;
  if (asked("avx2") && __builtin_cpu_supports("avx2")) return &kAvx2;
#endif
  return asked("portable") ? &kPortable : nullptr;
}

int causerie_sample(const CauserieSampling* batch, int64_t begin, int64_t end) try {
  Scratch& scratch = own_scratch(batch->vocabulary);
  for (int64_t i = begin; i < end; ++i) batch->token[i] = sample_row(*batch, i, scratch);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

int causerie_survivors(const CauserieSampling* batch, int64_t begin, int64_t end) try {
  Scratch& scratch = own_scratch(batch->vocabulary);
  for (int64_t i = begin; i < end; ++i) batch->count[i] = list_survivors(*batch, i, scratch);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void causerie_compact_survivors(const CauserieSampling* batch, int64_t rows, int64_t* row_ptr) {
  row_ptr[0] = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t n = std::max<int64_t>(batch->count[i], 0);
    const int64_t from = i * batch->vocabulary, to = row_ptr[i];
    if (n > 0 && from != to) {
      std::memmove(batch->id + to, batch->id + from, static_cast<size_t>(n) * sizeof(int32_t));
      std::memmove(batch->log_prob + to, batch->log_prob + from,
                   static_cast<size_t>(n) * sizeof(double));
    }
    row_ptr[i + 1] = to + n;
  }
}

int causerie_draw(const CauserieSampling* batch, const int64_t* row_ptr, const int32_t* id,
                  const double* log_prob, int64_t begin, int64_t end) {
  const Loops& loops = *static_cast<const Loops*>(batch->loops);
  for (int64_t i = begin; i < end; ++i)
    batch->token[i] = draw_listed(loops, noise_of(*batch, i), id + row_ptr[i],
                                  log_prob + row_ptr[i], row_ptr[i + 1] - row_ptr[i]);
  return 0;
}
