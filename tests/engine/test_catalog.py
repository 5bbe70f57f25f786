"""What is declared and what exists, as pods' references see it; and the figures that are shown of it."""

from dataclasses import replace

import pytest

from kube_registrar.model.errors import Refused
from kube_registrar.model.records import KubeNamespace
from kube_registrar.model.refs import NamespaceRef, Uid
from kube_registrar.registries.port import Found
from kube_registrar.sync.engine import Counts
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground, registry_namespace, registry_service

ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-"


async def test_figures_follow_every_change(ground: Ground) -> None:
    await ground.start()
    assert ground.engine.counts(FLASK) == Counts(wanted=0, registered=0, held=0)
    ground.registry.faults.delay(Op.REGISTER, 5.0, times=2)
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.settle()
    assert ground.engine.counts(FLASK) == Counts(wanted=2, registered=0, held=0)
    await ground.advance(5.0)
    assert ground.engine.counts(FLASK) == Counts(wanted=2, registered=2, held=0)
    ground.cluster.annotate("flask-app-1", service="///")
    assert ground.engine.counts(FLASK) == Counts(1, 1, held=0, orphaned=1)  # not planned yet
    await ground.settle()
    assert ground.engine.counts(FLASK) == Counts(wanted=1, registered=1, held=1)
    ground.registry.faults.fail(Op.REGISTER, Refused("no"), times=None)
    ground.cluster.annotate("flask-app-0", service="test-namespace/flask-app", attributes="stage=dev")
    await ground.settle()
    assert ground.engine.counts(FLASK) == Counts(wanted=1, registered=0, held=1)
    ground.cluster.delete("flask-app-0")
    ground.cluster.delete("flask-app-1")
    await ground.settle()
    assert ground.engine.counts(FLASK) == Counts(wanted=0, registered=0, held=0)


async def test_figures_of_a_service_that_nobody_looked_at_do_not_make_it_known(ground: Ground) -> None:
    await ground.start()
    nowhere = builders.service_ref("test-namespace/nowhere")
    elsewhere = builders.service_ref("test-namespace/flask-app", "no-such-registry")
    assert ground.engine.counts(nowhere) == ground.engine.counts(elsewhere) == Counts(0, 0, 0)
    await ground.advance(1_500.0)
    assert ground.registry.asked(Op.INSTANCES, nowhere) == []


async def test_an_arn_means_the_service_that_has_it_now(ground: Ground) -> None:
    """A service that is deleted and made again has another ARN; the old one means nothing any more."""
    first = replace(Found(builders.service_spec(), "srv-1"), arn=f"{ARN}1")
    await ground.start()
    catalog = ground.engine.catalog
    catalog.learn(first)
    assert catalog.world.arns == {f"{ARN}1": FLASK}
    catalog.learn(replace(first, arn=f"{ARN}2"))
    assert catalog.world.arns == {f"{ARN}2": FLASK}
    catalog.forget(FLASK)
    assert catalog.world.arns == {}


async def test_a_pod_names_a_service_by_its_arn(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ground.registry.find

    async def find(parent: NamespaceRef | None) -> list[Found]:
        found = await original(parent)
        return [replace(each, arn=f"{ARN}{each.id[-1]}" if parent else None) for each in found]

    monkeypatch.setattr(ground.registry, "find", find)
    late = ground.registry.add(builders.service_spec("test-namespace/late"))
    arn = f"{ARN}{late.id[-1]}"
    await ground.registry.remove(late.spec.ref)
    ground.cluster.apply(builders.pod(annotations={"service": arn}))
    await ground.start()
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == ["UnknownArn"]
    ground.registry._memory._ids = iter([int(arn[-1])])  # type: ignore[assignment]  # the same id again
    ground.registry.add(builders.service_spec("test-namespace/late"))
    await ground.advance(12.0)
    assert ground.names(builders.service_ref("test-namespace/late")) == ["flask-app-0"]


async def test_what_a_registry_refuses_of_an_object_holds_the_pods_that_name_it(ground: Ground) -> None:
    thing = registry_service("flask-app")
    ground.cluster.objects.append(thing)
    ground.cluster.apply(builders.pod(annotations={"service": "flask-app"}))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    ground.engine.catalog.refuse(thing.uid, "it exists with other records")
    ground.cluster.apply(builders.pod("flask-app-1", annotations={"service": "flask-app"}, ips=("10.0.0.2",)))
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]
    ground.engine.catalog.refuse(thing.uid, "")
    await ground.settle()
    assert ground.names() == ["flask-app-0", "flask-app-1"]


async def test_labels_of_a_kubernetes_namespace_let_its_pods_in(ground: Ground) -> None:
    closed = registry_namespace()
    allowed = {"from": "Selector", "selector": {"matchLabels": {"team": "web"}}}
    ground.cluster.objects[:] = [replace(closed, spec={**closed.spec, "allowedNamespaces": allowed})]
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(60.0)
    assert (ground.names(), ground.reasons("flask-app-0")) == ([], ["NamespaceNotAllowed"])
    labelled = KubeNamespace("default", Uid("kube-default"), {"team": "web"})
    ground.engine.intake.namespace_applied(labelled)
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    ground.engine.intake.namespace_applied(replace(labelled, labels={}))
    ground.engine.intake.namespace_deleted(labelled)
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]  # held: nobody said that it must go


async def test_an_object_whose_spec_is_invalid_hurts_nobody(ground: Ground) -> None:
    broken = registry_service("broken")
    ground.cluster.objects += [
        replace(broken, spec={"namespaceRef": 7}),
        replace(registry_namespace(name="broken"), spec={"type": "Nonsense"}),
    ]
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", annotations={"service": "broken"}, ips=("10.0.0.2",)))
    await ground.start()
    await ground.advance(60.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], [])


async def test_a_registry_that_cannot_even_be_read_right_ends_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, broken = ground.registry.find, iter([True, True])

    async def find(parent: NamespaceRef | None) -> object:
        if next(broken, False):
            raise KeyError("a mistake in a plugin")
        return await original(parent)

    monkeypatch.setattr(ground.registry, "find", find)
    ground.cluster.apply(builders.pod())
    await ground.start()
    assert ground.engine.is_quiet  # it has been tried
    await ground.advance(5.0)
    assert ground.names() == ["flask-app-0"]
