"""Write docs/reference/: flags, metrics and reasons, from the code that has them. With --check, only compare."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kube_registrar.cli.main import COMMANDS, PROGRAM, cli
from kube_registrar.model import reasons
from kube_registrar.model.reasons import Reason
from kube_registrar.runtime.metrics import Metrics, WatchState

ROOT: Final = Path(__file__).resolve().parent.parent
MADE: Final = "Made from the code by `make render`."
WIDTH: Final = 100


def rendered() -> dict[str, str]:
    """Return every page, by its path in the repository, with its text."""
    return {
        "docs/reference/cli.md": _page(
            "Every command and flag", "what `--help` prints. [cli.md](../cli.md) tells how to use them.", _commands()
        ),
        "docs/reference/metrics.md": _page(
            "Every metric", "what `/metrics` says of them. [metrics.md](../metrics.md) explains them.", _metrics()
        ),
        "docs/reference/reasons.md": _page(
            "Every reason and its sentence",
            "what events, conditions and `explain` say; braces stand for what is filled in. "
            "[reasons.md](../reasons.md) tells what to do.",
            _reasons(),
        ),
    }


def _page(title: str, about: str, lines: Iterator[str]) -> str:
    return "\n".join([f"# {title}", "", f"{MADE[:-1]}: {about}", "", *lines]) + "\n"


def _commands() -> Iterator[str]:
    context = click.Context(cli, info_name=PROGRAM, terminal_width=WIDTH, max_content_width=WIDTH)
    for number, name in enumerate(COMMANDS):
        command = cli.get_command(context, name)
        assert command is not None
        own = click.Context(
            command, parent=context, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, show_default=None
        )
        yield from (["", f"## {name}"] if number else [f"## {name}"])
        yield from ("", "```text", command.get_help(own), "```")


def _metrics() -> Iterator[str]:
    metrics = Metrics("0")
    metrics.read_watches(lambda: [WatchState("Pod", 0, 0.0)])
    metrics.read_events_dropped(lambda: 0)
    metrics.read_dns_queries(lambda: [("A", "NOERROR", 1)])
    metrics.read_health_checks(lambda: {"passed": 1})
    metrics.answers.count("DiscoverInstances", "ok", 0.0)
    yield from ("| metric | type | says |", "|---|---|---|")
    for family in sorted(metrics.registry.collect(), key=lambda each: each.name):
        name = family.name + ("_total" if family.type == "counter" else "")
        yield f"| `{name}` | {family.type} | {_cell(family.documentation)} |"


def _reasons() -> Iterator[str]:
    yield from ("| reason | sentence |", "|---|---|")
    found = (each for each in vars(reasons).values() if isinstance(each, Reason))
    for reason in sorted(found, key=lambda each: each.name):
        yield f"| `{reason.name}` | {_cell(reason.sentence)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("!r}", "}")


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is stale")
    is_check = parser.parse_args().check
    os.environ["NO_COLOR"] = "1"
    pages = rendered()
    stale = [name for name, text in pages.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    for name in stale:
        if is_check:
            print(f"{name} does not match the code: run `make render` and commit the result")
        else:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(pages[name])
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
