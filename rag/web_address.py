"""Which web addresses may be fetched: http and https, and no host inside of a private network.

Whoever can name a URL could else make this machine read what only it can reach: services without
a password, and the metadata of a cloud (server-side request forgery).
"""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from rag.errors import FailureCode, WebSourceError

MAX_URL_CHARS = 2000
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are an address of IPv4 (RFC 6052)
_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_SAFE = "%/:?#[]@!$&'()*+,;=~-._"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """A URL in its parts: `target` is path and query as they are asked for."""

    url: str
    is_secure: bool
    host: str
    port: int
    target: str


def web_address(url: str) -> WebAddress:
    """Return the parts of a URL, whose fragment is left out.

    Raises:
        WebSourceError: it is no URL of http or https, or holds a user name or password.
    """
    shown = ascii(url if len(url) <= 80 else url[:77] + "...")
    if len(url) > MAX_URL_CHARS or any(char <= " " or char == "\x7f" for char in url):
        raise _refused(f"a URL has at most {MAX_URL_CHARS} characters and no space: {shown}")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError as error:
        raise _refused(f"this is no URL: {shown}") from error
    if parts.scheme not in _PORTS:
        raise _refused(f"only http and https are fetched, not {parts.scheme or 'this'}: {shown}")
    if not host:
        raise _refused(f"the URL names no host: {shown}")
    if "@" in parts.netloc:
        raise _refused("a URL with a user name or password is not fetched: it would be stored")
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE)
    return WebAddress(
        url=normalised(url),
        is_secure=parts.scheme == "https",
        host=host,
        port=port if port is not None else _PORTS[parts.scheme],
        target=target,
    )


def normalised(url: str) -> str:
    """Return a URL without its fragment, its scheme and host in lower case (RFC 3986, 6.2.2.1)."""
    return _ORIGIN.sub(lambda found: found[0].lower(), url.partition("#")[0])


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system finds them; an address is its own."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(where: WebAddress, resolve: Resolve, private: Collection[str] | None) -> list[str]:
    """Return the addresses to connect to; the name must not be looked up again after this.

    Args:
        where: the URL.
        resolve: from host and port to addresses.
        private: addresses that may be connected to although they are not public; None for all.

    Raises:
        WebSourceError: the host is unknown, or one of its addresses is not public.
    """
    try:
        found = resolve(where.host, where.port)
    except OSError as error:
        reason = f"the host {where.host} cannot be found: {error.strerror or error}"
        raise WebSourceError(reason, FailureCode.UNREACHABLE) from error
    if private is None:
        return found
    for address in found:
        if address not in private and not is_public(address):
            raise WebSourceError(
                f"{where.host} has the address {address}, which is not public; only a URL that is"
                " named may have one, with --allow-private",
                FailureCode.ADDRESS_REFUSED,
            )
    return found


def is_public(address: str) -> bool:
    """Return whether an address is one of the open internet, also below its disguises."""
    return all(_is_public(form) for form in _forms(ipaddress.ip_address(address)))


def _is_public(address: Address) -> bool:
    return address.is_global and not (
        address.is_private
        or address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or address.is_loopback
        or address.is_unspecified
    )


def _forms(address: Address) -> list[Address]:
    """Return the address, or the one of IPv4 that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    return [address]


def _refused(reason: str) -> WebSourceError:
    return WebSourceError(reason, FailureCode.UNSUPPORTED)
