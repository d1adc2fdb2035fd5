"""Many token vectors of a chunk to a few: Ward's clusters, each as its mean (arXiv 2409.14683).

Letters: `t` tokens, `m` vectors kept, `d` their width.
"""

import numpy as np
from jaxtyping import Float, Float32
from scipy.cluster.hierarchy import fcluster, linkage

_TINY = 1e-12


def pooled(x: Float[np.ndarray, "t d"], most: int) -> Float32[np.ndarray, "m d"]:
    """Return at most `most` unit vectors for the rows of `x`, which are unit vectors as well.

    Raises:
        ValueError: `most` is below 1, or there are no rows.
    """
    if most < 1 or not len(x):
        raise ValueError(f"pooling needs rows and most >= 1, got {len(x)} rows and most {most}")
    x = np.asarray(x, np.float32)
    if len(x) <= most:
        return x
    labels = fcluster(linkage(x, "ward"), most, "maxclust") - 1
    sums = np.zeros((int(labels.max()) + 1, x.shape[1]), np.float32)
    np.add.at(sums, labels, x)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(_TINY))
