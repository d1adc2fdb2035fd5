"""Zip archives of documents (DOCX, XLSX, PPTX, EPUB): measured before anything is unpacked."""

import io
import zipfile
import zlib

from rag.errors import FailureCode, ParseError
from rag.loaders.base import one_line

MAX_UNPACKED_BYTES = 256 * 2**20
MAX_MEMBERS = 10_000
MAX_RATIO = 200  # text in XML packs at about 10 to 1; beyond this nothing honest is found
_SMALL_BYTES = 4 * 2**20  # below this no ratio is worth a complaint
_PROLOG_BYTES = 65_536  # entities can only be declared before the first element
_XML = (".xml", ".rels", ".opf", ".vml")
# What the libraries let through on malformed archives and parts, beside errors of their own.
BROKEN = (
    zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, TypeError, AttributeError,
    IndexError, NotImplementedError, AssertionError, OverflowError, RuntimeError, EOFError, OSError,
)  # fmt: skip


def check_archive(data: bytes, what: str) -> None:
    """Refuse an archive that would unpack to too much, is encrypted, or declares XML entities.

    The sizes are those that the archive declares; no member can be unpacked beyond its own.

    Raises:
        ParseError: with `what`, the name of the format, in its reason.
        zipfile.BadZipFile, OSError, ValueError: it is no archive (see `BROKEN`).
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        _check_sizes(members, len(data), what)
        if any(member.flag_bits & 1 for member in members):
            raise ParseError(
                f"the {what} is encrypted; save a copy without a password", FailureCode.ENCRYPTED
            )
        for member in members:
            if member.filename.lower().endswith(_XML):
                with archive.open(member) as part:
                    _check_prolog(part.read(_PROLOG_BYTES), member.filename, what)


def broken(what: str, error: Exception) -> ParseError:
    """Return the refusal of a file of the format `what` on which a library raised `error`."""
    said = one_line(str(error), max_chars=120).rstrip(".")
    return ParseError(f"the {what} is broken: {type(error).__name__}: {said}")


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, what: str) -> None:
    if len(members) > MAX_MEMBERS:
        reason = f"the {what} holds {len(members)} files; at most {MAX_MEMBERS} are read"
        raise ParseError(reason, FailureCode.TOO_LARGE)
    size = sum(member.file_size for member in members)
    most = min(MAX_UNPACKED_BYTES, max(_SMALL_BYTES, MAX_RATIO * packed))
    if size > most:
        raise ParseError(
            f"the {what} would unpack to {size} bytes from {packed}: a zip bomb, not a document;"
            f" at most {most} are read",
            FailureCode.TOO_LARGE,
        )


def _check_prolog(head: bytes, name: str, what: str) -> None:
    """Refuse declared entities: a few lines of them can stand for gigabytes."""
    if b"<!ENTITY" in head.replace(b"\0", b""):
        shown = one_line(name, max_chars=80)
        raise ParseError(f"the {what} declares XML entities in {shown}, which are not resolved")
