"""Which addresses belong to the public internet, however they are written."""

import ipaddress
import socket
from collections.abc import Callable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]  # host and port → addresses as text

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system's resolver knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_public(address: str) -> bool:
    """Tell whether an address is one that anybody on the internet may reach.

    False for private, loopback, link-local (cloud metadata), shared, multicast and reserved ones,
    also where an IPv6 address carries such an IPv4 one, and for what is no address at all.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if (inner := _carried(found)) is not None:
            return is_public(str(inner))
        if found.is_site_local:  # given up long ago, and still "global" to Python
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _carried(address: ipaddress.IPv6Address) -> Address | None:
    """Return the IPv4 address that an IPv6 one stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _NAT64_LOCAL or int(address) >> 32 == 0:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
