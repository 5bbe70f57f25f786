"""What a Service wants that stands for no pod, and what is wrong with what it asks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.declared.annotations import read_annotations
from kube_registrar.declared.attributes import read_attributes
from kube_registrar.declared.ports import read_port
from kube_registrar.model import attributes as keys
from kube_registrar.model.identity import instance_id, is_own, origin_of
from kube_registrar.model.instances import Health, Registration
from kube_registrar.model.records import Endpoint, KubeService, Node, ServicePort, Slice
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, Origin, ServiceRef, Uid
from kube_registrar.model.specs import DnsRecord, DnsSettings, HealthCheckType, RecordType, RoutingPolicy, ServiceSpec
from kube_registrar.sources.endpoints import EndpointIndex
from kube_registrar.sources.pods import MAX_PROBLEMS
from kube_registrar.sources.published import problems_of_namespace, wish_of_service
from kube_registrar.sources.wishes import LackKind, Wish
from kube_registrar.sources.world import DeclaredService, World

TEST = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
FLASK = ServiceRef(TEST, "flask-app")
ASKING = {"service": "test-namespace/flask-app"}
V6 = "2001:db8::9"
WEIGHTED = ServiceSpec(
    ServiceRef(TEST, "weighted"),
    dns=DnsSettings((DnsRecord(RecordType.A), DnsRecord(RecordType.AAAA)), RoutingPolicy.WEIGHTED),
)


def _asking(service: str = "flask-app", **others: str) -> dict[str, str]:
    return {"service": f"test-namespace/{service}", **others}


def _kube_service(annotations: Mapping[str, str] | None = None, **changes: Any) -> KubeService:
    base = KubeService(
        "default", "db", Uid("uid-of-db"), ASKING if annotations is None else annotations,
        ports=(ServicePort("sql", 5432, node_port=30_432),), cluster_ips=("10.96.0.10",),
    )  # fmt: skip
    return replace(base, **changes)


def _slice(*endpoints: Endpoint | str, name: str = "db-1", **changes: Any) -> Slice:
    made = tuple(Endpoint((each,)) if isinstance(each, str) else each for each in endpoints)
    base = Slice("default", name, Uid(f"uid-of-{name}"), "db", made, (("sql", 15_432),))
    return replace(base, **changes)


class _Nobody(dict[str, str]):
    """Every address was looked up, and no pod has it."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, "")


def _with(world: World, *slices: Slice, **changes: Any) -> World:
    """Return the world with these slices, where the test namespace takes machines."""
    index = EndpointIndex()
    for each in slices:
        index.put_slice(each)
    consenting = {
        ref: tuple(replace(one, allows_machines=ref == TEST) for one in declared)
        for ref, declared in world.declared_namespaces.items()
    }
    services = {**world.services, WEIGHTED.ref: WEIGHTED}
    base = replace(world, endpoints=index, declared_namespaces=consenting, pod_addresses=_Nobody(), services=services)
    return replace(base, **changes)


def _places(wish: Wish) -> list[dict[str, str]]:
    """Return the AWS attributes of all registrations."""
    found = [
        {key.removeprefix("AWS_"): value for key, value in one.instance.attributes.items() if key.startswith("AWS_")}
        for one in wish.registrations
    ]
    return sorted(found, key=str)


def _messages(wish: Wish) -> list[str]:
    return [one.message for one in wish.problems]


def _only(wish: Wish) -> Registration:
    (one,) = wish.registrations
    return one


# Machines: endpoints without a pod.


def test_a_machine_is_one_instance_with_the_services_attributes(world: World) -> None:
    endpoint = Endpoint(("10.1.0.4",), zone="eu-west-1b", node="node-1")
    node = Node("node-1", Uid("n"), {"topology.kubernetes.io/zone": "x", "topology.kubernetes.io/region": "eu-west-1"})
    known = _with(world, _slice(endpoint), nodes={"node-1": node})
    service = _kube_service({**ASKING, "attributes": "stage=dev"})
    wish = wish_of_service(service, known)
    one = _only(wish)
    assert (one.service, one.origin, one.optional) == (FLASK, service.origin, False)
    assert one.instance.attributes == {
        "AWS_INSTANCE_IPV4": "10.1.0.4",
        "AWS_INSTANCE_PORT": "15432",
        "AVAILABILITY_ZONE": "eu-west-1b",
        "REGION": "eu-west-1",
        "KUBE_CLUSTER": "prod",
        "KUBE_CLUSTER_UID": world.cluster_uid,
        "KUBE_NAMESPACE": "default",
        "KUBE_SERVICE": "db",
        "KUBE_SERVICE_UID": "uid-of-db",
        "KUBE_ATTRIBUTES": "stage",
        "stage": "dev",
    }
    assert one.instance.id == instance_id(world.cluster_uid, Uid("uid-of-db/10.1.0.4"), FLASK, 15_432, "db")
    assert wish == Wish((one,), settled=frozenset({FLASK}), addresses_to_check=frozenset({"10.1.0.4"}))
    assert wish.settled_ids == {one.instance.id}
    assert is_own(one.instance.attributes, world.cluster_uid)
    assert origin_of(one.instance.attributes) == Origin("Service", "default", "db", Uid("uid-of-db"))


