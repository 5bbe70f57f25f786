"""Write crds/ from the typed specs and their words, and docs/reference/crds.md. With --check, only compare."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from kube_registrar.declared.schemas.definitions import GROUP, KINDS, VERSION, Kind, definition

ROOT: Final = Path(__file__).resolve().parent.parent
HEADER: Final = "# Made from src/kube_registrar/declared/schemas by `make render`: change that, and not this.\n"
PAGE: Final = "docs/reference/crds.md"
HEAD: Final = """# Every field of our kinds

Made from `crds/` by `make render`; `kubectl explain` says the same. [crds.md](../crds.md) tells how to use them.
"""
Json = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """Writes each part out, without anchors."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def rendered() -> dict[str, str]:
    """Return every file, by its path in the repository, with its text."""
    made = [(kind, definition(kind)) for kind in KINDS]
    files = {
        f"crds/{kind.plural}.yaml": HEADER + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=116)
        for kind, crd in made
    }
    return {**files, PAGE: "\n".join([HEAD, *(_section(kind, crd) for kind, crd in made)])}


def _section(kind: Kind, crd: Json) -> str:
    """Return the fields of a kind, and its rules."""
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = [
        f"| `{path}` | {_type(schema)} | {'yes' if required else ''} | {_default(schema)} | {_text(schema)} |"
        for part in ("spec", "status")
        for path, schema, required in _fields(root["properties"][part], part, required=part == "spec")
    ]
    rules = [f"- {_cell(each['message'])}" for each in _rules(root)]
    head = ["| field | is | required | default | meaning |", "|---|---|---|---|---|"]
    about = f"`{GROUP}/{VERSION}`, {crd['spec']['scope'].lower()}, short name `{kind.short}`. {root['description']}"
    told = ["What else is refused at `kubectl apply`:", "", *dict.fromkeys(rules)]
    return "\n".join([f"## {kind.name}", "", about, "", *head, *rows, "", *told, ""])


def _fields(schema: Json, path: str, *, required: bool) -> Iterator[tuple[str, Json, bool]]:
    yield path, schema, required
    inner = schema.get("items", schema)
    within = f"{path}[]" if "items" in schema else path
    for name, each in inner.get("properties", {}).items():
        yield from _fields(each, f"{within}.{name}", required=name in inner.get("required", ()))


def _rules(schema: Json) -> Iterator[Json]:
    yield from schema.get("x-kubernetes-validations", ())
    for each in schema.get("properties", {}).values():
        yield from _rules(each)
    if "items" in schema:
        yield from _rules(schema["items"])


def _type(schema: Json) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "number or string"
    named = {"object": "map" if "additionalProperties" in schema else "object", "array": "list", "integer": "number"}
    limits = {"minLength": "≥ {} characters", "maxLength": "≤ {} characters", "minimum": "≥ {}", "maximum": "≤ {}"}
    counts = {"minItems": "≥ {}", "maxItems": "≤ {}", "maxProperties": "≤ {}"}
    told = [text.format(f"{schema[key]:,}") for key, text in {**limits, **counts}.items() if key in schema]
    kind: str = schema["type"]
    return ", ".join([named.get(kind, kind), *told])


def _default(schema: Json) -> str:
    return f"`{schema['default']}`" if "default" in schema else ""


def _text(schema: Json) -> str:
    return _cell(schema["description"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    is_check = parser.parse_args().check
    stale = [name for name, text in rendered().items() if not _is(ROOT / name, text)]
    for name in stale:
        if is_check:
            print(f"{name} does not match the typed specs: run `make render` and commit the result")
        else:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(rendered()[name])
    return 1 if is_check and stale else 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
