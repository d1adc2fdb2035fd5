"""`python -m api index export|import`: a collection into a file and back, vectors included."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from api.cli.index_options import (
    AsJson,
    Collection,
    Tenant,
    opened_store,
    path_of,
    print_json,
    running_server,
    settings_for,
)
from api.cli.progress import progress_bars
from api.settings import Settings
from index.importing import Importer
from index.parquet_file import read_parquet, write_parquet
from index.portable import (
    PortableHeader,
    document_from_json,
    document_to_json,
    in_batches,
)
from index.protocol import NewDocument

EXPORT_EXAMPLE = (
    "Example: python -m api index export recipes recipes.jsonl; a name that ends in .parquet is"
    " written as Parquet, which needs the extra 'parquet'"
)
IMPORT_EXAMPLE = "Example: python -m api index import recipes.jsonl --as recipes2"

_BATCH = 64  # documents of one transaction, and of one request to a server
_BATCH_BYTES = 8 << 20

FileFormat = Literal["jsonl", "parquet"]
Documents = tuple[PortableHeader, Iterator[NewDocument]]


def export(
    collection: Collection,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; '-' is standard output.")],
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Write a collection with its vectors into a file: JSON lines, or Parquet by its ending.

    What is exported is of one moment, also beside a running server that goes on writing. A file
    that is there is replaced once the new one is whole.
    """
    settings = settings_for(tenant)
    with (
        opened_store(settings, tenant) as store,
        store.exported(collection) as (header, found),
        progress_bars(Console(stderr=True)) as on_progress,
    ):
        total = header.num_documents
        counted = _counted(found, lambda done: on_progress("export", done, total))
        if str(file) == "-":
            for line in _lines(header, counted):
                sys.stdout.write(line)
            return
        with _replaced(file) as part:
            if _format_of(file) == "parquet":
                write_parquet(part, header, counted)
            else:
                with part.open("w", encoding="utf-8", newline="\n") as out:
                    out.writelines(_lines(header, counted))
    if as_json:
        print_json({"name": collection, "file": str(file), "num_documents": total})
    else:
        print(f"{collection}: {total} documents written to {file}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `index export` wrote.")],
    name: Annotated[
        str,
        typer.Option("--as", metavar="NAME", help="Another name for it.", show_default=False),
    ] = "",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Read an exported collection; it is made when missing, and equal uris are replaced.

    Ctrl-C leaves what was stored by then, in whole documents; import again to go on.
    """
    settings = settings_for(tenant)
    num_documents = num_chunks = 0
    with ExitStack() as stack:
        on_progress = stack.enter_context(progress_bars(Console(stderr=True)))
        header, found = stack.enter_context(_opened(file))
        target = name or header.name
        add = _adder(stack, settings, tenant, header, target)
        for batch in in_batches(found, num=_BATCH, num_bytes=_BATCH_BYTES):
            num_chunks += add(batch)
            num_documents += len(batch)
            on_progress("import", num_documents, header.num_documents)
        if not num_documents:
            add([])
    if as_json:
        print_json({"name": target, "num_documents": num_documents, "num_chunks": num_chunks})
    else:
        print(f"{target}: {num_documents} documents with {num_chunks} chunks stored")


def _adder(
    stack: ExitStack, settings: Settings, tenant: str, header: PortableHeader, name: str
) -> Callable[[Sequence[NewDocument]], int]:
    """Return what stores a batch and counts its chunks: here, or at a running server."""
    server = stack.enter_context(running_server(settings, tenant))
    if server is None:
        return Importer(stack.enter_context(opened_store(settings, tenant)), header, name).add

    def send(batch: Sequence[NewDocument]) -> int:
        found = server.call(
            "POST",
            path_of(name, "/import"),
            content="".join(_lines(header, iter(batch))).encode(),
            headers={"content-type": "application/x-ndjson"},
        )
        return int(found["num_chunks"])

    return send


def _lines(header: PortableHeader, found: Iterator[NewDocument]) -> Iterator[str]:
    yield header.to_json() + "\n"
    for document in found:
        yield document_to_json(document) + "\n"


def _counted(found: Iterator[NewDocument], note: Callable[[int], None]) -> Iterator[NewDocument]:
    for done, document in enumerate(found, start=1):
        yield document
        note(done)


@contextmanager
def _opened(file: Path) -> Iterator[Documents]:
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    if _format_of(file) == "parquet":
        yield read_parquet(file)
        return
    with file.open(encoding="utf-8", newline="\n") as lines:
        header = PortableHeader.from_json(next(lines, ""))
        yield (
            header,
            (
                document_from_json(line, dim=header.dim, number=number)
                for number, line in enumerate(lines, start=2)
            ),
        )


def _format_of(file: Path) -> FileFormat:
    return "parquet" if file.suffix.lower() == ".parquet" else "jsonl"


@contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """Give a path beside `file` that takes its place at the end, and goes on an exception."""
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
