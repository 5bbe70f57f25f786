"""The engine on a dry run: it comes to what it would come to, and the registry is asked nothing but to be read."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Deregister, Register
from kube_registrar.model.instances import Instance
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import DEFAULT_REGISTRY, RegistryName
from kube_registrar.registries.dryrun import DryRun, Rehearsed
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.terms import Terms
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground

READS = {Op.FIND, Op.INSTANCES, Op.DISCOVER}


async def rehearse(ground: Ground, policies: Mapping[RegistryName, Policy] | None = None) -> DryRun:
    """Run another engine beside the cluster until it is at rest, and see that it wrote nothing."""
    await ground.stop()
    before, held = len(ground.registry.calls), dict(ground.registry.held(FLASK))
    dry = DryRun(ground.registry)
    reporter = Reporter(ground.notebook, ground.notebook)
    catalog = Catalog(ground.engine.catalog._identity)
    engine = Engine([dry], catalog, ground.cluster, reporter, ground.clock, terms=Terms(policies or {}))
    running = [asyncio.create_task(work) for work in (engine.lead(), engine.run())]
    ground.cluster.connect(engine)
    await ground.advance(5.0)
    assert engine.is_quiet
    ground.cluster.disconnect()
    for task in running:
        task.cancel()
        await asyncio.wait({task})
    assert {call.op for call in ground.registry.calls[before:]} <= READS
    assert ground.registry.held(FLASK) == held
    return dry


def names(found: list[Rehearsed]) -> dict[str, str]:
    """Return what would become of each pod's instance."""
    words = {}
    for each in found:
        instance = each.after or each.before
        assert instance is not None
        verb = "register" if each.before is None else "update" if each.after else "deregister"
        words[f"{instance.attributes[keys.POD]} in {each.service.name}"] = verb
    return words


async def test_nothing_would_change_where_all_is_as_wanted(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web-0"))
    await ground.start()
    assert (await rehearse(ground)).rehearsed() == []


async def test_it_shows_what_misses_differs_and_is_too_much(ground: Ground) -> None:
    for number, name in enumerate(("stays", "edited", "removed", "gone")):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.0.{number + 1}",)))
    await ground.start()
    edited = ground.instance("edited")
    await ground.stop()
    ground.registry.put(FLASK, replace(edited, attributes={**edited.attributes, keys.IPV4: "10.9.9.9"}))
    ground.registry.drop(FLASK, ground.instance("removed").id)
    ground.cluster.lose("gone")
    found = list((await rehearse(ground)).rehearsed())
    assert names(found) == {
        "edited in flask-app": "update",
        "removed in flask-app": "register",
        "gone in flask-app": "deregister",
    }
    [deregister] = [each.change for each in found if isinstance(each.change, Deregister)]
    assert deregister.why == "the pod no longer exists"


async def test_a_move_is_shown_whole_though_its_second_half_waits_for_the_first(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web-0"))
    await ground.start()
    await ground.stop()
    ground.cluster.annotate("web-0", service="test-namespace/other", port="http")
    found = list((await rehearse(ground)).rehearsed())
    assert names(found) == {"web-0 in flask-app": "deregister", "web-0 in other": "register"}
    assert {each.service for each in found} == {FLASK, OTHER}


async def test_what_the_policy_withholds_is_not_rehearsed(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("gone"))
    await ground.start()
    await ground.stop()
    ground.cluster.lose("gone")
    ground.cluster.apply(builders.pod("comes", ips=("10.0.0.2",)))
    dry = await rehearse(ground, {DEFAULT_REGISTRY: Policy.UPSERT_ONLY})
    assert names(list(dry.rehearsed())) == {"comes in flask-app": "register"}


async def test_a_service_that_would_be_made_takes_registrations() -> None:
    ground = Ground()
    dry = DryRun(ground.registry)
    spec = builders.service_spec("test-namespace/later")
    assert (await dry.ensure(spec, "us")).created_by == "us"
    assert spec.ref in [found.spec.ref for found in await dry.find(spec.ref.namespace)]
    instance = Instance(builders.registration().instance.id, {keys.IPV4: "10.0.0.1"})
    changes = [Register(instance, builders.origin())]
    assert [outcome.error async for outcome in dry.apply(spec.ref, changes)] == [None]
    assert list(await dry.instances(spec.ref)) == [instance]
    assert [found.spec for found in dry.made] == [spec]
    assert {call.op for call in ground.registry.calls} == {Op.FIND}
