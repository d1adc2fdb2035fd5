"""In what numbers the model is computed, and how strictly the same. Free of torch."""

from typing import Literal

Precision = Literal["auto", "int8", "float32"]
Device = Literal["cpu", "cuda"]
Determinism = Literal["auto", "strict", "fast"]
