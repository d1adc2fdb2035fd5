// The plain C interface of the text encoder: a BERT-family model, and packed texts to unit vectors.
//
// Letters: t tokens of all texts, n texts, c hidden size, o outputs, k inputs.
#pragma once
#include <cstdint>

extern "C" {

// y[t, o] = scales[o] * (a[t] * sum of codes[o, k] * q[t, k] + low[t] * sum of codes[o, k]) + bias[o]
// with q = round((x * spread - low) / a) in [0, 255]: one range a row. `spread`, one factor an
// input, moves what is large in x into the codes; null: all are one.
struct CauserieEncoderLinear {
  const int8_t* codes;  // [o, k], row by row
  const float* scales;
  const float* bias;
  const float* spread;
  int32_t inputs;   // a multiple of 16
  int32_t outputs;  // a multiple of 64
};

struct CauserieEncoderNorm {
  const float* gain;
  const float* bias;
};

struct CauserieEncoderLayer {
  CauserieEncoderLinear qkv;  // queries already scaled by 1/sqrt(d)
  CauserieEncoderLinear out;
  CauserieEncoderNorm attention_norm;
  CauserieEncoderLinear up;
  CauserieEncoderLinear down;
  CauserieEncoderNorm output_norm;
};

// The pointers of codes, scales, biases and factors are read by causerie_encoder_new only; those of
// the embeddings stay in use.
struct CauserieEncoderModel {
  const CauserieEncoderLayer* layers;
  const float* words;      // [v, c]
  const float* positions;  // [p, c]: the type's vector added
  CauserieEncoderNorm embedding_norm;
  int32_t num_layers;
  int32_t hidden;
  int32_t heads;
  int32_t mlp;
  float eps;
};

// Tokens of text i are token_ids[starts[i]..starts[i+1]-1]; no text is empty. A text is computed
// apart from all others.
struct CauserieTexts {
  const int32_t* token_ids;
  const int32_t* starts;  // [n + 1]
  float* vectors;         // [n, c] unit rows
  float* states;          // [t, c] the last layer's; null: not wanted
  int32_t texts;
};

struct CauserieEncoder;

}  // extern "C"