def test_a_pods_endpoint_is_never_the_services(world: World) -> None:
    pods = [Endpoint(("10.0.0.7",), pod="web-1", pod_uid=Uid("p")), Endpoint(("10.0.0.8",), pod="forged", pod_uid=None)]
    wish = wish_of_service(_kube_service(selector={"app": "db"}), _with(world, _slice(*pods)))
    assert wish == Wish(settled=frozenset({FLASK}))


def test_all_slices_together_are_what_there_is_and_one_that_goes_takes_its_own_only(world: World) -> None:
    slices = [_slice(f"10.1.{n}.1", "10.1.99.1", name=f"db-{n}") for n in range(20)]
    known = _with(world, *slices, _slice(V6, name="six", address_type="IPv6"))
    before = wish_of_service(_kube_service(), known)
    assert len(before.registrations) == 22
    known.endpoints.drop_slice("default", "db-7")
    after = wish_of_service(_kube_service(), known)
    (gone,) = set(before.settled_ids) - set(after.settled_ids)
    assert {one.instance.id for one in before.registrations if one.instance.attributes[keys.PORT]} - {gone} == {
        one.instance.id for one in after.registrations
    }
    assert (after.held, after.problems) == (False, ())


@pytest.mark.parametrize(
    ("conditions", "changes", "is_registered"),
    [
        ({}, {}, True),
        ({"serving": False}, {}, True),
        ({"ready": False}, {}, False),
        ({"ready": False, "serving": True}, {}, False),
        ({"ready": False}, {"publishes_not_ready": True}, True),
        ({"terminating": True}, {}, False),
        ({"terminating": True}, {"publishes_not_ready": True}, False),
    ],
)
def test_ready_machines_are_registered_and_none_that_ends(
    conditions: dict[str, Any], changes: dict[str, Any], is_registered: bool, world: World
) -> None:
    known = _with(world, _slice(Endpoint(("10.1.0.4",), **conditions)))
    wish = wish_of_service(_kube_service(**changes), known)
    assert bool(wish.registrations) is is_registered
    assert (len(wish.settled_ids), wish.held) == (1, False)
    assert (not wish.lacks) is is_registered
    assert wish.absent_because == ("" if is_registered else "nothing that it publishes can be registered now")


def test_of_two_endpoints_with_one_address_a_ready_one_is_enough(world: World) -> None:
    ended, ready = Endpoint(("10.1.0.4",), terminating=True), Endpoint(("10.1.0.4",))
    unready = Endpoint(("10.1.0.4",), ready=False)
    for order in ([ended, ready, unready], [unready, ready, ended], [ready, ended, unready]):
        known = _with(world, *(_slice(each, name=f"db-{n}") for n, each in enumerate(order)))
        assert len(wish_of_service(_kube_service(), known).registrations) == 1


def test_named_target_ports_are_those_of_each_slice(world: World) -> None:
    slices = (
        _slice("10.1.0.4", ports=(("sql", 1), ("admin", 2))),
        _slice("10.1.0.5", name="db-2", ports=(("sql", 3),)),
    )
    ports = (ServicePort("sql", 5432), ServicePort("admin", 80))
    wish = wish_of_service(_kube_service(_asking(port="sql"), ports=ports), _with(world, *slices))
    assert _places(wish) == [
        {"INSTANCE_IPV4": "10.1.0.4", "INSTANCE_PORT": "1"},
        {"INSTANCE_IPV4": "10.1.0.5", "INSTANCE_PORT": "3"},
    ]
    by_number = wish_of_service(_kube_service(_asking(port="5432"), ports=ports), _with(world, *slices))
    assert by_number == wish


def test_a_slice_without_the_port_is_told_and_the_others_go_on(world: World) -> None:
    slices = (_slice("10.1.0.4"), _slice("10.1.0.5", name="db-2", ports=(("mysql", 3),)))
    wish = wish_of_service(_kube_service(), _with(world, *slices))
    assert _places(wish) == [{"INSTANCE_IPV4": "10.1.0.4", "INSTANCE_PORT": "15432"}]
    assert _messages(wish) == [
        (
            "port 'sql' of EndpointSlice db-2 is absent: its endpoints are to be registered with that port of Service "
            "db. Add it with a number, or ask for another port in kube-registrar.dev/port"
        )
    ]
    assert (wish.held, wish.settled) == (True, frozenset())
    assert not wish.holds(FLASK, _only(wish).instance.id)


def test_a_port_that_no_slice_has_is_told_of_the_service_of_pods_too(world: World) -> None:
    pod = Endpoint(("10.0.0.7",), pod="db-0", pod_uid=Uid("p"))
    service = _kube_service(selector={"app": "db"})
    wish = wish_of_service(service, _with(world, _slice(pod, ports=())))
    assert ([one.reason for one in wish.problems], wish.held) == (["InvalidPort"], True)
    assert wish_of_service(service, _with(world, _slice(pod), _slice(pod, name="db-2", ports=()))).problems == ()
    assert wish_of_service(service, _with(world, _slice(ports=()))).problems == ()


