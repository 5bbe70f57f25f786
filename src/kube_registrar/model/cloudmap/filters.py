"""The filters of lists: a name, a condition and values, checked as Cloud Map does it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid

Filter = Mapping[str, Any]

_OWNERS = ("SELF", "OTHER_ACCOUNTS")


def values(wanted: Filter, conditions: Collection[str]) -> tuple[str, Sequence[str]]:
    """Return the condition (EQ if none is given) and the values; only IN may have several."""
    condition: str = wanted.get("Condition", "EQ")
    if condition not in conditions:
        raise invalid("Filters.Condition", condition, f"{wanted['Name']} takes {' or '.join(conditions)}")
    values: Sequence[str] = wanted["Values"]
    if not values or (condition != "IN" and len(values) != 1):
        takes = "one or more" if condition == "IN" else "one"
        message = f"Filters.Values of {wanted['Name']} has {len(values)} values: {condition} takes {takes}"
        raise CloudMapError("InvalidInput", message, field="Filters.Values")
    return condition, values


def check_known(values: Sequence[str], known: Collection[str]) -> None:
    """Raise CloudMapError InvalidInput for a value that is not known."""
    for value in values:
        if value not in known:
            raise invalid("Filters.Values", value, f"one of {', '.join(known)} is allowed")


def owner(value: str) -> Callable[[object], bool]:
    """All is this account's own: there is no sharing between accounts here."""
    check_known((value,), _OWNERS)
    return lambda _: value == "SELF"
