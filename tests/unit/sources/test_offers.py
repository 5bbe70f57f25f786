"""What others ask of a pod: Services whose endpoint it is, RegistryServices that select it, its namespace."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.declared.annotations import read_annotations
from kube_registrar.declared.attributes import read_attributes
from kube_registrar.declared.ports import read_port
from kube_registrar.declared.specs import LabelRequirement, LabelSelector, Operator
from kube_registrar.model.records import Endpoint, KubeService, Pod, ServicePort, Slice
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef, Uid
from kube_registrar.sources.endpoints import EndpointIndex
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import DeclaredService, World

MakePod = Callable[..., Pod]
TEST = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
FLASK = ServiceRef(TEST, "flask-app")
UID = Uid("7f3c0000-0000-4000-8000-000000000001")
NAME = "flask-app-dev-7d4b9-x2x4z"
LABELS = {"app": "flask-app", "app.kubernetes.io/version": "1.0.0"}
HERE = Endpoint(("10.0.0.7",), pod=NAME, pod_uid=UID)
V6 = "2001:db8::7"


def _kube_service(name: str = "web", annotations: Mapping[str, str] | None = None, **changes: Any) -> KubeService:
    base = KubeService(
        "default", name, Uid(f"uid-of-{name}"), annotations or {}, selector={"app": "flask-app"},
        ports=(ServicePort("http", 80),), cluster_ips=("10.96.0.10",),
    )  # fmt: skip
    return replace(base, **changes)


def _slice(*endpoints: Endpoint, name: str = "web-1", **changes: Any) -> Slice:
    base = Slice("default", name, Uid(f"uid-of-{name}"), "web", endpoints, (("http", 8080), ("metrics", 9090)))
    return replace(base, **changes)


def _with(world: World, *records: KubeService | Slice) -> World:
    index = EndpointIndex()
    for record in records:
        if isinstance(record, Slice):
            index.put_slice(record)
        else:
            index.put_service(record)
    return replace(world, endpoints=index)


def _declaring(world: World, name: str, ref: ServiceRef = FLASK, **changes: Any) -> World:
    declared = {("default", name): DeclaredService(name, ref, ready=True, **changes)}
    return replace(world, declared_services={**world.declared_services, **declared})


def _of_namespace(world: World, **annotations: str) -> World:
    return replace(world, defaults={"default": read_annotations(annotations)})


def _ports(wish: Wish) -> list[tuple[str, str | None]]:
    found = [(one.service.name, one.instance.attributes.get("AWS_INSTANCE_PORT")) for one in wish.registrations]
    return sorted(found, key=str)


def _attributes(wish: Wish) -> Mapping[str, str]:
    (one,) = wish.registrations
    return one.instance.attributes


ASKING = {"service": "test-namespace/flask-app"}


# One pod, one instance, whoever asks.


@pytest.mark.parametrize("target", ["flask-app", "srv", "v4"])
def test_a_pod_asked_for_by_annotation_service_and_registry_service_is_one_registration(
    target: str, world: World, pod: MakePod
) -> None:
    ref = ServiceRef(TEST, target)
    asking = {"service": f"test-namespace/{target}"}
    everybody = _declaring(
        _with(world, _kube_service(annotations=asking), _slice(HERE)),
        "mine",
        ref,
        selector=LabelSelector(match_labels={"app": "flask-app"}),
        kube_service="web",
        port=read_port("http"),
    )
    everybody = _of_namespace(everybody, **asking, port="8080")
    alone = wish_of(pod({**asking, "port": "web:http"}, labels=LABELS), world)
    together = wish_of(pod({**asking, "port": "web:http"}, labels=LABELS), everybody)
    assert together.registrations == alone.registrations
    assert len(together.registrations) == 1
    assert (together.problems, together.held) == ((), False)


def test_a_service_asks_for_its_pods_with_the_port_that_its_slices_name(world: World, pod: MakePod) -> None:
    asking = _with(world, _kube_service(annotations=ASKING), _slice(HERE, ports=(("http", 8443),)))
    wish = wish_of(pod({}, labels=LABELS), asking)
    assert _ports(wish) == [("flask-app", "8443")]
    assert wish.registrations[0].origin.kind == "Pod"
    assert _attributes(wish)["KUBE_POD"] == NAME
    assert (wish.problems, wish.held, wish.absent_because) == ((), False, "")


@pytest.mark.parametrize("is_reversed", [False, True])
def test_dual_stack_slices_in_either_order_are_one_instance_with_both_addresses(
    is_reversed: bool, world: World, pod: MakePod
) -> None:
    slices = [_slice(HERE), _slice(replace(HERE, addresses=(V6,)), name="web-2", address_type="IPv6")]
    ordered = slices[::-1] if is_reversed else slices
    for annotations in (ASKING, {"service": "test-namespace/both"}):
        asking = _with(world, *ordered, _kube_service(annotations=annotations))
        found = _attributes(wish_of(pod({}, labels=LABELS, ips=("10.0.0.7", V6)), asking))
        assert (found["AWS_INSTANCE_IPV4"], found["AWS_INSTANCE_IPV6"]) == ("10.0.0.7", V6)


def test_one_slice_of_two_that_goes_takes_nothing_that_the_other_has(world: World, pod: MakePod) -> None:
    asking = _with(world, _kube_service(annotations=ASKING), _slice(HERE), _slice(HERE, name="web-2"))
    before = wish_of(pod({}, labels=LABELS), asking)
    assert asking.endpoints.drop_slice("default", "web-1") == {UID}
    assert wish_of(pod({}, labels=LABELS), asking) == before
    assert len(before.registrations) == 1


def test_two_services_ask_for_one_pod_each_with_its_port(world: World, pod: MakePod) -> None:
    admin = _kube_service("admin", {"service": "test-namespace/srv"}, ports=(ServicePort("metrics", 90),))
    asking = _with(
        world, _kube_service(annotations=ASKING), _slice(HERE), admin, _slice(HERE, service="admin", name="a")
    )
    assert _ports(wish_of(pod({}, labels=LABELS), asking)) == [("flask-app", "8080"), ("srv", "9090")]


def test_two_services_that_mean_one_identity_are_one_registration_with_the_attributes_of_both(
    world: World, pod: MakePod
) -> None:
    first = _kube_service(annotations={**ASKING, "attributes": "a=web,b=web"})
    second = _kube_service("other", {**ASKING, "attributes": "b=other,c=other"})
    asking = _with(world, first, second, _slice(HERE), _slice(HERE, service="other", name="o"))
    found = _attributes(wish_of(pod({}, labels=LABELS), asking))
    assert (found["a"], found["c"]) == ("web", "other")
    assert found["b"] in {"web", "other"}


# An endpoint is somebody's word.


def test_a_pod_whose_endpoint_lags_behind_its_address_waits(world: World, pod: MakePod) -> None:
    stale = _with(world, _kube_service(annotations=ASKING), _slice(replace(HERE, addresses=("10.0.0.9",))))
    for lagging in (stale, _with(world, _kube_service(annotations=ASKING))):
        wish = wish_of(pod({}, labels=LABELS), lagging)
        assert (wish.registrations, wish.problems, wish.held) == ((), (), True)
        assert wish.absent_because == "the EndpointSlices of Service web do not have the pod's address yet"
        assert wish.holds(FLASK)


@pytest.mark.parametrize(
    ("endpoint", "changes"),
    [
        (HERE, {"namespace": "other"}),
        (replace(HERE, pod_uid=Uid("another")), {}),
        (replace(HERE, pod_uid=None), {}),
        (replace(HERE, pod="another"), {}),
        (replace(HERE, addresses=("10.0.0.9",)), {}),
    ],
    ids=["namespace", "uid", "no uid", "name", "address"],
)
def test_a_forged_target_registers_nothing(
    endpoint: Endpoint, changes: dict[str, Any], world: World, pod: MakePod
) -> None:
    service = _kube_service(annotations=ASKING, selector={}, **changes)
    forged = _with(world, service, _slice(endpoint, **changes))
    assert wish_of(pod({}), forged).registrations == ()


def test_the_endpoints_own_conditions_do_not_count_but_the_pods(world: World, pod: MakePod) -> None:
    ended = replace(HERE, ready=False, serving=False, terminating=True)
    asking = _with(world, _kube_service(annotations=ASKING), _slice(ended))
    assert len(wish_of(pod({}, labels=LABELS), asking).registrations) == 1
    ready = _with(world, _kube_service(annotations=ASKING), _slice(HERE))
    unready = wish_of(pod({}, labels=LABELS, ready=False), ready)
    assert (unready.registrations, unready.unready, unready.held) == ((), frozenset({FLASK}), False)


def test_a_service_that_publishes_not_ready_addresses_wants_them(world: World, pod: MakePod) -> None:
    service = _kube_service(annotations=ASKING, publishes_not_ready=True)
    asking = _with(world, service, _slice(HERE))
    assert _ports(wish_of(pod({}, labels=LABELS, ready=False), asking)) == [("flask-app", "8080")]
    assert wish_of(pod({}, labels=LABELS, terminating=True), asking).registrations == ()


# The port of a Service.


@pytest.mark.parametrize("port", ["http", "80"])
def test_a_port_of_a_service_is_named_as_the_service_names_it(port: str, world: World, pod: MakePod) -> None:
    ports = (ServicePort("http", 80), ServicePort("metrics", 90))
    asking = _with(world, _kube_service(annotations={**ASKING, "port": port}, ports=ports), _slice(HERE))
    assert _ports(wish_of(pod({}, labels=LABELS), asking)) == [("flask-app", "8080")]


@pytest.mark.parametrize("port", ["8080", "web:http", "none", None])
def test_a_port_that_is_not_the_services_holds_its_pods_without_telling_each(
    port: str | None, world: World, pod: MakePod
) -> None:
    ports = (ServicePort("http", 80), ServicePort("metrics", 90))
    annotations = ASKING if port is None else {**ASKING, "port": port}
    wish = wish_of(
        pod({}, labels=LABELS), _with(world, _kube_service(annotations=annotations, ports=ports), _slice(HERE))
    )
    assert (wish.registrations, wish.problems, wish.held) == ((), (), True)
    assert (
        "Write one of http, metrics" in wish.absent_because or "Add it with one of http, metrics" in wish.absent_because
    )


def test_where_no_port_is_published_a_wrong_one_of_a_service_does_not_matter(world: World, pod: MakePod) -> None:
    annotations = {"service": "test-namespace/v4", "port": "none"}
    asking = _with(world, _kube_service(annotations=annotations), _slice(HERE, ports=()))
    wish = wish_of(pod({}, labels=LABELS), asking)
    assert (_ports(wish), wish.held) == ([("v4", None)], False)


def test_srv_records_need_a_port_of_a_headless_service_too(world: World, pod: MakePod) -> None:
    service = _kube_service(annotations={"service": "test-namespace/srv"}, ports=(), cluster_ips=())
    wish = wish_of(pod({}, labels=LABELS), _with(world, service, _slice(HERE, ports=())))
    assert (wish.registrations, wish.held) == ((), True)
    assert wish.absent_because == "test-namespace/srv has SRV records, which need a port, and Service web has none"
    plain = _with(world, replace(service, annotations=ASKING), _slice(HERE, ports=()))
    assert _ports(wish_of(pod({}, labels=LABELS), plain)) == [("flask-app", None)]


def test_a_service_that_publishes_itself_asks_nothing_of_its_pods(world: World, pod: MakePod) -> None:
    service = _kube_service(annotations={**ASKING, "publish": "ClusterIP"})
    wish = wish_of(pod({}, labels=LABELS), _with(world, service, _slice(HERE)))
    assert wish == Wish(absent_because="nothing asks for it")


def test_a_service_that_cannot_be_read_holds_its_pods(world: World, pod: MakePod) -> None:
    broken = _with(world, _kube_service(annotations={**ASKING, "publish": "Everything"}), _slice(HERE))
    wish = wish_of(pod({}, labels=LABELS), broken)
    assert (wish.registrations, wish.problems, wish.held) == ((), (), True)
    assert wish.absent_because == "the annotations of Service web cannot be read"


# Selectors of RegistryServices.


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        (LabelSelector(match_labels={"app": "flask-app"}), True),
        (LabelSelector(match_labels={"app": "flask-app", "tier": "web"}), False),
        (LabelSelector(match_expressions=(LabelRequirement("app", Operator.IN, ("flask-app", "x")),)), True),
        (LabelSelector(match_expressions=(LabelRequirement("app", Operator.NOT_IN, ("flask-app",)),)), False),
        (LabelSelector(match_expressions=(LabelRequirement("app", Operator.EXISTS),)), True),
        (LabelSelector(match_expressions=(LabelRequirement("tier", Operator.DOES_NOT_EXIST),)), True),
        (
            LabelSelector(
                match_labels={"app": "flask-app"}, match_expressions=(LabelRequirement("tier", Operator.EXISTS),)
            ),
            False,
        ),
        (LabelSelector(), True),
    ],
)
def test_a_selector_asks_for_the_pods_of_its_own_kubernetes_namespace(
    selector: LabelSelector, selects: bool, world: World, pod: MakePod
) -> None:
    selecting = _declaring(world, "mine", selector=selector, port=read_port("web:http"))
    wish = wish_of(pod({}, labels=LABELS), selecting)
    assert _ports(wish) == ([("flask-app", "8080")] if selects else [])
    assert wish_of(pod({}, labels=LABELS, namespace="other"), selecting).registrations == ()


def test_the_pods_own_port_counts_before_the_registry_services(world: World, pod: MakePod) -> None:
    selecting = _declaring(world, "mine", selector=LabelSelector(), port=read_port("web:http"))
    assert _ports(wish_of(pod({"port": "9090"}, labels=LABELS), selecting)) == [("flask-app", "9090")]


def test_a_registry_service_that_is_not_ready_holds_its_pods(world: World, pod: MakePod) -> None:
    waiting = replace(
        world,
        declared_services={
            ("default", "mine"): DeclaredService("mine", FLASK, ready=False, why="it is new", selector=LabelSelector())
        },
    )
    wish = wish_of(pod({}, labels=LABELS), waiting)
    assert (wish.problems, wish.held) == ((), True)
    assert wish.absent_because == "RegistryService 'mine' is not ready: it is new"


# Whose attributes count.


def test_attributes_of_the_pod_go_over_the_services_over_the_registry_services_over_the_namespaces(
    world: World, pod: MakePod
) -> None:
    templates, _ = read_attributes("a=registry,b=registry,c=registry")
    layered = _with(world, _kube_service(annotations={**ASKING, "attributes": "a=service,b=service"}), _slice(HERE))
    layered = _of_namespace(
        _declaring(layered, "mine", attributes=templates),
        attributes="a=namespace,b=namespace,c=namespace,d=namespace",
    )
    found = _attributes(wish_of(pod({"attributes": "a=pod"}, labels=LABELS), layered))
    assert [found[key] for key in "abcd"] == ["pod", "service", "registry", "namespace"]
    assert found["KUBE_ATTRIBUTES"] == "a,b,c,d"


def test_a_label_that_only_the_service_reads_is_told_of_the_service(world: World, pod: MakePod) -> None:
    service = _kube_service(annotations={**ASKING, "attributes": "tier=$(metadata.labels['tier'])"})
    wish = wish_of(pod({}, labels=LABELS), _with(world, service, _slice(HERE)))
    assert [one.message for one in wish.problems] == [
        (
            "annotation kube-registrar.dev/attributes of Service web reads label 'tier', which the pod does not have; "
            "the attribute is left out. Set it, or correct it"
        )
    ]


# Opting out.


def test_a_pod_that_opts_out_is_asked_for_by_nobody(world: World, pod: MakePod) -> None:
    asking = _declaring(_with(world, _kube_service(annotations=ASKING), _slice(HERE)), "mine", selector=LabelSelector())
    wish = wish_of(pod({"register": "false"}, labels=LABELS), asking)
    assert (wish.registrations, wish.held, wish.problems) == ((), False, ())


def test_a_service_that_opts_out_asks_for_nothing_whoever_names_it(world: World, pod: MakePod) -> None:
    service = _kube_service(annotations={**ASKING, "register": "false"})
    asking = _declaring(_with(world, service, _slice(HERE)), "mine", kube_service="web")
    assert wish_of(pod({}, labels=LABELS), asking) == Wish(absent_because="nothing asks for it")


def test_the_pods_own_word_counts_before_its_namespaces(world: World, pod: MakePod) -> None:
    out = _of_namespace(world, register="false", **ASKING, port="8080")
    assert wish_of(pod({}), out).registrations == ()
    assert _ports(wish_of(pod({"register": "true"}), out)) == [("flask-app", "8080")]


def test_a_service_that_goes_asks_for_nothing(world: World, pod: MakePod) -> None:
    going = _with(world, _kube_service(annotations=ASKING, terminating=True), _slice(HERE))
    assert wish_of(pod({}, labels=LABELS), going).registrations == ()


# The index.


def test_an_index_forgets_all_that_it_was_told(world: World) -> None:
    index = _with(world, _kube_service(), _slice(HERE), _slice(HERE, name="web-2")).endpoints
    assert index.names_pod("default", NAME)
    assert index.pods_of(("default", "web")) == {UID}
    assert [service.name for service in index.selecting("default", LABELS)] == ["web"]
    index.drop_slice("default", "web-1")
    assert index.names_pod("default", NAME)
    index.drop_slice("default", "web-2")
    index.drop_service(("default", "web"))
    assert index.drop_slice("default", "web-2") == frozenset()
    assert not index.names_pod("default", NAME)
    assert list(index.selecting("default", LABELS)) == []
    assert index == EndpointIndex()


def test_a_slice_that_changes_its_service_is_the_new_ones_only(world: World) -> None:
    index = _with(world, _slice(HERE)).endpoints
    other = Uid("other")
    assert index.put_slice(_slice(Endpoint(("10.0.0.8",), pod="b", pod_uid=other), service="api")) == {UID, other}
    assert list(index.slices_of(("default", "web"))) == []
    assert [one.name for one in index.slices_of(("default", "api"))] == ["web-1"]
