"""What a trained head may be; apart from what trains it, so that a name costs no library."""

from typing import Literal

HeadKind = Literal["bilinear", "gru", "reward"]
