"""What is newly selected is read, each selector by itself: one that cannot be read holds its own namespace alone."""

from typing import Any

from kube_registrar.cluster.errors import ApiError, ApiForbidden
from kube_registrar.model.records import BarePod, CustomObject, KubeNamespace
from kube_registrar.model.refs import Uid
from kube_registrar.sync.interest import Need
from kube_registrar.testing import builders
from tests.engine.harness import FLASK, OTHER, Ground

NAMED: dict[str, Any] = {"namespaceRef": {"name": "default-test-namespace"}, "name": "other"}


def selecting(namespace: str, team: str, **spec: Any) -> CustomObject:
    """Return a RegistryService that selects the pods of a team."""
    fields = {**NAMED, "selector": {"matchLabels": {"team": team}}, **spec}
    return CustomObject("RegistryService", namespace, team, builders.uid_of(f"{namespace}-{team}"), 1, fields)


class Reads:
    """Stands before a cluster's reads: notes them, and fails those of one team."""

    def __init__(self, ground: Ground, team: str, error: Exception) -> None:
        interest = ground.engine.interest
        assert interest.fetch is not None
        self.asked: list[Need] = []
        self.team = team
        self.whole_fails = False
        """Whether a list of a whole namespace fails, where no team is named."""
        self._error = error
        self._read = interest.fetch
        interest.fetch = self

    async def __call__(self, need: Need) -> None:
        self.asked.append(need)
        if need.labels == (f"team={self.team}" if self.team else "") and (self.team or self.whole_fails):
            raise self._error
        await self._read(need)


def bare(ground: Ground, namespace: str, name: str) -> None:
    """Take all annotations of ours from a pod."""
    pod = ground.cluster.pods[namespace, name]
    ground.cluster.apply(BarePod(pod.namespace, pod.name, pod.uid, pod.terminating, pod.phase))


BROKEN = ApiError("the API server could not answer", status=500)


async def _broken_in_alpha(ground: Ground, error: Exception = BROKEN) -> Reads:
    """Start with pods, and let what RegistryService alpha/broken selects not be readable."""
    ground.cluster.namespaces += [KubeNamespace(name, Uid(f"kube-{name}")) for name in ("alpha", "zeta")]
    await ground.start()
    reads = Reads(ground, "broken", error)
    ground.engine.intake.object_applied(selecting("alpha", "broken"))
    await ground.advance(30.0)
    return reads


async def test_what_cannot_be_read_delays_no_other_reading(ground: Ground) -> None:
    reads = await _broken_in_alpha(ground)
    for namespace, team in (("alpha", "zulu"), ("zeta", "web")):
        ground.engine.intake.object_applied(selecting(namespace, team))
    await ground.advance(5.0)
    assert {(need.namespace, need.labels) for need in reads.asked} == {
        ("alpha", "team=broken"),
        ("alpha", "team=zulu"),
        ("zeta", "team=web"),
    }
    assert [need.labels for need in reads.asked].count("team=zulu") == 1
    assert ground.engine.is_quiet
    (trouble,) = ground.engine.interest.troubles
    what = "what is newly selected of the Pods in Kubernetes namespace alpha"
    assert trouble == f"{what} cannot be read: the API server could not answer"


async def test_what_cannot_be_read_is_tried_again_ever_less_until_it_can_be(ground: Ground) -> None:
    reads = await _broken_in_alpha(ground)
    tries = len(reads.asked)
    await ground.advance(300.0)
    assert 10 <= len(reads.asked) - tries <= 100
    reads.team = ""
    await ground.advance(31.0)
    tries = len(reads.asked)
    assert not ground.engine.interest.is_unread("alpha")
    assert list(ground.engine.interest.troubles) == []
    await ground.advance(300.0)
    assert len(reads.asked) == tries


async def test_what_cannot_be_read_keeps_no_pod_of_another_namespace(ground: Ground) -> None:
    for number in range(2):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number + 1}",)))
    ground.cluster.apply(builders.pod("kept", namespace="alpha", ips=("10.0.0.9",)))
    await _broken_in_alpha(ground)
    bare(ground, "default", "web-0")
    bare(ground, "alpha", "kept")
    await ground.advance(30.0)
    assert ground.names() == ["kept", "web-1"]
    assert ground.engine.interest.is_unread("alpha")


