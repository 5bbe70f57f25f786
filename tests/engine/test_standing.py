"""What our kinds say of themselves is true, whatever others write beside it and whoever erases it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound, ApiUnreachable
from kube_registrar.cluster.status import StatusAsRead
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.reasons import IN_SYNC, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import Uid
from kube_registrar.operator.reachability import Reachability
from kube_registrar.operator.standing import LONGEST_SECONDS, Stand, Standing, StatusWriter
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import Ground, registry_namespace, registry_service

READY = {"type": "Ready", "status": "True", "reason": "Created", "message": "made"}


class FakeStatuses:
    """The API server's side. What is written is told to the engine, as a watch does."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.objects = {thing.name: thing for thing in ground.cluster.objects}
        self.versions = dict.fromkeys(self.objects, 1)
        self.patches: list[tuple[str, Mapping[str, object]]] = []
        self.reads: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.between: dict[str, Mapping[str, Any]] = {}
        """What somebody else writes between a read and a write."""
        self.is_watched = True

    async def read(self, kind: str, namespace: str, name: str) -> StatusAsRead:
        self.reads.append(name)
        self._fail(name)
        found = StatusAsRead(self.objects[name].uid, str(self.versions[name]), self.objects[name].status)
        if name in self.between:
            self.write(name, self.between.pop(name))
        return found

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        status: Mapping[str, object],
        *,
        resource_version: str | None = None,
    ) -> None:
        self._fail(name)
        assert "conditions" not in status or resource_version, "a whole list is written over an unknown one"
        if resource_version not in {None, str(self.versions[name])}:
            raise ApiConflict("the object has been modified", status=409)
        self.patches.append((name, status))
        self.write(name, status)

    def write(self, name: str, status: Mapping[str, Any]) -> None:
        """Merge into a status, whoever does it."""
        self.versions[name] += 1
        self.objects[name] = replace(self.objects[name], status={**self.objects[name].status, **status})
        if self.is_watched:
            self.ground.engine.intake.object_applied(self.objects[name])

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]

    def conditions(self, name: str) -> dict[str, tuple[str, str]]:
        """Return status and reason of each condition."""
        found: Sequence[Any] = self.objects[name].status.get("conditions", [])  # type: ignore[assignment]
        return {one["type"]: (one["status"], one["reason"]) for one in found}


NAMESPACE, SERVICE = "default-test-namespace", "flask-app"


