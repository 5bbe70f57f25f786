"""Requests are taken and refused as the service model says: its copy in botocore is walked, member by member.

A request that holds every member, each within its bounds, is taken whole. With one thing wrong it is refused, on the
wire, with the code and the status for that, and the sentence names the member.
"""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.cloudmap.validation import validated
from tests.wire.harness import Server, running

MODEL = ServiceModel(Loader().load_service_model("servicediscovery", "service-2"), "servicediscovery")
OPERATIONS = sorted(MODEL.operation_names)
SAMPLES = {
    "AttrKey": "stage",
    "AttrValue": "dev",
    "InstanceId": "i-1",
    "NamespaceName": "example.com",
    "NamespaceNameHttp": "example",
    "NamespaceNamePrivate": "example.local",
    "NamespaceNamePublic": "example.com",
    "ServiceName": "web",
}
"""A value for each pattern."""
UNMATCHED = "no\x07thing"
"""Matches no pattern of the model."""
ASCII = st.characters(max_codepoint=126)


class Wrong(NamedTuple):
    """A value with one thing wrong. `at`: the member that the error must name, such as `Tags[0].Key`."""

    at: str
    value: object
    code: str


def sample(shape: Shape) -> Any:
    """Return a value that is right, with every member of every structure in it."""
    bounds = shape.metadata
    match shape:
        case StructureShape():
            return {name: sample(member) for name, member in shape.members.items()}
        case ListShape():
            return [sample(shape.member)]
        case MapShape():
            return {sample(shape.key): sample(shape.value)}
        case StringShape():
            if shape.enum:
                return shape.enum[0]
            return SAMPLES[shape.name] if "pattern" in bounds else "1" * max(bounds.get("min", 0), 1)
        case _:
            return bounds["min"]


def wrongs(shape: Shape, at: str = "") -> Iterator[Wrong]:
    """Yield every way in which a value can be wrong once."""
    match shape:
        case StructureShape():
            yield from wrong_structures(shape, at)
        case ListShape() | MapShape():
            yield from wrong_collections(shape, at)
        case StringShape():
            yield Wrong(at, 7, "SerializationException")
            yield from wrong_texts(shape, at)
        case _:
            yield Wrong(at, "1", "SerializationException")
            yield Wrong(at, shape.metadata["min"] - 1, "InvalidInput")
            yield Wrong(at, shape.metadata["max"] + 1, "InvalidInput")


def wrong_structures(shape: StructureShape, at: str) -> Iterator[Wrong]:
    right = sample(shape)
    if at:
        yield Wrong(at, [], "SerializationException")
    for name in shape.required_members:
        yield Wrong(f"{at}.{name}".lstrip("."), {key: right[key] for key in right if key != name}, "InvalidInput")
    for name, member in shape.members.items():
        for wrong in wrongs(member, f"{at}.{name}".lstrip(".")):
            yield wrong._replace(value={**right, name: wrong.value})


def wrong_collections(shape: ListShape | MapShape, at: str) -> Iterator[Wrong]:
    is_list, bounds = isinstance(shape, ListShape), shape.metadata
    yield Wrong(at, {} if is_list else [], "SerializationException")
    if bounds.get("min"):
        yield Wrong(at, [] if is_list else {}, "InvalidInput")
    if isinstance(shape, ListShape):
        if "max" in bounds:
            yield Wrong(at, [sample(shape.member)] * (bounds["max"] + 1), "InvalidInput")
        for wrong in wrongs(shape.member, f"{at}[0]"):
            yield wrong._replace(value=[wrong.value])
        return
    if "max" in bounds:
        yield Wrong(at, {f"k{number}": sample(shape.value) for number in range(bounds["max"] + 1)}, "InvalidInput")
    key = sample(shape.key)
    for wrong in wrong_texts(shape.key, f"{at} key"):
        yield wrong._replace(value={wrong.value: sample(shape.value)})
    for wrong in wrongs(shape.value, f"{at}[{key}]"):
        yield wrong._replace(value={key: wrong.value})


def wrong_texts(shape: Any, at: str) -> Iterator[Wrong]:
    bounds = shape.metadata
    if shape.enum:
        yield Wrong(at, "NONE_OF_THEM", "InvalidInput")
        return
    if bounds.get("min"):
        yield Wrong(at, "1" * (bounds["min"] - 1), "InvalidInput")
    if "max" in bounds:
        yield Wrong(at, "1" * (bounds["max"] + 1), "InvalidInput")
    if "pattern" in bounds:
        yield Wrong(at, UNMATCHED, "InvalidInput")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("model")
    with running(folder) as server:
        yield server


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_thing_that_is_wrong_is_refused_by_name(server: Server, operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    found = list(wrongs(shape))
    for wrong in found:
        assert isinstance(wrong.value, dict)
        answer = server.call(operation, **wrong.value)
        assert (answer.status, answer.body["__type"]) == (400, wrong.code), wrong
        message = answer.body.get("Message") or answer.body["message"]
        assert message.startswith((f"{wrong.at} is ", f"{wrong.at} has ")), (wrong, message)
    assert len(found) >= len(shape.members)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_with_every_member_within_its_bounds_is_taken_whole(operation: str) -> None:
    right = sample(MODEL.operation_model(operation).input_shape)
    assert validated(operation, copy.deepcopy(right)) == right


def test_the_walk_finds_what_is_wrong_of_every_kind() -> None:
    found = [wrong for name in OPERATIONS for wrong in wrongs(MODEL.operation_model(name).input_shape)]
    assert len(found) > 400
    assert {wrong.code for wrong in found} == {"InvalidInput", "SerializationException"}
    assert all(re.fullmatch(MODEL.shape_for(name).metadata["pattern"], UNMATCHED) is None for name in SAMPLES)
    patterned = {name for name in MODEL.shape_names if "pattern" in MODEL.shape_for(name).metadata}
    assert set(SAMPLES) == patterned


def right_values(shape: Shape) -> st.SearchStrategy[Any]:
    """Return all values that are right, as far as they stay small."""
    bounds = shape.metadata
    match shape:
        case StructureShape():
            fitting = {name: right_values(member) for name, member in shape.members.items()}
            required = {name: fitting.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(required, optional=fitting)
        case ListShape():
            return st.lists(right_values(shape.member), min_size=bounds.get("min", 0), max_size=3)
        case MapShape():
            keys, values = right_values(shape.key), right_values(shape.value)
            return st.dictionaries(keys, values, min_size=bounds.get("min", 0), max_size=3)
        case StringShape():
            return right_texts(shape)
        case _:
            return st.integers(bounds["min"], bounds["max"])


def right_texts(shape: StringShape) -> st.SearchStrategy[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if shape.enum:
        return st.sampled_from(shape.enum)
    if "pattern" not in shape.metadata:
        return st.text(min_size=least, max_size=min(most or 20, 20))
    pattern = re.compile(shape.metadata["pattern"])
    texts = st.from_regex(pattern, fullmatch=True, alphabet=ASCII)
    return texts.filter(lambda text: pattern.fullmatch(text) is not None and (most is None or len(text) <= most))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_right_is_taken(operation: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(right_values(MODEL.operation_model(operation).input_shape))
    def taken(request: dict[str, Any]) -> None:
        assert validated(operation, request) == request

    taken()
