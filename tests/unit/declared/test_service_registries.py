"""The annotation service-registries: ECS's shape in JSON and in the AWS CLI's shorthand, with members of ours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.declared.annotations import Reading, Request, read_annotations
from kube_registrar.declared.items import Item, Places
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.references import MAX_REFERENCES, ArnReference, LocalReference, NameReference
from kube_registrar.declared.service_registries import MEMBERS, ServiceRegistries, read_service_registries
from kube_registrar.declared.shorthand import Pairs, ShorthandError
from kube_registrar.declared.structures import parse
from kube_registrar.model import reasons
from kube_registrar.model.reasons import Reason

ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-abcd1234"
WEB = NameReference("test/web", (("", "test"),), "web")


def _places(number: int, reference: str = "registry", port: str = "port") -> Places:
    at = f"service-registries[{number}]"
    return Places(f"{at}.{reference}", f"{at}.{port}", f"{at}.attributes")


ECS = Item(ArnReference(ARN), PortRequest("web:80", "web", 80), {}, _places(0, "registryArn", "containerPort"))


@pytest.mark.parametrize(
    "text",
    [
        f'[{{"registryArn": "{ARN}", "containerName": "web", "containerPort": 80}}]',
        f'{{"registryArn": "{ARN}", "containerName": "web", "containerPort": 80}}',
        f'{{"registryArn": "{ARN}", "containerName": "web", "containerPort": "80"}}',
        f"registryArn={ARN},containerName=web,containerPort=80",
        f'\n registryArn="{ARN}", containerName=web,\n  containerPort=80\n',
    ],
)
def test_what_ecs_takes_is_taken(text: str) -> None:
    assert read_service_registries(text) == ServiceRegistries((ECS,))


@pytest.mark.parametrize(
    ("members", "item"),
    [
        ({"registryArn": ARN}, Item(ArnReference(ARN), places=_places(0, "registryArn"))),
        ({"registry": ARN, "port": 80}, Item(ArnReference(ARN), PortRequest("80", "", 80), {}, _places(0))),
        ({"registry": ARN}, Item(ArnReference(ARN), places=_places(0))),
        ({"registry": " web "}, Item(LocalReference("web"), places=_places(0))),
        ({"registry": "test/web", "port": "http"}, Item(WEB, PortRequest("http", "", "http"), {}, _places(0))),
        ({"registry": "test/web", "port": "a:80"}, Item(WEB, PortRequest("a:80", "a", 80), {}, _places(0))),
        ({"registry": "test/web", "attributes": {"a": "b, c"}}, Item(WEB, None, {"a": ("b, c",)}, _places(0))),
        ({"registry": "test/web", "attributes": 'a="b, c"'}, Item(WEB, None, {"a": ("b, c",)}, _places(0))),
        ({"registry": "test/web", "attributes": {}}, Item(WEB, places=_places(0))),
        ({"registry": "test/web", "attributes": ""}, Item(WEB, places=_places(0))),
    ],
)  # fmt: skip
def test_an_item_has_ecs_members_and_ours(members: dict[str, Any], item: Item) -> None:
    assert read_service_registries(json.dumps([members])) == ServiceRegistries((item,))


def test_shorthand_items_stand_apart_by_blanks_and_may_hold_attributes_in_braces() -> None:
    text = 'registry=test/web,port=http,attributes={stage=dev, note="a, b"}\n registry=test/web,attributes="x=1,y=2 3"'
    assert read_service_registries(text).items == (
        Item(WEB, PortRequest("http", "", "http"), {"stage": ("dev",), "note": ("a, b",)}, _places(0)),
        Item(WEB, None, {"x": ("1",), "y": ("2 3",)}, _places(1)),
    )


def test_a_wrong_item_is_told_with_its_number_and_the_others_are_read() -> None:
    found = read_service_registries(
        '[{"registry": "test/web"}, {"registry": "web", "port": []}, 5, {"registry": "//"}]'
    )
    assert found.items == (Item(WEB, places=_places(0)),)
    assert found.unreadable == (LocalReference("web"), None, None)
    fields = [one.message.partition(" is ")[0] for one in found.problems]
    at = "annotation kube-registrar.dev/service-registries"
    assert fields == [f"{at}[1].port", f"{at}[2]", f"{at}[3].registry"]


def test_everything_that_is_wrong_with_an_item_is_told_at_once() -> None:
    found = read_service_registries('{"registry": "//", "port": 0, "attributes": {"AWS_X": "1", "": "2"}, "x": 1}')
    assert [one.reason for one in found.problems] == [
        "MalformedAnnotation",
        "MalformedAnnotation",
        "InvalidPort",
        "ReservedAttribute",
        "InvalidAttribute",
    ]


@pytest.mark.parametrize(
    "twice", ['"registry": "a/b", "registry": "a/c"', f'"registry": "a/b", "registryArn": "{ARN}"']
)
def test_of_two_services_in_one_item_neither_is_meant(twice: str) -> None:
    found = read_service_registries(f"{{{twice}}}")
    assert (found.items, found.unreadable, len(found.problems)) == ((), (None,), 1)


def test_a_list_has_an_end() -> None:
    items = [{"registry": "test/web", "port": number} for number in range(1, MAX_REFERENCES + 2)]
    assert len(read_service_registries(json.dumps(items[:-1])).items) == MAX_REFERENCES
    assert len(read_service_registries(json.dumps(items)).problems) == 1


def test_port_and_attributes_beside_it_are_for_all_items() -> None:
    annotations = {"service-registries": "registry=test/web", "port": "http", "attributes": "stage=dev"}
    request = Request((Item(WEB, places=_places(0)),), PortRequest("http", "", "http"), {"stage": ("dev",)})
    assert read_annotations(annotations) == Reading(request, asks=True)


def test_a_wrong_item_beside_a_good_one_holds_and_goes_on() -> None:
    reading = read_annotations({"service-registries": "registry=test/web registry=web,port=0"})
    assert reading.request == Request((Item(WEB, places=_places(0)),), unreadable=(LocalReference("web"),))
    assert (reading.held, len(reading.problems)) == (True, 1)


@pytest.mark.parametrize("beside", [{"service": "a/b"}, {"service": ""}, {"port": "0"}, {"attributes": "x"}])
def test_what_all_items_share_must_be_right(beside: dict[str, str]) -> None:
    reading = read_annotations({"service-registries": "registry=test/web", **beside})
    assert (reading.request, reading.held, len(reading.problems)) == (None, True, 1)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        (" \n", []),
        ("a=1", [[("a", "1")]]),
        ("a=1 a=2", [[("a", "1")], [("a", "2")]]),
        ("a=1 , b=2", [[("a", "1"), ("b", "2")]]),
        ("a=,b=", [[("a", ""), ("b", "")]]),
        (r"a=b\,c,d=\\", [[("a", "b,c"), ("d", r"\\")]]),
        ("a='b c' d=e", [[("a", "b c")], [("d", "e")]]),
        ("a=x=y{z}", [[("a", "x=y{z}")]]),
        ("a={},b=1", [[("a", []), ("b", "1")]]),
        ("a={ b = }", None),
        ("a={b=c d , e='}'} f=g", [[("a", [("b", "c d"), ("e", "}")])], [("f", "g")]]),
        ("a={b={c=d}}", None),
        ("a={b=[c]}", None),
        ("a={b='c'd}", None),
        ("a={b=c,", None),
        ("a= b", None),
        ("a=1,,b=2", None),
        ("a=1,", None),
        ("a='b", None),
        ("a", None),
        ("=a", None),
        ("[1, {}]", [1, []]),
        ("{}", [[]]),
        ("[", None),
    ],
)
def test_the_shorthand_of_a_list(text: str, items: list[Any] | None) -> None:
    if items is None:
        with pytest.raises(ShorthandError):
            parse(text)
    else:
        assert list(parse(text)) == items


_SNIPPETS = st.sampled_from(
    [*MEMBERS, "=", ",", " ", "{", "}", "[", "]", '"', "'", "\\", ":", "80", ARN, "a/b", "null", "1e999", "$(", "\n"]
)


@given(st.text() | st.lists(_SNIPPETS).map("".join))
def test_no_text_raises_anything_and_every_problem_is_one_line(text: str) -> None:
    found = read_service_registries(text)
    assert found.items or found.problems
    assert bool(found.problems) >= bool(found.unreadable)
    assert all(one.message.isascii() and "\n" not in one.message for one in found.problems)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ARN, "a/b", "http", 80]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(), inner),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(MEMBERS), _JSON, max_size=4) | _JSON, min_size=1, max_size=4))
def test_no_json_raises_anything_and_every_item_is_read_or_told(items: list[Any]) -> None:
    found = read_service_registries(json.dumps(items))
    assert len(found.items) + len(found.unreadable) == len(items)
    assert bool(found.problems) == bool(found.unreadable)
    assert all(one.message.isascii() and "\n" not in one.message for one in found.problems)


_WORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
_KEYS = st.text(st.sampled_from("abcXYZ09._-/"), min_size=1, max_size=10)


@given(st.lists(st.lists(st.tuples(_KEYS, _WORDS | st.lists(st.tuples(_KEYS, _WORDS)).map(Pairs)), min_size=1)))
def test_quoted_shorthand_comes_back_as_it_was(items: list[list[tuple[str, str | Pairs]]]) -> None:
    def written(value: object) -> str:
        if isinstance(value, Pairs):
            return "{" + ",".join(f"{key}={written(one)}" for key, one in value) + "}"
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = " ".join(",".join(f"{key}={written(value)}" for key, value in item) for item in items)
    assert list(parse(text)) == items


def test_every_sentence_about_what_is_written_begins_with_its_field() -> None:
    # So a rule that is broken inside an item can be told of that place.
    sentences = [value.sentence for value in vars(reasons).values() if isinstance(value, Reason)]
    with_field = [sentence for sentence in sentences if "{field}" in sentence]
    assert len(with_field) >= 15
    assert [one for one in with_field if not one.startswith("{field} ")] == []