class Scene:
    """A RegistryNamespace and a RegistryService, and who writes their statuses."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        ground.cluster.objects.append(registry_service("flask-app"))
        self.statuses = FakeStatuses(ground)
        self.extra: list[Stand] = []
        self.types = frozenset[str]()

    def stands(self, thing: CustomObject) -> Sequence[Stand]:
        return self.extra if thing.name == SERVICE else ()

    async def start(self) -> StatusWriter:
        await self.ground.start()
        engine = self.ground.engine
        standings: list[Standing] = [Reachability(engine.circuits, engine.catalog), self]
        self.writer = StatusWriter(engine, engine.catalog, self.statuses, self.ground.clock, standings)
        return self.writer

    async def round(self) -> list[str]:
        """Play one round; return whose statuses were written."""
        before = len(self.statuses.patches)
        await self.writer.round()
        return [name for name, _status in self.statuses.patches[before:]]


@pytest.fixture
def scene(ground: Ground) -> Scene:
    return Scene(ground)


async def test_counts_and_reachability_are_written_once_and_only_on_change(scene: Scene) -> None:
    scene.ground.cluster.apply(builders.pod("web"))
    await scene.start()
    assert await scene.round() == [NAMESPACE, SERVICE]
    for name in (NAMESPACE, SERVICE):
        assert scene.statuses.objects[name].status["instances"] == {"wanted": 1, "registered": 1, "held": 0}
        assert scene.statuses.conditions(name) == {"RegistryReachable": ("True", "RegistryAnswers")}
    assert await scene.round() == []
    reads = len(scene.statuses.reads)
    scene.ground.cluster.apply(builders.pod("web-1", ips=("10.0.0.9",)))
    await scene.ground.settle()
    assert await scene.round() == [NAMESPACE, SERVICE]
    assert scene.statuses.patches[-1] == (SERVICE, {"instances": {"wanted": 2, "registered": 2, "held": 0}})
    assert len(scene.statuses.reads) == reads  # counts alone need none


async def test_conditions_of_others_stay_and_what_they_erase_is_there_again(scene: Scene) -> None:
    await scene.start()
    scene.statuses.write(SERVICE, {"conditions": [READY]})
    await scene.round()
    ours = {"Ready": ("True", "Created"), "RegistryReachable": ("True", "RegistryAnswers")}
    assert scene.statuses.conditions(SERVICE) == ours
    scene.statuses.write(SERVICE, {"conditions": [READY], "instances": None})  # kopf, from a body of before
    assert await scene.round() == [SERVICE]
    assert scene.statuses.conditions(SERVICE) == ours
    assert scene.statuses.objects[SERVICE].status["instances"] == {"wanted": 0, "registered": 0, "held": 0}


async def test_what_is_written_meanwhile_is_never_lost(scene: Scene) -> None:
    await scene.start()
    scene.statuses.between[SERVICE] = {"conditions": [READY]}
    assert await scene.round() == [NAMESPACE]
    assert scene.statuses.conditions(SERVICE) == {"Ready": ("True", "Created")}
    assert await scene.round() == [SERVICE]
    assert scene.statuses.conditions(SERVICE).keys() == {"Ready", "RegistryReachable"}


async def test_a_watch_that_lags_makes_no_second_write(scene: Scene) -> None:
    await scene.start()
    scene.statuses.is_watched = False
    assert len(await scene.round()) == 2
    assert await scene.round() == []


async def test_reachability_is_unknown_then_false_then_true(scene: Scene) -> None:
    ground = scene.ground
    for op in Op:
        ground.registry.faults.fail(op, Unreachable("connection refused"), times=None)
    await scene.start()
    await scene.round()
    assert scene.statuses.conditions(SERVICE) == {"RegistryReachable": ("Unknown", "NotAskedYet")}
    await ground.advance(60.0)
    await scene.round()
    for name in (NAMESPACE, SERVICE):
        assert scene.statuses.conditions(name) == {"RegistryReachable": ("False", "RegistryUnavailable")}
    await ground.advance(60.0)
    assert await scene.round() == []
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert await scene.round() == [NAMESPACE, SERVICE]
    assert scene.statuses.conditions(SERVICE) == {"RegistryReachable": ("True", "RegistryAnswers")}


async def test_a_provider_adds_its_conditions_and_takes_them_away(scene: Scene) -> None:
    scene.types = frozenset({"DeletionsHeld"})
    await scene.start()
    await scene.round()
    scene.extra = [Stand("DeletionsHeld", status=True, problem=Problem.of(IN_SYNC, what="x"))]
    assert await scene.round() == [SERVICE]
    assert scene.statuses.conditions(SERVICE)["DeletionsHeld"] == ("True", "InSync")
    assert await scene.round() == []
    scene.extra = []
    assert await scene.round() == [SERVICE]
    assert scene.statuses.conditions(SERVICE).keys() == {"RegistryReachable"}


async def test_an_object_of_an_unknown_registry_says_nothing_of_it(scene: Scene) -> None:
    scene.ground.cluster.objects[0] = registry_namespace()
    thing = scene.statuses.objects[NAMESPACE]
    elsewhere = replace(thing, spec={**thing.spec, "registry": "nowhere"})
    scene.ground.cluster.objects[0] = elsewhere
    scene.statuses = FakeStatuses(scene.ground)
    await scene.start()
    await scene.round()
    assert scene.statuses.conditions(NAMESPACE) == {}
    assert scene.statuses.conditions(SERVICE) == {}


async def test_one_object_that_cannot_be_written_delays_no_other_and_is_asked_ever_less(scene: Scene) -> None:
    await scene.start()
    scene.statuses.errors[NAMESPACE] = ApiError("admission webhook failed", status=500)
    assert await scene.round() == [SERVICE]
    for _ in range(100):
        await scene.ground.advance(5.0)
        await scene.round()
    assert 8 <= scene.statuses.reads.count(NAMESPACE) <= 40
    del scene.statuses.errors[NAMESPACE]
    await scene.ground.advance(LONGEST_SECONDS)
    assert await scene.round() == [NAMESPACE]


async def test_an_object_that_is_never_answered_about_lets_the_others_come_first_in_the_next_round(
    scene: Scene,
) -> None:
    await scene.start()
    scene.statuses.errors[NAMESPACE] = ApiUnreachable("no answer within 10 s")
    assert await scene.round() == []
    assert await scene.round() == [SERVICE]


async def test_a_missing_right_is_said_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await scene.start()
    for name in (NAMESPACE, SERVICE):
        scene.statuses.errors[name] = ApiForbidden("cannot patch registryservices/status", status=403)
    for _ in range(50):
        await scene.round()
        await scene.ground.advance(5.0)
    said = [r for r in caplog.records if r.levelno >= logging.WARNING and "could not be written" in r.getMessage()]
    assert len(said) == 1


@pytest.mark.parametrize("error", [ApiNotFound("gone", status=404), ApiConflict("modified", status=409)])
async def test_an_object_that_went_or_changed_meanwhile_is_no_error(scene: Scene, error: ApiError) -> None:
    await scene.start()
    scene.statuses.errors[NAMESPACE] = error
    assert await scene.round() == [SERVICE]
    del scene.statuses.errors[NAMESPACE]
    assert await scene.round() == [NAMESPACE]


async def test_another_object_under_the_same_name_is_not_written_for_the_old_one(scene: Scene) -> None:
    await scene.start()
    scene.statuses.objects[SERVICE] = replace(scene.statuses.objects[SERVICE], uid=Uid("another"))
    assert await scene.round() == [NAMESPACE]
