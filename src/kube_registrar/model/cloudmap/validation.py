"""Checks a request against the table of shapes, as Cloud Map does before it looks at anything else.

A value of the wrong JSON type is a SerializationException; a missing member, or one outside its bounds, is
InvalidInput ("a required value might be missing, a numeric value might be outside the allowed range, or a string
value might exceed length constraints", says the API reference).
"""

from collections.abc import Mapping, Sized
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid, shown
from kube_registrar.model.cloudmap.shapes import OPERATIONS, SHAPES, Many, Shape, Structure, Table, Text, Whole


def validated(operation: str, request: object) -> dict[str, Any]:
    """Return the request with its known members only; a member that is null counts as absent, as in AWS JSON.

    Unknown members are left out and no error: an SDK of tomorrow may send one. Raises CloudMapError, which names the
    member by its path, such as `DnsConfig.DnsRecords[0].TTL`. `operation` must be one of OPERATIONS.
    """
    return _structure("", OPERATIONS[operation], request)


def check(name: str, field: str, value: object) -> None:
    """Check one value against the shape of this name. Raises CloudMapError, which names `field`."""
    _checked(field, SHAPES[name], value)


def _checked(path: str, shape: Shape, value: object) -> Any:
    match shape:
        case Text():
            return _text(path, shape, value)
        case Whole():
            return _whole(path, shape, value)
        case Structure():
            return _structure(path, shape, value)
        case Many():
            return _many(path, shape, value)
        case Table():
            return _table(path, shape, value)


def _structure(path: str, shape: Structure, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong_type(path or "The request", value, "an object")
    for name in sorted(shape.required):
        if value.get(name) is None:
            raise CloudMapError(
                "InvalidInput",
                f"{_join(path, name)} is missing: it is required",
                field=_join(path, name),
                rule="required",
            )
    return {
        name: _checked(_join(path, name), SHAPES[of], value[name])
        for name, of in shape.members.items()
        if value.get(name) is not None
    }


def _text(path: str, shape: Text, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(path, value, "a string")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise _wrong_type(path, value, "a string without half of a surrogate pair")
    if shape.values:
        if value not in shape.values:
            raise invalid(path, value, f"one of {', '.join(shape.values)} is allowed")
        return value
    if len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
        bounds = f"{shape.least} to {shape.most}" if shape.least else f"at most {shape.most}"
        raise invalid(path, value, f"{shape.rule or f'{bounds} characters are allowed'}; this has {len(value)}")
    if shape.pattern and not shape.matches.fullmatch(value):
        raise invalid(path, value, shape.rule)
    return value


def _whole(path: str, shape: Whole, value: object) -> int:
    # JSON knows one kind of number: 5.0 is 5. True is a number for Python only.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise _wrong_type(path, value, "a whole number")
    if not shape.least <= value <= shape.most:
        raise invalid(path, value, f"{shape.least:,} to {shape.most:,} is allowed")
    return int(value)


def _many(path: str, shape: Many, value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong_type(path, value, "a list")
    _count(path, shape, value)
    return [_checked(f"{path}[{index}]", SHAPES[shape.of], item) for index, item in enumerate(value)]


def _table(path: str, shape: Table, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong_type(path, value, "an object")
    _count(path, shape, value)
    keys, values = SHAPES[shape.key], SHAPES[shape.value]
    checked = {}
    for key, item in value.items():
        name: str = _checked(f"{path} key", keys, key)
        checked[name] = _checked(f"{path}[{name}]", values, item)
    return checked


def _count(path: str, shape: Many | Table, value: Sized) -> None:
    if len(value) < shape.least:
        raise invalid(path, value, f"at least {shape.least} is needed")
    if shape.most is not None and len(value) > shape.most:
        rule = f"at most {shape.most} are allowed"
        raise CloudMapError("InvalidInput", f"{path} has {len(value)} items: {rule}", field=path, rule=rule)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong_type(path: str, value: object, wanted: str) -> CloudMapError:
    return CloudMapError(
        "SerializationException", f"{path} is {shown(value)}: {wanted} is needed", field=path, rule=wanted
    )
