"""How things are called in Consul: keys of its key-value store, services of its catalog.

PREFIXnamespaces/NAMESPACE            what is declared of a registry namespace
PREFIXservices/NAMESPACE/SERVICE      what is declared of a registry service
PREFIXnames/NAME                      which registry service has that name in Consul's catalog
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.consul.options import Options

_LABEL_CHARACTERS: Final = 63
_HASH_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True)
class Names:
    """The names that one registry gives."""

    options: Options

    def namespaces(self) -> str:
        """Return what begins the keys of all registry namespaces."""
        return f"{self.options.prefix}namespaces/"

    def namespace(self, name: str) -> str:
        """Return the key of a registry namespace."""
        return self.namespaces() + _escaped(name)

    def services(self, namespace: str) -> str:
        """Return what begins the keys of all services of a registry namespace."""
        return f"{self.options.prefix}services/{_escaped(namespace)}/"

    def service(self, ref: ServiceRef) -> str:
        """Return the key of a registry service."""
        return self.services(ref.namespace.name) + _escaped(ref.name)

    def claim(self, name: str) -> str:
        """Return the key under which it stands whose a name of Consul's catalog is."""
        return f"{self.options.prefix}names/{name}"

    def wished(self, ref: ServiceRef) -> Iterator[str]:
        """Give the names that a service may have in Consul, each a DNS label: the first one that is free is taken.

        The second differs by a hash of both names, for two pairs may give one first name: a-b/c and a/b-c. A name that
        had to be changed or cut has the hash at once.
        """
        asked = self.options.service_name.format(namespace=ref.namespace.name, service=ref.name)
        label = re.sub(r"[^a-z0-9-]+", "-", asked.lower()).strip("-")
        if label == asked and len(label) <= _LABEL_CHARACTERS:
            yield label
        digest = hashlib.sha256(f"{ref.namespace.name}\0{ref.name}".encode()).hexdigest()[:_HASH_CHARACTERS]
        stem = label[: _LABEL_CHARACTERS - _HASH_CHARACTERS - 1].strip("-")
        yield f"{stem}-{digest}" if stem else f"s{digest}"


def path_of(key: str) -> str:
    """Return the path of a key in the HTTP API, encoded."""
    return f"/v1/kv/{quote(key, safe='/')}"


def last_of(key: str) -> str:
    """Return what the last part of a key names."""
    return unquote(key.rpartition("/")[2])


def service_id(name: str, instance: InstanceId) -> str:
    """Return the id in Consul of an instance of ours: ids must be unique on a node, whatever the service.

    Consul takes `a` and `A` for the same id (its indexes are of lower case), and we do not: `A` is written `^a`.
    """
    return f"{name}/{re.sub(r'[A-Z]', lambda found: f'^{found[0].lower()}', instance)}"


def instance_id(name: str, identifier: str) -> InstanceId:
    """Return the instance whose id in Consul that is."""
    return InstanceId(re.sub(r"\^([a-z])", lambda found: found[1].upper(), identifier.removeprefix(f"{name}/")))


def check_id(name: str, instance: InstanceId) -> str:
    """Return the id of the check that holds an instance's status."""
    return f"{service_id(name, instance)}/status"


def _escaped(name: str) -> str:
    """Return a name as one part of a key: no slash, and neither `.` nor `..`, which HTTP takes for something else."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
