"""Every annotation, form, CRD field and reason is documented, and what the documentation shows is right."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.declared.annotations import KNOWN_ON_SERVICES, read_annotations
from kube_registrar.declared.specs import registry_namespace, registry_service
from kube_registrar.declared.templates import FORMS
from kube_registrar.model import attributes as keys
from kube_registrar.model import reasons
from kube_registrar.model.reasons import Reason
from kube_registrar.model.records import ANNOTATION_PREFIX, CustomObject
from kube_registrar.model.refs import Uid

ROOT = Path(__file__).parents[3]
REASONS = [value.name for value in vars(reasons).values() if isinstance(value, Reason)]
STANDARD = [value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)]


def _text(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def _blocks(name: str) -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", _text(name), re.DOTALL)]


def _entries(name: str) -> list[str]:
    """Return the code of the first column of every table."""
    return re.findall(r"^\| \[?`([^`]+)`", _text(name), re.MULTILINE)


@pytest.mark.parametrize("key", KNOWN_ON_SERVICES)
def test_every_annotation_is_documented(key: str) -> None:
    assert f"`{ANNOTATION_PREFIX}{key}`" in _text("annotations.md")


@pytest.mark.parametrize("form", [*FORMS, *STANDARD])
def test_every_form_and_every_attribute_is_documented(form: str) -> None:
    assert f"`{form}`" in _text("annotations.md")


@pytest.mark.parametrize("block", _blocks("annotations.md"))
def test_every_example_of_annotations_can_be_read(block: Mapping[str, str]) -> None:
    reading = read_annotations({key.removeprefix(ANNOTATION_PREFIX): value for key, value in block.items()})
    assert reading.request is not None
    assert reading.problems == ()


def test_every_reason_is_documented_once_and_no_other() -> None:
    documented = [name for name in _entries("reasons.md") if name[0].isupper()]
    assert sorted(documented) == sorted(REASONS)


def _paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}{name}"
        yield here
        yield from _paths(field, f"{here}.")
        yield from _paths(field.get("items", {}), f"{here}[].")


def _schema(plural: str) -> Mapping[str, Any]:
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text(encoding="utf-8"))
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert isinstance(fields, dict)
    return fields


@pytest.mark.parametrize("kind", ["RegistryNamespace", "RegistryService"])
def test_every_field_of_a_spec_is_documented_and_no_other(kind: str) -> None:
    section = _text("crds.md").split(f"## {kind}\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)
    # The members of an expression stand in one row: they are Kubernetes' own.
    fields = [path for path in _paths(_schema(f"{kind.lower()}s")["spec"]) if "matchExpressions[]" not in path]
    assert documented == fields


@pytest.mark.parametrize("plural", ["registrynamespaces", "registryservices"])
def test_every_field_of_the_status_is_documented(plural: str) -> None:
    section = _text("crds.md").split("## Status\n")[1]
    documented = set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))
    fields = {path for path in _paths(_schema(plural)["status"]) if "[]" not in path}
    assert documented == fields - {"instances"}


def test_every_example_of_an_object_can_be_read() -> None:
    readers = {"RegistryNamespace": registry_namespace, "RegistryService": registry_service}
    blocks = _blocks("crds.md")
    assert {block["kind"] for block in blocks} == set(readers)
    for block in blocks:
        read = readers[block["kind"]]
        read(CustomObject(block["kind"], "", block["metadata"]["name"], Uid("u"), 1, block["spec"]))


def test_every_reason_says_something_and_is_camel_case() -> None:
    assert len(REASONS) == len(set(REASONS)) >= 30
    assert [name for name in REASONS if not re.fullmatch(r"([A-Z][a-z]+)+", name)] == []
