"""Vectors for texts, in the OpenAI shape."""

import base64
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter

from api.dependencies import ApplicationDep
from api.error_table import RequestError
from api.routes.models import unknown_model
from api.schemas import Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage
from rag.embedder import Embedder

router = APIRouter()

_BATCH_SIZE = 32


@router.post("/v1/embeddings")
def create_embeddings(body: EmbeddingRequest, application: ApplicationDep) -> EmbeddingList:
    """Return one vector per input, in order."""
    embedder = application.embedder
    if body.model != embedder.name:
        raise unknown_model(body.model, [embedder.name])
    if body.dimensions not in {None, embedder.dim}:
        raise RequestError(
            400,
            f"dimensions {body.dimensions} is not supported: {embedder.name!r} makes vectors of"
            f" {embedder.dim}; leave it out",
            param="dimensions",
            code="unsupported_value",
        )
    with application.foreground.busy():
        num_tokens = _checked_lengths(embedder, body.input)
        vectors = [
            vector
            for i in range(0, len(body.input), _BATCH_SIZE)
            for vector in embedder.encode(body.input[i : i + _BATCH_SIZE], "passage")
        ]
    return EmbeddingList(
        model=embedder.name,
        data=[
            Embedding(
                index=i,
                embedding=base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
                if body.encoding_format == "base64"
                else [float(x) for x in vector],
            )
            for i, vector in enumerate(vectors)
        ],
        usage=EmbeddingUsage(prompt_tokens=num_tokens, total_tokens=num_tokens),
    )


def _checked_lengths(embedder: Embedder, texts: Sequence[str]) -> int:
    """Return the tokens of all texts; none may be empty or longer than the model reads."""
    for i, text in enumerate(texts):
        if not text.strip():
            raise RequestError(
                400,
                f"input[{i}] is empty; send text, or leave it out",
                param=f"input[{i}]",
                code="invalid_value",
            )
    counts = embedder.count_tokens(texts)
    for i, count in enumerate(counts):
        if count > embedder.max_tokens:
            raise RequestError(
                400,
                f"input[{i}] has {count} tokens, {count - embedder.max_tokens} more than the"
                f" {embedder.max_tokens} that {embedder.name!r} reads; split it",
                param=f"input[{i}]",
                code="context_length_exceeded",
            )
    return sum(counts)
