"""One page of the web, fetched within bounds.

No link is followed, but at most five redirects. A host is looked up once a hop and connected to at
the address that was checked, so that a name cannot turn to another one in between (DNS rebinding).
Proxies of the environment are not used: they would look the name up themselves.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import NamedTuple
from urllib.parse import urljoin

from rag.errors import FailureCode, WebSourceError
from rag.web_address import Resolve, WebAddress, checked, resolved, web_address
from rag.web_content import suffix_of

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED = 304
_OK = 200
_BLOCK_BYTES = 65_536
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 47  # zlib finds out which
_HEADERS = {
    "User-Agent": "causerie",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long a fetch may take in all, how much it may bring, how often it may be sent on."""

    wall_s: float = 30.0
    body_bytes: int = 50_000_000
    redirects: int = 5

    def __post_init__(self) -> None:
        if self.wall_s <= 0 or self.body_bytes < 1 or self.redirects < 0:
            raise ValueError(f"wall_s and body_bytes must be above 0, redirects >= 0, got {self}")


DEFAULT_FETCH_LIMITS = FetchLimits()


class Fetched(NamedTuple):
    """What a server sent, and where it was found after redirects."""

    headers: Message
    body: bytes
    final: WebAddress


class _Answer(NamedTuple):
    """What a server sent; `location` alone where it sends on, no body where nothing changed."""

    status: int
    headers: Message
    body: bytes
    location: str


def fetch(
    url: str,
    *,
    known: Mapping[str, str | int] | None = None,
    allow_private: bool = False,
    limits: FetchLimits = DEFAULT_FETCH_LIMITS,
    resolve: Resolve = resolved,
) -> Fetched | None:
    """Return the page at a URL; None if it is still the known one.

    Args:
        url: http or https.
        known: facts of the last fetch; `etag` and `last_modified` are sent along, to the address
            alone that they came from (`fetched_from`, else `url`).
        allow_private: whether the addresses of `url` may be private ones. Those of a redirect may
            not, unless they are the same.
        limits: for all of it, redirects included.
        resolve: from host and port to addresses.

    Raises:
        WebSourceError: it cannot be fetched, or may not be.
    """
    where = web_address(url)
    private: Collection[str] = ()
    conditions = _conditions(known or {})
    tagged = str((known or {}).get("fetched_from") or where.url)
    with _Clock(limits.wall_s) as clock:
        for hop in range(limits.redirects + 1):
            asked = conditions if where.url == tagged else {}
            with _of_redirect(hop):
                may_be_private = None if allow_private and hop == 0 else private
                addresses = checked(where, resolve, may_be_private)
                if allow_private and hop == 0:
                    private = frozenset(addresses)
                answer = _ask(where, addresses, asked, limits, clock)
            if answer.status == _NOT_MODIFIED:
                return None
            if not answer.location:
                return Fetched(answer.headers, answer.body, where)
            with _of_redirect(hop + 1):
                where = _target(where, answer.location)
    reason = f"it was sent on more than {limits.redirects} times"
    raise WebSourceError(reason, FailureCode.UNREACHABLE)


def _conditions(known: Mapping[str, str | int]) -> dict[str, str]:
    """Return the headers that ask for a page only if it is no longer the known one."""
    names = {"If-None-Match": "etag", "If-Modified-Since": "last_modified"}
    return {name: str(known[key]) for name, key in names.items() if known.get(key)}


@contextmanager
def _of_redirect(hop: int) -> Iterator[None]:
    """Let an error say that it is about the target of a redirect, not about the named URL."""
    try:
        yield
    except WebSourceError as error:
        if hop == 0:
            raise
        reason = f"the target of its redirect: {error.reason}"
        raise WebSourceError(reason, error.code) from error


def _target(where: WebAddress, location: str) -> WebAddress:
    """Return where a server sends on to; `http.client` reads the bytes of headers as Latin-1."""
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode()
    try:
        url = urljoin(where.url, location)
    except ValueError as error:
        reason = f"this is no URL: {location[:80]!a}"
        raise WebSourceError(reason, FailureCode.UNSUPPORTED) from error
    return web_address(url)