async def test_what_is_kept_for_it_goes_once_it_was_read(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("kept", namespace="alpha"))
    reads = await _broken_in_alpha(ground)
    bare(ground, "alpha", "kept")
    await ground.advance(30.0)
    assert ground.names() == ["kept"]
    reads.team = ""
    await ground.advance(60.0)
    assert ground.names() == []


async def test_the_gate_of_a_pod_elsewhere_that_wants_nothing_opens(ground: Ground) -> None:
    await _broken_in_alpha(ground)
    for number, namespace in enumerate(("default", "alpha")):
        ips = (f"10.0.0.{number + 1}",)
        ground.cluster.apply(
            builders.pod(f"gated-{namespace}", namespace=namespace, annotations={}, gated=True, ips=ips)
        )
    await ground.advance(10.0)
    assert ground.cluster.reason_of_gate("gated-default") == "NothingToRegister"
    assert ground.cluster.reason_of_gate("gated-alpha") == ""


async def test_who_selects_what_cannot_be_read_is_told_once(ground: Ground) -> None:
    await _broken_in_alpha(ground, ApiForbidden("not allowed to list pods in namespace alpha", status=403))
    await ground.advance(300.0)
    (event,) = [one for one in ground.notebook.events if one.object == "broken"]
    assert (event.type, event.reason) == ("Warning", "SelectionNotRead")
    assert event.message == (
        "What it selects in Kubernetes namespace 'alpha' cannot be read: not allowed to list pods in namespace alpha. "
        "Until it is read, no pod there loses an instance because nothing asks for it. It is tried again by itself"
    )


async def test_a_selector_that_nobody_could_send_is_never_asked_for(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web-0"))
    ground.cluster.namespaces.append(KubeNamespace("zeta", Uid("kube-zeta")))
    await ground.start()
    reads = Reads(ground, "none", BROKEN)
    ground.engine.intake.object_applied(selecting("alpha", "not a label!"))
    ground.engine.intake.object_applied(selecting("alpha", "a,b"))
    ground.engine.intake.object_applied(selecting("zeta", "web"))
    await ground.advance(5.0)
    assert [need.namespace for need in reads.asked] == ["zeta"]
    assert ground.names(FLASK) == ["web-0"]


async def test_whom_a_selector_asked_for_that_cannot_be_read_any_more_is_held(ground: Ground) -> None:
    labels = {"team": "web"}
    for number in range(2):
        ips = (f"10.0.0.{number + 1}",)
        ground.cluster.apply(builders.pod(f"web-{number}", annotations={}, labels=labels, ips=ips))
    ground.cluster.apply_object(selecting("default", "web"))
    await ground.start()
    assert ground.names(OTHER) == ["web-0", "web-1"]
    ground.cluster.apply_object(selecting("default", "web", selector={"matchLabels": {"team": "not a label!"}}))
    await ground.advance(700.0)
    assert ground.names(OTHER) == ["web-0", "web-1"]
    ground.cluster.apply_object(selecting("default", "web", selector={"matchLabels": {"team": "db"}}))
    await ground.advance(30.0)
    assert ground.names(OTHER) == []


async def test_what_one_list_of_all_could_not_read_is_read_by_fewer(ground: Ground) -> None:
    """Many selectors are read by one list; what failed of it stands in nobody's way once they are few."""
    await ground.start()
    reads = Reads(ground, "", BROKEN)  # no selector: a list of the whole namespace
    many = [selecting("default", f"team-{number}") for number in range(11)]
    for thing in many:
        ground.engine.intake.object_applied(thing)
    reads.whole_fails = True
    await ground.advance(5.0)
    assert {need.labels for need in reads.asked} == {""}
    for thing in many[2:]:
        ground.engine.intake.object_deleted(thing)
    await ground.advance(60.0)
    assert {need.labels for need in reads.asked} == {"", "team=team-0", "team=team-1"}
    assert not ground.engine.interest.is_unread("default")
