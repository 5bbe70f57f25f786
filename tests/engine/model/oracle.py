"""What pods want, worked out anew from the rules that the documentation tells: the engine's own code has no part in it.

Where something cannot be read, what is wanted is open: then the oracle says so, and what is there may stay.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.records import KubeNamespace, KubeService, Pod, Slice
from kube_registrar.model.refs import ServiceRef
from tests.engine.harness import Key
from tests.engine.model.asks import CHECKED, PORT, Meaning, Selecting, meaning_of

Identity = tuple[ServiceRef, int]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pod's wish depends on, beside itself."""

    services: Mapping[Key, KubeService]
    slices: Mapping[Key, Slice]
    selecting: Sequence[Selecting]
    namespaces: Mapping[Key, KubeNamespace]

    @classmethod
    def of(cls, told: Callable[[str], Mapping[Key, Any]]) -> "Surroundings":
        """Return what somebody was told of each kind."""
        selecting = [Selecting.of(thing) for thing in told("RegistryService").values()]
        return cls(told("Service"), told("EndpointSlice"), selecting, told("Namespace"))


@dataclass(slots=True)
class Asked:
    """What a pod asks for: the user's attributes of each identity."""

    identities: dict[Identity, dict[str, str]] = field(default_factory=dict)
    is_clear: bool = True
    """Whether that is all; else instances that seem not to be wanted stay as they are."""
    optional: set[Identity] = field(default_factory=set)
    """Those that may be missing, and are marked as unhealthy if they are there: the pod is not ready."""
    unready: set[Identity] = field(default_factory=set)
    """Those that only its readiness keeps it out of."""

    @property
    def must(self) -> Iterator[Identity]:
        """Yield what has to be there."""
        return (each for each in self.identities if each not in self.optional)


def asked_by(pod: Pod, around: Surroundings) -> Asked:
    """Return what a pod asks for."""
    own = meaning_of(pod.annotations)
    defaults = meaning_of(around.namespaces["", pod.namespace].annotations)
    if pod.terminating or pod.is_terminal or own.opts_out:
        return Asked()
    result = Asked()
    if not own.is_read:
        return Asked(is_clear=False)
    asking = own if own.asks else defaults
    result.is_clear = asking.is_clear
    port = own.port or defaults.port or PORT
    by_services: dict[Identity, dict[str, str]] = {}
    for identity, attributes in _of_services(pod, around, result):
        by_services.setdefault(identity, {}).update(attributes)
    selected = [one for one in around.selecting if one.selects(pod.labels)]
    wanted = [(ref, port) for ref in asking.refs]
    wanted += [(one.ref, port) for one in selected]
    for identity in dict.fromkeys([*wanted, *by_services]):
        kinds = [one.attributes for one in around.selecting if one.ref == identity[0]]
        layers = [defaults.attributes, *kinds, by_services.get(identity, {}), own.attributes]
        result.identities[identity] = {key: value for layer in layers for key, value in layer.items()}
    if not pod.ready:
        _keep_out(result, around)
    return result


def _keep_out(result: Asked, around: Surroundings) -> None:
    """Leave what a pod that is not ready asks for, where it is to be marked only."""
    marked = {one.ref for one in around.selecting if one.marks_unhealthy}
    result.unready = set(result.identities)
    result.identities = {each: found for each, found in result.identities.items() if each[0] in marked}
    result.optional = set(result.identities)


def _of_services(pod: Pod, around: Surroundings, result: Asked) -> Iterator[tuple[Identity, Mapping[str, str]]]:
    for service in around.services.values():
        meaning = meaning_of(service.annotations)
        named = [
            endpoint
            for found in around.slices.values()
            if found.service == service.name
            for endpoint in found.endpoints
            if endpoint.pod_uid == pod.uid
        ]
        if not (named or service.selector.items() <= pod.labels.items()) or not _asks(meaning):
            continue
        has_address = any(set(endpoint.addresses) & set(pod.ips) for endpoint in named)
        if not meaning.is_clear or not has_address:  # an endpoint may lag behind the pod
            result.is_clear = False
            continue
        for ref in meaning.refs:
            yield (ref, PORT), meaning.attributes


def _asks(meaning: Meaning) -> bool:
    return meaning.asks and not meaning.opts_out


def is_as_asked(pod: Pod, identity: Identity, user: Mapping[str, str], found: Instance) -> bool:
    """Whether an instance says what it should: foreign keys beside ours do no harm."""
    service, port = identity
    fixed = {keys.IPV4: pod.ips[0], keys.PORT: str(port), keys.POD: pod.name, keys.POD_UID: pod.uid}
    written = {key: found.attributes.get(key) for key in keys.user_keys(found.attributes)}
    is_healthy = Health.HEALTHY if pod.ready else Health.UNHEALTHY
    return (
        fixed.items() <= found.attributes.items()
        and written == user
        and (service != CHECKED or found.health is is_healthy)
    )
