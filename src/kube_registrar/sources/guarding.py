"""Which addresses may be registered of what stands for no pod: whoever writes an EndpointSlice may write any.

Never an address that means the client itself, its own network, or what serves credentials to machines.
Sources: IANA special-purpose address registries; the metadata addresses that AWS, Azure, Alibaba Cloud and Google Cloud
document.
"""

import ipaddress
import re
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_HOST_CHARACTERS = 253
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""Resolvers take names that end so for addresses, in forms that nobody recognises: 127.1, 0x7f.1."""

_METADATA: Final = tuple(
    map(
        ipaddress.ip_network,
        ("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::254/128"),
    )
)
_RESERVED: Final = tuple(map(ipaddress.ip_network, ("0.0.0.0/8", "240.0.0.0/4")))
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


class NotAllowed(Exception):
    """An address that is not registered; its text is the rule, in plain words."""


def check_ip(text: str) -> str:
    """Return an IP address in the one form that everybody writes it in. Raises NotAllowed."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise NotAllowed("it is no IP address") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise NotAllowed("an address with a zone means something on one machine only")
        if address.ipv4_mapped is not None:
            raise NotAllowed("an IPv4 address is registered as such only")
    kind = next(filter(None, map(_kind, (address, *_within(address)))), "")
    if kind:
        raise NotAllowed(f"{kind} address is never registered")
    return str(address)


def check_host(text: str) -> str:
    """Return a host name in lower case, without a dot at its end. Raises NotAllowed."""
    host = text.removesuffix(".").lower()
    if len(host) > _MAX_HOST_CHARACTERS or not _HOST.fullmatch(host):
        raise NotAllowed("it is no host name")
    last = host.rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        raise NotAllowed("a host name does not end with a number")
    if last in {"localhost", "localdomain"}:
        raise NotAllowed("it names the client itself")
    return host


def _kind(address: _Address) -> str:
    """Name the kind of an address that is never registered, with its article; empty for others."""
    if address.is_unspecified:
        return "the unspecified"
    if address.is_loopback:
        return "a loopback"
    if address.is_link_local:
        return "a link-local"
    if address.is_multicast:
        return "a multicast"
    if any(address in network for network in _METADATA):
        return "a metadata"
    return "a reserved" if any(address in network for network in _RESERVED) else ""


def _within(address: _Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 address to which one of IPv6 is translated on its way."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        return (ipaddress.IPv4Address(address.packed[-4:]),)
    return ()
