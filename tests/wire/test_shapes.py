"""The table of requests is the service model's: botocore has a copy, and every difference is an error."""

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

from kube_registrar.model.cloudmap.errors import HTTP_STATUS
from kube_registrar.model.cloudmap.shapes import OPERATIONS, SHAPES, Many, Structure, Table, Text, Whole
from kube_registrar.registries.embedded.api import HANDLERS
from kube_registrar.server.cloudmap import protocol

MODEL = ServiceModel(Loader().load_service_model("servicediscovery", "service-2"), "servicediscovery")
SHARED = {"AccessDeniedException", "InternalFailure", "RequestTimeoutException", "ServiceUnavailable"}


def operation(name: str) -> OperationModel:
    return MODEL.operation_model(name)


def described(shape: Any) -> tuple[object, ...]:
    """Return a shape of botocore's in the words of our table."""
    bounds = shape.metadata
    match shape:
        case StructureShape():
            members = {name: _name(member) for name, member in shape.members.items()}
            return "structure", members, frozenset(shape.required_members)
        case ListShape():
            return "list", shape.member.name, bounds.get("min", 0), bounds.get("max")
        case MapShape():
            return "map", shape.key.name, shape.value.name, bounds.get("min", 0), bounds.get("max")
        case StringShape():
            return "string", bounds.get("max"), bounds.get("min", 0), bounds.get("pattern", ""), tuple(shape.enum)
        case _:
            assert shape.type_name in {"integer", "long"}
            return "number", bounds["min"], bounds["max"]


def _name(shape: Shape) -> str:
    return str(shape.name)


def ours(shape: object) -> tuple[object, ...]:
    match shape:
        case Structure():
            return "structure", dict(shape.members), shape.required
        case Many():
            return "list", shape.of, shape.least, shape.most
        case Table():
            return "map", shape.key, shape.value, shape.least, shape.most
        case Text():
            return "string", shape.most, shape.least, shape.pattern, shape.values
        case Whole():
            return "number", shape.least, shape.most
        case _:
            raise AssertionError(shape)


def reachable() -> dict[str, Any]:
    """Return every shape that a served operation's request leads to."""
    found: dict[str, Any] = {}
    waiting = [member for name in OPERATIONS for member in operation(name).input_shape.members.values()]
    while waiting:
        shape = waiting.pop()
        if shape.name in found:
            continue
        found[shape.name] = shape
        match shape:
            case StructureShape():
                waiting.extend(shape.members.values())
            case ListShape():
                waiting.append(shape.member)
            case MapShape():
                waiting.extend((shape.key, shape.value))
    return found


def test_every_operation_of_the_model_is_served() -> None:
    assert set(HANDLERS) == set(OPERATIONS) == set(MODEL.operation_names)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_request_has_the_members_of_the_model(name: str) -> None:
    assert ours(OPERATIONS[name]) == described(operation(name).input_shape)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_has_the_bounds_of_the_model(name: str) -> None:
    assert ours(SHAPES[name]) == described(MODEL.shape_for(name))


def test_the_table_holds_what_requests_need_and_nothing_else() -> None:
    assert set(SHAPES) == set(reachable())


def test_every_pattern_has_a_sentence_for_people() -> None:
    assert [
        name for name, shape in SHAPES.items() if isinstance(shape, Text) and shape.pattern and not shape.rule
    ] == []


def test_errors_have_the_status_of_the_model() -> None:
    statuses = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for name in OPERATIONS
        for shape in operation(name).error_shapes
    }
    assert {code: HTTP_STATUS.get(code, 400) for code in statuses} == statuses
    assert set(HTTP_STATUS) - SHARED <= set(statuses)


def test_requests_are_addressed_as_the_model_says() -> None:
    assert MODEL.metadata["targetPrefix"] == protocol.TARGET_PREFIX
    assert f"application/x-amz-json-{MODEL.metadata['jsonVersion']}" == protocol.CONTENT_TYPE
