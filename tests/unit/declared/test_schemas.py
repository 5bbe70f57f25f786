"""The custom resource definitions are made from the typed specs, and every field of them says what it is."""

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.declared.schemas.definitions import KINDS, Kind, UnknownField, definition
from kube_registrar.declared.schemas.fields import Field

ROOT = Path(__file__).parents[3]
IDS = [kind.name for kind in KINDS]
Json = dict[str, Any]


def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "render_crds.py"))


def root_of(kind: Kind) -> Json:
    root: Json = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def fields_of(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    for name, each in {**schema.get("properties", {}), **schema.get("items", {}).get("properties", {})}.items():
        yield f"{path}.{name}", each
        yield from fields_of(each, f"{path}.{name}")


@pytest.mark.parametrize("name", list(tool()["rendered"]()))
def test_definitions_and_their_page_are_made_from_the_typed_specs(name: str) -> None:
    assert (ROOT / name).read_text() == tool()["rendered"]()[name]


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_kubectl_explains_every_field_in_at_least_a_sentence(kind: Kind) -> None:
    root = root_of(kind)
    assert len(root["description"].split()) > 10
    told = {path: each.get("description", "") for path, each in fields_of(root) if path != ".metadata"}
    assert len(told) > 40
    assert [path for path, text in told.items() if not re.fullmatch(r"[A-Z][^.]*\S \S.*[.]", text)] == []


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_every_rule_says_what_is_wrong_on_one_line_without_a_stop(kind: Kind) -> None:
    schemas = [root_of(kind), *(each for _, each in fields_of(root_of(kind)))]
    rules = [rule for each in schemas for rule in each.get("x-kubernetes-validations", ())]
    assert len(rules) >= 10
    assert [rule["message"] for rule in rules if re.search(r"\n|\.$|^$", rule["message"])] == []


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_kubectl_get_shows_what_it_should_and_knows_the_names(kind: Kind) -> None:
    spec = definition(kind)["spec"]
    columns = spec["versions"][0]["additionalPrinterColumns"]
    shown = [each["name"] for each in columns if not each.get("priority")]
    assert shown == ["Ready", "Synced", "Registry", "ID", "Instances", "Age"]
    assert columns[-1]["name"] == "Message"
    assert spec["names"]["categories"] == ["registrar"]
    assert spec["names"]["shortNames"] == [kind.short]


def test_a_field_without_words_and_words_without_a_field_are_errors() -> None:
    kind = KINDS[0]
    few = {path: each for path, each in kind.fields.items() if path != "registry"}
    with pytest.raises(UnknownField, match="registry of RegistryNamespaceSpec has no words"):
        definition(replace(kind, fields=few))
    with pytest.raises(UnknownField, match="has words for nothing, which"):
        definition(replace(kind, fields={**kind.fields, "nothing": Field("It is not there.")}))
