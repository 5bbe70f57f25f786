"""How many files this process may have open: sockets are files, and who has none left can take no connection."""

import resource
from typing import Final

RESERVED: Final = 256
"""Descriptors for all but the connections of a server: files, the API server, registries, health checks."""


def for_connections(wanted: int) -> int:
    """Raise this process's limit of open files to what `wanted` connections need, as far as it may.

    Returns how many connections there is room for, `wanted` at most and one at least.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED))
