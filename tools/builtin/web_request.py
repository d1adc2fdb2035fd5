"""HTTP GET of allowed hosts as a tool. Off unless hosts are named; never a private address.

A name is looked up once for each request, all of its addresses are checked, and the connection goes
to one of those: a name that changes its mind in between (DNS rebinding) gains nothing. Redirects
are followed by hand, each through the same checks. No cookies, no credentials, no compression.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from tools.argument_types import Size
from tools.base import Confirm, Effect, Tool
from tools.builtin.public_address import Resolve, is_public, resolve
from tools.errors import (
    DeniedError,
    FatalError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
    ToolDeclarationError,
)

MAX_REDIRECTS = 5
MAX_URL_CHARS = 2_000

_HOST = re.compile(r"(\*\.)?([a-z0-9_-]+\.)*[a-z0-9_-]+(:\d{1,5})?")
_URL = re.compile(r"[!-~]+")
_REDIRECTS = (301, 302, 303, 307, 308)
_TEXT = re.compile(r"text/|application/(?:[\w.+-]*\+)?(?:json|xml|yaml)\b|application/javascript")
_AGENT = "causerie/1 (tool)"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """What `web_request` may fetch, and how much.

    `hosts` are names: `example.org`, `*.example.org` for all below it, `example.org:8443` for
    another port. Those in `private_hosts` may have private addresses. `max_bytes` of a page are
    read, all within `timeout_s`. `http` without TLS is refused unless `has_plain_http`.
    """

    hosts: tuple[str, ...]
    private_hosts: frozenset[str] = frozenset()
    has_plain_http: bool = False
    max_bytes: int = 50_000
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ToolDeclarationError(
                    f"{host!r} is no host; write example.org, *.example.org or example.org:8443"
                )
        if not self.hosts:
            raise ToolDeclarationError("web_request is off while no host is allowed; name some")
        if self.max_bytes < 1 or self.timeout_s <= 0:
            raise ToolDeclarationError("max_bytes and timeout_s must be above 0")

    def allows(self, host: str, port: int, usual_port: int) -> bool:
        """Tell whether a host may be asked on a port."""
        return any(_fits(allowed, host, port, usual_port) for allowed in self.hosts)


def web_request(
    limits: WebLimits, *, look_up: Resolve = resolve, trust: ssl.SSLContext | None = None
) -> Tool:
    """Return the tool `get_url`.

    An address of the user's own words passes without a question; of any other the user is asked,
    since what an address says is told to whoever answers it.
    """
    context = trust or ssl.create_default_context()

    def get_url(url: Annotated[str, Size(least=1, most=MAX_URL_CHARS)]) -> dict[str, Any]:
        """Fetch a web page or a JSON document by HTTP GET.

        Args:
            url: the whole address, like https://example.org/page.
        """
        return _Fetch(limits, look_up, context).get(url)

    return Tool.from_function(
        get_url,
        effect=Effect.READ,
        confirm=Confirm.UNGROUNDED,
        timeout_s=limits.timeout_s + 2,
        max_result_bytes=4 * limits.max_bytes + 4_000,
        description=f"Fetch a page by HTTP GET from one of: {', '.join(limits.hosts)}",
    )


class _Fetch:
    """One request with its redirects, under one deadline."""

    def __init__(self, limits: WebLimits, look_up: Resolve, trust: ssl.SSLContext) -> None:
        self._limits, self._look_up, self._trust = limits, look_up, trust
        self._deadline = time.monotonic() + limits.timeout_s

    def get(self, url: str) -> dict[str, Any]:
        for _ in range(MAX_REDIRECTS + 1):
            parts = self._checked(url)
            try:
                answer, target = self._once(parts)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() >= self._deadline:
                    raise FatalError(f"no answer in {self._limits.timeout_s:g} s") from error
                raise RetryableError(f"{parts.hostname} cannot be reached") from error
            if target is None:
                return {"url": url, **answer}
            url = urljoin(url, target)
        raise FatalError(f"more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: str) -> SplitResult:
        if not _URL.fullmatch(url) or "\\" in url:
            raise InvalidArgumentError("url", "write it in plain ASCII without spaces")
        try:
            parts = urlsplit(url)
            port = parts.port or _usual_port(parts)
        except ValueError as error:
            raise InvalidArgumentError("url", "is no address of the web") from error
        schemes = ("https", "http") if self._limits.has_plain_http else ("https",)
        if parts.scheme not in schemes or not parts.hostname:
            raise DeniedError(f"only {' and '.join(schemes)} addresses are fetched")
        if "@" in parts.netloc:
            raise DeniedError("an address with a name or a password in it is not fetched")
        if not self._limits.allows(parts.hostname.rstrip("."), port, _usual_port(parts)):
            raise DeniedError(f"{parts.hostname[:80]} is not among the allowed hosts")
        return parts

    def _once(self, parts: SplitResult) -> tuple[dict[str, Any], str | None]:
        """Return the answer, and where it redirects to."""
        connection = self._connected(parts)
        path = parts.path or "/"
        with closing(connection), self._cut_off(connection):
            connection.request(
                "GET",
                f"{path}?{parts.query}" if parts.query else path,
                headers={"User-Agent": _AGENT, "Accept-Encoding": "identity", "Accept": "*/*"},
            )
            reply = connection.getresponse()
            if reply.status in _REDIRECTS and (target := reply.getheader("Location")):
                return {}, target
            return self._answer(reply), None

    def _connected(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = str(parts.hostname)
        port = parts.port or _usual_port(parts)
        addresses = self._look_up(host, port)
        is_private_too = host.rstrip(".") in self._limits.private_hosts
        if not addresses or not (is_private_too or all(map(is_public, addresses))):
            raise DeniedError(f"{host[:80]} is at no public address")
        plain = socket.create_connection((addresses[0], port), timeout=self._remaining_s())
        connection = http.client.HTTPConnection(host, port, timeout=self._remaining_s())
        # Given its socket, it never looks the name up itself; TLS still checks that name.
        try:
            is_tls = parts.scheme == "https"
            secure = self._trust.wrap_socket(plain, server_hostname=host) if is_tls else plain
        except OSError:
            plain.close()
            raise
        connection.sock = secure
        return connection

    @contextmanager
    def _cut_off(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Close the connection at the deadline: a server that sends a byte a second ends too."""
        timer = threading.Timer(self._remaining_s(), _shut, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _answer(self, reply: http.client.HTTPResponse) -> dict[str, Any]:
        kind = reply.getheader("Content-Type", "text/plain").lower()
        if reply.status in (404, 410):
            raise NotFoundError(f"the server has no such page ({reply.status})")
        if reply.status >= 500 or reply.status == 429:
            raise RetryableError(f"the server cannot answer now ({reply.status})")
        if reply.status >= 400:
            raise FatalError(f"the server refuses the request ({reply.status})")
        if reply.getheader("Content-Encoding", "identity").lower() != "identity":
            raise FatalError("the server sends compressed what was asked for plain")
        if not _TEXT.match(kind):
            raise FatalError(f"the page is no text but {kind[:80]}")
        body = self._body(reply)
        named = re.search(r"charset=[\"']?([\w-]+)", kind)
        return {
            "status": reply.status,
            "content_type": kind[:80],
            "text": _decoded(body[: self._limits.max_bytes], named[1] if named else "utf-8"),
            "is_cut": len(body) > self._limits.max_bytes,
        }

    def _body(self, reply: http.client.HTTPResponse) -> bytes:
        pieces, size = [], 0
        while size <= self._limits.max_bytes:
            piece = reply.read1(min(65_536, self._limits.max_bytes + 1 - size))
            if time.monotonic() >= self._deadline:
                raise FatalError(f"no whole page in {self._limits.timeout_s:g} s")
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _remaining_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise FatalError(f"no answer in {self._limits.timeout_s:g} s")
        return left


def _fits(allowed: str, host: str, port: int, usual_port: int) -> bool:
    name, _, wanted = allowed.partition(":")
    if port != (int(wanted) if wanted else usual_port):
        return False
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host == name


def _usual_port(parts: SplitResult) -> int:
    return 80 if parts.scheme == "http" else 443


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, "replace")
    except (LookupError, UnicodeError):
        return body.decode("utf-8", "replace")


def _shut(open_socket: socket.socket | None) -> None:
    if open_socket is not None:
        try:
            open_socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def hosts_of(text: str) -> tuple[str, ...]:
    """Return the hosts that a setting names, separated by commas or spaces."""
    found: Sequence[str] = re.split(r"[,\s]+", text.strip())
    return tuple(host.lower() for host in found if host)
