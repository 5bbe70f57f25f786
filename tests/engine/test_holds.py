"""What cannot be read or resolved is held: its instances stay exactly as they are, and its owner is told."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kube_registrar.model.records import Pod
from kube_registrar.model.refs import NamespaceRef
from kube_registrar.registries.port import Found
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World
from kube_registrar.testing import builders
from tests.engine.harness import FLASK, Ground, registry_namespace, registry_service

NONSENSE = [
    {"service": "///"},
    {"service": "test-namespace/nowhere"},
    {"service": "unknown/flask-app"},
    {"service": "no-such-registry-service"},
    {"service": "test-namespace/flask-app", "port": "nothing-of-that-name"},
    {"service": "test-namespace/flask-app", "attributes": "stage"},
    {"service": "test-namespace/flask-app", "attributes": '{"stage": '},
    {"service": "test-namespace/flask-app", "attributes": "KUBE_POD=mine"},
    {"service": "test-namespace/flask-app", "attributes": f"note={'x' * 1_025}"},
    {"service": "test-namespace/flask-app", "attributes": ",".join(f"k{n}=v" for n in range(30))},
]


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_the_annotation_of_a_registered_pod_is_edited_into_nonsense(
    ground: Ground, nonsense: dict[str, str]
) -> None:
    service = "test-namespace/flask-app"
    ground.cluster.apply(builders.pod(annotations={"service": service, "attributes": "stage=dev"}))
    await ground.start()
    before = ground.registry.held(FLASK)
    ground.cluster.annotate("flask-app-0", **nonsense)
    await ground.advance(900.0)
    assert ground.registry.held(FLASK) == before
    assert len(ground.registry.history) == 1
    told = [event for event in ground.notebook.events if event.type == "Warning"]
    assert len(told) == 1
    assert told[0].object == "flask-app-0"
    ground.cluster.annotate("flask-app-0", service=service, attributes="stage=prod")
    await ground.settle()
    assert ground.instance("flask-app-0").attributes["stage"] == "prod"
    assert ground.deregistered() == []


@pytest.mark.parametrize(
    "end", [{"terminating": True}, {"phase": "Failed"}, {"phase": "Succeeded"}, {"terminating": True, "ready": False}]
)
async def test_a_held_pod_that_ends_goes_at_once(ground: Ground, end: dict[str, object]) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.annotate("flask-app-0", service="///")
    await ground.settle()
    ground.cluster.edit("flask-app-0", **end)
    await ground.settle()
    assert ground.names() == []


async def test_a_held_pod_that_is_deleted_goes_at_once(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.annotate("flask-app-0", service="///")
    await ground.settle()
    ground.cluster.delete("flask-app-0")
    await ground.settle()
    assert ground.names() == []


async def test_a_hold_lasts_over_a_restart(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.stop()
    ground.cluster.annotate("flask-app-0", service="test-namespace/nowhere")
    await ground.start()
    await ground.advance(900.0)
    assert ground.names() == ["flask-app-0"]
    assert len(ground.registry.history) == 1


async def test_one_wrong_reference_holds_nothing_else_of_its_pod(ground: Ground) -> None:
    ground.cluster.apply(builders.pod(annotations={"service": "test-namespace/flask-app,test-namespace/nowhere"}))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    ground.cluster.edit("flask-app-0", ready=False)
    await ground.settle()
    assert ground.names() == []


async def test_nonsense_of_one_pod_hurts_no_other(ground: Ground) -> None:
    for number, nonsense in enumerate(NONSENSE):
        ground.cluster.apply(builders.pod(f"bad-{number}", annotations=nonsense, ips=(f"10.0.1.{number}",)))
    ground.cluster.apply(builders.pod())
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    await ground.advance(30.0)
    assert {len(ground.reasons(f"bad-{number}")) for number in range(len(NONSENSE))} == {1}


async def test_a_pod_that_cannot_be_worked_out_is_held_and_ends_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(pod: Pod, world: World) -> Wish:
        if pod.name == "cursed":
            raise ZeroDivisionError
        return wish_of(pod, world)

    ground.cluster.apply(builders.pod("cursed", ips=("10.0.0.2",)))
    await ground.start()
    monkeypatch.setattr("kube_registrar.sync.engine.wish_of", broken)
    ground.cluster.edit("cursed", ready=False)
    ground.cluster.objects.append(registry_service("something"))
    ground.engine.intake.object_applied(ground.cluster.objects[-1])
    ground.cluster.apply(builders.pod())
    await ground.advance(60.0)
    assert ground.names() == ["cursed", "flask-app-0"]


async def test_a_problem_that_lasts_a_moment_only_is_not_told(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(builders.pod(annotations={"service": "flask-app"}))
    await ground.advance(1.0)
    ground.engine.intake.object_applied(registry_service("flask-app"))
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == ["Registered"]


async def test_a_problem_is_told_once_and_again_when_it_is_another(ground: Ground) -> None:
    ground.cluster.apply(builders.pod(annotations={"service": "test-namespace/nowhere"}))
    await ground.start()
    await ground.advance(900.0)
    assert ground.reasons("flask-app-0") == ["UnknownService"]
    ground.cluster.annotate("flask-app-0", service="///")
    await ground.advance(900.0)
    assert len(ground.reasons("flask-app-0")) == 2


async def test_a_service_made_out_of_band_is_found_within_seconds(ground: Ground) -> None:
    ground.cluster.apply(builders.pod(annotations={"service": "test-namespace/late"}))
    await ground.start()
    await ground.advance(120.0)
    late = ground.registry.add(builders.service_spec("test-namespace/late")).spec.ref
    await ground.advance(12.0)
    assert ground.names(late) == ["flask-app-0"]  # type: ignore[arg-type]


async def test_a_wrong_annotation_costs_little_however_large_the_registry_is(ground: Ground) -> None:
    for number in range(100):
        ground.registry.add(builders.namespace_spec(f"namespace-{number}"))
    ground.cluster.apply(builders.pod(annotations={"service": "test-namespace/nowhere"}))
    await ground.start()
    calls = len(ground.registry.calls)
    await ground.advance(500.0)
    assert 500 <= len(ground.registry.calls) - calls <= 1_100


async def test_references_that_are_resolved_cost_no_looks_at_the_registry(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    calls = len(ground.registry.calls)
    await ground.advance(500.0)
    assert len(ground.registry.calls) == calls


async def test_a_service_deleted_out_of_band_is_filled_again_when_it_is_recreated(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    for instance in list(ground.registry.held(FLASK)):
        ground.registry.drop(FLASK, instance)
    await ground.registry.remove(FLASK)
    ground.cluster.edit("flask-app-1", ips=("10.0.0.3",))  # a write that finds no service
    await ground.advance(60.0)
    calls = len(ground.registry.calls)
    await ground.advance(60.0)
    assert len(ground.registry.calls) - calls < 40
    assert ground.engine.counts(FLASK).wanted == 0
    ground.registry.add(builders.service_spec())
    await ground.advance(12.0)
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    assert ground.deregistered() == []


async def test_a_registry_service_deleted_out_of_band_holds_the_pods_that_name_its_object(ground: Ground) -> None:
    ground.cluster.objects.append(registry_service("flask-app"))
    ground.cluster.apply(builders.pod(annotations={"service": "flask-app"}))
    await ground.start()
    ground.registry.drop(FLASK, ground.instance("flask-app-0").id)
    await ground.registry.remove(FLASK)
    await ground.advance(700.0)  # a resync has found out
    ground.registry.add(builders.service_spec())
    await ground.advance(12.0)
    assert ground.names() == ["flask-app-0"]


async def test_deleting_the_objects_that_declare_deregisters_nothing(ground: Ground) -> None:
    ground.cluster.objects.append(registry_service("flask-app"))
    ground.cluster.apply(builders.pod(annotations={"service": "flask-app"}))
    ground.cluster.apply(builders.pod("named", ips=("10.0.0.2",)))
    await ground.start()
    assert ground.names() == ["flask-app-0", "named"]
    for thing in ground.cluster.objects:
        ground.engine.intake.object_deleted(thing)
    await ground.advance(900.0)
    assert ground.names() == ["flask-app-0", "named"]
    ground.cluster.edit("named", terminating=True)
    await ground.settle()
    assert ground.names() == ["flask-app-0"]


async def test_a_registry_namespace_that_lets_nobody_in_any_more_holds(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    closed = registry_namespace()
    spec = {**closed.spec, "allowedNamespaces": {"from": "None"}}
    ground.engine.intake.object_applied(replace(closed, spec=spec))
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.reasons("flask-app-1") == ["NamespaceNotAllowed"]


async def test_a_status_written_to_an_object_makes_no_wish_anew(ground: Ground) -> None:
    ground.cluster.objects.append(registry_service("flask-app"))
    ground.cluster.apply(builders.pod())
    await ground.start()
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1

    ground.engine.catalog.on_change = count
    for thing in ground.cluster.objects:
        ground.engine.intake.object_applied(replace(thing, status={"instances": {"wanted": 7}}))
    await ground.engine.catalog.refresh(ground.registry)
    assert changes == 0
    ground.engine.intake.object_applied(replace(thing, spec={}))
    assert changes == 1


@pytest.mark.parametrize("deed", ["made", "gone"])
async def test_what_changes_while_a_registry_is_read_is_newer_than_what_was_read(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """The second namespace is read when the services of the first have been."""
    ground.registry.add(builders.namespace_spec("second"))
    await ground.start()
    late = builders.service_ref("test-namespace/late")
    catalog, original = ground.engine.catalog, ground.registry.find

    async def find(parent: NamespaceRef | None) -> Sequence[Found]:
        if parent == builders.service_ref("second/x").namespace:
            if deed == "made":
                catalog.learn(ground.registry.add(builders.service_spec("test-namespace/late")))
            else:
                catalog.forget(FLASK)
        return await original(parent)

    monkeypatch.setattr(ground.registry, "find", find)
    await catalog.refresh(ground.registry)
    assert (late in catalog.world.services) is (deed == "made")
    assert (FLASK in catalog.world.services) is (deed == "made")
    monkeypatch.undo()
    await catalog.refresh(ground.registry)
    assert (late in catalog.world.services) is (deed == "made")
    assert FLASK in catalog.world.services


async def test_a_registry_namespace_that_goes_while_a_registry_is_read_hurts_no_other(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.registry.add(builders.namespace_spec("brief"))
    brief, original = builders.service_ref("brief/x").namespace, ground.registry.find

    async def find(parent: NamespaceRef | None) -> Sequence[Found]:
        found = await original(parent)
        if parent is None:
            await ground.registry.remove(brief)
        return found

    monkeypatch.setattr(ground.registry, "find", find)
    ground.cluster.apply(builders.pod())
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    assert brief not in ground.engine.catalog.world.namespaces


async def test_a_registry_namespace_that_is_gone_is_waited_for_and_its_services_are_not_called_unknown(
    ground: Ground,
) -> None:
    ground.registry.add(builders.namespace_spec("brief"))
    ground.engine.intake.object_applied(registry_namespace(name="brief"))
    ground.cluster.objects.append(registry_namespace(name="brief"))
    await ground.start()
    brief = builders.service_ref("brief/web").namespace
    await ground.registry.remove(brief)
    ground.engine.catalog.forget(brief)
    ground.cluster.apply(builders.pod(annotations={"service": "brief/web"}))
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == []
    ground.registry.add(builders.namespace_spec("brief"))
    await ground.advance(30.0)
    assert ground.reasons("flask-app-0") == ["UnknownService"]
    ground.registry.add(builders.service_spec("brief/web"))
    await ground.advance(12.0)
    assert ground.names(builders.service_ref("brief/web")) == ["flask-app-0"]
