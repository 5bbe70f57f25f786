"""Speaks to the person: asks before anything is changed, shows how far it is, and tells what came of it."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from kube_registrar.cli.upkeep.selection import Entry, clusters, instances
from kube_registrar.cli.upkeep.writing import Result
from kube_registrar.model.errors import UserError

DONE, FAILED, UNDONE = 0, 1, 2
"""Exit codes: done, or nothing to do; some or all failed; found something and left it, not being told to go on."""

_TOLD_FAILURES = 20


def say(sentence: str) -> None:
    """Write a line to standard error."""
    click.echo(sentence, err=True)


def say_nothing_found(what: str, entries: Sequence[Entry]) -> None:
    """Say that there is nothing to do and, since names are compared whole, what there is."""
    there = clusters(entries)
    say(f"{what}: nothing to do. " + (f"Instances there are of {there}" if there else "There are none of any cluster"))


@dataclass(frozen=True, slots=True)
class Request:
    """What a person is asked. `forbidden`: why it may not be done at all, whoever agrees; empty: it may."""

    warning: str
    question: str
    forbidden: str = ""


def asked(request: Request, *, yes: bool, dry_run: bool) -> int | None:
    """Ask, unless the command line has said already. None: go on; else nothing was changed, and this is the exit code.

    Raises UserError where it may not be done.
    """
    if dry_run:
        say("Nothing was changed: this is a dry run")
        return UNDONE
    if request.forbidden:
        raise UserError(request.forbidden)
    if yes:
        return None
    say(request.warning)
    if not sys.stdin.isatty():
        say("Nothing was changed: there is no terminal to ask at. Give --yes to go on without being asked")
        return UNDONE
    if click.confirm(request.question, default=False, err=True):
        return None
    say("Nothing was changed")
    return UNDONE


@contextmanager
def progress(doing: str, total: int, environ: Mapping[str, str] = os.environ) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while it is a terminal that may be decorated."""
    # NO_COLOR: https://no-color.org, any value but an empty one.
    if not sys.stderr.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - help does not need it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda count: bar.advance(task, count)


def told(result: Result, done: str) -> int:
    """Tell what came of it and return the exit code. `done`: such as `deregistered`."""
    say(f"{instances(result.done)} {done}")
    if result.gone:
        say(f"{instances(result.gone)} gone already")
    for entry in result.moved:
        say(f"{entry.service} {entry.instance.id}: left alone, it is no longer that cluster's")
    for failure in result.failures[:_TOLD_FAILURES]:
        say(f"{failure.entry.service} {failure.entry.instance.id}: not {done}: {failure.why}")
    if not result.failures:
        return DONE
    more = len(result.failures) - _TOLD_FAILURES
    if more > 0:
        say(f"and {more} more")
    say(f"{instances(len(result.failures))} not {done}: run this again, which goes on with what is left")
    return FAILED
