// The sampler's head: temperature, cuts and draw of whole rows, without a sort where none is asked
// for.
//
// The numpy twin decides on the same numbers, bit for bit: exp and log are fixed sequences of IEEE
// additions and multiplications (never contracted), and probabilities are added as integers, units
// of 2^-44 of the most probable token, so that no order of summation can matter. What is skipped
// here is skipped because a bound shows that it cannot win.
//
// The loops are plain; on x86-64 they are compiled three times and chosen by what the CPU can do.
#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#if defined(__clang__)
#pragma clang fp contract(off)
#endif

#define CAUSERIE_BODY inline __attribute__((always_inline))

namespace {

constexpr double kGreedyBelow = 1e-5;
constexpr int64_t kBlock = 64;       // tokens that share one maximum
constexpr int64_t kChunk = 1024;     // tokens whose noise is made at once
constexpr int64_t kSortedWhole = 384;  // so many candidates are sorted without a histogram
constexpr int kBuckets = 512;
constexpr double kFarthest = 64.0;   // e^-64 is nothing in units of 2^-44
constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
constexpr int64_t kMagicBits = 0x4338000000000000;
constexpr double kUnit = 1.0 / 17592186044416.0;  // 2^-44
constexpr int32_t kPlusInfinity = 0x7f800000;
constexpr int32_t kMinusInfinity = static_cast<int32_t>(0xff800000 ^ 0x7fffffff);

template <class To, class From>
CAUSERIE_BODY To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits are kept");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// --- arithmetic that the twin repeats -----------------------------------------------------------

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
  const int64_t exponent = same_bits<int64_t>(shifted) - kMagicBits + (1023 + 44);
  p *= same_bits<double>(static_cast<uint64_t>(exponent) << 52);
  const int64_t alive = -static_cast<int64_t>(x > -kFarthest);  // a mask, as branches stop vectors
  return same_bits<double>(same_bits<int64_t>(p) & alive);
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

// --- loops over a row, compiled for each kind of CPU --------------------------------------------

struct Noise {
  uint32_t key[2];
  uint32_t position;
  uint32_t stream;
};

CAUSERIE_BODY void philox(uint32_t* c0, uint32_t* c1, uint32_t* c2, uint32_t* c3, int64_t n,
                          const uint32_t* key) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t a = c0[i], b = c1[i], c = c2[i], d = c3[i];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      const uint64_t p = static_cast<uint64_t>(a) * 0xD2511F53u;
      const uint64_t q = static_cast<uint64_t>(c) * 0xCD9E8D57u;
      a = static_cast<uint32_t>(q >> 32) ^ b ^ k0;
      b = static_cast<uint32_t>(q);
      c = static_cast<uint32_t>(p >> 32) ^ d ^ k1;
      d = static_cast<uint32_t>(p);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    c0[i] = a;
    c1[i] = b;
    c2[i] = c;
    c3[i] = d;
  }
}

// The largest of each block, and of all the largest and the least.
CAUSERIE_BODY void scan_body(const float* z, int64_t v, int32_t* peaks, int32_t* range) {
  int32_t least = std::numeric_limits<int32_t>::max();
  int32_t most = std::numeric_limits<int32_t>::min();
  for (int64_t start = 0; start < v; start += kBlock) {
    int32_t high = std::numeric_limits<int32_t>::min();
    if (v - start >= kBlock) {
      for (int64_t i = start; i < start + kBlock; ++i) {
        const int32_t x = ordered(z[i]);
        high = x > high ? x : high;
        least = x < least ? x : least;
      }
    } else {
      for (int64_t i = start; i < v; ++i) {
        const int32_t x = ordered(z[i]);
        high = x > high ? x : high;
        least = x < least ? x : least;
      }
    }
    peaks[start / kBlock] = high;
    most = high > most ? high : most;
  }
  range[0] = least;
  range[1] = most;
}

// The mass of a whole row; rough[i] is that of token i, as a float.
CAUSERIE_BODY int64_t weigh_body(const float* z, int64_t v, double peak, double inverse,
                                 float* rough) {
  int64_t total = 0;
  for (int64_t i = 0; i < v; ++i) {
    const double mass = scaled_exp((static_cast<double>(z[i]) - peak) * inverse);
    rough[i] = static_cast<float>(mass);
    total += to_integer(mass);
  }
  return total;
}

