"""A pod's annotations as one request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.declared.annotations import EMPTY, KNOWN_ON_SERVICES, Publish, Reading, Request, read_annotations
from kube_registrar.declared.items import Item
from kube_registrar.declared.ports import PortRequest, read_port
from kube_registrar.declared.problems import AnnotationError
from kube_registrar.declared.references import LocalReference, NameReference
from kube_registrar.declared.templates import FORMS, PodField, TemplateError, parse

FLASK = NameReference("test-namespace/flask-app", (("", "test-namespace"),), "flask-app")


def test_the_articles_annotations() -> None:
    written = {"service": "test-namespace/flask-app", "port": "http", "attributes": "stage=dev,version=1.0.0"}
    request = Request((Item(FLASK),), PortRequest("http", "", "http"), {"stage": ("dev",), "version": ("1.0.0",)})
    assert read_annotations(written) == Reading(request, asks=True)


def test_a_service_is_enough() -> None:
    request = Request((Item(LocalReference("flask-app")),))
    assert read_annotations({"service": "flask-app"}) == Reading(request, asks=True)


@pytest.mark.parametrize("empty", ["", "  ", "{}"])
def test_empty_attributes_are_none(empty: str) -> None:
    assert read_annotations({"service": "a/b", "attributes": empty}).request == Request(
        (Item(NameReference("a/b", (("", "a"),), "b")),)
    )


def test_nothing_is_asked_without_annotations() -> None:
    assert read_annotations({}) == EMPTY
    assert not EMPTY.asks


def test_a_wrong_reference_beside_a_good_one_holds_and_goes_on() -> None:
    reading = read_annotations({"service": "test-namespace/flask-app,//"})
    assert reading.request == Request((Item(FLASK),))
    assert (reading.held, len(reading.problems)) == (True, 1)


@pytest.mark.parametrize("wrong", [{"service": "//"}, {"port": "0"}, {"attributes": "x"}, {"register": "no"}])
def test_what_all_registrations_share_must_be_right(wrong: dict[str, str]) -> None:
    reading = read_annotations({"service": "a/b", **wrong})
    assert (reading.request, reading.held, len(reading.problems)) == (None, True, 1)


def test_a_key_that_is_not_known_takes_nothing_away() -> None:
    reading = read_annotations({"service": "test-namespace/flask-app", "prot": "80"})
    assert reading.request == Request((Item(FLASK),))
    assert (reading.held, [one.reason for one in reading.problems]) == (False, ["UnknownAnnotation"])


@pytest.mark.parametrize(("written", "register"), [("true", True), (" false ", False)])
def test_the_opt_out_is_true_or_false(written: str, register: bool) -> None:
    assert read_annotations({"register": written}) == Reading(register=register)


def test_publish_is_read_on_services_only() -> None:
    written = {"service": "a/b", "publish": "ClusterIP"}
    assert read_annotations(written, of_service=True).publish is Publish.CLUSTER_IP
    on_a_pod = read_annotations(written)
    assert (on_a_pod.held, [one.reason for one in on_a_pod.problems]) == (False, ["UnknownAnnotation"])
    assert "It belongs on a Service." in on_a_pod.problems[0].message


@pytest.mark.parametrize("written", ["", "clusterip", "ClusterIp", "Everything"])
def test_what_a_service_publishes_is_one_of_five(written: str) -> None:
    reading = read_annotations({"service": "a/b", "publish": written}, of_service=True)
    assert (reading.request, reading.held, len(reading.problems)) == (None, True, 1)
    assert "Endpoints, ClusterIP, NodePort, LoadBalancer, ExternalName" in reading.problems[0].message


def test_a_port_and_attributes_alone_are_for_what_others_ask() -> None:
    reading = read_annotations({"port": "http", "attributes": "a=b"})
    assert reading.request == Request((), PortRequest("http", "", "http"), {"a": ("b",)})
    assert (reading.asks, reading.held, reading.problems, len(reading.lonely)) == (False, False, (), 1)


_KEYS = st.sampled_from([*KNOWN_ON_SERVICES, "servce"]) | st.text()
_VALUES = (
    st.text()
    | st.text("ab=,\\\"'[]{} $()/:.0-")
    | st.lists(st.sampled_from([*FORMS, "a=", '"', "{", "/", ",", ":", "$$(", "arn:", "80"])).map("".join)
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=5), st.booleans())
def test_no_annotations_raise_anything_and_every_problem_is_one_line(
    annotations: dict[str, str], of_service: bool
) -> None:
    reading = read_annotations(annotations, of_service=of_service)
    assert all(one.message.isascii() and "\n" not in one.message for one in reading.problems)
    if reading.held:
        assert reading.problems


@pytest.mark.parametrize(
    ("text", "container", "port"),
    [
        ("http", "", "http"),
        ("8080", "", 8080),
        (" 80 ", "", 80),
        ("080", "", 80),
        ("65535", "", 65535),
        ("web:http", "web", "http"),
        ("web-2:8080", "web-2", 8080),
        ("80:81", "80", 81),
        ("8080-tcp", "", "8080-tcp"),
    ],
)
def test_a_port_is_a_name_a_number_or_either_behind_a_container(text: str, container: str, port: str | int) -> None:
    assert read_port(text) == PortRequest(text.strip(), container, port)


@pytest.mark.parametrize(
    "text",
    ["", "0", "00000", "65536", "9" * 10_000, "-1", "8.0", "٣", "http x", "a--b", "-a", "a-", "x" * 16, ":80", "a:",
     "a:b:c", "a_b:80", "x" * 64 + ":80", "80-80"],
)  # fmt: skip
def test_anything_else_is_no_port(text: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_port(text)
    assert caught.value.problem.reason == "InvalidPort"
    assert len(caught.value.problem.message) <= 400


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("", ()),
        ("dev", ("dev",)),
        ("$(metadata.name)", (PodField("metadata.name"),)),
        ("a-$(spec.nodeName)-b", ("a-", PodField("spec.nodeName"), "-b")),
        (
            "$(metadata.labels['a.b/c'])$(metadata.uid)",
            (PodField("metadata.labels", "a.b/c"), PodField("metadata.uid")),
        ),
        ("$$(metadata.name)", ("$(metadata.name)",)),
        ("$$$(metadata.name)", ("$$(metadata.name)",)),
        ("cost: 5$, $$, $", ("cost: 5$, $$, $",)),
    ],
)
def test_a_value_is_text_and_fields_of_the_pod(text: str, template: tuple[str | PodField, ...]) -> None:
    assert parse(text) == template


@pytest.mark.parametrize(
    "text",
    ["$(", "$(metadata.name", "$()", "$(x)", "$(metadata.labels['a'])$(", "$(metadata.labels[''])", "$( metadata.name)",
     "$(metadata.labels)", "$(metadata.labels[a])", "$(metadata.annotations['a'])", "$(status.hostIP)"],
)  # fmt: skip
def test_a_form_that_does_not_exist_is_told(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)
