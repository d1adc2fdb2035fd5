"""Memory that was freed goes back to the system.

glibc keeps what blocks of a few megabytes leave behind, as the float32 weights do once they are
packed; the process would look, and be counted, three times as large as it is.
"""

import ctypes
import gc
import os


def give_back() -> None:
    """Collect garbage and return free memory to the system; does nothing more where it cannot."""
    gc.collect()
    if os.name != "posix":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
