"""What Cloud Map takes, checked before anything is sent: botocore checks types and minimums only.

Source: RegisterInstance and CreateService, AWS Cloud Map API reference (patterns, lengths, number of attributes).
"""

import re
from typing import Final

from kube_registrar.model.attributes import is_custom
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Instance
from kube_registrar.model.specs import NamespaceSpec, NamespaceType, RecordType, ServiceSpec
from kube_registrar.registries.port import Capabilities

MOST_INSTANCES: Final = 1_000
MOST_ATTRIBUTES: Final = 30
MOST_CHARACTERS: Final = 5_000
LONGEST_KEY: Final = 255
LONGEST_VALUE: Final = 1_024
LONGEST_ID: Final = 64
LONGEST_DESCRIPTION: Final = 1_024
LONGEST_TOKEN: Final = 64
"""Of a CreatorRequestId."""

CAPABILITIES: Final = Capabilities(
    namespace_types=frozenset(NamespaceType),
    record_types=frozenset(RecordType),
    custom_health=True,
    watches=False,
    max_instances=MOST_INSTANCES,
    max_attributes=MOST_ATTRIBUTES,
    max_attribute_characters=MOST_CHARACTERS,
    max_attribute_value=LONGEST_VALUE,
    tags=True,
)

_ID = re.compile(rf"[0-9a-zA-Z_/:.@-]{{1,{LONGEST_ID}}}")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_VALUE = re.compile(r"(?:[!-~][ \t!-~]*)?")
_LABEL = r"(?:[a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])"
_SERVICE_NAME = re.compile(rf"(?=.{{1,127}}\Z){_LABEL}(?:\.{_LABEL})*")


def check_instance(instance: Instance) -> None:
    """Raise Refused, with field and rule, if Cloud Map never takes this instance."""
    if not _ID.fullmatch(instance.id):
        rule = f"1 to {LONGEST_ID} of A-Z a-z 0-9 _ / : . @ -"
        raise _refused(f"instance id {instance.id!r}", "id", rule, "Choose another id")
    for key, value in instance.attributes.items():
        _check_attribute(key, value)
    custom = {key: value for key, value in instance.attributes.items() if is_custom(key)}
    if len(custom) > MOST_ATTRIBUTES:
        rule = f"at most {MOST_ATTRIBUTES} attributes beside AWS_*"
        raise _refused(f"{len(custom)} attributes of {instance.id}", "attributes", rule, "Leave some out")
    characters = sum(len(key) + len(value) for key, value in instance.attributes.items())
    if characters > MOST_CHARACTERS:
        rule = f"at most {MOST_CHARACTERS:,} characters in all keys and values"
        raise _refused(f"{characters:,} characters of {instance.id}", "attributes", rule, "Shorten some")


def _check_attribute(key: str, value: str) -> None:
    if not _KEY.fullmatch(key):
        rule = f"1 to {LONGEST_KEY} printable ASCII characters without blanks"
        raise _refused(f"attribute key {key!r}", "attributes", rule, "Rename it")
    if len(value) > LONGEST_VALUE:
        rule = f"at most {LONGEST_VALUE:,} characters"
        raise _refused(f"the value of {key}, {len(value):,} characters long", f"attributes.{key}", rule, "Shorten it")
    if not _VALUE.fullmatch(value):
        rule = "printable ASCII, blanks and tabs, not beginning with a blank"
        raise _refused(f"the value {value!r} of {key}", f"attributes.{key}", rule, "Write it in ASCII")


def check_service(spec: ServiceSpec, namespace: NamespaceSpec) -> None:
    """Raise Refused, with field and rule, if Cloud Map never takes this service in this namespace."""
    if not _SERVICE_NAME.fullmatch(spec.ref.name):
        rule = "at most 127 characters: labels of 1 to 63 of A-Z a-z 0-9 _ - joined by dots"
        raise _refused(f"service name {spec.ref.name!r}", "name", rule, "Choose another name")
    if spec.dns is not None and namespace.type is NamespaceType.HTTP:
        rule = f"none in {spec.ref.namespace}, which is of type HTTP"
        raise _refused(f"DNS records of {spec.ref}", "dns", rule, "Leave dns out, or use a namespace with DNS")
    check_description(spec)


def check_description(spec: NamespaceSpec | ServiceSpec) -> None:
    """Raise Refused if the description is too long."""
    if len(spec.description) > LONGEST_DESCRIPTION:
        rule = f"at most {LONGEST_DESCRIPTION:,} characters"
        raise _refused(f"the description of {spec.ref}", "description", rule, "Shorten it")


def _refused(what: str, field: str, rule: str, next_step: str) -> Refused:
    return Refused(f"Cloud Map does not take {what}; allowed: {rule}. {next_step}", field=field, rule=rule)
