// The kernels in plain C++, for any processor.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels.h"

using causerie::Team;

#include "simd_portable.h"

#define CAUSERIE_NAME "portable"
#define CAUSERIE_KERNELS kPortable
#include "kernels.inc"