def test_of_both_families_a_registry_service_shows_what_its_records_can(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"), _slice(V6, name="six", address_type="IPv6"))
    for service, expected in (
        ("v4", [{"INSTANCE_IPV4": "10.1.0.4"}]),
        ("v6", [{"INSTANCE_IPV6": V6}]),
        (
            "srv",
            [
                {"INSTANCE_IPV4": "10.1.0.4", "INSTANCE_PORT": "15432"},
                {"INSTANCE_IPV6": V6, "INSTANCE_PORT": "15432"},
            ],
        ),
    ):
        wish = wish_of_service(_kube_service(_asking(service)), known)
        assert (_places(wish), wish.problems, wish.held) == (expected, (), False)


def test_records_that_no_address_has_are_told_once(world: World) -> None:
    known = _with(world, _slice("10.1.0.4", "10.1.0.5"), _slice(V6, name="six", address_type="IPv6"))
    wish = wish_of_service(_kube_service(_asking("both")), known)
    assert (wish.registrations, wish.held) == ((), True)
    assert _messages(wish) == [
        (
            "annotation kube-registrar.dev/service names 'test-namespace/both', which needs an IPv6 address for its "
            "AAAA record, but Service db has only 10.1.0.4. Use a registry service with other records, or give "
            "Service db such an address"
        )
    ]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("flask-app", [{"INSTANCE_CNAME": "db.example.com", "INSTANCE_PORT": "15432"}]),
        ("alias", [{"INSTANCE_CNAME": "db.example.com"}]),
        ("v4", []),
        ("srv", []),
        ("weighted", []),
    ],
)
def test_a_slice_of_host_names_needs_records_that_show_one(
    service: str, expected: list[dict[str, str]], world: World
) -> None:
    known = _with(world, _slice("DB.example.com.", address_type="FQDN"))
    wish = wish_of_service(_kube_service(_asking(service)), known)
    assert _places(wish) == expected
    assert [one.reason for one in wish.problems] == ([] if expected else ["MissingAddress"])
    assert wish.addresses_to_check == frozenset()


def test_machines_of_a_service_with_custom_health_say_how_they_are(world: World) -> None:
    known = _with(
        world, _slice("10.1.0.4", Endpoint(("10.1.0.5",), ready=False), Endpoint(("10.1.0.6",), terminating=True))
    )
    service = _kube_service(_asking("checked"))
    one = _only(wish_of_service(service, known))
    assert (one.instance.health, one.instance.attributes[keys.INIT_HEALTH]) == (Health.HEALTHY, "HEALTHY")
    marking = DeclaredService("marking", ServiceRef(TEST, "checked"), ready=True, marks_unhealthy=True)
    marked = wish_of_service(service, replace(known, declared_services={("default", "marking"): marking}))
    assert [(r.instance.attributes[keys.IPV4], r.instance.health, r.optional) for r in marked.registrations] == [
        ("10.1.0.4", Health.HEALTHY, False),
        ("10.1.0.5", Health.UNHEALTHY, True),
    ]


def test_a_service_of_machines_without_any_says_so(world: World) -> None:
    wish = wish_of_service(_kube_service(), _with(world))
    assert (wish.registrations, wish.held, wish.lacks) == ((), False, ())
    assert wish.absent_because == "the EndpointSlices of Service db have no address"


# Guards: who writes an EndpointSlice may write any address.


