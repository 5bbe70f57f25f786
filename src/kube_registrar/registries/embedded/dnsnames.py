"""Names in DNS: what Cloud Map's patterns let through and no zone can hold, or not twice.

An SRV record leads to `<instance id>.<service>.<namespace>`. So the instance `a` of the service `b` and the service
`a.b` would be one name, with the addresses of both. Which of the two a client meant nobody could tell: the one that
comes second is refused. Case does not tell names apart.
"""

from collections.abc import Iterator

from kube_registrar.model.cloudmap.errors import invalid
from kube_registrar.registries.embedded.state import Namespace, Service

_CHARACTERS = 253  # of a domain name as text, without the last dot (RFC 1035, 2.3.4)
_LABEL_CHARACTERS = 63
_APEX = "."
"""The service that stands for the namespace itself."""


def check_target(service: Service, instance_id: str) -> None:
    """Check that an instance of a service with SRV records can have a name. Raises CloudMapError InvalidInput."""
    if not _has_labels(instance_id):
        raise invalid(
            "InstanceId", instance_id, "in a service with SRV records 63 characters are the most of a DNS label"
        )
    relative = _below(instance_id, service.record.name)
    length = len(f"{relative}.{service.namespace.record.name}")
    if length > _CHARACTERS:
        rule = f"with the names of service and namespace it has {length} characters, {_CHARACTERS} are allowed"
        raise invalid("InstanceId", instance_id, rule)
    if instance_id in service.instances:
        return
    same = service.namespace.services.get(relative.lower())
    if same is not None and same.record.records:
        rule = f"there is a service {same.record.name!r}, and both would be one name in DNS; choose another id"
        raise invalid("InstanceId", instance_id, rule)
    for other, prefix in _parents(service.namespace, relative):
        if (taken := _named(other, prefix)) is not None and (other is not service or taken != instance_id):
            rule = f"the instance {taken!r} of service {other.record.name!r} has this name in DNS; choose another id"
            raise invalid("InstanceId", instance_id, rule)


def check_service(namespace: Namespace, name: str) -> None:
    """Check that a new service with DNS records can have its name. Raises CloudMapError InvalidInput."""
    for other, prefix in _parents(namespace, name):
        if (taken := _named(other, prefix)) is not None:
            rule = f"the instance {taken!r} of service {other.record.name!r} has this name in DNS; choose another name"
            raise invalid("Name", name, rule)


def check_alias(value: str) -> None:
    """Check that the value of AWS_INSTANCE_CNAME is a domain name. Raises CloudMapError InvalidInput."""
    name = value.removesuffix(".")
    if not _has_labels(name) or len(name) > _CHARACTERS:
        rule = f"a domain name has labels of 1 to {_LABEL_CHARACTERS} characters, joined by dots, {_CHARACTERS} in all"
        raise invalid("Attributes[AWS_INSTANCE_CNAME]", value, rule)


def _has_labels(name: str) -> bool:
    return all(1 <= len(label) <= _LABEL_CHARACTERS for label in name.split("."))


def _below(instance_id: str, service_name: str) -> str:
    return instance_id if service_name == _APEX else f"{instance_id}.{service_name}"


def _parents(namespace: Namespace, name: str) -> Iterator[tuple[Service, str]]:
    """Return each service with SRV records that could have an instance of this name, and the id, in lower case."""
    name = name.lower()
    places = [at for at, character in enumerate(name) if character == "."]
    ways = [(name[at + 1 :], name[:at]) for at in places] + [(_APEX, name)]
    for key, prefix in ways:
        service = namespace.services.get(key)
        if service is not None and "SRV" in service.record.record_types:
            yield service, prefix


def _named(service: Service, lowered: str) -> str | None:
    """Return the instance of this id, there or about to be, whatever the case."""
    ids = (identifier for ids in (service.instances, service.busy) for identifier in ids)
    return next((identifier for identifier in ids if identifier.lower() == lowered), None)
