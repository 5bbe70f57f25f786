"""The grammar of service references, as the annotation `service` holds them, separated by commas.

    reference  = arn | [registry ":"] namespace "/" service | name
    arn        = "arn:aws…:servicediscovery:" region ":" account ":service/srv-…"
    name       = a RegistryService of the pod's own Kubernetes namespace

The last slash splits: names of HTTP namespaces may hold slashes, those of services may not. They may hold colons too,
so `a:b/c` has two readings; what exists decides between them (`kube_registrar.sources.resolving`).
Name rules: CreateHttpNamespace, CreateService (AWS Cloud Map API reference).
"""

import re
from dataclasses import dataclass

from kube_registrar.declared.problems import AnnotationError, shown, wrong
from kube_registrar.model.reasons import Problem

KEY = "service"
MAX_REFERENCES = 50

ARN = re.compile(r"arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:[0-9]{12}:service/srv-[a-z0-9]{1,60}")
REGISTRY = re.compile(r"[a-z0-9-]{1,63}")
NAMESPACE = re.compile(r"[!-~]{1,1024}")
_LABEL = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)"
SERVICE = re.compile(rf"(?=.{{1,127}}\Z){_LABEL}(?:\.{_LABEL})*")
OBJECT = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")

ARN_RULE = "the ARN of a registry service is arn:aws:servicediscovery:REGION:ACCOUNT:service/srv-ID"
_GRAMMAR = (
    "Write namespace/service, registry:namespace/service, the name of a RegistryService of this Kubernetes namespace, "
    "or the ARN of a registry service"
)


@dataclass(frozen=True, slots=True)
class ArnReference:
    """A registry service by its ARN."""

    text: str


@dataclass(frozen=True, slots=True)
class LocalReference:
    """A RegistryService of the pod's own Kubernetes namespace, by the object's name."""

    text: str


@dataclass(frozen=True, slots=True)
class NameReference:
    """A registry service by its names.

    `readings` are (registry, namespace) pairs that the text may mean, the one with a registry first; an empty
    registry is the default one.
    """

    text: str
    readings: tuple[tuple[str, str], ...]
    service: str


Reference = ArnReference | LocalReference | NameReference


def read_references(value: str) -> tuple[tuple[Reference, ...], tuple[Problem, ...]]:
    """Read the value of the annotation: the references that are well-formed, and a problem for each that is not."""
    items = [item.strip() for item in value.split(",")]
    if len(items) > MAX_REFERENCES:
        rule = f"at most {MAX_REFERENCES} registry services are registered for one pod"
        return (), (wrong(KEY, f"a list of {len(items):,} references", rule, "Remove some").problem,)
    references: list[Reference] = []
    problems: list[Problem] = []
    for item in items:
        try:
            references.append(read_reference(item, whole=value))
        except AnnotationError as error:
            problems.append(error.problem)
    return tuple(dict.fromkeys(references)), tuple(dict.fromkeys(problems))


def read_reference(text: str, *, whole: str = "") -> Reference:
    """Read one reference; `whole` is the list that it stands in. Raises AnnotationError."""
    if not text:
        raise wrong(KEY, shown(whole), "a reference between its commas is empty" if whole else "it is empty", _GRAMMAR)
    if text.startswith("arn:"):
        return read_arn(text)
    if "/" in text:
        return _names(text)
    if not OBJECT.fullmatch(text):
        raise wrong(KEY, shown(text), "without a slash it must be the name of a Kubernetes object", _GRAMMAR)
    return LocalReference(text)


def read_arn(text: str) -> ArnReference:
    """Read the ARN of a registry service. Raises AnnotationError."""
    # Only services hold instances: the ARN of a namespace is a mistake that is easy to make.
    if not ARN.fullmatch(text):
        raise wrong(KEY, shown(text), ARN_RULE, "Copy ServiceArn from the registry, or write namespace/service")
    return ArnReference(text)


def _names(text: str) -> NameReference:
    """Read namespace/service, with or without a registry before it."""
    namespace, _, service = text.rpartition("/")
    if not SERVICE.fullmatch(service):
        rule = (
            f"the service's name {shown(service)} must be of letters, digits, hyphens and underscores, in labels of "
            "at most 63 characters joined by dots, at most 127 in all"
        )
        raise wrong(KEY, shown(text), rule, _GRAMMAR)
    readings = [("", namespace)]
    prefix, colon, rest = namespace.partition(":")
    if colon and REGISTRY.fullmatch(prefix):
        readings.insert(0, (prefix, rest))
    readings = [reading for reading in readings if NAMESPACE.fullmatch(reading[1])]
    if not readings:
        rule = f"the namespace's name {shown(namespace)} must be 1 to 1,024 visible ASCII characters"
        raise wrong(KEY, shown(text), rule, _GRAMMAR)
    return NameReference(text, tuple(readings), service)
