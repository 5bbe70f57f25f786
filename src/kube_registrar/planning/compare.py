"""Is an instance as it should be? Only our own keys are compared; foreign ones are carried along."""

from collections.abc import Mapping
from typing import Final

from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Instance

NOT_WHOLE: Final = "what clients are shown of it, as in DNS, was changed by somebody else"


def is_true_to(observed: Instance, wanted: Instance) -> bool:
    """Whether every key of ours is on `observed` as wanted, none of ours is left over, and clients are shown just that.

    AWS_INIT_HEALTH_STATUS is an instruction, not a property: registries may not return it.
    """
    if not observed.is_whole:
        return False
    if observed.attributes == wanted.attributes:  # the usual case, and a hundred times cheaper
        return True
    return _ours(observed.attributes) == _comparable(wanted.attributes)


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the keys whose values differ, AWS_INIT_HEALTH_STATUS aside, sorted."""
    ours = (_comparable(before), _comparable(after))
    return sorted(key for key in ours[0].keys() | ours[1].keys() if ours[0].get(key) != ours[1].get(key))


def with_foreign_keys(wanted: Instance, observed: Instance | None) -> Instance:
    """Return what to write: the wanted attributes, and the foreign ones that an upsert would erase otherwise."""
    if observed is None:
        return wanted
    written = keys.user_keys(observed.attributes)
    foreign = {k: v for k, v in observed.attributes.items() if not keys.is_reserved(k) and k not in written}
    if not foreign:
        return wanted
    return Instance(wanted.id, {**foreign, **wanted.attributes}, wanted.health)


def address_of(attributes: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Return the (IP, port) pairs that an instance answers on; empty for one without a port.

    Two live pods never share such a pair. Without a port they may: pods on the host's network share its IP.
    """
    port = attributes.get(keys.PORT, "")
    ips = (attributes.get(keys.IPV4, ""), attributes.get(keys.IPV6, ""))
    return frozenset((ip, port) for ip in ips if ip and port)


def _ours(attributes: Mapping[str, str]) -> Mapping[str, str]:
    written = keys.user_keys(attributes)
    return _comparable({k: v for k, v in attributes.items() if keys.is_reserved(k) or k in written})


def _comparable(attributes: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in attributes.items() if key != keys.INIT_HEALTH}
