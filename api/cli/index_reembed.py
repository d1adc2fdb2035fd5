"""`python -m api index reembed`: another embedding model for a collection, and back again."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import Float
from rich.console import Console

from api.cli.index_options import (
    AsJson,
    Collection,
    Tenant,
    opened_store,
    print_json,
    running_server,
    settings_for,
)
from api.cli.progress import progress_bars
from api.errors import ConfigurationError
from api.settings import Settings
from index.reembedding import NewEmbedder
from index.stored_texts import ChunkText
from rag.document import Chunk
from rag.embedder import Embedder
from rag.passage_text import passage_texts

REEMBED_EXAMPLE = "Example: python -m api index reembed recipes --model all-minilm-l6-v2"


def reembed(
    collection: Collection,
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="The new model; the settings' if none is given."),
    ] = "",
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Let the model before this one serve again.")
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option("--drop-old", help="Only remove the vectors that do not serve any more."),
    ] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Embed a collection anew beside the vectors that serve, then change over at once.

    Run it again after an interruption: nothing is embedded twice, and the old vectors serve until
    then. They stay for --rollback, until --drop-old. A running server must be stopped first, since
    it asks its questions with its own model.
    """
    if sum((rollback, drop_old, bool(model))) > 1:
        raise typer.BadParameter("--model, --rollback and --drop-old contradict each other")
    settings = settings_for(tenant)
    with running_server(settings, tenant) as server:
        if server is not None:
            raise ConfigurationError(
                f"a server works on these collections and would go on asking {collection!r} with"
                " its own embedding model; stop it, embed anew, and start it with that model"
            )
    with opened_store(settings, tenant) as store:
        work = store.reembedding(collection)
        if drop_old:
            info, num = store.info(collection), work.drop_others()
            found: dict[str, Any] = {
                "name": collection, "embedding_model": info.embedder, "num_dropped": num
            }  # fmt: skip
        elif rollback:
            found = {"name": collection, "embedding_model": work.roll_back()}
        else:
            embedder = _embedder(settings, model)
            with progress_bars(Console(stderr=True)) as progress:
                done = work.run(
                    _new(embedder), on_progress=lambda n, total: progress("embedding", n, total)
                )
            found = {
                "name": collection,
                "embedding_model": embedder.name,
                "num_chunks": done.num_chunks,
            }
    if as_json:
        print_json(found)
    else:
        print(f"{collection}: vectors of {found['embedding_model']} serve")
        if drop_old:
            print(f"{collection}: {found['num_dropped']} vectors of other models removed")


def _embedder(settings: Settings, model: str) -> Embedder:
    # Here and not above: going back needs no model, and torch costs seconds.
    from api import bootstrap  # noqa: PLC0415

    wanted = {"embedding_model": model} if model else {}
    return bootstrap.embedder_alone(settings.model_copy(update=wanted))


def _new(embedder: Embedder) -> NewEmbedder:
    def encode(chunks: Sequence[ChunkText]) -> Float[np.ndarray, "n d"]:
        texts = [_passage(chunk, embedder) for chunk in chunks]
        return embedder.encode(texts, "passage")

    return NewEmbedder(
        name=embedder.name, fingerprint=embedder.fingerprint, dim=embedder.dim, encode=encode
    )


def _passage(chunk: ChunkText, embedder: Embedder) -> str:
    """Return what ingest embeds for such a chunk."""
    end = len(chunk.text.encode())
    one = Chunk(start=0, end=end, text=chunk.text, heading_path=chunk.heading_path)
    return passage_texts(chunk.title, [one], embedder, uri=chunk.uri)[0]
