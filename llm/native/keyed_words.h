// The plain C interface of the words that mark a text, and of the tournament on their bits.
//
// Letters: r rows, n tokens, l layers. What is computed stands in llm/watermark/prf.py (to the bit)
// and llm/watermark/synthid.py (but for the order of sums).
#pragma once
#include <cstdint>

extern "C" {

// Writes the word of each token under its seed: seeds[i * seed_stride], so a stride of 0 is one
// seed for all.
void causerie_keyed_words(const int64_t* tokens, const uint64_t* seeds, int64_t seed_stride,
                          int64_t n, uint32_t* words);

// Turns each of r rows of n probabilities into those of the winners of l layers between two leaves
// each, summing to 1. Bit i of words belongs to layer i. Where `meetings` [l] is given, it becomes
// the mean over the rows of sum p^2 before each layer.
void causerie_tournament(double* probs, const uint32_t* words, int64_t r, int64_t n, int32_t l,
                         double* meetings);
}
