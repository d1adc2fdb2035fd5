"""`python -m api ...` with an embedder that needs no weights: a process for tests to signal."""

import sys

from api import bootstrap
from api.cli.main import main
from llm.model_store import ModelStore
from rag.testing import HashingEmbedder

bootstrap.embedder_alone = lambda _: HashingEmbedder()  # type: ignore[assignment]
ModelStore.resolve = lambda *_: None  # type: ignore[assignment, method-assign]
main(sys.argv[1:])