CAUSERIE_BODY void weigh_some_body(const float* z, int64_t n, double peak, double inverse,
                                   double* tempered, int64_t* mass) {
  for (int64_t i = 0; i < n; ++i) {
    tempered[i] = (static_cast<double>(z[i]) - peak) * inverse;
    mass[i] = mass_of(tempered[i]);
  }
}

// The words of the tokens first .. first + n; both multiples of four.
CAUSERIE_BODY void words_body(int64_t first, int64_t n, const Noise& noise, uint32_t* words) {
  uint32_t c[4][kChunk / 4];
  for (int64_t i = 0; i < n / 4; ++i) {
    c[0][i] = static_cast<uint32_t>(first / 4 + i);
    c[1][i] = noise.position;
    c[2][i] = noise.stream;
    c[3][i] = 0;  // the purpose: a draw
  }
  philox(c[0], c[1], c[2], c[3], n / 4, noise.key);
  for (int64_t i = 0; i < n / 4; ++i)
    for (int64_t j = 0; j < 4; ++j) words[4 * i + j] = c[j][i];
}

CAUSERIE_BODY void words_of_body(const int32_t* ids, int64_t n, const Noise& noise,
                                 uint32_t* words) {
  uint32_t c[4][kChunk / 4];
  for (int64_t i = 0; i < n; ++i) {
    c[0][i] = static_cast<uint32_t>(ids[i]) >> 2;
    c[1][i] = noise.position;
    c[2][i] = noise.stream;
    c[3][i] = 0;
  }
  philox(c[0], c[1], c[2], c[3], n, noise.key);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t low = ids[i] & 1 ? c[1][i] : c[0][i];
    const uint32_t high = ids[i] & 1 ? c[3][i] : c[2][i];
    words[i] = ids[i] & 2 ? high : low;
  }
}

// Whether a token might score: G <= -ln(1 - u), so it needs 1 - u <= mass * e^-best.
CAUSERIE_BODY bool hopeful(uint32_t word, float rough, float limit) {
  return static_cast<float>(static_cast<int32_t>(~word >> 1)) <= rough * limit;
}

CAUSERIE_BODY bool any_hopeful_body(const uint32_t* words, const float* rough, float limit) {
  int32_t any = 0;
  for (int64_t i = 0; i < kBlock; ++i) any |= hopeful(words[i], rough[i], limit) ? 1 : 0;
  return any != 0;
}

CAUSERIE_BODY void gumbels_body(const uint32_t* words, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = gumbel(words[i]);
}

struct Loops {
  void (*scan)(const float*, int64_t, int32_t*, int32_t*);
  int64_t (*weigh)(const float*, int64_t, double, double, float*);
  void (*weigh_some)(const float*, int64_t, double, double, double*, int64_t*);
  void (*words)(int64_t, int64_t, const Noise&, uint32_t*);
  void (*words_of)(const int32_t*, int64_t, const Noise&, uint32_t*);
  bool (*any_hopeful)(const uint32_t*, const float*, float);
  void (*gumbels)(const uint32_t*, int64_t, double*);
};

#define CAUSERIE_LOOPS(NAME, TARGET)                                                            \
  struct NAME {                                                                                 \
    TARGET static void scan(const float* z, int64_t v, int32_t* peaks, int32_t* range) {        \
      scan_body(z, v, peaks, range);                                                            \
    }                                                                                           \
    TARGET static int64_t weigh(const float* z, int64_t v, double peak, double inverse,         \
                                float* rough) {                                                 \
      return weigh_body(z, v, peak, inverse, rough);                                            \
    }                                                                                           \
    TARGET static void weigh_some(const float* z, int64_t n, double peak, double inverse,       \
                                  double* tempered, int64_t* mass) {                            \
      weigh_some_body(z, n, peak, inverse, tempered, mass);                                     \
    }                                                                                           \
    TARGET static void words(int64_t first, int64_t n, const Noise& noise, uint32_t* out) {     \
      words_body(first, n, noise, out);                                                         \
    }                                                                                           \
    TARGET static void words_of(const int32_t* ids, int64_t n, const Noise& noise,              \
                                uint32_t* out) {                                                \
      words_of_body(ids, n, noise, out);                                                        \
    }                                                                                           \
    TARGET static bool any_hopeful(const uint32_t* words, const float* rough, float limit) {    \
      return any_hopeful_body(words, rough, limit);                                             \
    }                                                                                           \
    TARGET static void gumbels(const uint32_t* words, int64_t n, double* out) {                 \
      gumbels_body(words, n, out);                                                              \
    }                                                                                           \
    static constexpr Loops table() {                                                            \
      return {scan, weigh, weigh_some, words, words_of, any_hopeful, gumbels};                  \
    }                                                                                           \
  };

