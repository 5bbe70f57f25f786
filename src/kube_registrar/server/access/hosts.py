"""Who may be asked for where nobody has a key: addresses and localhost.

A page in a browser can make a name of its own point at 127.0.0.1 and then talk to what listens there (DNS rebinding);
the Host header still tells that name.
"""

import ipaddress
from functools import lru_cache

from kube_registrar.model.errors import UserError


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: str, flag: str) -> None:
    """Raise UserError for an address that others can reach, for there are no keys."""
    if not is_loopback(host):
        raise UserError(
            f"The Cloud Map API cannot listen on {host or 'all addresses'} without access keys: beyond this machine "
            f"every request must be signed; give it keys with --access-keys FILE, or use 127.0.0.1 with {flag}"
        )


@lru_cache(maxsize=256)  # each request asks, nearly always for the same one
def is_allowed(header: str | None) -> bool:
    """Whether a Host header names an address or localhost, also with the `data-` that SDKs put before it."""
    name = _name(header or "").removeprefix("data-")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(header: str) -> str:
    """Return the host of `host:port`, without the brackets of IPv6."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().rstrip(".")
