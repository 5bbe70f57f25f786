"""Why an instance or a spec is refused, by Cloud Map's rules and by what capabilities say: for backends without rules.

Source: RegisterInstance, CreateService (AWS Cloud Map API reference).
"""

import re

from kube_registrar.model.attributes import is_custom
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Instance
from kube_registrar.model.specs import NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.port import Capabilities

_ID = re.compile(r"[0-9a-zA-Z_/:.@-]{1,64}")
_KEY = re.compile(r"[!-~]{1,255}")
_VALUE = re.compile(r"([!-~][ -~\t]*)?")
_LABEL = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9_][A-Za-z0-9_-]{0,61}[A-Za-z0-9_]")


def refused_instance(instance: Instance, capabilities: Capabilities) -> Refused | None:
    """Return why `instance` is never taken; None if it is."""
    if not _ID.fullmatch(instance.id):
        return _refused("the instance id", instance.id, "id", "1 to 64 of A-Z a-z 0-9 _ / : . @ -")
    for key, value in instance.attributes.items():
        if not _KEY.fullmatch(key):
            return _refused("an attribute key", key, "attributes", "1 to 255 printable ASCII characters, no space")
        if not _VALUE.fullmatch(value):
            return _refused(f"attribute {key}", value, f"attributes.{key}", "printable ASCII, no blank at the start")
        most = capabilities.max_attribute_value
        if most is not None and len(value) > most:
            return _refused(f"attribute {key}", len(value), f"attributes.{key}", f"at most {most} characters")
    custom = {key: value for key, value in instance.attributes.items() if is_custom(key)}
    if (limit := capabilities.max_attributes) is not None and len(custom) > limit:
        return _refused("the number of custom attributes", len(custom), "attributes", f"at most {limit}")
    characters = sum(len(key) + len(value) for key, value in instance.attributes.items())
    if (limit := capabilities.max_attribute_characters) is not None and characters > limit:
        return _refused("the size of all attributes", characters, "attributes", f"at most {limit} characters")
    return None


def refused_spec(
    spec: NamespaceSpec | ServiceSpec, namespace: NamespaceSpec | None, of: Capabilities
) -> Refused | None:
    """Return why `spec` is never taken; `namespace` is the one that a service goes into."""
    if isinstance(spec, NamespaceSpec):
        if spec.type not in of.namespace_types:
            return _refused("the type", spec.type, "type", f"one of {', '.join(sorted(of.namespace_types))}")
        if spec.type is NamespaceType.DNS_PRIVATE and not spec.vpc_id:
            return _refused("the VPC", "", "vpcID", "the id of a VPC, for DNSPrivate")
        return None
    if len(spec.ref.name) > 127 or not all(_LABEL.fullmatch(label) for label in spec.ref.name.split(".")):  # noqa: PLR2004
        return _refused("the service name", spec.ref.name, "name", "at most 127 characters, labels joined by dots")
    if spec.dns is not None and namespace is not None and namespace.type is NamespaceType.HTTP:
        return _refused("DNS records", sorted(spec.record_types), "dns", "none in an HTTP namespace")
    if unknown := spec.record_types - of.record_types:
        return _refused("record types", sorted(unknown), "dns.records", f"of {', '.join(sorted(of.record_types))}")
    return None


def _refused(what: str, found: object, field: str, rule: str) -> Refused:
    return Refused(f"{what} is {found!r}; allowed: {rule}. Correct it", field=field, rule=rule)
