"""What a pod wants, as its life goes on and the world around it changes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from kube_registrar.declared.specs import AllowedFrom, AllowedNamespaces
from kube_registrar.model.instances import Health
from kube_registrar.model.limits import Limits
from kube_registrar.model.records import ContainerPort, Pod
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.sources.pods import MAX_PROBLEMS, wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import DeclaredNamespace, DeclaredService, World

MakePod = Callable[..., Pod]
ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-"
TEST = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
FLASK = ServiceRef(TEST, "flask-app")
ARTICLE = {"service": "test-namespace/flask-app", "port": "web:http", "attributes": "stage=dev,version=1.0.0"}


def _services(wish: Wish) -> list[str]:
    return [str(one.service) for one in wish.registrations]


def _attributes(wish: Wish) -> dict[str, str]:
    (one,) = wish.registrations
    return dict(one.instance.attributes)


def test_a_ready_pod_wants_one_instance_with_all_its_attributes(world: World, pod: MakePod) -> None:
    wish = wish_of(pod(ARTICLE), world)
    (one,) = wish.registrations
    assert one.service == FLASK
    assert one.origin == pod(ARTICLE).origin
    assert one.instance.health is Health.UNKNOWN
    assert one.instance.attributes == {
        "AWS_INSTANCE_IPV4": "10.0.0.7",
        "AWS_INSTANCE_PORT": "8080",
        "AVAILABILITY_ZONE": "eu-west-1a",
        "REGION": "eu-west-1",
        "KUBE_CLUSTER": "prod",
        "KUBE_CLUSTER_UID": "c0ffee00-0000-4000-8000-000000000000",
        "KUBE_NAMESPACE": "default",
        "KUBE_POD": "flask-app-dev-7d4b9-x2x4z",
        "KUBE_POD_UID": "7f3c0000-0000-4000-8000-000000000001",
        "KUBE_WORKLOAD": "Deployment/flask-app-dev",
        "KUBE_ATTRIBUTES": "stage,version",
        "stage": "dev",
        "version": "1.0.0",
    }
    assert one.instance.id.startswith("flask-app-dev-7d4b9-x2x4z-")
    assert (wish.problems, wish.held, wish.settled, wish.absent_because) == ((), False, frozenset({FLASK}), "")


def test_what_a_pod_does_not_have_is_no_attribute(world: World, pod: MakePod) -> None:
    bare = pod({"service": "test-namespace/v4"}, labels={}, workload="")
    assert set(_attributes(wish_of(bare, replace(world, cluster_name="")))) == {
        "AWS_INSTANCE_IPV4",
        "KUBE_CLUSTER_UID",
        "KUBE_NAMESPACE",
        "KUBE_POD",
        "KUBE_POD_UID",
    }


def test_without_annotations_nothing_is_wanted_and_nothing_held(world: World, pod: MakePod) -> None:
    assert wish_of(pod({}), world) == Wish(absent_because="nothing asks for it")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ready": False}, "the pod is not ready"),
        ({"ready": False, "ips": ()}, "the pod is not ready"),
        ({"ips": ()}, "the pod has no address yet"),
    ],
)
def test_a_pod_that_lives_but_cannot_serve_wants_nothing_for_certain(
    changes: dict[str, object], why: str, world: World, pod: MakePod
) -> None:
    wish = wish_of(pod(ARTICLE, **changes), world)
    ids = wish.settled_ids
    assert wish == Wish(settled=frozenset({FLASK}), missing_ids=ids, unready=frozenset({FLASK}), absent_because=why)
    assert len(ids) == 1
    assert not wish.holds(FLASK)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"terminating": True}, "the pod is terminating"),
        ({"phase": "Succeeded"}, "the pod has succeeded"),
        ({"phase": "Failed", "terminating": True}, "the pod has failed"),
    ],
)
@pytest.mark.parametrize("annotations", [ARTICLE, {"service": "no/such"}, {"service": "///"}])
def test_a_pod_that_ends_wants_nothing_and_no_hold_keeps_it(
    changes: dict[str, object], why: str, annotations: dict[str, str], world: World, pod: MakePod
) -> None:
    assert wish_of(pod(annotations, **changes), world) == Wish(absent_because=why)


def test_one_wrong_reference_does_not_hurt_the_good_one(world: World, pod: MakePod) -> None:
    worth_looking = {"test-namespace/nothing", "no/such", ARN + "unknown"}
    for wrong in (*worth_looking, "//", "local_", "team-namespace/private"):
        wish = wish_of(pod({**ARTICLE, "service": f"{wrong},test-namespace/flask-app"}), world)
        assert _services(wish) == ["default:test-namespace/flask-app"]
        assert (wish.held, wish.settled, len(wish.problems)) == (True, frozenset({FLASK}), 1)
        assert wish.unresolved is (wrong in worth_looking)
        assert not wish.holds(FLASK), "what is certain is not held: an unready pod must leave it"
        assert wish.holds(ServiceRef(TEST, "srv"))


def test_an_attribute_that_cannot_be_read_holds_the_pod_everywhere(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "attributes": "nonsense"}), world)
    assert (wish.registrations, wish.held, wish.settled) == ((), True, frozenset())
    assert wish.holds(FLASK)
    assert wish.absent_because == "its annotations cannot be read"


def test_names_arns_and_objects_that_mean_the_same_give_one_registration(world: World, pod: MakePod) -> None:
    text = f"test-namespace/flask-app, default:test-namespace/flask-app, local, {ARN}free, test-namespace/flask-app"
    wish = wish_of(pod({**ARTICLE, "service": text}), replace(world, arns={ARN + "free": FLASK}))
    assert _services(wish) == ["default:test-namespace/flask-app"]
    assert (wish.problems, wish.held) == ((), False)


def test_several_services_give_several_registrations_in_the_order_they_are_written(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "service": "a/b/c,test-namespace/v4,example.com/web"}), world)
    assert _services(wish) == ["default:a/b/c", "default:test-namespace/v4", "default:example.com/web"]
    first, second, third = (one.instance for one in wish.registrations)
    assert first.attributes["AWS_INSTANCE_PORT"] == third.attributes["AWS_INSTANCE_PORT"] == "8080"
    assert "AWS_INSTANCE_PORT" not in second.attributes, "A records publish no port"


def test_in_public_dns_the_id_does_not_show_the_pods_name(world: World, pod: MakePod) -> None:
    (one,) = wish_of(pod({**ARTICLE, "service": "example.com/web"}), world).registrations
    assert "flask" not in one.instance.id
    declared_only = replace(world, namespaces={})
    assert wish_of(pod({**ARTICLE, "service": "example.com/web"}), declared_only).registrations == (one,)


def test_a_service_with_custom_health_is_told_that_the_instance_is_healthy(world: World, pod: MakePod) -> None:
    (one,) = wish_of(pod({**ARTICLE, "service": "test-namespace/checked"}), world).registrations
    assert one.instance.health is Health.HEALTHY
    assert one.instance.attributes["AWS_INIT_HEALTH_STATUS"] == "HEALTHY"


def test_a_service_that_somebody_else_checks_is_told_no_health(world: World, pod: MakePod) -> None:
    (one,) = wish_of(pod({**ARTICLE, "service": "test-namespace/probed"}), world).registrations
    assert one.instance.health is Health.UNKNOWN
    assert "AWS_INIT_HEALTH_STATUS" not in one.instance.attributes


@pytest.mark.parametrize(
    ("ips", "families"),
    [
        (("10.0.0.7", "fd00::7"), {"AWS_INSTANCE_IPV4": "10.0.0.7", "AWS_INSTANCE_IPV6": "fd00::7"}),
        (("fd00::7", "10.0.0.7"), {"AWS_INSTANCE_IPV4": "10.0.0.7", "AWS_INSTANCE_IPV6": "fd00::7"}),
        (("fd00::7", "fd00::8"), {"AWS_INSTANCE_IPV6": "fd00::7"}),
    ],
)
def test_all_addresses_of_a_pod_are_one_instance(
    ips: tuple[str, ...], families: dict[str, str], world: World, pod: MakePod
) -> None:
    found = _attributes(wish_of(pod(ARTICLE, ips=ips), world))
    assert {key: value for key, value in found.items() if "_IPV" in key} == families


def test_a_record_of_both_families_needs_both(world: World, pod: MakePod) -> None:
    annotations = {"service": "test-namespace/both"}
    assert wish_of(pod(annotations, ips=("10.0.0.7", "fd00::7")), world).held is False
    assert [one.reason for one in wish_of(pod(annotations), world).problems] == ["MissingAddress"]


@pytest.mark.parametrize("port", ["web:http", "web:8080", "8080"])
def test_a_port_may_be_written_in_three_ways(port: str, world: World, pod: MakePod) -> None:
    assert _attributes(wish_of(pod({**ARTICLE, "port": port}), world))["AWS_INSTANCE_PORT"] == "8080"


def test_a_name_that_means_the_same_port_everywhere_is_not_ambiguous(world: World, pod: MakePod) -> None:
    ports = (ContainerPort("web", "http", 80), ContainerPort("admin", "http", 80))
    assert _attributes(wish_of(pod({**ARTICLE, "port": "http"}, ports=ports), world))["AWS_INSTANCE_PORT"] == "80"


def test_a_number_need_not_be_declared(world: World, pod: MakePod) -> None:
    assert _attributes(wish_of(pod({**ARTICLE, "port": "5000"}, ports=()), world))["AWS_INSTANCE_PORT"] == "5000"


def test_the_only_tcp_port_needs_no_annotation(world: World, pod: MakePod) -> None:
    ports = (ContainerPort("web", "", 80), ContainerPort("web", "dns", 53, "UDP"))
    wish = wish_of(pod({"service": "test-namespace/srv"}, ports=ports), world)
    assert _attributes(wish)["AWS_INSTANCE_PORT"] == "80"


def test_without_any_port_an_instance_has_none_unless_the_records_need_it(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({"service": "test-namespace/flask-app,test-namespace/srv"}, ports=()), world)
    assert "AWS_INSTANCE_PORT" not in _attributes(wish)
    assert [(one.reason, one.message) for one in wish.problems] == [
        (
            "InvalidPort",
            (
                "annotation kube-registrar.dev/port is absent: 'default:test-namespace/srv' has SRV records, which "
                "need a port, and the pod declares no TCP port. Add it with the number of the port"
            ),
        )
    ]
    assert (wish.held, wish.holds(FLASK)) == (True, False)


def test_where_no_port_is_published_a_wrong_one_does_not_matter(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({"service": "test-namespace/v4", "port": "no-such"}), world)
    assert (wish.problems, wish.held, len(wish.registrations)) == ((), False, 1)


def test_the_port_is_part_of_the_identity_where_it_is_published(world: World, pod: MakePod) -> None:
    def ids(service: str, *ports: str) -> set[str]:
        wishes = [wish_of(pod({"service": service, "port": port}), world) for port in ports]
        return {wish.registrations[0].instance.id for wish in wishes}

    assert len(ids("test-namespace/flask-app", "web:http", "8080", "8081")) == 2
    assert len(ids("test-namespace/v4", "web:http", "8081")) == 1


def test_values_read_from_the_pod(world: World, pod: MakePod) -> None:
    forms = {
        "version": "v$(metadata.labels['app.kubernetes.io/version'])",
        "where": "$(metadata.namespace)/$(metadata.name) on $(spec.nodeName)",
        "who": "$(metadata.uid)",
        "ip": "$(status.podIP)",
        "literal": "$$(metadata.name) costs 5$",
    }
    text = ",".join(f'{key}="{value}"' for key, value in forms.items())
    found = _attributes(wish_of(pod({**ARTICLE, "attributes": text}), world))
    assert {key: found[key] for key in forms} == {
        "version": "v1.0.0",
        "where": "default/flask-app-dev-7d4b9-x2x4z on node-1",
        "who": "7f3c0000-0000-4000-8000-000000000001",
        "ip": "10.0.0.7",
        "literal": "$(metadata.name) costs 5$",
    }


def test_a_value_that_grows_too_long_when_filled_is_told(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "attributes": "note=" + "x" * 1_000 + "$(metadata.name)"}), world)
    assert wish.problems[0].message == (
        "annotation kube-registrar.dev/attributes has a value of 1,025 characters for key 'note': "
        "at most 1,024 are allowed. Shorten it"
    )
    assert (wish.held, wish.registrations) == (True, ())


def test_a_missing_label_leaves_out_its_attribute_only(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "attributes": "stage=dev,tier=$(metadata.labels['tier'])"}), world)
    found = _attributes(wish)
    assert (found["KUBE_ATTRIBUTES"], found["stage"], "tier" in found) == ("stage", "dev", False)
    assert [one.reason for one in wish.problems] == ["UnknownLabel"]
    assert wish.held is False


def test_twenty_one_attributes_are_left_beside_all_of_ours(world: World, pod: MakePod) -> None:
    def wish(count: int) -> Wish:
        return wish_of(pod({**ARTICLE, "attributes": ",".join(f"k{n}=v" for n in range(count))}), world)

    assert len([key for key in _attributes(wish(21)) if not key.startswith("AWS_")]) == 30
    assert [one.message for one in wish(22).problems] == [
        (
            "annotation kube-registrar.dev/attributes has 22 attributes, but 21 of the registry's 30 are left beside "
            "the standard ones. Remove 'k21'"
        )
    ]


def test_the_limits_are_those_of_each_registry(world: World, pod: MakePod) -> None:
    limited = replace(world, registries={**world.registries, RegistryName("edge"): Limits(max_attributes=10)})
    limited = replace(
        limited,
        declared_namespaces={ref: one for ref, one in world.declared_namespaces.items() if ref.name != "edge:odd"},
    )
    wish = wish_of(pod({**ARTICLE, "service": "edge:odd/flask-app,test-namespace/flask-app"}), limited)
    assert _services(wish) == ["default:test-namespace/flask-app"]
    assert [one.reason for one in wish.problems] == ["TooManyAttributes"]
    assert wish.settled == {FLASK}


def test_a_registry_without_limits_takes_what_is_written(world: World, pod: MakePod) -> None:
    free = Limits(max_attributes=None, max_attribute_characters=None, max_attribute_value=None)
    text = ",".join(f"{'k' * 100}{n}={'v' * 1_000}" for n in range(100))
    wish = wish_of(pod({**ARTICLE, "attributes": text}), replace(world, registries={DEFAULT_REGISTRY: free}))
    assert (len(_attributes(wish)), wish.problems) == (111, ())


def test_standard_values_are_made_to_fit(world: World, pod: MakePod) -> None:
    named = replace(world, cluster_name=" Prod (Zürich)\n" + "x" * 2_000)
    found = _attributes(wish_of(pod(ARTICLE), named))
    assert found["KUBE_CLUSTER"] == "Prod (Z-rich)-" + "x" * 1_010


def test_the_same_label_missing_twice_is_told_once_and_problems_are_not_endless(world: World, pod: MakePod) -> None:
    text = ",".join(f"a{n}=$(metadata.labels['x'])" for n in range(20))
    assert len(wish_of(pod({**ARTICLE, "attributes": text}), world).problems) == 1
    many = ",".join(f"test-namespace/nothing-{n}" for n in range(40))
    assert len(wish_of(pod({"service": many}), world).problems) == MAX_PROBLEMS == 10


# What has not been read yet is waited for; what is not there is a problem.


def test_a_namespace_that_was_not_read_yet_is_waited_for_in_silence(world: World, pod: MakePod) -> None:
    unread = replace(world, listed=frozenset(), services={})
    for text in ("test-namespace/flask-app", "local", ARN + "flaskapp"):
        wish = wish_of(pod({**ARTICLE, "service": text}), unread)
        assert (wish.registrations, wish.problems, wish.held) == ((), (), True)
        assert wish.absent_because == "registry namespace default:test-namespace has not been read yet"


def test_a_namespace_that_is_not_in_its_registry_yet_is_waited_for(world: World, pod: MakePod) -> None:
    early = replace(world, listed=frozenset(), services={}, namespaces={})
    wish = wish_of(pod(ARTICLE), early)
    assert (wish.problems, wish.held) == ((), True)
    assert wish.absent_because == "registry namespace default:test-namespace is not in its registry yet"


def test_an_arn_waits_for_the_namespaces_that_may_hold_it_and_is_unknown_then(world: World, pod: MakePod) -> None:
    annotations = {**ARTICLE, "service": ARN + "unknown"}
    waiting = wish_of(pod(annotations), replace(world, listed=world.listed - {TEST}))
    assert (waiting.problems, waiting.held) == ((), True)
    undeclared = replace(world, allow_undeclared=True, listed_registries={DEFAULT_REGISTRY})
    assert wish_of(pod(annotations), undeclared).absent_because == "registry 'edge' has not been read yet"
    assert [one.reason for one in wish_of(pod(annotations), world).problems] == ["UnknownArn"]


def test_a_service_that_is_being_made_is_waited_for_by_either_name(world: World, pod: MakePod) -> None:
    by_name = wish_of(pod({**ARTICLE, "service": "test-namespace/coming"}), world)
    assert (by_name.problems, by_name.held) == ((), True)
    assert by_name.absent_because == "registry service default:test-namespace/coming is being made"
    by_object = wish_of(pod({**ARTICLE, "service": "coming"}), world)
    assert (by_object.problems, by_object.held) == ((), True)
    assert by_object.absent_because == "RegistryService 'coming' is not ready: it is new"


def test_a_registry_service_without_its_namespace_is_waited_for(world: World, pod: MakePod) -> None:
    dangling = {("default", "local"): DeclaredService("local", None, ready=False, why="its RegistryNamespace is gone")}
    wish = wish_of(pod({**ARTICLE, "service": "local"}), replace(world, declared_services=dangling))
    assert (wish.problems, wish.held) == ((), True)
    assert wish.absent_because == "RegistryService 'local' is not ready: its RegistryNamespace is gone"


def test_a_bare_name_means_the_pods_own_kubernetes_namespace(world: World, pod: MakePod) -> None:
    assert _services(wish_of(pod({**ARTICLE, "service": "local"}), world)) == ["default:test-namespace/flask-app"]
    assert [one.reason for one in wish_of(pod({**ARTICLE, "service": "theirs"}), world).problems] == [
        "UnknownRegistryService"
    ]


# Tenancy.


def test_a_selector_allows_the_namespaces_that_it_selects(world: World, pod: MakePod) -> None:
    annotations = {**ARTICLE, "service": "team-namespace/private"}
    assert _services(wish_of(pod(annotations, namespace="web"), world)) == ["default:team-namespace/private"]
    refused = wish_of(pod(annotations), world)
    assert (refused.registrations, refused.held) == ((), True)
    assert [one.reason for one in refused.problems] == ["NamespaceNotAllowed"]


def test_an_unread_kubernetes_namespace_is_waited_for_where_its_labels_count(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "service": "team-namespace/private,a/b/c"}, namespace="new"), world)
    assert _services(wish) == ["default:a/b/c"]
    assert (wish.problems, wish.held) == ((), True)
    assert wish.absent_because == "the labels of Kubernetes namespace 'new' have not been read yet"


@pytest.mark.parametrize("text", ["team-namespace/private", ARN + "private", "stolen"])
def test_no_path_leads_around_the_rule(text: str, world: World, pod: MakePod) -> None:
    target = ServiceRef(NamespaceRef(DEFAULT_REGISTRY, "team-namespace"), "private")
    stolen = {("default", "stolen"): DeclaredService("stolen", target, ready=True)}
    for allow_undeclared in (False, True):
        tried = replace(world, declared_services=stolen, allow_undeclared=allow_undeclared)
        wish = wish_of(pod({**ARTICLE, "service": text}), tried)
        assert (wish.registrations, wish.held) == ((), True)
        assert [one.reason for one in wish.problems] == ["NamespaceNotAllowed"]


@pytest.mark.parametrize("text", ["edge:test-namespace/flask-app", "test-namespace/flask-app"])
def test_of_one_name_in_two_registries_each_has_its_own_rule(text: str, world: World, pod: MakePod) -> None:
    (everyone,) = world.declared_namespaces[NamespaceRef(DEFAULT_REGISTRY, "test-namespace")]
    other = NamespaceRef(RegistryName("edge"), "test-namespace")
    closed = replace(everyone, ref=other, allowed=AllowedNamespaces(from_=AllowedFrom.NONE))
    both = replace(world, declared_namespaces={**world.declared_namespaces, other: (closed,)})
    wish = wish_of(pod({**ARTICLE, "service": text}), both)
    expected = ["NamespaceNotAllowed"] if text.startswith("edge:") else []
    assert [one.reason for one in wish.problems] == expected
    assert {one.service.namespace.registry for one in wish.registrations} <= {DEFAULT_REGISTRY}


@pytest.mark.parametrize("label", ["x,KUBE_POD_UID=stolen", 'x"}', "KUBE_CLUSTER_UID=x", "$(metadata.uid)"])
def test_what_a_label_holds_is_one_value_whatever_is_written_in_it(label: str, world: World, pod: MakePod) -> None:
    text = "who=$(metadata.labels['who'])"
    found = _attributes(wish_of(pod({**ARTICLE, "attributes": text}, labels={"who": label}), world))
    honest = _attributes(wish_of(pod({**ARTICLE, "attributes": text}, labels={"who": "x"}), world))
    assert found == {**honest, "who": label}


@pytest.mark.parametrize("text", ["undeclared/free", ARN + "free"])
def test_an_undeclared_namespace_is_refused_unless_the_operator_allows_it(
    text: str, world: World, pod: MakePod
) -> None:
    refused = wish_of(pod({**ARTICLE, "service": text}), world)
    assert [one.reason for one in refused.problems] == ["UnknownNamespace"]
    assert refused.held
    allowed = wish_of(pod({**ARTICLE, "service": text}), replace(world, allow_undeclared=True))
    assert _services(allowed) == ["default:undeclared/free"]


def test_an_undeclared_namespace_is_waited_for_until_its_registry_was_read(world: World, pod: MakePod) -> None:
    early = replace(world, allow_undeclared=True, listed_registries=frozenset())
    wish = wish_of(pod({**ARTICLE, "service": "undeclared/free"}), early)
    assert (wish.problems, wish.held) == ((), True)
    assert wish.absent_because == "registry 'default' has not been read yet"


def test_two_declarations_of_one_namespace_allow_whom_either_allows(world: World, pod: MakePod) -> None:
    ref = NamespaceRef(DEFAULT_REGISTRY, "team-namespace")
    (first,) = world.declared_namespaces[ref]
    second = DeclaredNamespace("second", ref, first.type, AllowedNamespaces(from_=AllowedFrom.ALL))
    both = replace(world, declared_namespaces={**world.declared_namespaces, ref: (first, second)})
    assert len(wish_of(pod({**ARTICLE, "service": "team-namespace/private"}), both).registrations) == 1


# Two readings.


def test_a_colon_belongs_to_the_name_where_no_registry_is_called_so(world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "service": "new:test/flask-app"}), world)
    assert _services(wish) == ["default:new:test/flask-app"]


def test_of_two_readings_the_one_that_exists_is_meant(world: World, pod: MakePod) -> None:
    ref = NamespaceRef(RegistryName("edge"), "only")
    spec = ServiceSpec(ServiceRef(ref, "x"))
    declared = DeclaredNamespace("only", ref, NamespaceSpec(ref).type, AllowedNamespaces(from_=AllowedFrom.ALL))
    wider = replace(
        world,
        declared_namespaces={**world.declared_namespaces, ref: (declared,)},
        services={**world.services, spec.ref: spec},
        listed=world.listed | {ref},
    )
    assert _services(wish_of(pod({**ARTICLE, "service": "edge:only/x"}), wider)) == ["edge:only/x"]


def test_the_second_reading_can_be_written_so_that_it_is_meant(world: World, pod: MakePod) -> None:
    ambiguous = wish_of(pod({**ARTICLE, "service": "edge:odd/flask-app"}), world)
    assert [one.reason for one in ambiguous.problems] == ["AmbiguousService"]
    meant = wish_of(pod({**ARTICLE, "service": "default:edge:odd/flask-app"}), world)
    assert _services(meant) == ["default:edge:odd/flask-app"]


# Exactly at the bounds.


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ("k" * 255 + "=v", True),
        ("k" * 256 + "=v", False),
        ("k=" + "v" * 1_024, True),
        ("k=" + "v" * 1_025, False),
        (",".join(f"{letter * 204}=" for letter in "abcde"), True),  # 1,024 with the commas between them
        (",".join(f"{letter * 204}=" for letter in "abcd") + f",{'e' * 205}=", False),
    ],
)
def test_a_bound_itself_is_allowed(attributes: str, fits: bool, world: World, pod: MakePod) -> None:
    wish = wish_of(pod({**ARTICLE, "attributes": attributes}), world)
    assert (len(wish.registrations), wish.held) == (int(fits), not fits)


def test_all_characters_together_may_reach_the_registrys_limit(world: World, pod: MakePod) -> None:
    base = _attributes(wish_of(pod(ARTICLE), world))
    used = sum(len(key) + len(value) for key, value in base.items() if not key.startswith("AWS_"))
    for limit, fits in ((used, True), (used - 1, False)):
        limited = replace(world, registries={DEFAULT_REGISTRY: Limits(max_attribute_characters=limit)})
        assert bool(wish_of(pod(ARTICLE), limited).registrations) is fits


@pytest.mark.parametrize("port", ["1", "65535"])
def test_the_first_and_the_last_port_can_be_registered(port: str, world: World, pod: MakePod) -> None:
    assert _attributes(wish_of(pod({**ARTICLE, "port": port}), world))["AWS_INSTANCE_PORT"] == port


def test_a_registry_without_room_for_the_standard_ones_leaves_none(world: World, pod: MakePod) -> None:
    tiny = replace(world, registries={DEFAULT_REGISTRY: Limits(max_attributes=3)})
    text = ",".join(f"k{n}=v" for n in range(10))
    assert [one.message for one in wish_of(pod({**ARTICLE, "attributes": text}), tiny).problems] == [
        (
            "annotation kube-registrar.dev/attributes has 10 attributes, but 0 of the registry's 3 are left beside the "
            "standard ones. Remove 'k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7' and 2 more"
        )
    ]


def test_a_long_list_of_ports_to_choose_from_is_cut(world: World, pod: MakePod) -> None:
    ports = tuple(ContainerPort("web", "", 8_000 + n) for n in range(10))
    (problem,) = wish_of(pod({"service": "test-namespace/flask-app"}, ports=ports), world).problems
    assert problem.message.endswith("Add it with one of " + ", ".join(f"web:800{n}" for n in range(8)) + " and 2 more")


def test_a_default_registry_that_is_not_configured_is_named(world: World, pod: MakePod) -> None:
    elsewhere = replace(world, default_registry=RegistryName("main"))
    (problem,) = wish_of(pod(ARTICLE), elsewhere).problems
    assert problem.message == (
        "annotation kube-registrar.dev/service names 'test-namespace/flask-app', but no registry 'main' is "
        "configured; there is default, edge. Correct it"
    )