CAUSERIE_LOOPS(Portable, )
#if defined(__x86_64__)
CAUSERIE_LOOPS(Avx2, __attribute__((target("avx2"))))
CAUSERIE_LOOPS(Avx512, __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))))
#endif

constexpr Loops kPortable = Portable::table();
#if defined(__x86_64__)
constexpr Loops kAvx2 = Avx2::table();
constexpr Loops kAvx512 = Avx512::table();
#endif

// --- one row ------------------------------------------------------------------------------------

struct Scratch {
  std::vector<int32_t> peaks, ids;
  std::vector<float> rough, logits;
  std::vector<double> tempered;
  std::vector<int64_t> mass;
  std::vector<uint64_t> words, spare;

  void hold(int64_t v) {
    const size_t n = static_cast<size_t>(v + kBlock);
    if (words.size() >= n) return;
    peaks.resize(n / kBlock + 1);
    ids.resize(n);
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
  const int32_t x = static_cast<int32_t>(static_cast<uint32_t>(word >> 32) ^ 0x7fffffffu);
  return same_bits<float>(x ^ ((x >> 31) & 0x7fffffff));
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
  row.peak = static_cast<double>(same_bits<float>(range[1] ^ ((range[1] >> 31) & 0x7fffffff)));
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

// Copies the finite tokens with a logit of at least `least`, by ascending id.
int64_t collect(const Row& row, float least, Scratch& scratch) {
  const int32_t bound = ordered(least);
  int64_t n = 0;
  float* logits = scratch.logits.data();
  int32_t* ids = scratch.ids.data();
  for (int64_t start = 0; start < row.v; start += kBlock) {
    if (scratch.peaks[static_cast<size_t>(start / kBlock)] < bound) continue;
    const int64_t end = std::min(start + kBlock, row.v);
    for (int64_t i = start; i < end; ++i) {
      logits[n] = row.z[i];
      ids[n] = static_cast<int32_t>(i);
      n += row.z[i] >= least;
    }
  }
  return n;
}

// Some logit such that no token with a tempered logit of at least `depth` lies below it.
float logit_below(const Row& row, double depth) {
  const double width = depth / row.inverse;
  const double z = row.peak + width - 1e-6 * (std::fabs(row.peak) + std::fabs(width));
  constexpr double kLowest = std::numeric_limits<float>::lowest();
  return static_cast<float>(z > kLowest ? z : kLowest);
}

template <class Keep>
int64_t keep_candidates(Scratch& scratch, int64_t n, Keep keep) {
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const size_t from = static_cast<size_t>(i), to = static_cast<size_t>(kept);
    scratch.logits[to] = scratch.logits[from];
    scratch.ids[to] = scratch.ids[from];
    scratch.tempered[to] = scratch.tempered[from];
    scratch.mass[to] = scratch.mass[from];
    kept += keep(from);
  }
  return kept;
}

// Walks words in the order of rank until a cut is reached, which some word does reach.
uint64_t walk(const Row& row, const Cuts& cuts, const uint64_t* words, int64_t count,
              int64_t mass) {
  for (int64_t i = 0;; ++i) {
    mass += mass_of(row.tempered(logit_of(words[i])));
    if (cuts.reached(++count, mass)) return words[i];
  }
}

// Of candidates that reach a cut, returns the word of the last to be kept.
uint64_t last_kept(const Row& row, const Cuts& cuts, Scratch& scratch, int64_t n) {
  uint64_t* words = scratch.words.data();
  const double* tempered = scratch.tempered.data();
  const double depth = -*std::min_element(tempered, tempered + n);
  // Buckets of the tempered logit are ranges of ranks: only the one with the end needs an order.
  const bool whole = n <= kSortedWhole || depth <= 0;
  const double scale = whole ? 0.0 : (kBuckets - 1) / depth;
  int64_t counts[kBuckets] = {}, masses[kBuckets] = {};
  if (!whole)
    for (int64_t i = 0; i < n; ++i) {
      const int bucket = static_cast<int>(-tempered[i] * scale);
      ++counts[bucket];
      masses[bucket] += scratch.mass[static_cast<size_t>(i)];
    }
  int64_t count = 0, mass = 0;
  int end = 0;
  while (!whole && !cuts.reached(count + counts[end], mass + masses[end])) {
    count += counts[end];
    mass += masses[end++];
  }
  int64_t m = 0;
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = static_cast<size_t>(i);
    words[m] = rank_word(scratch.logits[at], scratch.ids[at]);
    m += whole || static_cast<int>(-tempered[i] * scale) == end;
  }
  sort_words(words, scratch.spare.data(), m);
  return walk(row, cuts, words, count, mass);
}

