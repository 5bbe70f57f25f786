"""Which addresses may be checked.

Whoever may register an instance makes this process connect to the address that the instance names, so it must not be
an address at which only this machine, its link or its cloud answers (server-side request forgery). An IPv6 address
that stands for an IPv4 address is judged as both.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_NEVER: Final = {
    "an address of a cloud's metadata": _networks(
        "169.254.169.254/32",  # AWS, Azure, Google Cloud and most others
        "169.254.170.2/32",  # credentials of Amazon ECS tasks
        "169.254.170.23/32",  # credentials of EKS Pod Identity
        "fd00:ec2::/32",  # AWS: metadata is fd00:ec2::254, EKS Pod Identity fd00:ec2::23
        "fd20:ce::/32",  # Google Cloud
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud
        "168.63.129.16/32",  # Azure's WireServer
    ),
    "a multicast address": _networks("224.0.0.0/4", "ff00::/8"),
    "no address of a machine": _networks("0.0.0.0/8", "240.0.0.0/4", "::/128"),
}
_IF_NAMED: Final = {
    "a loopback address": _networks("127.0.0.0/8", "::1/128"),
    "a link-local address": _networks("169.254.0.0/16", "fe80::/10"),
}
_LAST_32: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # RFC 7915, of SIIT
)
"""Prefixes behind which an IPv4 address stands last."""
_LOCAL_USE: Final = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1; ::0 and ::1 are in it and are none
_EVERYTHING: Final = _networks("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ranges that may be checked; without any, all.

    Loopback and link-local addresses may be checked only where a range within theirs is given: `0.0.0.0/0` does not
    mean them. Metadata, multicast and unspecified addresses never are.
    """

    ranges: tuple[Network, ...] = _EVERYTHING

    def refusal(self, text: str) -> str:
        """Say why an address may not be checked; empty if it may. `text` is an address and no name."""
        faces = _faces(ipaddress.ip_address(text))
        for face in faces:
            for what, networks in _NEVER.items():
                if _within(face, networks):
                    return f"{text} is {what}, which is never checked"
        for face in faces:
            for what, networks in _IF_NAMED.items():
                if _within(face, networks) and not _within(face, self._named(networks)):
                    return f"{text} is {what}, which is checked only where checkAddresses has a range of such addresses"
        if not _within(faces[0], self.ranges):
            return f"{text} is in no range of checkAddresses"
        return ""

    def _named(self, networks: tuple[Network, ...]) -> tuple[Network, ...]:
        """Return the ranges that lie wholly within these."""
        return tuple(
            given
            for given in self.ranges
            if any(given.version == each.version and given.subnet_of(each) for each in networks)  # type: ignore[arg-type]
        )


def _faces(address: Address) -> tuple[Address, ...]:
    """Return what an address reaches: itself, unless it only is IPv4 in other words, and the IPv4 one within it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    number = int(address)
    low = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _LOCAL_USE:
        return (address, *_translated(number))
    if any(address in network for network in _LAST_32) or (address in _COMPATIBLE and number > 0xFFFF):  # noqa: PLR2004 - beyond ::0 and ::1
        return (address, low)
    if address.sixtofour:
        return (address, address.sixtofour)
    if address.teredo:
        return (address, *address.teredo)
    return (address,)


def _translated(number: int) -> tuple[ipaddress.IPv4Address, ...]:
    """Return what an address of the prefix for local use may stand for: how long a network's own prefix is, it knows.

    Of RFC 6052, 2.2: 96, 64, 56 or 48 bits; octet 8 is none of the address. Zeros are what lies before it or behind it.
    """
    octets = number.to_bytes(16, "big")
    read = (octets[12:], octets[9:13], octets[7:8] + octets[9:12], octets[6:8] + octets[9:11])
    found = tuple(ipaddress.IPv4Address(each) for each in read if each[0])
    return found or (ipaddress.IPv4Address(read[0]),)


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
