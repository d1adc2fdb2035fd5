"""All methods by name: the one list that a new one is added to."""

from collections.abc import Mapping
from typing import Any

from index.flat import FlatBuilder
from index.gpu import GpuBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.kdtree import KdForestBuilder
from index.lsh import LshBuilder
from index.nsw import NswBuilder
from index.pq import PqBuilder
from index.protocol import AnnBuilder
from index.scalar import ScalarBuilder

METHODS: Mapping[str, type[AnnBuilder]] = {
    method.name: method
    for method in (
        FlatBuilder,
        HnswBuilder,
        IvfPqBuilder,
        ScalarBuilder,
        PqBuilder,
        LshBuilder,
        KdForestBuilder,
        NswBuilder,
        GpuBuilder,
    )
}


def builder_of(name: str, parameters: Mapping[str, Any] | None = None) -> AnnBuilder:
    """Return the method of this name with these parameters, the rest as usual.

    Raises:
        ValueError: there is no such method or parameter, or a value is out of bounds.
    """
    if name not in METHODS:
        raise ValueError(f"there is no index method {name!r}; there are {', '.join(METHODS)}")
    try:
        return METHODS[name](**dict(parameters or {}))
    except TypeError as error:
        raise ValueError(f"parameters of {name!r} do not fit: {error}") from error
