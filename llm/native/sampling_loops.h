// The loops of the sampler's head over tokens, for each kind of CPU.
//
// They are plain and left to the compiler, but for what compilers do not find; on x86-64 they are
// compiled three times. All give the same bits.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "sampling_arithmetic.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t kBlock = 64;    // tokens that share one maximum
constexpr int64_t kChunk = 1024;  // tokens whose noise is made at once
constexpr int kBuckets = 512;

struct Noise {
  uint32_t key[2];
  uint32_t position;
  uint32_t stream;
  uint32_t purpose;
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

CAUSERIE_BODY void forbid_word(float* z, int64_t n, uint32_t word, int32_t* range) {
  int32_t least = range[0], most = range[1];
  for (int64_t i = 0; i < n; ++i) {
    const int32_t x = ordered(z[i]);
    most = x > most ? x : most;
    least = x < least ? x : least;
    z[i] = word >> i & 1 ? z[i] : -std::numeric_limits<float>::infinity();
  }
  range[0] = least;
  range[1] = most;
}

// Forbids the tokens whose bit is 0; `range` is that of the row before.
CAUSERIE_BODY void forbid_body(float* z, int64_t v, const int32_t* mask, int32_t* range) {
  constexpr int64_t kBits = 32;
  range[0] = std::numeric_limits<int32_t>::max();
  range[1] = std::numeric_limits<int32_t>::min();
  for (int64_t start = 0; start < v; start += kBits) {
    const uint32_t word = static_cast<uint32_t>(mask[start / kBits]);
    if (v - start >= kBits)
      forbid_word(z + start, kBits, word, range);
    else
      forbid_word(z + start, v - start, word, range);
  }
}

// The mass of a whole row in units of kRoughUnit, from exponentials in float. Blocks that lie so far
// below the peak that each token rounds to nothing are left out.
CAUSERIE_BODY int64_t weigh_roughly_body(const float* z, int64_t v, const int32_t* peaks,
                                         float peak) {
  const int32_t bound = ordered(peak - kRoughFarthest);
  int64_t total = 0;
  for (int64_t start = 0; start < v; start += kBlock) {
    if (peaks[start / kBlock] < bound) continue;
    const int64_t n = std::min(kBlock, v - start);
    float mass[kBlock] = {};
    if (n == kBlock)
      for (int64_t i = 0; i < kBlock; ++i) mass[i] = rough_exp(z[start + i] - peak);
    else
      for (int64_t i = 0; i < n; ++i) mass[i] = rough_exp(z[start + i] - peak);
    for (int64_t i = 0; i < kBlock; ++i) total += to_integer(static_cast<double>(mass[i]));
  }
  return total;
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

// What candidates weigh, and the bucket of each: a range of ranks, the last open at its end.
CAUSERIE_BODY void weigh_some_body(const float* z, int64_t n, double peak, double inverse,
                                   double scale, double* tempered, int64_t* mass,
                                   int32_t* bucket) {
  const int64_t last = same_bits<int64_t>(static_cast<double>(kBuckets - 1));
  for (int64_t i = 0; i < n; ++i) {
    const double x = (static_cast<double>(z[i]) - peak) * inverse;
    tempered[i] = x;
    mass[i] = mass_of(x);
    const double depth = -x * scale;
    const int64_t beyond = -static_cast<int64_t>(depth > kBuckets - 1);
    const int64_t kept = (same_bits<int64_t>(depth) & ~beyond) | (last & beyond);
    bucket[i] = static_cast<int32_t>(to_integer(same_bits<double>(kept)));
  }
}

// The words of the tokens first .. first + n; both multiples of four.
CAUSERIE_BODY void words_body(int64_t first, int64_t n, const Noise& noise, uint32_t* words) {
  uint32_t c[4][kChunk / 4];
  for (int64_t i = 0; i < n / 4; ++i) {
    c[0][i] = static_cast<uint32_t>(first / 4 + i);
    c[1][i] = noise.position;
    c[2][i] = noise.stream;
    c[3][i] = noise.purpose;
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
    c[3][i] = noise.purpose;
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

// Copies the tokens with a logit of at least `least`, by ascending id, and a block of rubbish.
CAUSERIE_BODY int64_t collect_body(const float* z, int64_t v, const int32_t* peaks, float least,
                                   float* logits, int32_t* ids) {
  const int32_t bound = ordered(least);
  int64_t n = 0;
  for (int64_t start = 0; start < v; start += kBlock) {
    if (peaks[start / kBlock] < bound) continue;
    const int64_t end = std::min(start + kBlock, v);
    for (int64_t i = start; i < end; ++i) {
      logits[n] = z[i];
      ids[n] = static_cast<int32_t>(i);
      n += z[i] >= least;
    }
  }
  return n;
}

struct Loops {
  void (*scan)(const float*, int64_t, int32_t*, int32_t*);
  void (*forbid)(float*, int64_t, const int32_t*, int32_t*);
  int64_t (*weigh_roughly)(const float*, int64_t, const int32_t*, float);
  int64_t (*weigh)(const float*, int64_t, double, double, float*);
  void (*weigh_some)(const float*, int64_t, double, double, double, double*, int64_t*, int32_t*);
  void (*words)(int64_t, int64_t, const Noise&, uint32_t*);
  void (*words_of)(const int32_t*, int64_t, const Noise&, uint32_t*);
  bool (*any_hopeful)(const uint32_t*, const float*, float);
  void (*gumbels)(const uint32_t*, int64_t, double*);
  int64_t (*collect)(const float*, int64_t, const int32_t*, float, float*, int32_t*);
};

#define CAUSERIE_LOOPS(NAME, TARGET)                                                            \
  struct NAME {                                                                                 \
    TARGET static void scan(const float* z, int64_t v, int32_t* peaks, int32_t* range) {        \
      scan_body(z, v, peaks, range);                                                            \
    }                                                                                           \
    TARGET static void forbid(float* z, int64_t v, const int32_t* mask, int32_t* range) {       \
      forbid_body(z, v, mask, range);                                                           \
    }                                                                                           \
    TARGET static int64_t weigh_roughly(const float* z, int64_t v, const int32_t* peaks,        \
                                        float peak) {                                           \
      return weigh_roughly_body(z, v, peaks, peak);                                             \
    }                                                                                           \
    TARGET static int64_t weigh(const float* z, int64_t v, double peak, double inverse,         \
                                float* rough) {                                                 \
      return weigh_body(z, v, peak, inverse, rough);                                            \
    }                                                                                           \
    TARGET static void weigh_some(const float* z, int64_t n, double peak, double inverse,       \
                                  double scale, double* tempered, int64_t* mass,                \
                                  int32_t* bucket) {                                            \
      weigh_some_body(z, n, peak, inverse, scale, tempered, mass, bucket);                      \
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
    TARGET static int64_t collect(const float* z, int64_t v, const int32_t* peaks, float least, \
                                  float* logits, int32_t* ids) {                                \
      return collect_body(z, v, peaks, least, logits, ids);                                     \
    }                                                                                           \
    static constexpr Loops table() {                                                            \
      return {scan,     forbid,      weigh_roughly, weigh,  weigh_some, words,                  \
              words_of, any_hopeful, gumbels,       collect};                                   \
    }                                                                                           \
  };

CAUSERIE_LOOPS(Portable, )
constexpr Loops kPortable = Portable::table();

#if defined(__x86_64__)
#define CAUSERIE_AVX2 __attribute__((target("avx2")))
#define CAUSERIE_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))

// What compilers do not find by themselves: products of 32 bits stay in lanes of 64, whose upper
// halves are rubbish that no product reads; and lanes are pressed together.

CAUSERIE_LOOPS(Avx2, CAUSERIE_AVX2)

CAUSERIE_AVX2 void words_avx2(int64_t first, int64_t n, const Noise& noise, uint32_t* words) {
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  for (int64_t i = 0; i < n; i += 16) {
    __m256i a = _mm256_add_epi64(_mm256_set1_epi64x((first + i) / 4),
                                 _mm256_setr_epi64x(0, 1, 2, 3));
    __m256i b = _mm256_set1_epi64x(noise.position), c = _mm256_set1_epi64x(noise.stream);
    __m256i d = _mm256_set1_epi64x(noise.purpose);
    uint32_t k0 = noise.key[0], k1 = noise.key[1];
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const __m256i p = _mm256_mul_epu32(a, m0), q = _mm256_mul_epu32(c, m1);
      const __m256i x = _mm256_xor_si256(b, _mm256_set1_epi64x(k0));
      const __m256i y = _mm256_xor_si256(d, _mm256_set1_epi64x(k1));
      a = _mm256_xor_si256(_mm256_srli_epi64(q, 32), x);
      b = q;
      c = _mm256_xor_si256(_mm256_srli_epi64(p, 32), y);
      d = p;
    }
    const __m256i ab = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xaa);
    const __m256i cd = _mm256_blend_epi32(c, _mm256_slli_epi64(d, 32), 0xaa);
    const __m256i even = _mm256_unpacklo_epi64(ab, cd), odd = _mm256_unpackhi_epi64(ab, cd);
    __m256i* out = reinterpret_cast<__m256i*>(words + i);
    _mm256_storeu_si256(out, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

CAUSERIE_LOOPS(Avx512, CAUSERIE_AVX512)

CAUSERIE_AVX512 void words_avx512(int64_t first, int64_t n, const Noise& noise, uint32_t* words) {
  const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
  for (int64_t i = 0; i < n; i += 32) {
    __m512i a = _mm512_add_epi64(_mm512_set1_epi64((first + i) / 4),
                                 _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    __m512i b = _mm512_set1_epi64(noise.position), c = _mm512_set1_epi64(noise.stream);
    __m512i d = _mm512_set1_epi64(noise.purpose);
    uint32_t k0 = noise.key[0], k1 = noise.key[1];
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const __m512i p = _mm512_maskz_mul_epu32(0xff, a, m0);
      const __m512i q = _mm512_maskz_mul_epu32(0xff, c, m1);
      a = _mm512_ternarylogic_epi64(_mm512_maskz_srli_epi64(0xff, q, 32), b,
                                    _mm512_set1_epi64(k0), 0x96);
      b = q;
      c = _mm512_ternarylogic_epi64(_mm512_maskz_srli_epi64(0xff, p, 32), d,
                                    _mm512_set1_epi64(k1), 0x96);
      d = p;
    }
    const __m512i ab = _mm512_mask_blend_epi32(0xaaaa, a, _mm512_maskz_slli_epi64(0xff, b, 32));
    const __m512i cd = _mm512_mask_blend_epi32(0xaaaa, c, _mm512_maskz_slli_epi64(0xff, d, 32));
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512(words + i, _mm512_permutex2var_epi64(ab, low, cd));
    _mm512_storeu_si512(words + i + 16, _mm512_permutex2var_epi64(ab, high, cd));
  }
}

CAUSERIE_AVX512 int64_t collect_avx512(const float* z, int64_t v, const int32_t* peaks,
                                       float least, float* logits, int32_t* ids) {
  const int32_t bound = ordered(least);
  const __m512 leasts = _mm512_set1_ps(least);
  const __m512i lanes =
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  int64_t n = 0;
  for (int64_t start = 0; start < v; start += kBlock) {
    if (peaks[start / kBlock] < bound) continue;
    for (int64_t i = start; i < std::min(start + kBlock, v); i += 16) {
      const __mmask16 there = static_cast<__mmask16>(v - i < 16 ? (1 << (v - i)) - 1 : 0xffff);
      const __m512 x = _mm512_maskz_loadu_ps(there, z + i);
      const __mmask16 kept = _mm512_mask_cmp_ps_mask(there, x, leasts, _CMP_GE_OQ);
      const __m512i id = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int32_t>(i)), lanes);
      _mm512_storeu_ps(logits + n, _mm512_maskz_compress_ps(kept, x));
      _mm512_storeu_si512(ids + n, _mm512_maskz_compress_epi32(kept, id));
      n += __builtin_popcount(kept);
    }
  }
  return n;
}

constexpr Loops avx2_loops() {
  Loops loops = Avx2::table();
  loops.words = words_avx2;
  return loops;
}

constexpr Loops avx512_loops() {
  Loops loops = Avx512::table();
  loops.words = words_avx512;
  loops.collect = collect_avx512;
  return loops;
}

constexpr Loops kAvx2 = avx2_loops();
constexpr Loops kAvx512 = avx512_loops();
#endif

}  // namespace
