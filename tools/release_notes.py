"""Print what CHANGELOG.md says of a release, after proving that its tag is the version that the tree has."""

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_PLACES: Final = (("pyproject.toml", "version"), ("Chart/Chart.yaml", "version"), ("Chart/Chart.yaml", "appVersion"))


class Disagreement(Exception):
    """The tree is not that of the tag."""


def notes(tag: str, root: Path = ROOT) -> str:
    """Return the section of the changelog for a tag `vX.Y.Z`. Raises Disagreement with what to do."""
    wanted = tag.removeprefix("v")
    for file, key in _PLACES:
        # By hand: this runs before anything is installed.
        found = re.search(rf"^{key}\W+([\w.+-]+)", (root / file).read_text(encoding="utf-8"), re.MULTILINE)
        version = found[1] if found else "missing"
        if f"v{version}" != tag:
            raise Disagreement(
                f"{key} in {file} is {version} and the tag is {tag}: set it to {wanted}, or tag v{version}"
            )
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8") if changelog.exists() else ""
    for section in f"\n{text}".split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        if title.split()[:1] == [wanted]:
            return body.strip()
    raise Disagreement(f"CHANGELOG.md has no section {wanted}: run `make changelog` and commit it before the tag")


def main() -> int:
    """Print the notes of the tag that is given."""
    try:
        print(notes(sys.argv[1]))
    except Disagreement as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
