// The plain C interface of the sampler's head: rows of logits in, tokens or survivors out.
//
// Letters: r rows, v vocabulary, n survivors. A row is greedy if its temperature is below 1e-5;
// top_k 0, top_p 1 and min_p 0 switch those cuts off. A row that holds a NaN or +inf, or nothing
// finite, fails alone: its token is -1. What is computed, to the bit, stands in
// llm/decoding/truncate.py and llm/decoding/draw.py.
#pragma once
#include <cstdint>

#define CAUSERIE_SAMPLING_MAX_VOCABULARY (1 << 18)

extern "C" {

struct CauserieSampling {
  const void* loops;          // of causerie_sampling_loops; all give the same bits
  const float* logits;        // row i begins at logits + i * stride
  int64_t stride;
  int64_t vocabulary;         // in [1, CAUSERIE_SAMPLING_MAX_VOCABULARY]
  const double* temperature;  // [r]
  const int32_t* top_k;       // [r]
  const double* top_p;        // [r]
  const double* min_p;        // [r]
  const uint64_t* seed;       // [r]
  const int64_t* position;    // [r]; the high 32 bits are the purpose of the noise
  const uint32_t* stream;     // [r]
  int64_t* token;             // [r], written by causerie_sample
  // Survivors, most probable first: while rows are worked on, row i owns [i * v, (i + 1) * v).
  int64_t* count;    // [r]; -1: the row failed
  int32_t* id;       // [r * v]
  double* log_prob;  // [r * v]
};

// The loops compiled for "portable", "avx2" or "avx512"; the best for a null name; null if this
// processor cannot run them.
const void* causerie_sampling_loops(const char* name);

// Each takes the rows [begin, end), may run in several threads on disjoint ranges, and returns 0,
// or 1 if there was no memory.
int causerie_sample(const CauserieSampling* batch, int64_t begin, int64_t end);
int causerie_survivors(const CauserieSampling* batch, int64_t begin, int64_t end);

// Moves the survivors of r rows together and writes row_ptr [r + 1].
void causerie_compact_survivors(const CauserieSampling* batch, int64_t rows, int64_t* row_ptr);

// Draws from survivors in CSR form, in whatever order and with whatever log-probabilities a mark
// left them; an empty row gives -1. Reads seed, position and stream, writes token.
int causerie_draw(const CauserieSampling* batch, const int64_t* row_ptr, const int32_t* id,
                  const double* log_prob, int64_t begin, int64_t end);
}
