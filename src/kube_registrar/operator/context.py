"""What every handler is given."""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kube_registrar.cluster.vouching import Vouch, unasked
from kube_registrar.model.ownership import owner_tags
from kube_registrar.model.refs import RegistryName, Uid
from kube_registrar.operator.withholding import Withholding
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.measuring import UNMEASURED, Measures
from kube_registrar.sync.reporting import Recorder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of this process that the handlers use."""

    registries: Mapping[RegistryName, Registry]
    catalog: Catalog
    recorder: Recorder
    clock: Clock
    cluster_uid: Uid
    default_registry: RegistryName
    main: asyncio.AbstractEventLoop
    """The event loop that registries and catalog belong to."""
    withholding: Withholding
    measures: Measures = UNMEASURED
    writes_statuses: bool = True
    """Whether the API server lets us."""
    vouch: Vouch = unasked
    """For the main event loop."""

    async def on_main(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in the main event loop, and wait for it in the present one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.main))

    def creator(self, kind: str, namespace: str, name: str) -> str:
        """Return the token by which what this object makes is known as its own.

        By name, not UID: an object restored from a backup is the same creator. Cloud Map takes 64 characters
        (CreatorRequestId), so it is a hash.
        """
        identity = f"{self.cluster_uid}\0{kind}\0{namespace}\0{name}"
        return "kube-registrar-" + hashlib.sha256(identity.encode()).hexdigest()[:40]

    def owner_tags(self, kind: str, namespace: str, name: str) -> Mapping[str, str]:
        """Return the tags by which the settings of what this object declares are known as its own."""
        return owner_tags(self.cluster_uid, self.catalog.world.cluster_name, kind, namespace, name)
