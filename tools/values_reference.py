"""Write docs/values.md from the chart's values.yaml and values.schema.json. With --check, only compare."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "values.md"
HEAD: Final = """# Values of the chart

Made from `Chart/values.yaml` and `Chart/values.schema.json` by `make render`. What is not here is refused: a typo is
an error of `helm install`, and not a setting that is silently not made. [install.md](install.md) tells how to begin.
"""
_NAMES: Final[dict[str, str]] = {"object": "map", "array": "list", "boolean": "true or false"}
Json = dict[str, Any]


def rows(schema: Json, values: Json, prefix: str = "") -> Iterator[str]:
    """Yield a row of the table for each value that can be set."""
    for key, sub in schema["properties"].items():
        name, default = f"{prefix}{key}", values.get(key)
        if "properties" in sub and key != "resources":
            yield from rows(sub, default or {}, f"{name}.")
            continue
        shown = f"`{json.dumps(default, ensure_ascii=False)}`" if key in values else ""
        yield f"| `{name}` | {_type(sub)} | {shown} | {sub['description']} |".replace("  ", " ")


def _type(schema: Json) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"] if each)
    kinds: list[str] = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(_NAMES.get(kind, kind) for kind in kinds)


def page() -> str:
    """Return the page: a section for what stands at the top, then one for each group."""
    schema = json.loads((ROOT / "Chart" / "values.schema.json").read_text())
    values = yaml.safe_load((ROOT / "Chart" / "values.yaml").read_text())
    groups = {key: sub for key, sub in schema["properties"].items() if "properties" in sub and key != "resources"}
    flat = {key: sub for key, sub in schema["properties"].items() if key not in groups}
    header = ["| value | type | default | meaning |", "|---|---|---|---|"]
    parts = ["## Of the whole chart, and of the operator", "", *header, *rows({"properties": flat}, values)]
    for key, sub in groups.items():
        parts += ["", f"## {key}", "", sub["description"], "", *header, *rows(sub, values[key], f"{key}.")]
    return "\n".join([HEAD, *parts]) + "\n"


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print("docs/values.md does not match the chart: run `make render` and commit the result")
    return 1


if __name__ == "__main__":
    sys.exit(main())
