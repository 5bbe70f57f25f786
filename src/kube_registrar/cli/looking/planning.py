"""Runs the engine on a dry run until it is at rest, and collects what it would have done."""

import sys
from collections.abc import Sequence
from typing import Self

import click

from kube_registrar.cli.looking.declaring import Declared, declared
from kube_registrar.cli.looking.outcome import Outcome, outcome_of
from kube_registrar.cli.looking.stage import Stage, looking
from kube_registrar.declared.settings import Configuration

_ROUNDS = 4
"""What is declared is looked after so often: a namespace makes services possible, and a service registrations."""


async def planned(configuration: Configuration, timeout: float) -> Outcome:
    """Return what would change. `timeout`: seconds. Raises Unsettled where they are not enough, and UserError."""
    async with looking(configuration) as stage:
        deadline = stage.clock.monotonic() + timeout
        with Progress() as progress:
            await stage.settle(deadline, progress.say)
            objects = await _declared(stage, deadline, progress)
        return outcome_of(stage, objects, troubles_of(stage))


def troubles_of(stage: Stage) -> Sequence[str]:
    """Return why the registries could not be read whole."""
    found = [f"{what} cannot be read: {why}" for each in stage.registries.values() for what, why in each.troubles()]
    return list(dict.fromkeys(found))


async def _declared(stage: Stage, deadline: float, progress: "Progress") -> Sequence[Declared]:
    """Look after our objects until nothing new comes of it."""
    actions: dict[str, Declared] = {}
    for _ in range(_ROUNDS):
        found = await declared(stage)
        # What would be created in an earlier round is there in the later ones.
        news = [each for each in found if each.action and each.thing.uid not in actions]
        actions |= {each.thing.uid: each for each in news}
        await stage.settle(deadline, progress.say)
        if not news:
            break
    return [actions.get(each.thing.uid, each) for each in found]


class Progress:
    """One line on standard error that says what is waited for; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._last:
            click.echo("\r\x1b[K", err=True, nl=False)

    def say(self, text: str) -> None:
        """Show a text instead of the one before."""
        if self._shown and text != self._last:
            self._last = text
            click.echo(f"\r\x1b[K{text[:100]} …", err=True, nl=False)
