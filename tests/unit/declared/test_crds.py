"""The CRDs and the typed specs say the same: fields, which are required, enums and defaults."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kube_registrar.declared.specs import RegistryNamespaceSpec, RegistryServiceSpec

CRDS = Path(__file__).parents[3] / "crds"
KINDS = {"registrynamespaces": RegistryNamespaceSpec, "registryservices": RegistryServiceSpec}
SCALARS = {msgspec.inspect.StrType: "string", msgspec.inspect.IntType: "integer", msgspec.inspect.BoolType: "boolean"}
INT_OR_STRING = {"integer", "string"}


def _schema(name: str) -> dict[str, Any]:
    crd = yaml.safe_load((CRDS / f"{name}.yaml").read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def _shape(kind: msgspec.inspect.Type) -> Any:
    """Describe a type as the part of a schema that both have."""
    match kind:
        case msgspec.inspect.UnionType():
            several = [_shape(each) for each in kind.types if not isinstance(each, msgspec.inspect.NoneType)]
            return several[0] if len(several) == 1 else set(several)
        case msgspec.inspect.StructType():
            return {
                "fields": {one.encode_name: _shape(one.type) for one in kind.fields},
                "required": {one.encode_name for one in kind.fields if one.required},
                "defaults": dict(_defaults(kind)),
            }
        case msgspec.inspect.EnumType():
            return [member.value for member in kind.cls]
        case msgspec.inspect.DictType():
            return {"each value": _shape(kind.value_type)}
        case msgspec.inspect.CollectionType():
            return {"each": _shape(kind.item_type)}
        case _:
            return SCALARS[type(kind)]


def _defaults(kind: msgspec.inspect.StructType) -> Iterator[tuple[str, object]]:
    for one in kind.fields:
        if isinstance(one.default, Enum):
            yield one.encode_name, one.default.value
        elif one.default not in (msgspec.NODEFAULT, None, "", (), False):
            yield one.encode_name, one.default


def _written(schema: Mapping[str, Any]) -> Any:
    """Describe a schema in the same way."""
    if "enum" in schema:
        return schema["enum"]
    if "properties" in schema:
        fields = schema["properties"]
        return {
            "fields": {name: _written(field) for name, field in fields.items()},
            "required": set(schema.get("required", ())),
            "defaults": {name: field["default"] for name, field in fields.items() if "default" in field},
        }
    if "additionalProperties" in schema:
        return {"each value": _written(schema["additionalProperties"])}
    if schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    return {"each": _written(schema["items"])} if "items" in schema else schema["type"]


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _fields(field, f"{path}.{name}")
        yield from _fields(field.get("items", {}), f"{path}.{name}[]")


@pytest.mark.parametrize("name", KINDS)
def test_the_crd_says_what_the_typed_spec_says(name: str) -> None:
    assert _written(_schema(name)["properties"]["spec"]) == _shape(msgspec.inspect.type_info(KINDS[name]))


@pytest.mark.parametrize("name", KINDS)
def test_every_field_is_described_in_a_sentence(name: str) -> None:
    fields = dict(_fields(_schema(name), ""))
    assert len(fields) > 25
    bare = {
        path for path, field in fields.items() if path != ".metadata" and not field.get("description", "").endswith(".")
    }
    assert bare == set()


@pytest.mark.parametrize("name", KINDS)
def test_every_rule_has_a_message_of_its_own_words(name: str) -> None:
    def rules(node: Any) -> Iterator[Mapping[str, str]]:
        if isinstance(node, dict):
            yield from node.get("x-kubernetes-validations", ())
            for child in node.values():
                yield from rules(child)
        elif isinstance(node, list):
            for child in node:
                yield from rules(child)

    found = list(rules(_schema(name)))
    assert len(found) >= 10
    assert [rule for rule in found if len(rule.get("message", "")) < 20] == []
