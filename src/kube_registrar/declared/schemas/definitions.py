"""The custom resource definitions, from the typed specs and their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import inspect

from kube_registrar.declared.schemas import registry_namespace, registry_service
from kube_registrar.declared.schemas.fields import Field, Fields, Rule
from kube_registrar.declared.schemas.status import STATUS
from kube_registrar.declared.specs import RegistryNamespaceSpec, RegistryServiceSpec

Json = dict[str, Any]

GROUP: Final = "kube-registrar.dev"
VERSION: Final = "v1alpha1"
_READY: Final = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds. `columns` are those of its own that `kubectl get --output=wide` shows."""

    name: str
    short: str
    scope: str
    spec: type[msgspec.Struct]
    description: str
    about_spec: str
    fields: Fields
    rules: tuple[Rule, ...]
    columns: Sequence[Json] = ()

    @property
    def plural(self) -> str:
        """The name in paths, and of the file."""
        return f"{self.name.lower()}s"


KINDS: Final = (
    Kind(
        "RegistryNamespace",
        "regns",
        "Cluster",
        RegistryNamespaceSpec,
        registry_namespace.DESCRIPTION,
        "The registry namespace as it is wanted.",
        registry_namespace.FIELDS,
        registry_namespace.RULES,
        ({"name": "Type", "type": "string", "jsonPath": ".spec.type", "priority": 1},),
    ),
    Kind(
        "RegistryService",
        "regsvc",
        "Namespaced",
        RegistryServiceSpec,
        registry_service.DESCRIPTION,
        "The registry service as it is wanted.",
        registry_service.FIELDS,
        registry_service.RULES,
    ),
)


class UnknownField(ValueError):
    """Words for a field that no spec has, or a field without words."""


def definition(kind: Kind) -> Json:
    """Return the CustomResourceDefinition of a kind. Raises UnknownField."""
    labels = {"app.kubernetes.io/name": "kube-registrar", "app.kubernetes.io/part-of": "kube-registrar"}
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short],
        "categories": ["registrar"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(kind),
        "schema": {"openAPIV3Schema": _root(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": labels},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names, "versions": [version]},
    }


def _columns(kind: Kind) -> Sequence[Json]:
    registry = {"description": "The configured registry that it is in."}
    return [
        {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status"},
        {"name": "Synced", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Synced")].status'},
        {"name": "Registry", "type": "string", "jsonPath": ".status.registry", **registry},
        {"name": "ID", "type": "string", "jsonPath": ".status.id"},
        {"name": "Instances", "type": "integer", "jsonPath": ".status.instances.registered"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        *kind.columns,
        {"name": "Message", "type": "string", "jsonPath": f"{_READY}.message", "priority": 1},
    ]


def _root(kind: Kind) -> Json:
    seen: set[str] = set()
    spec = _schema(inspect.type_info(kind.spec), "", kind.fields, seen)
    if unknown := sorted(kind.fields.keys() - seen):
        raise UnknownField(f"{kind.name} has words for {', '.join(unknown)}, which its spec does not have")
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "x-kubernetes-validations": _rules(kind.rules),
        "properties": {
            "apiVersion": {"type": "string", "description": f"The version of this schema, {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"The kind of the object, {kind.name}."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": STATUS,
        },
    }


def _schema(found: inspect.Type, path: str, fields: Fields, seen: set[str]) -> Json:
    """Return the schema of a type with the words and limits that stand at its path."""
    seen.add(path)
    words = fields.get(path, Field())
    schema = _typed(_present(found), path, fields, seen)
    described = {"description": words.description} if words.description else {}
    ruled = {"x-kubernetes-validations": _rules(words.rules)} if words.rules else {}
    return {**schema, **described, **words.limits, **ruled}


def _present(found: inspect.Type) -> inspect.Type:
    """Return a type without None: what is absent is none."""
    if not isinstance(found, inspect.UnionType):
        return found
    rest = tuple(each for each in found.types if not isinstance(each, inspect.NoneType))
    return rest[0] if len(rest) == 1 else inspect.UnionType(rest)


def _typed(found: inspect.Type, path: str, fields: Fields, seen: set[str]) -> Json:
    match found:
        case inspect.StructType():
            return _object(found, path, fields, seen)
        case inspect.DictType():
            values = _schema(found.value_type, f"{path}{{}}", fields, seen)
            return {"type": "object", "additionalProperties": values}
        case inspect.ListType() | inspect.VarTupleType() | inspect.CollectionType():
            return {"type": "array", "items": _schema(found.item_type, f"{path}[]", fields, seen)}
        case inspect.EnumType():
            return {"type": "string", "enum": [each.value for each in found.cls]}
        case inspect.UnionType():
            return {"x-kubernetes-int-or-string": True}
        case inspect.IntType():
            return {"type": "integer", "format": "int64"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.StrType():
            return {"type": "string"}
        case _:
            raise UnknownField(f"{path} has a type that no schema has: {found}")


def _object(found: inspect.StructType, path: str, fields: Fields, seen: set[str]) -> Json:
    properties = {}
    for each in found.fields:
        here = f"{path}.{each.encode_name}" if path else each.encode_name
        if not fields.get(here, Field()).description:
            raise UnknownField(f"{here} of {found.cls.__name__} has no words in declared.schemas")
        properties[each.encode_name] = {**_schema(each.type, here, fields, seen), **_default(each)}
    required = [each.encode_name for each in found.fields if each.required]
    # In the order of the words, which is that of reading; a struct has what is required first.
    paths = {f"{path}.{name}" if path else name: name for name in properties}
    ordered = {paths[each]: properties[paths[each]] for each in fields if each in paths}
    return {"type": "object", **({"required": required} if required else {}), "properties": ordered}


def _default(found: inspect.Field) -> Json:
    """Return the default, if it is anything: an empty one is what is absent."""
    value = found.default
    if value is msgspec.NODEFAULT or not value:
        return {}
    return {"default": value.value if isinstance(value, Enum) else value}


def _rules(rules: Sequence[Rule]) -> Sequence[Mapping[str, str]]:
    return [
        {"rule": each.rule, "message": each.message}
        | ({"messageExpression": each.message_expression} if each.message_expression else {})
        for each in rules
    ]
