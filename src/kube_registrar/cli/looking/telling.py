"""Shows an explanation: signs for people, words where nobody looks at a terminal, JSON and YAML for programs."""

from collections.abc import Iterator, Mapping
from textwrap import fill

import click

from kube_registrar.cli.looking.explaining import Explained
from kube_registrar.cli.looking.rendering import structured
from kube_registrar.explaining.steps import Explanation, State, Step

_SIGNS = {State.OK: "✓", State.NOTE: "i", State.WAITS: "…", State.FAILS: "✗"}
_WORDS = {State.OK: "ok", State.NOTE: "note", State.WAITS: "waits", State.FAILS: "FAILS"}
_COLOURS = {State.OK: "green", State.NOTE: "cyan", State.WAITS: "yellow", State.FAILS: "red"}
_NAME = 16
_WIDTH = 120


def shown(found: Explained, *, form: str, is_terminal: bool, colours: bool) -> str:
    """Return the text in the form text, json or yaml."""
    if form != "text":
        events = {"events": list(found.events), **({"note": found.note} if found.note else {})}
        return structured({**_json(found.explanation), **events}, form=form)
    lines = [*_text(found.explanation, is_terminal=is_terminal, colours=colours)]
    if found.events or found.note:
        lines += ["", "Events", *([f"  {found.note}"] if found.note else [])]
        lines += [f"  {one['last'][:19]}   {one['type']}   {one['reason']}: {one['message']}" for one in found.events]
    return "\n".join([*lines, "", _summary(found.explanation)])


def _text(explained: Explanation, *, is_terminal: bool, colours: bool) -> Iterator[str]:
    yield explained.object
    first = explained.stopped_at
    for step in explained.steps:
        sign = _SIGNS[step.state] if is_terminal else _WORDS[step.state].ljust(5)
        text = f"{sign} {step.name.ljust(_NAME)} {step.message}"
        told = (
            fill(text, _WIDTH, initial_indent="  ", subsequent_indent=" " * (_NAME + 4)) if is_terminal else f"  {text}"
        )
        yield click.style(told, fg=_COLOURS[step.state], bold=step is first or None) if colours else told
        if step.next_step:
            yield f"{' ' * (_NAME + (4 if is_terminal else 8))} → {step.next_step}"
    for part in explained.parts:
        yield ""
        yield from _text(part, is_terminal=is_terminal, colours=colours)


def _summary(explained: Explanation) -> str:
    parts = explained.parts
    good = sum(1 for part in parts if part.stopped_at is None)
    counted = f" {good} of {len(parts)} pods are through." if parts else ""
    step = explained.stopped_at
    if step is None:
        return f"All is well.{counted}"
    verb = "fails" if step.state is State.FAILS else "waits"
    return f"It {verb} at: {step.name}. {step.message.rstrip('.')}.{counted}"


def _json(explained: Explanation) -> Mapping[str, object]:
    step = explained.stopped_at
    return {
        "object": explained.object,
        "ok": step is None,
        "stoppedAt": step.name if step else None,
        "steps": [_step(each) for each in explained.steps],
        **({"parts": [_json(part) for part in explained.parts]} if explained.parts else {}),
    }


def _step(step: Step) -> Mapping[str, str]:
    fields = {"name": step.name, "state": str(step.state), "about": step.about, "message": step.message}
    return {key: value for key, value in {**fields, "nextStep": step.next_step}.items() if value}
