"""Write Chart/files/admission.yaml, the rules of the chart's policies, from the operator's. With --check, compare."""

import argparse
import sys
from pathlib import Path
from typing import Final

import yaml

from kube_registrar.declared.admission.policies import policies

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = ROOT / "Chart" / "files" / "admission.yaml"
HEADER: Final = "# Made from src/kube_registrar/declared/admission by `make render`: change that, and not this.\n"


class _Dumper(yaml.SafeDumper):
    """Writes each list out, without anchors."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def rendered() -> str:
    """Return the text of the file."""
    return HEADER + yaml.dump(dict(policies()), Dumper=_Dumper, sort_keys=False, width=1_000_000)


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file is stale")
    if not parser.parse_args().check:
        FILE.write_text(rendered())
        return 0
    if FILE.exists() and FILE.read_text() == rendered():
        return 0
    print(f"{FILE.relative_to(ROOT)} does not match the operator's rules: run `make render` and commit the result")
    return 1


if __name__ == "__main__":
    sys.exit(main())
