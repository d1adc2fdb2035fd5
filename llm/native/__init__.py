"""The decoder's kernels in C++ behind a plain C interface, and their binding through ctypes."""
