"""A page of the web that somebody named as a source: fetched, and read like a file.

Its uri is its URL. What a server says of its version (`ETag`, `Last-Modified`) is kept with the
document and sent along the next time, so that a page that has not changed is not sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rag.document import Document, sha256_hex
from rag.errors import ParseError
from rag.ingest_report import FileReport, Outcome
from rag.ingest_source import Look
from rag.parsing import ParseLimits, parse
from rag.web_address import MAX_URL_CHARS, Resolve, normalised, resolved
from rag.web_content import file_name, in_utf8
from rag.web_fetch import DEFAULT_FETCH_LIMITS, Fetched, FetchLimits, fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPage:
    """What a collection holds of a page: the hash of its bytes, and the facts of its document."""

    source_sha256: str
    metadata: Mapping[str, str | int] = field(default_factory=dict)


class WebSource:
    """A source of ingest. A look at it fetches it, and keeps what came until it is loaded."""

    def __init__(
        self,
        url: str,
        *,
        known: KnownPage | None = None,
        allow_private: bool = False,
        limits: FetchLimits = DEFAULT_FETCH_LIMITS,
        resolve: Resolve = resolved,
    ) -> None:
        self._url = normalised(url)
        self._known = known
        self._allow_private = allow_private
        self._limits = limits
        self._resolve = resolve
        self._fetched: Fetched | None = None

    @property
    def uri(self) -> str:
        """Return the URL without its fragment, its scheme and host in lower case."""
        return self._url

    @property
    def root(self) -> str:
        """Return nothing: it lies in no folder."""
        return ""

    def look(self, limits: ParseLimits) -> Look:
        """Fetch it, unless it is the known one still; `limits` count when it is read."""
        del limits
        try:
            self._fetched = self._fetch(self._known)
        except ParseError as error:
            report = FileReport(
                uri=self.uri, outcome=Outcome.FAILED, reason=error.reason, code=error.code
            )
            return Look(refused=report)
        if self._fetched is None:
            assert self._known is not None
            return Look(sha256=self._known.source_sha256)
        return Look(sha256=sha256_hex(self._fetched.body), num_bytes=len(self._fetched.body))

    def load(self, limits: ParseLimits) -> Document:
        """Read what came.

        Raises:
            WebSourceError: it cannot be fetched, or may not be.
            ParseError: what came cannot be read.
        """
        fetched = self._fetched or self._fetch(None)
        self._fetched = None
        assert fetched is not None
        name = file_name(fetched.headers, fetched.final)
        document = parse(in_utf8(fetched.body, fetched.headers), name, limits=limits)
        return replace(
            document,
            uri=self.uri,
            source_sha256=sha256_hex(fetched.body),
            metadata={**document.metadata, **self._facts(fetched)},
        )

    def _fetch(self, known: KnownPage | None) -> Fetched | None:
        return fetch(
            self._url,
            known=known.metadata if known else None,
            allow_private=self._allow_private,
            limits=self._limits,
            resolve=self._resolve,
        )

    def _facts(self, fetched: Fetched) -> dict[str, str]:
        final = fetched.final.url if fetched.final.url != self.uri else ""
        if final and not _is_fit(final):
            return {}  # what a server says of its version is of no use without the address
        facts = {
            "etag": fetched.headers.get("ETag", ""),
            "last_modified": fetched.headers.get("Last-Modified", ""),
            "fetched_from": final,
        }
        return {key: value for key, value in facts.items() if _is_fit(value)}


def _is_fit(value: str) -> bool:
    """Return whether a value can be kept, and sent in a header again."""
    return 0 < len(value) <= MAX_URL_CHARS and value.isascii() and value.isprintable()
