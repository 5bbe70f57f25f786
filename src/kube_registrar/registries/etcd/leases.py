"""The lease that instances may hang on: they vanish when no replica of the operator has renewed it for long.

Its id is made of its name, so that a process that starts anew renews the one that its instances hang on. All replicas
renew it, whichever leads: it says "this cluster's operator is there". Its lower 32 bits are as large as can be, for
CoreDNS before 1.13 takes those for the time to live of a lease.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from kube_registrar.model.errors import RegistryError
from kube_registrar.registries.etcd import wire
from kube_registrar.registries.etcd.client import Client
from kube_registrar.registries.etcd.faults import Failed
from kube_registrar.registries.etcd.options import Options
from kube_registrar.runtime.backoff import Backoff

_GRANT: Final = "/v3/lease/grant"
_KEEP_ALIVE: Final = "/v3/lease/keepalive"
_RENEWALS: Final = 3
"""In the time of a lease: two may fail."""

_log = logging.getLogger(__name__)


class Lease:
    """One lease, or none."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._seconds = options.lease_seconds
        self._id = lease_id(options.prefix, options.lease_name) if options.lease_seconds else 0
        self._stands = False

    async def id(self) -> int:
        """Return its id once it stands; 0 where there is none. RegistryError."""
        if self._id and not self._stands:
            self._client.check_fence("making the lease")
            await self._grant()
        return self._id

    def is_lost(self) -> None:
        """Take it for gone: somebody heard so."""
        self._stands = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it while what is within the context runs."""
        if not self._id:
            yield
            return
        task = asyncio.create_task(self._keep(), name="the lease in etcd")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        backoff = Backoff(most=self._seconds / _RENEWALS)
        while True:
            try:
                await self._renew()
            except RegistryError as error:
                _log.warning("the lease in etcd is not renewed: %s", error)
                await self._client.clock.sleep(backoff.failed())
            else:
                backoff.succeeded()
                await self._client.clock.sleep(self._seconds / _RENEWALS)

    async def _renew(self) -> None:
        answer = await self._asked(_KEEP_ALIVE, {"ID": str(self._id)}, "renewing the lease")
        if int(answer.get("result", {}).get("TTL", 0)) <= 0:
            await self._grant()
        self._stands = True

    async def _grant(self) -> None:
        try:
            await self._asked(_GRANT, {"ID": str(self._id), "TTL": str(self._seconds)}, "making the lease")
        except RegistryError as error:
            if "already exists" not in str(error):
                raise
        self._stands = True

    async def _asked(self, path: str, body: dict[str, str], about: str) -> Mapping[str, Any]:
        """Ask as one reads: it is safe to ask twice, and standbys renew it too."""
        try:
            return await self._client.read(path, body, about)
        except Failed as failed:
            raise failed.fault.error from None


def lease_id(prefix: str, name: str) -> int:
    """Return the id of the lease of that name: positive, and with 30 bits of the hash above 32 bits of ones."""
    digest = hashlib.sha256(wire.encoded(f"{prefix}\0{name}").encode()).digest()
    high = int.from_bytes(digest[:4], "big") & 0x3FFF_FFFF | 0x2000_0000
    return high << 32 | 0x7FFF_FFFF
