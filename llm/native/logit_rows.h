// The plain C interface of what is done to whole rows of logits besides drawing from them.
//
// Letters: v vocabulary, k candidates. A row is damaged if it holds a NaN or +inf, or nothing
// finite. What is computed, to the bit, stands in llm/decoding/logit_rows.py.
#pragma once
#include <cstdint>

extern "C" {

// Makes the tokens impossible (-inf) whose bit in `mask` is 0, the lowest bit first; null forbids
// nothing. Returns 0, 1 if the row was damaged before, or 2 if there was no memory.
int causerie_forbid(const void* loops, float* logits, int64_t v, const int32_t* mask);

// Writes the ids of the k highest finite logits, ascending, and the logits; of equals the lower
// ids. `log_total` becomes the logarithm of the sum of e^logit over the row. Returns how many there
// are, -1 if the row is damaged, or -2 if there was no memory.
int64_t causerie_best(const void* loops, const float* logits, int64_t v, int64_t k, int64_t* ids,
                      float* values, double* log_total);
}
