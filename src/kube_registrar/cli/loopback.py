"""The Cloud Map API of an operator on this machine, which needs no keys."""

import os
from urllib.parse import urlsplit

from kube_registrar.declared.settings import RegistryEntry

_KIND = "cloudmap"
"""Whose options these are: other kinds have others."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def on_this_machine(entry: RegistryEntry) -> RegistryEntry:
    """Return the entry with a region, and give the SDK keys, where it asks an endpoint of this machine without any.

    The embedded registry checks none on loopback, but the SDK sends no request without them.
    """
    host = urlsplit(str(entry.options.get("endpointUrl", ""))).hostname
    if entry.kind != _KIND or host not in _LOOPBACK:
        return entry
    if not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & os.environ.keys():
        os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any")  # noqa: S106 - no secret
    return RegistryEntry(entry.kind, {"region": "us-east-1", **entry.options}, entry.policy)
