"""Shows what `plan` found: for people, or as JSON and YAML for programs."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby

import click

from kube_registrar.cli.looking.outcome import GROUPS, Item, Outcome

_SIGNS = {
    "Register": ("+", "green"),
    "Create": ("+", "green"),
    "Update": ("~", "yellow"),
    "SetHealth": ("~", "yellow"),
    "Deregister": ("-", "red"),
    "Remove": ("-", "red"),
    "Keep": ("=", "cyan"),
    "Conflict": ("!", "magenta"),
}
_WORDS = {
    "Register": "to register",
    "Update": "to update",
    "SetHealth": "to set the health of",
    "Deregister": "to deregister",
}


def shown(outcome: Outcome, *, form: str, colours: bool) -> str:
    """Return the text in the form text, json or yaml."""
    if form == "text":
        return _text(outcome, colours=colours)
    return structured(_json(outcome), form=form)


def structured(value: Mapping[str, object], *, form: str) -> str:
    """Return a value as json or yaml."""
    if form == "json":
        return json.dumps(value, indent=2)
    import yaml  # noqa: PLC0415 - only this form needs it

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip("\n")


def summary(outcome: Outcome) -> str:
    """Say in one line how much there is of everything."""
    counts = [(sum(1 for each in outcome.changes if each.action == action), word) for action, word in _WORDS.items()]
    counts += [
        (len(outcome.objects), "of our objects to act on"),
        (len(outcome.held), "held"),
        (len(outcome.withheld), "withheld by policy"),
        (len(outcome.conflicts), "in conflict"),
        (len(outcome.problems), "with a problem"),
    ]
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{told}." if told else "Nothing would change: everything is as the cluster says."


def _text(outcome: Outcome, *, colours: bool) -> str:
    parts = []
    if outcome.objects:
        parts.append(_section("Objects", outcome.objects, colours=colours))
    placed = [*outcome.changes, *outcome.held, *outcome.conflicts]
    for service, items in groupby(sorted(placed, key=lambda each: each.service), key=lambda each: each.service):
        parts.append(_section(service, list(items), colours=colours))
    if outcome.withheld:
        parts.append(_section("Withheld by policy", outcome.withheld, colours=colours, with_service=True))
    if outcome.problems:
        lines = [f"  ! {each.origin}: {each.reason}" for each in outcome.problems]
        parts.append("\n".join(["Problems", *lines]))
    parts.append(summary(outcome))
    return "\n\n".join(parts)


def _section(title: str, items: Sequence[Item], *, colours: bool, with_service: bool = False) -> str:
    names = [f"{each.service}/{each.name}" if with_service and each.service else each.name for each in items]
    name, origin = max(map(len, names)), max(len(each.origin) for each in items)
    lines = [title]
    for each, shown_name in zip(items, names, strict=True):
        sign, colour = _SIGNS[each.action]
        line = f"{sign} {shown_name.ljust(name)}   {each.origin.ljust(origin)}   {each.reason}"
        lines.append("  " + (click.style(line, fg=colour) if colours else line))
    return "\n".join(lines)


def _json(outcome: Outcome) -> Mapping[str, object]:
    groups: Mapping[str, Sequence[Item]] = {name: getattr(outcome, name) for name in GROUPS}
    shown_groups = {name: [_item(each) for each in items] for name, items in groups.items()}
    return {**shown_groups, "unreadable": list(outcome.troubles), "summary": summary(outcome)}


def _item(each: Item) -> Mapping[str, str]:
    fields = {"action": each.action, "service": each.service, "name": each.name, "object": each.origin}
    return {key: value for key, value in {**fields, "reason": each.reason}.items() if value}
