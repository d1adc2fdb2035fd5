// What each instruction set's build of the kernels offers to the dispatcher.
#pragma once
#include <vector>

#include "decoder.h"
#include "encoder.h"
#include "team.h"

namespace causerie {

struct Kernels {
  const char* name;
  void* (*new_workspace)();
  void (*delete_workspace)(void* workspace);
  void (*forward)(const CauserieModel& model, const CauserieBatch& batch, Team& team,
                  void* workspace);
  // y[r, outputs] of float rows x[r, inputs]: quantises, multiplies. `codes`, `scales` and
  // `corrections` take the quantised rows, their memory padded to a multiple of 32 rows.
  void (*linear)(const CauserieLinear& linear, const float* x, int rows, int8_t* codes, float* scales,
                 int32_t* corrections, float* y, Team& team);
  void* (*new_encoder)(const CauserieEncoderModel& model);
  void (*delete_encoder)(void* encoder);
  void (*encode)(void* encoder, const CauserieTexts& texts, Team& team);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#if CAUSERIE_HAS_AMX
extern const Kernels kAmx;
#endif
#endif

}  // namespace causerie