def _ask(
    where: WebAddress,
    addresses: list[str],
    conditions: Mapping[str, str],
    limits: FetchLimits,
    clock: "_Clock",
) -> _Answer:
    """Ask one server once."""
    try:
        connection = _connected(where, addresses, clock)
        try:
            connection.request("GET", where.target, headers={**_HEADERS, **conditions})
            with connection.getresponse() as response:
                return _answer(response, where, limits, is_conditional=bool(conditions))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, zlib.error) as error:
        if clock.is_over:
            reason = f"fetching it took more than {limits.wall_s:g} s"
            raise WebSourceError(reason, FailureCode.TIMEOUT) from error
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = f"{where.host} gave no answer that can be read: {said}"[:300]
        raise WebSourceError(reason, FailureCode.UNREACHABLE) from error


def _connected(
    where: WebAddress, addresses: list[str], clock: "_Clock"
) -> http.client.HTTPConnection:
    """Connect to the first address that can be reached; certificates are checked for the host."""
    for number, address in enumerate(addresses, 1):
        try:
            plain = socket.create_connection((address, where.port), timeout=clock.wall_s)
            break
        except OSError:
            if number == len(addresses) or clock.is_over:
                raise
    else:
        raise OSError("it has no address")
    clock.watch(plain)
    connection = http.client.HTTPConnection(where.host, where.port)
    connection.sock = plain
    if where.is_secure:
        context = ssl.create_default_context()
        connection.default_port = 443  # which the Host header leaves out
        connection.sock = context.wrap_socket(
            plain, server_hostname=where.host, do_handshake_on_connect=False
        )
        clock.watch(connection.sock)
        connection.sock.do_handshake()
    return connection


def _answer(
    response: http.client.HTTPResponse,
    where: WebAddress,
    limits: FetchLimits,
    *,
    is_conditional: bool,
) -> _Answer:
    headers = response.headers
    if response.status in _REDIRECTS and (location := headers.get("Location", "")):
        return _Answer(response.status, headers, b"", location)
    if response.status == _NOT_MODIFIED and is_conditional:
        return _Answer(response.status, headers, b"", "")
    if response.status != _OK:
        reason = f"{where.host} answered {response.status} {response.reason}"[:200].rstrip()
        raise WebSourceError(reason, FailureCode.HTTP_STATUS)
    if (media_type := headers.get_content_type()) and suffix_of(headers, where) is None:
        reason = f"its content type is {media_type[:80]}, which is not read"
        raise WebSourceError(reason, FailureCode.UNSUPPORTED)
    return _Answer(response.status, headers, _body(response, limits), "")


def _body(response: http.client.HTTPResponse, limits: FetchLimits) -> bytes:
    """Read as much as is allowed, unpacked; raises if there is more."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        reason = f"it is sent packed by {encoding[:40]}, which was not asked for"
        raise WebSourceError(reason, FailureCode.UNSUPPORTED)
    unpacker = None if encoding in {"", "identity"} else zlib.decompressobj(_GZIP_OR_ZLIB)
    body = bytearray()
    while block := response.read1(_BLOCK_BYTES):
        while block:
            if unpacker is None:
                body += block
                break
            body += unpacker.decompress(block, _BLOCK_BYTES)
            block = unpacker.unconsumed_tail
            _check_size(len(body), limits)
        _check_size(len(body), limits)
    if response.length:  # what was announced and did not come
        raise http.client.IncompleteRead(b"", response.length)
    if unpacker is not None and not unpacker.eof:  # no length is announced where it is not known
        raise WebSourceError("its packed content is cut short", FailureCode.UNREACHABLE)
    return bytes(body)


def _check_size(size: int, limits: FetchLimits) -> None:
    if size > limits.body_bytes:
        reason = f"it has more than {limits.body_bytes} bytes"
        raise WebSourceError(reason, FailureCode.TOO_LARGE)


class _Clock:
    """Shuts the connection when the time is over: a server that drips never runs into a timeout."""

    def __init__(self, wall_s: float) -> None:
        self.wall_s = wall_s
        self.is_over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(wall_s, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Clock":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for connected in self._sockets:
                connected.close()

    def watch(self, connected: socket.socket) -> None:
        with self._lock:
            self._sockets.append(connected)
            if self.is_over:
                raise TimeoutError

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for connected in self._sockets:
                try:
                    connected.shutdown(socket.SHUT_RDWR)
                except OSError:  # it is closed already
                    continue
