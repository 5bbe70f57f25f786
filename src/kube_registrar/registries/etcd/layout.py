"""Where things are: the keys of registry namespaces, services and instances, under our prefix and under CoreDNS's path.

    PREFIX namespaces/NAMESPACE
    PREFIX services/NAMESPACE/SERVICE
    PREFIX instances/NAMESPACE/SERVICE/INSTANCE
    PATH   /com/example/SERVICE/INSTANCE/ipv4       and ipv6, cname, text: for the service SERVICE of example.com

Names under the prefix are percent-encoded, so a slash in one is no separator. Under the path they are DNS labels.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef

FAMILIES: Final = ("ipv4", "ipv6", "cname", "text")
"""What an instance may be published as, each under a key of its own."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_WILDCARDS = frozenset({"any"})  # CoreDNS takes it for a wildcard in a query, as it does `*`


@dataclass(frozen=True, slots=True)
class Layout:
    """`prefix` ends with a slash, `skydns_path` does not."""

    prefix: str
    skydns_path: str

    @property
    def namespaces(self) -> str:
        """What the keys of all registry namespaces begin with."""
        return f"{self.prefix}namespaces/"

    def namespace(self, ref: NamespaceRef) -> str:
        """Return the key of a registry namespace."""
        return f"{self.namespaces}{_quoted(ref.name)}"

    def services(self, ref: NamespaceRef) -> str:
        """Return what the keys of a namespace's services begin with."""
        return f"{self.prefix}services/{_quoted(ref.name)}/"

    def service(self, ref: ServiceRef) -> str:
        """Return the key of a registry service."""
        return f"{self.services(ref.namespace)}{_quoted(ref.name)}"

    def instances(self, ref: ServiceRef) -> str:
        """Return what the keys of a service's instances begin with."""
        return f"{self.prefix}instances/{_quoted(ref.namespace.name)}/{_quoted(ref.name)}/"

    def instance(self, ref: ServiceRef, instance_id: str) -> str:
        """Return the key of an instance."""
        return f"{self.instances(ref)}{_quoted(instance_id)}"

    def domain(self, ref: ServiceRef) -> str:
        """Return what all begins with that CoreDNS reads of a service; somebody else's keys may too."""
        labels = [*f"{ref.name}.{ref.namespace.name}".split(".")][::-1]
        return "/".join((self.skydns_path, *labels, ""))

    def shown(self, ref: ServiceRef, instance_id: str) -> str:
        """Return what all begins with that CoreDNS reads of an instance."""
        return f"{self.domain(ref)}{_label(instance_id)}/"

    def published(self, ref: ServiceRef, instance_id: str, family: str) -> str:
        """Return the key under which CoreDNS finds one address of an instance, or its name."""
        return f"{self.shown(ref, instance_id)}{family}"

    def service_of(self, key: str, registry: RegistryName) -> ServiceRef | None:
        """Return the service that a key of an instance or of a service is about; None for any other."""
        kind, _, rest = key.removeprefix(self.prefix).partition("/")
        parts = [unquote(part) for part in rest.split("/")]
        if (kind, len(parts)) in {("services", 2), ("instances", 3)}:
            return ServiceRef(NamespaceRef(registry, parts[0]), parts[1])
        return None


def domain_in(key: str) -> str:
    """Return the domain that a key is in, if CoreDNS reads an instance of ours there."""
    return f"{key.rsplit('/', 2)[0]}/"


def name_in(key: str) -> str:
    """Return the name that the last part of a key under our prefix stands for."""
    return unquote(key.rpartition("/")[2])


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _label(instance_id: str) -> str:
    """Return the DNS label of an instance: its id where it is one, else a hash, so that none looks like another's."""
    if _LABEL.fullmatch(instance_id) and instance_id not in _WILDCARDS:
        return instance_id
    return f"x-{hashlib.sha256(instance_id.encode()).hexdigest()[:32]}"
