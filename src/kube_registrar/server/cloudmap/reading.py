"""Reads the requests that come by the thousand in one step, JSON and rules together: a tenth of the time of two steps.

The rules are those of `model.cloudmap.shapes`, made into a type that the decoder checks. It has no sentences: what it
does not take is for `model.cloudmap.validation`, which says why, or takes it after all.
"""

from typing import Annotated, Any, Final

import msgspec

from kube_registrar.model.cloudmap.shapes import OPERATIONS, SHAPES, Shape, Table, Text

Decoder = msgspec.json.Decoder[msgspec.Struct]


def plain(operation: str, content: bytes) -> dict[str, Any] | None:
    """Return what `validation.validated` would return for a body; None if that is to be asked."""
    try:
        read = _DECODERS[operation].decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    # A member that is null counts as absent.
    return {name: value for name in read.__struct_fields__ if (value := getattr(read, name)) is not None}


def _decoder(operation: str) -> Decoder:
    shape = OPERATIONS[operation]
    fields: list[Any] = []
    for name, of in sorted(shape.members.items(), key=lambda member: member[0] not in shape.required):
        type_ = _type(SHAPES[of])
        fields.append((name, type_) if name in shape.required else (name, type_ | None, None))
    return msgspec.json.Decoder(msgspec.defstruct(operation, fields))


def _type(shape: Shape) -> Any:
    match shape:
        case Text() if not shape.values:
            # The decoder searches, and `$` is also before a line's end at the end: what is meant is all of the text.
            pattern = rf"\A(?:{shape.pattern})\Z" if shape.pattern else None
            return Annotated[str, _bounds(shape.least, shape.most, pattern)]
        case Table():
            key, value = _type(SHAPES[shape.key]), _type(SHAPES[shape.value])
            return Annotated[dict.__class_getitem__((key, value)), _bounds(shape.least, shape.most)]
    raise TypeError(f"{shape} is not read here")


def _bounds(least: int, most: int | None, pattern: str | None = None) -> msgspec.Meta:
    return msgspec.Meta(min_length=least or None, max_length=most, pattern=pattern)


OPERATIONS_READ: Final = frozenset({"DeregisterInstance", "RegisterInstance"})
_DECODERS: Final = {operation: _decoder(operation) for operation in OPERATIONS_READ}
