"""`kube-registrar registries`: the kinds of registry that are installed, and what each can do."""

from typing import TYPE_CHECKING

import click

from kube_registrar.cli.listing.showing import JSON, WIDE, Json, as_json, output_option, shown
from kube_registrar.model.errors import UserError

if TYPE_CHECKING:
    from kube_registrar.registries.loading import Kind
    from kube_registrar.registries.port import Capabilities

_HEADINGS = ["KIND", "PACKAGE", "VERSION", "DNS", "HEALTH", "ATTRIBUTES", "INSTANCES", "TRANSACTIONS", "WATCH"]
_ANY, _YES, _NO, _UNTOLD = "any", "yes", "no", ""


@click.command("registries")
@output_option
def command(*, output: str) -> None:
    """List the kinds of registry that are installed.

    Each comes with its package and what its registries can do. A kind that cannot be used is told in a sentence of its
    own. No registry is opened, and none need be configured.
    """
    from kube_registrar.registries.loading import kinds  # noqa: PLC0415 - help does not need it

    found = [(kind, *_loaded(kind.name)) for kind in kinds()]
    if output == JSON:
        as_json("Registries", [_json(*each) for each in found])
        return
    is_wide = output == WIDE
    headings = [*_HEADINGS, *(("NAMESPACES", "TAGS", "OPENED BY") if is_wide else ())]
    shown("", headings, [_row(kind, can, is_wide=is_wide) for kind, can, _ in found], "no kind is installed")
    for _, _, error in found:
        if error:
            click.echo(f"kube-registrar: {error}", err=True)


def _loaded(kind: str) -> tuple["Capabilities | None", str]:
    """Return what a kind can do, if that is told without opening one, and what is wrong with it."""
    from kube_registrar.registries.loading import backend  # noqa: PLC0415 - help does not need it

    try:
        return backend(kind).capabilities, ""
    except UserError as error:
        return None, str(error)


def _row(kind: "Kind", can: "Capabilities | None", *, is_wide: bool) -> list[str]:
    cells = [_UNTOLD] * 6 if can is None else _cells(can)
    row = [kind.name, kind.package, kind.version, *cells]
    if not is_wide:
        return row
    types = ",".join(sorted(can.namespace_types)) if can else _UNTOLD
    return [*row, types, _word(can.tags) if can else _UNTOLD, kind.target]


def _cells(can: "Capabilities") -> list[str]:
    return [
        ",".join(sorted(can.record_types)) or _word(can.answers_dns),
        _word(can.custom_health),
        _most(can.max_attributes),
        _most(can.max_instances),
        _word(can.transactions),
        _word(can.watches),
    ]


def _word(has: bool) -> str:  # noqa: FBT001 - a cell
    return _YES if has else _NO


def _most(limit: int | None) -> str:
    return _ANY if limit is None else str(limit)


def _json(kind: "Kind", can: "Capabilities | None", error: str) -> Json:
    found: Json = {"Kind": kind.name, "Package": kind.package, "Version": kind.version, "OpenedBy": kind.target}
    if error:
        return found | {"Error": error}
    return found | ({"Capabilities": _capabilities(can)} if can else {})


def _capabilities(can: "Capabilities") -> Json:
    return {
        "NamespaceTypes": sorted(can.namespace_types),
        "Dns": {"RecordTypes": sorted(can.record_types), "AnswersItself": can.answers_dns},
        "CustomHealth": can.custom_health,
        "Heeds": sorted(can.heeds),
        "Tags": can.tags,
        "Transactions": can.transactions,
        "Watches": can.watches,
        "Limits": {
            "Instances": can.max_instances,
            "Attributes": can.max_attributes,
            "AttributeCharacters": can.max_attribute_characters,
            "AttributeValue": can.max_attribute_value,
        },
    }