// Leaves the survivors of a cut row in scratch, by ascending id, and returns their number.
int64_t survivors_of(const Row& row, const Cuts& cuts, Scratch& scratch) {
  constexpr double kDepths[] = {5.0, 14.0, std::numeric_limits<double>::infinity()};
  for (const double depth : kDepths) {
    const double end = std::max(-depth, cuts.floor);
    int64_t n = collect(row, logit_below(row, end), scratch);
    row.loops.weigh_some(scratch.logits.data(), n, row.peak, row.inverse, scratch.tempered.data(),
                       scratch.mass.data());
    if (cuts.floor >= -depth)
      n = keep_candidates(scratch, n,
                          [&](size_t at) { return scratch.tempered[at] >= cuts.floor; });
    int64_t mass = 0;
    for (int64_t i = 0; i < n; ++i) mass += scratch.mass[static_cast<size_t>(i)];
    if (cuts.reached(n, mass)) {
      const uint64_t last = last_kept(row, cuts, scratch, n);
      return keep_candidates(scratch, n, [&](size_t at) {
        return rank_word(scratch.logits[at], scratch.ids[at]) <= last;
      });
    }
    if (cuts.floor >= -depth) return n;
  }
  return 0;  // not reached: the last depth takes all
}

// --- the draw -----------------------------------------------------------------------------------

Noise noise_of(const CauserieSampling& batch, int64_t i) {
  return {{static_cast<uint32_t>(batch.seed[i]), static_cast<uint32_t>(batch.seed[i] >> 32)},
          static_cast<uint32_t>(static_cast<uint64_t>(batch.position[i])),
          batch.stream[i]};
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

int64_t draw_from_all(const Row& row, const Noise& noise, Scratch& scratch) {
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
      for (int64_t i = block; i < std::min(block + kBlock, row.v - start); ++i)
        if (hopeful(words[i], rough[start + i], race.limit) && std::isfinite(row.z[start + i]))
          race.enter(start + i, row.z[start + i], words[i]);
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
  Row row(batch, i);
  if (!open_row(scratch, row)) return -1;
  if (batch.temperature[i] < kGreedyBelow) return arg_max(row, scratch);
  weigh_row(batch.temperature[i], scratch, row);
  if (!is_cut(batch, i)) return draw_from_all(row, noise_of(batch, i), scratch);
  const int64_t n = survivors_of(row, cuts_of(batch, i, row.total), scratch);
  return draw_from_some(row, noise_of(batch, i), scratch, n);
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
  const int64_t n = is_cut(batch, i)
                        ? survivors_of(row, cuts_of(batch, i, row.total), scratch)
                        : collect(row, std::numeric_limits<float>::lowest(), scratch);
  uint64_t* words = scratch.words.data();
  for (int64_t j = 0; j < n; ++j) {
    const size_t at = static_cast<size_t>(j);
    words[j] = rank_word(scratch.logits[at], scratch.ids[at]);
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