def test_machines_need_consent_in_the_registry_namespace(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"))
    refused = replace(known, declared_namespaces=world.declared_namespaces)
    wish = wish_of_service(_kube_service(), refused)
    assert (wish.registrations, wish.held, wish.addresses_to_check) == ((), True, frozenset())
    assert _messages(wish) == [
        (
            "annotation kube-registrar.dev/service names 'test-namespace/flask-app', but RegistryNamespace "
            "'test-namespace' does not allow Kubernetes namespace 'default' to register what is no pod. Ask for "
            "spec.allowEndpointsWithoutPods, or use another registry namespace"
        )
    ]
    assert wish.holds(FLASK), "what is there stays, as where a namespace is not allowed any more"


def test_the_object_that_consents_must_be_one_that_allows_the_kubernetes_namespace(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"))
    (all_,), team = known.declared_namespaces[TEST], NamespaceRef(DEFAULT_REGISTRY, "team-namespace")
    (selecting,) = known.declared_namespaces[team]
    pods_only, friends = replace(all_, allows_machines=False), replace(selecting, ref=TEST, allows_machines=True)

    def wish(namespace: str) -> Wish:
        both = replace(known, declared_namespaces={**known.declared_namespaces, TEST: (pods_only, friends)})
        index = both.endpoints
        index.put_slice(_slice("10.1.0.4", namespace=namespace))
        return wish_of_service(_kube_service(namespace=namespace), both)

    assert [one.reason for one in wish("default").problems] == ["EndpointsNotAllowed"]
    assert len(wish("web").registrations) == 1
    nobody = replace(known, declared_namespaces={**known.declared_namespaces, TEST: (pods_only,)}, kube_namespaces={})
    assert [one.reason for one in wish_of_service(_kube_service(), nobody).problems] == ["EndpointsNotAllowed"]
    unread = wish("new")
    assert (unread.problems, unread.held) == ((), True)
    assert unread.absent_because == "the labels of Kubernetes namespace 'new' have not been read yet"


def test_an_undeclared_namespace_takes_machines_where_the_operator_lets_it_be_used(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"), allow_undeclared=True)
    assert len(wish_of_service(_kube_service({"service": "undeclared/free"}), known).registrations) == 1


FORBIDDEN = [
    *("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0"),
    *("224.0.0.1", "ff02::1", "255.255.255.255", "0.1.2.3", "168.63.129.16", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::169.254.169.254", "::127.0.0.1"),
    *("2002:7f00:1::", "010.0.0.1", "10.0.0", "0x7f000001", "", "a" * 300, "db.example.com", "10.0.0.1\n"),
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_never_registered_is_told_and_the_others_go_on(address: str, world: World) -> None:
    wish = wish_of_service(_kube_service(), _with(world, _slice(address, "10.1.0.4", V6)))
    assert [each.get("INSTANCE_IPV4", V6) for each in _places(wish)] == ["10.1.0.4", V6]
    assert [one.reason for one in wish.problems] == ["AddressNotAllowed"]
    assert _messages(wish)[0].startswith("EndpointSlice db-1 has address '")
    assert wish.held is False


def test_the_message_names_the_address_and_the_rule(world: World) -> None:
    wish = wish_of_service(_kube_service(), _with(world, _slice("169.254.169.254")))
    assert _messages(wish) == [
        (
            "EndpointSlice db-1 has address '169.254.169.254': a link-local address is never registered. "
            "Correct it, or take it out"
        )
    ]


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost.", "127.1", "10.0.0.1", "0x7f.1", "a..b", "-a.b", "a b", "é.example"]
)
def test_a_host_name_that_means_the_client_itself_or_nothing_is_refused(host: str, world: World) -> None:
    wish = wish_of_service(_kube_service(), _with(world, _slice(host, address_type="FQDN")))
    assert [one.reason for one in wish.problems] == ["AddressNotAllowed"]
    assert wish.registrations == ()


def test_an_address_is_written_in_one_form_and_is_one_identity(world: World) -> None:
    known = _with(world, _slice("2001:DB8:0::9"), _slice(V6, name="db-2"))
    assert _only(wish_of_service(_kube_service(), known)).instance.attributes[keys.IPV6] == V6


@pytest.mark.parametrize(("holder", "whose"), [("other", "another"), ("default", "this")])
def test_an_address_of_a_pod_is_told_and_goes(holder: str, whose: str, world: World) -> None:
    known = _with(world, _slice("10.1.0.4", "10.1.0.5"), pod_addresses={"10.1.0.4": holder, "10.1.0.5": ""})
    wish = wish_of_service(_kube_service(), known)
    assert _places(wish) == [{"INSTANCE_IPV4": "10.1.0.5", "INSTANCE_PORT": "15432"}]
    assert _messages(wish) == [
        (
            f"EndpointSlice db-1 has address '10.1.0.4': a pod of {whose} Kubernetes namespace has it, and a pod is "
            "registered as such only. Correct it, or take it out"
        )
    ]
    forged = instance_id(world.cluster_uid, Uid("uid-of-db/10.1.0.4"), FLASK, 15_432, "db")
    assert forged in wish.settled_ids, "it is certain that this one must not be there"


def test_an_address_that_was_not_looked_up_is_kept_and_not_made(world: World) -> None:
    known = _with(world, _slice("10.1.0.4", "10.1.0.5"), pod_addresses={"10.1.0.4": ""})
    wish = wish_of_service(_kube_service(), known)
    assert {r.instance.attributes[keys.IPV4]: r.optional for r in wish.registrations} == {
        "10.1.0.4": False,
        "10.1.0.5": True,
    }
    assert (wish.addresses_to_check, wish.held) == (frozenset({"10.1.0.4", "10.1.0.5"}), False)
    assert wish.absent_because == "it is not known yet whether pods have some of its addresses"


# What a Service publishes of itself.


BALANCER = {"type": "LoadBalancer", "ingress": ("lb.example.com",)}
ADDRESSED = {"type": "LoadBalancer", "ingress": ("192.0.2.1", V6)}
EXTERNAL: dict[str, Any] = {"type": "ExternalName", "external_name": "db.example.com", "cluster_ips": ()}
IPV4, PORT = {"INSTANCE_IPV4": "10.96.0.10"}, {"INSTANCE_PORT": "5432"}
BOTH = {"INSTANCE_IPV4": "192.0.2.1", "INSTANCE_IPV6": V6}
NODE = {"INSTANCE_IPV4": "10.9.0.1"}
CNAME = {"INSTANCE_CNAME": "lb.example.com"}


@pytest.mark.parametrize(
    ("publish", "changes", "service", "expected"),
    [
        ("ClusterIP", {}, "flask-app", {**IPV4, **PORT}),
        ("ClusterIP", {}, "v4", IPV4),
        ("ClusterIP", {}, "srv", {**IPV4, **PORT}),
        ("ClusterIP", {}, "weighted", None),
        ("ClusterIP", {"cluster_ips": ("192.0.2.1", V6)}, "weighted", BOTH),
        ("ClusterIP", {"cluster_ips": ("192.0.2.1", V6)}, "srv", {**BOTH, **PORT}),
        ("ClusterIP", {}, "alias", None),
        ("NodePort", {"type": "NodePort"}, "flask-app", {**NODE, "INSTANCE_PORT": "30432"}),
        ("NodePort", {"type": "LoadBalancer"}, "srv", {**NODE, "INSTANCE_PORT": "30432"}),
        ("NodePort", {"type": "NodePort"}, "v4", NODE),
        ("NodePort", {"type": "NodePort"}, "both", None),
        ("NodePort", {"type": "NodePort"}, "alias", None),
        ("LoadBalancer", BALANCER, "flask-app", {**CNAME, **PORT}),
        ("LoadBalancer", BALANCER, "alias", CNAME),
        ("LoadBalancer", BALANCER, "weighted", {"ALIAS_DNS_NAME": "lb.example.com"}),
        ("LoadBalancer", BALANCER, "v4", None),
        ("LoadBalancer", BALANCER, "srv", None),
        ("LoadBalancer", ADDRESSED, "flask-app", {**BOTH, **PORT}),
        ("LoadBalancer", ADDRESSED, "srv", {**BOTH, **PORT}),
        ("LoadBalancer", ADDRESSED, "weighted", BOTH),
        ("LoadBalancer", ADDRESSED, "alias", None),
        ("ExternalName", EXTERNAL, "flask-app", {"INSTANCE_CNAME": "db.example.com", **PORT}),
        ("ExternalName", EXTERNAL, "alias", {"INSTANCE_CNAME": "db.example.com"}),
        ("ExternalName", EXTERNAL, "v4", None),
        ("ExternalName", EXTERNAL, "weighted", None),
        ("ExternalName", EXTERNAL, "srv", None),
    ],
)
def test_what_a_service_publishes_of_itself_is_shown_as_the_records_can(
    publish: str, changes: dict[str, Any], service: str, expected: dict[str, str] | None, world: World
) -> None:
    known = _with(world, nodes={"n": Node("n", Uid("n"), addresses=("10.9.0.1",))})
    wish = wish_of_service(_kube_service(_asking(service, publish=publish), **changes), known)
    assert _places(wish) == ([] if expected is None else [expected])
    assert [one.reason for one in wish.problems] == ([] if expected else ["MissingAddress"])
    assert wish.held is (expected is None)


@pytest.mark.parametrize(
    ("publish", "changes", "message"),
    [
        (
            "ClusterIP",
            {"cluster_ips": ()},
            "'ClusterIP': Service db has no cluster IP. Write Endpoints, or give the Service one",
        ),
        (
            "NodePort",
            {},
            (
                "'NodePort': Service db has no node port for its port 5432. "
                "Make it one of type NodePort, or write ClusterIP"
            ),
        ),
        (
            "NodePort",
            {"type": "LoadBalancer", "ports": (ServicePort("sql", 5432),)},
            (
                "'NodePort': Service db has no node port for its port 5432. "
                "Make it one of type NodePort, or write ClusterIP"
            ),
        ),
        (
            "LoadBalancer",
            {},
            "'LoadBalancer': Service db is of type ClusterIP. Make it one of type LoadBalancer, or write ClusterIP",
        ),
        (
            "ExternalName",
            {},
            "'ExternalName': Service db is of type ClusterIP. Make it one of type ExternalName, or write Endpoints",
        ),
    ],
)
def test_what_a_service_does_not_have_cannot_be_published(
    publish: str, changes: dict[str, Any], message: str, world: World
) -> None:
    wish = wish_of_service(_kube_service(_asking(publish=publish), **changes), _with(world))
    assert _messages(wish) == [f"annotation kube-registrar.dev/publish is {message}"]
    assert (wish.problems[0].reason, wish.registrations, wish.held) == ("InvalidPublish", (), True)


def test_an_external_name_that_publishes_its_endpoints_is_told_to_say_so(world: World) -> None:
    wish = wish_of_service(_kube_service(**EXTERNAL), _with(world))
    assert _messages(wish) == [
        (
            "annotation kube-registrar.dev/publish is absent: Service db is of type ExternalName, which has no "
            "endpoints. Write ExternalName"
        )
    ]


def test_external_names_need_consent_and_what_kubernetes_gives_needs_none(world: World) -> None:
    known = replace(
        _with(world, nodes={"n": Node("n", Uid("n"), addresses=("10.9.0.1",))}),
        declared_namespaces=world.declared_namespaces,
    )
    external = wish_of_service(_kube_service(_asking(publish="ExternalName"), **EXTERNAL), known)
    assert [one.reason for one in external.problems] == ["EndpointsNotAllowed"]
    own: list[tuple[str, dict[str, Any]]] = [
        ("ClusterIP", {}),
        ("NodePort", {"type": "NodePort"}),
        ("LoadBalancer", BALANCER),
    ]
    for publish, changes in own:
        assert len(wish_of_service(_kube_service(_asking(publish=publish), **changes), known).registrations) == 1


def test_no_alias_leads_to_a_name_where_health_is_told(world: World) -> None:
    checked = replace(WEIGHTED, health_check=HealthCheckType.CUSTOM)
    known = _with(world)
    known = replace(known, services={**known.services, checked.ref: checked})
    wish = wish_of_service(_kube_service(_asking("weighted", publish="LoadBalancer"), **BALANCER), known)
    assert wish.registrations == ()
    assert _messages(wish)[0].endswith(
        "which needs an IP address for its A and AAAA records, but Service db has only the host name 'lb.example.com'. "
        "Use a registry service with CNAME records, or one with A or AAAA records, weighted routing and no custom "
        "health check"
    )


def test_a_load_balancer_without_an_address_yet_is_waited_for_in_silence(world: World) -> None:
    wish = wish_of_service(_kube_service(_asking(publish="LoadBalancer"), type="LoadBalancer"), _with(world))
    assert (wish.registrations, wish.problems, wish.held, wish.lacks) == ((), (), False, ())
    assert wish.absent_because == "its load balancer has no address yet"


def test_several_addresses_of_a_load_balancer_are_an_instance_each(world: World) -> None:
    service = _kube_service(
        _asking(publish="LoadBalancer"), type="LoadBalancer", ingress=("192.0.2.1", "192.0.2.2", V6, "127.0.0.1")
    )
    wish = wish_of_service(service, _with(world))
    assert len(wish.registrations) == 3
    assert _messages(wish) == [
        (
            "status.loadBalancer of Service db has address '127.0.0.1': a loopback address is never registered. "
            "Correct it, or take it out"
        )
    ]


def _nodes() -> dict[str, Node]:
    excluded = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    found = [
        Node("good", Uid("1"), {"topology.kubernetes.io/zone": "a"}, ("10.9.0.1", "2001:db8::1")),
        Node("unready", Uid("2"), addresses=("10.9.0.2",), ready=False),
        Node("lost", Uid("3"), addresses=("10.9.0.3",), reachable=False),
        Node("excluded", Uid("4"), excluded, ("10.9.0.4",)),
        Node("bare", Uid("5")),
        Node("local", Uid("6"), addresses=("10.9.0.6",)),
    ]
    return {one.name: one for one in found}


def test_usable_nodes_are_an_instance_each_with_all_their_addresses(world: World) -> None:
    service = _kube_service(_asking(publish="NodePort"), type="NodePort")
    wish = wish_of_service(service, _with(world, nodes=_nodes()))
    assert _places(wish) == [
        {"INSTANCE_IPV4": "10.9.0.1", "INSTANCE_IPV6": "2001:db8::1", "INSTANCE_PORT": "30432"},
        {"INSTANCE_IPV4": "10.9.0.6", "INSTANCE_PORT": "30432"},
    ]
    assert [r.instance.attributes.get("AVAILABILITY_ZONE") for r in wish.registrations] == ["a", None]
    assert (wish.problems, wish.held) == ((), False)


def test_where_traffic_stays_local_only_nodes_with_a_ready_endpoint_answer(world: World) -> None:
    def pod(node: str, **changes: Any) -> Endpoint:
        return Endpoint(("10.0.0.7",), pod="p", pod_uid=Uid("p"), node=node, **changes)

    service = _kube_service(_asking(publish="NodePort"), type="NodePort", local_only=True)
    known = _with(world, _slice(pod("local")), _slice(pod("good", ready=False), name="db-2"), nodes=_nodes())
    assert _places(wish_of_service(service, known)) == [{"INSTANCE_IPV4": "10.9.0.6", "INSTANCE_PORT": "30432"}]


def test_of_each_node_that_cannot_serve_it_is_said_whether_it_says_so_itself(world: World) -> None:
    def lacks(service: KubeService, *slices: Slice) -> list[tuple[LackKind, str]]:
        wish = wish_of_service(service, _with(world, *slices, nodes=_nodes()))
        assert {instance_id for instance_id, _ in wish.lacks} <= wish.missing_ids
        return [(lack.kind, lack.why) for _, lack in wish.lacks]

    service = _kube_service(_asking(publish="NodePort"), type="NodePort")
    lost = (LackKind.UNREACHABLE, "its node lost is unreachable")
    unready = (LackKind.NOT_READY, "its node unready is not ready")
    assert lacks(service) == [lost, unready], "the excluded one is not wanted, which is no lack"
    here = Endpoint(("10.0.0.7",), pod="p", pod_uid=Uid("p"), node="good", ready=False)
    excluded = (LackKind.ABSENT, "no endpoint is on its node excluded")
    good = (LackKind.NOT_READY, "no endpoint on its node good is ready")
    local = (LackKind.ABSENT, "no endpoint is on its node local")
    assert lacks(replace(service, local_only=True), _slice(here)) == [excluded, good, local, lost, unready]


def test_of_each_machine_that_cannot_serve_it_is_said_why(world: World) -> None:
    unready, ending = Endpoint(("10.1.0.4",), ready=False), Endpoint(("10.1.0.5",), terminating=True)
    known = replace(_with(world, _slice(unready, ending, "10.1.0.6")), pod_addresses={"10.1.0.6": "default"})
    assert [(lack.kind, lack.why) for _, lack in wish_of_service(_kube_service(), known).lacks] == [
        (LackKind.NOT_READY, "its endpoint is not ready"),
        (LackKind.NOT_READY, "its endpoint is terminating"),
        (LackKind.ADDRESS, "a pod has its address"),
    ]


def test_where_no_node_has_been_read_nodes_are_held(world: World) -> None:
    wish = wish_of_service(_kube_service(_asking(publish="NodePort"), type="NodePort"), _with(world))
    assert (wish.problems, wish.held, wish.settled) == ((), True, frozenset())
    assert wish.absent_because == "no node has been read yet"


def test_a_node_that_gets_another_address_stays_the_same_instance(world: World) -> None:
    service = _kube_service(_asking(publish="NodePort"), type="NodePort")
    ids = {
        _only(wish_of_service(service, _with(world, nodes={"n": Node("n", Uid("n"), addresses=(ip,))}))).instance.id
        for ip in ("10.9.0.1", "10.9.0.2")
    }
    assert len(ids) == 1


# What is asked, and what is wrong with it.


def test_a_registry_service_that_names_a_service_asks_for_its_machines(world: World) -> None:
    declared = DeclaredService("mine", FLASK, ready=True, kube_service="db", port=read_port("sql"))
    known = replace(_with(world, _slice("10.1.0.4")), declared_services={("default", "mine"): declared})
    wish = wish_of_service(_kube_service({}), known)
    assert _places(wish) == [{"INSTANCE_IPV4": "10.1.0.4", "INSTANCE_PORT": "15432"}]
    asked_twice = wish_of_service(_kube_service(), known)
    assert asked_twice.registrations == wish.registrations
    wrong = replace(known, declared_services={("default", "mine"): replace(declared, port=read_port("nope"))})
    assert _messages(wish_of_service(_kube_service({}), wrong)) == [
        "spec.port of RegistryService mine is 'nope': Service db has no such port. Write one of sql"
    ]


def test_attributes_of_the_service_go_over_the_registry_services_over_the_namespaces(world: World) -> None:
    templates, _ = read_attributes("a=registry,b=registry")
    known = replace(
        _with(world, _slice("10.1.0.4")),
        declared_services={("default", "mine"): DeclaredService("mine", FLASK, ready=True, attributes=templates)},
        defaults={"default": read_annotations({"attributes": "a=namespace,b=namespace,c=namespace"})},
    )
    found = _only(wish_of_service(_kube_service({**ASKING, "attributes": "a=service"}), known)).instance.attributes
    assert [found[key] for key in "abc"] == ["service", "registry", "namespace"]


def test_values_are_filled_from_the_service_and_it_has_no_labels(world: World) -> None:
    text = "who=$(metadata.namespace)/$(metadata.name)@$(status.podIP),uid=$(metadata.uid),n=$(spec.nodeName),"
    service = _kube_service({**ASKING, "attributes": text + "v=$(metadata.labels['v'])"})
    wish = wish_of_service(service, _with(world, _slice("10.1.0.4")))
    found = _only(wish).instance.attributes
    assert [found[key] for key in ("who", "uid", "n")] == ["default/db@10.1.0.4", "uid-of-db", ""]
    assert "v" not in found
    assert _messages(wish) == [
        (
            "annotation kube-registrar.dev/attributes reads label 'v', which an instance without a pod does not have; "
            "the attribute is left out. Write another form, or the value itself"
        )
    ]
    assert wish.held is False


def test_one_wrong_reference_does_not_hurt_the_good_one(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"))
    wish = wish_of_service(_kube_service({"service": "test-namespace/nothing,test-namespace/flask-app"}), known)
    assert len(wish.registrations) == 1
    assert [one.reason for one in wish.problems] == ["UnknownService"]
    assert (wish.held, wish.unresolved, wish.settled) == (True, True, frozenset({FLASK}))
    assert wish.holds(ServiceRef(TEST, "srv"))


def test_an_item_that_may_mean_the_same_service_with_another_port_leaves_that_one_in_doubt(world: World) -> None:
    ports = (ServicePort("sql", 5432), ServicePort("admin", 80))
    items = '[{"registry": "test-namespace/flask-app", "port": "sql"}, {"registry": "local", "port": "%s"}]'
    waiting = DeclaredService("local", FLASK, ready=False, why="it is new")
    known = replace(_with(world, _slice("10.1.0.4")), declared_services={("default", "local"): waiting})
    elsewhere = replace(waiting, ref=ServiceRef(TEST, "srv"))
    other = replace(known, declared_services={("default", "local"): elsewhere})
    assert FLASK in wish_of_service(_kube_service({"service-registries": items % "admin"}, ports=ports), other).settled
    for port, is_certain in (("sql", True), ("admin", False)):
        service = _kube_service({"service-registries": items % port}, ports=ports)
        wish = wish_of_service(service, known)
        assert (len(wish.registrations), wish.held) == (1, True)
        assert (FLASK in wish.settled) is is_certain
        assert not wish.holds(FLASK, _only(wish).instance.id)


@pytest.mark.parametrize(
    ("annotations", "reason", "held"),
    [
        ({"service": "///"}, "MalformedAnnotation", True),
        ({**ASKING, "publish": "endpoints"}, "MalformedAnnotation", True),
        ({**ASKING, "register": "no"}, "MalformedAnnotation", True),
        ({**ASKING, "attributes": "AWS_X=1"}, "ReservedAttribute", True),
        ({**ASKING, "port": "http"}, "InvalidPort", True),
        ({**ASKING, "port": "web:sql"}, "InvalidPort", True),
        ({**ASKING, "typo": "x"}, "UnknownAnnotation", False),
        ({"port": "sql"}, "MalformedAnnotation", False),
        ({"service": "team-namespace/private"}, "NamespaceNotAllowed", True),
        ({"service": "missing"}, "UnknownRegistryService", True),
    ],
)
def test_what_is_wrong_is_told_of_the_service(
    annotations: dict[str, str], reason: str, held: bool, world: World
) -> None:
    wish = wish_of_service(_kube_service(annotations), _with(world, _slice("10.1.0.4")))
    assert ([one.reason for one in wish.problems], wish.held) == ([reason], held)


def test_srv_records_need_a_port(world: World) -> None:
    known = _with(world, _slice("10.1.0.4", ports=()))
    wish = wish_of_service(_kube_service(_asking("srv"), ports=()), known)
    assert _messages(wish) == [
        (
            "annotation kube-registrar.dev/port is absent: 'test-namespace/srv' has SRV records, which need a port, "
            "and Service db has none. Add one to spec.ports of the Service"
        )
    ]
    assert len(wish_of_service(_kube_service(ports=()), known).registrations) == 1


def test_who_opts_out_or_goes_wants_nothing_and_no_hold_keeps_it(world: World) -> None:
    known = _with(world, _slice("10.1.0.4"))
    out = wish_of_service(_kube_service({**ASKING, "register": "false"}), known)
    assert (out.registrations, out.held) == ((), False)
    namespace = replace(known, defaults={"default": read_annotations({"register": "false"})})
    assert wish_of_service(_kube_service(), namespace).registrations == ()
    assert len(wish_of_service(_kube_service({**ASKING, "register": "true"}), namespace).registrations) == 1
    for annotations in (ASKING, {"service": "///"}):
        going = wish_of_service(_kube_service(annotations, terminating=True), known)
        assert going == Wish(absent_because="the Service is terminating")
    assert wish_of_service(_kube_service({}), known) == Wish(absent_because="nothing asks for it")


def test_defaults_that_cannot_be_read_hold_what_may_be_meant(world: World) -> None:
    known = replace(_with(world, _slice("10.1.0.4")), defaults={"default": read_annotations({"port": ""})})
    wish = wish_of_service(_kube_service(), known)
    assert (wish.held, wish.settled, wish.problems) == (True, frozenset(), ())
    assert [one.message for one in problems_of_namespace("default", known)] == [
        "annotation kube-registrar.dev/port is '': it is empty. Write a port's name, its number, or container:port"
    ]
    assert problems_of_namespace("other", known) == ()


def test_a_public_name_shows_nothing_of_the_cluster(world: World) -> None:
    known = _with(world)
    wish = wish_of_service(_kube_service({"service": "example.com/web", "publish": "ClusterIP"}), known)
    assert _only(wish).instance.id.startswith("i")
    assert "db" not in _only(wish).instance.id.split("-")


def test_many_problems_are_cut(world: World) -> None:
    known = _with(world, _slice(*(f"127.0.0.{n}" for n in range(100))))
    assert len(wish_of_service(_kube_service(), known).problems) == MAX_PROBLEMS


# Whatever is written.

TEXTS = st.one_of(st.text(max_size=40), st.sampled_from([*FORBIDDEN, "10.1.0.4", "true", "false", "sql"]))
KEYS = st.sampled_from(["service", "service-registries", "port", "attributes", "register", "publish", "other"])
SERVICES = st.sampled_from([f"test-namespace/{n}" for n in ("flask-app", "srv", "v4", "both", "alias", "checked")])
ANNOTATIONS = st.builds(
    lambda asked, publish, rest: {**rest, **asked, **publish},
    st.one_of(st.just({}), st.fixed_dictionaries({"service": SERVICES})),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {"publish": st.sampled_from(["Endpoints", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])}
        ),
    ),
    st.dictionaries(KEYS, TEXTS, max_size=4),
)
ENDPOINTS = st.builds(
    Endpoint, st.lists(TEXTS, max_size=3).map(tuple), ready=st.booleans(), terminating=st.booleans(),
    pod=st.sampled_from(["", "p"]), zone=TEXTS,
)  # fmt: skip


SLICES = st.builds(
    lambda endpoints, address_type, ports: _slice(*endpoints, address_type=address_type, ports=tuple(ports)),
    st.lists(ENDPOINTS, max_size=4),
    st.sampled_from(["IPv4", "IPv6", "FQDN"]),
    st.lists(st.tuples(st.sampled_from(["sql", ""]), st.integers(1, 65_535)), max_size=2),
)
ADDRESSES = st.lists(TEXTS, max_size=3).map(tuple)
WRITTEN = st.builds(
    _kube_service,
    ANNOTATIONS,
    type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
    ingress=ADDRESSES,
    cluster_ips=ADDRESSES,
    external_name=TEXTS,
)


@given(written=WRITTEN, found=SLICES, addresses=ADDRESSES, default=st.dictionaries(KEYS, TEXTS, max_size=2))
def test_whatever_is_written_nothing_raises_and_every_problem_is_one_ascii_line(
    written: KubeService, found: Slice, addresses: tuple[str, ...], default: dict[str, str], small_world: World
) -> None:
    nodes = {"n": Node("n", Uid("n"), addresses=addresses)}
    known = _with(small_world, found, defaults={"default": read_annotations(default)}, nodes=nodes)
    wish = wish_of_service(written, known)
    for problem in (*wish.problems, *problems_of_namespace("default", known)):
        assert problem.message.isascii()
        assert problem.message.isprintable()
        assert len(problem.message) <= 1_024
    for one in wish.registrations:
        assert one.instance.id in wish.settled_ids
        assert one.origin == written.origin
        assert {keys.IPV4, keys.IPV6, keys.CNAME, keys.ALIAS} & set(one.instance.attributes)
        assert not {"127.0.0.1", "169.254.169.254"} & set(one.instance.attributes.values())
        assert one.service in known.services
