// The functions that Python calls: which kernels this processor can run, and they by name.
#include <cstring>
#include <mutex>
#include <new>

#include "kernels.h"
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using causerie::Kernels;
using causerie::Team;

struct CauserieTeam {
  explicit CauserieTeam(int threads, const Kernels& kernels)
      : team(threads), kernels(kernels), workspace(kernels.new_workspace()) {}
  ~CauserieTeam() { kernels.delete_workspace(workspace); }
  Team team;
  const Kernels& kernels;
  void* workspace;
  std::mutex mutex;  // one job at a time
};

struct CauserieEncoder {
  CauserieEncoder(CauserieTeam& team, const CauserieEncoderModel& model)
      : team(team), packed(team.kernels.new_encoder(model)) {}
  ~CauserieEncoder() { team.kernels.delete_encoder(packed); }
  CauserieTeam& team;
  void* packed;
};

namespace {

#if CAUSERIE_HAS_AMX
// Linux hands out the tile registers on request only.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx() {
  unsigned a = 7, b = 0, c = 0, d = 0;
  __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  const bool tiles = (d >> 24) & 1u, bytes = (d >> 25) & 1u;
  return tiles && bytes && may_use_tiles();
}
#endif

bool can_run(const Kernels& kernels) {
  if (&kernels == &causerie::kPortable) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (&kernels == &causerie::kAvx2) return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  if (&kernels == &causerie::kAvx512) return avx512;
#if CAUSERIE_HAS_AMX
  if (&kernels == &causerie::kAmx) return avx512 && has_amx();
#endif
#endif
  return false;
}

// Fastest first.
const Kernels* const kAll[] = {
#if defined(__x86_64__)
#if CAUSERIE_HAS_AMX
    &causerie::kAmx,
#endif
    &causerie::kAvx512, &causerie::kAvx2,
#endif
    &causerie::kPortable};

}  // namespace

extern "C" {

int32_t causerie_abi() { return CAUSERIE_ABI; }

// The name of the i-th path that this processor can run, fastest first; null after the last.
const char* causerie_path(int32_t i) {
  for (const Kernels* kernels : kAll)
    if (can_run(*kernels) && i-- == 0) return kernels->name;
  return nullptr;
}

// Threads and memory for one model; null where the path cannot run here or memory is short.
CauserieTeam* causerie_team_new(int32_t threads, const char* path) {
  for (const Kernels* kernels : kAll) {
    if (std::strcmp(kernels->name, path) != 0 || !can_run(*kernels)) continue;
    try {
      return new CauserieTeam(threads, *kernels);
    } catch (...) {
      return nullptr;
    }
  }
  return nullptr;
}

void causerie_team_delete(CauserieTeam* team) { delete team; }

// Zero on success, one where memory ran out.
int32_t causerie_forward(CauserieTeam* team, const CauserieModel* model, const CauserieBatch* batch) {
  const std::lock_guard<std::mutex> lock(team->mutex);
  try {
    team->kernels.forward(*model, *batch, team->team, team->workspace);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

void causerie_linear(CauserieTeam* team, const CauserieLinear* linear, const float* x, int32_t rows,
                     int8_t* codes, float* scales, int32_t* corrections, float* y) {
  const std::lock_guard<std::mutex> lock(team->mutex);
  team->kernels.linear(*linear, x, rows, codes, scales, corrections, y, team->team);
}

// The weights packed for this team's kernels; null where memory is short. Deleted before the team.
CauserieEncoder* causerie_encoder_new(CauserieTeam* team, const CauserieEncoderModel* model) {
  try {
    return new CauserieEncoder(*team, *model);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void causerie_encoder_delete(CauserieEncoder* encoder) { delete encoder; }

// Zero on success, one where memory ran out.
int32_t causerie_encode(CauserieEncoder* encoder, const CauserieTexts* texts) {
  CauserieTeam& team = encoder->team;
  const std::lock_guard<std::mutex> lock(team.mutex);
  try {
    team.kernels.encode(encoder->packed, *texts, team.team);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

}  // extern "C"
