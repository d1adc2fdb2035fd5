// The plain C interface of the kernels: what Python fills in, by pointer. No torch, no C++ types.
//
// Letters: r rows (positions of any sequences), c hidden size, g = 64 columns of one activation
// scale, kv key/value heads, d head width, B = 16 positions of a cache block.
#pragma once
#include <cstdint>

#define CAUSERIE_ABI 2
#define CAUSERIE_GROUP 64
#define CAUSERIE_BLOCK 16

// Compilers from GCC 11 and clang 12 on know the matrix instructions.
#if defined(__x86_64__) && defined(__linux__) && defined(__has_include)
#if __has_include(<amxint8intrin.h>)
#define CAUSERIE_HAS_AMX 1
#endif
#endif
#ifndef CAUSERIE_HAS_AMX
#define CAUSERIE_HAS_AMX 0
#endif

extern "C" {

// y[r, o] = scales[o] * sum_j a[r, j] * (sum of codes[o, k] * x[r, k] over the 64 columns of j).
// codes: [outputs/16][inputs/4][16][4] signed bytes; inputs a multiple of 64, outputs of 16.
struct CauserieLinear {
  const int8_t* codes;
  const float* scales;
  int32_t inputs;
  int32_t outputs;
};

// keys: [blocks][kv][d][16] halves, values: [blocks][kv][16][d] halves.
struct CauserieLayer {
  const float* input_norm;
  CauserieLinear qkv;
  CauserieLinear out;
  const float* mlp_norm;
  CauserieLinear gate_up;  // sixteen gates, sixteen ups, in turn
  CauserieLinear down;
  uint16_t* keys;
  uint16_t* values;
};

struct CauserieModel {
  const CauserieLayer* layers;
  const uint16_t* embedding;  // [v, c] halves
  const float* final_norm;
  CauserieLinear head;
  int32_t num_layers;
  int32_t hidden;  // a multiple of 64
  int32_t heads;
  int32_t kv_heads;
  int32_t head_dim;  // a multiple of 16, at most 256
  int32_t mlp;       // a multiple of 64
  float eps;
};

// Rows of one sequence stand together in the order of their positions. A span is such a run.
struct CauserieBatch {
  const int64_t* token_ids;      // [r]
  const int32_t* positions;      // [r]
  const float* cosines;          // [r, d/2]
  const float* sines;            // [r, d/2]
  const float* sink_cosines;     // [r, d/2]: the query's place in the rolling cache
  const float* sink_sines;       // [r, d/2]
  const int32_t* span_starts;    // [spans + 1] rows
  const int32_t* block_tables;   // [spans, table_width]
  const int32_t* sinks;          // [spans]
  const int32_t* windows;        // [spans]; INT32_MAX: everything is seen
  const int32_t* output_rows;    // [outputs]
  float* logits;                 // [outputs, head.outputs]
  float* hidden;                 // [outputs, c]
  float* exit_hidden;            // [outputs, c]: after layer `exit_layer`, normed; null: not wanted
  int32_t rows;
  int32_t spans;
  int32_t table_width;
  int32_t outputs;
  int32_t exit_layer;
};

struct CauserieTeam;

}  // extern "C"
