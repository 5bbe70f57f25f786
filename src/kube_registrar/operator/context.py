"""What every handler is given."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kube_registrar.model.refs import RegistryName, Uid
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.reporting import Recorder


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of this process that the handlers use."""

    registries: Mapping[RegistryName, Registry]
    catalog: Catalog
    recorder: Recorder
    clock: Clock
    cluster_uid: Uid
    default_registry: RegistryName

    def creator(self, kind: str, namespace: str, name: str) -> str:
        """Return the token by which what this object makes is known as its own.

        By name, not UID: an object restored from a backup is the same creator. Cloud Map takes 64 characters
        (CreatorRequestId), so it is a hash.
        """
        identity = f"{self.cluster_uid}\0{kind}\0{namespace}\0{name}"
        return "kube-registrar-" + hashlib.sha256(identity.encode()).hexdigest()[:40]
