"""What our kinds say of themselves is true, whatever others write beside it and whoever erases it."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound, ApiUnreachable
from kube_registrar.model.errors import Forbidden, Unreachable
from kube_registrar.model.reasons import IN_SYNC, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import Uid
from kube_registrar.operator.reachability import Permitted, Reachability
from kube_registrar.operator.standing import LONGEST_SECONDS, Look, Said, Stand, Standing, StatusWriter
from kube_registrar.operator.tallies import Tallies
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import Ground, registry_namespace, registry_service
from tests.engine.statuses import FakeStatuses

READY = {"type": "Ready", "status": "True", "reason": "Created", "message": "made"}


NAMESPACE, SERVICE = "default-test-namespace", "flask-app"


class Scene:
    """A RegistryNamespace and a RegistryService, and who writes their statuses."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        ground.cluster.objects.append(registry_service("flask-app"))
        self.statuses = FakeStatuses(ground)
        self.extra: list[Stand] = []
        self.fields: Mapping[str, object] = {}
        self.types = frozenset[str]()
        self.looks = 0

    def look(self) -> Look:
        self.looks += 1
        return self._said

    def _said(self, thing: CustomObject) -> Said:
        return Said(self.extra, self.fields) if thing.name == SERVICE else Said()

    async def start(self) -> StatusWriter:
        await self.ground.start()
        engine = self.ground.engine
        tallies, reachability = Tallies(engine, engine.catalog), Reachability(engine.circuits, engine.catalog)
        permitted = Permitted(engine.permissions, engine.catalog)
        standings: list[Standing] = [tallies, reachability, permitted, self]
        self.writer = StatusWriter(engine.catalog, self.statuses, self.ground.clock, standings)
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


async def test_a_permission_that_is_missing_is_said_until_it_is_there(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    ground = scene.ground
    ground.registry.faults.fail(Op.REGISTER, Forbidden("not allowed. Add to the IAM policy: {}", rule="{}"), times=3)
    ground.cluster.apply(builders.pod("web"))
    with caplog.at_level(logging.WARNING, "kube_registrar.sync.permissions"):
        await scene.start()
        await scene.round()
    for name in (NAMESPACE, SERVICE):
        assert scene.statuses.conditions(name)["RegistryPermitted"] == ("False", "PermissionMissing")
        assert scene.statuses.conditions(name)["RegistryReachable"] == ("True", "RegistryAnswers")
    conditions = scene.statuses.objects[SERVICE].status["conditions"]
    assert isinstance(conditions, list)
    (message,) = (each["message"] for each in conditions if each["type"] == "RegistryPermitted")
    assert message.endswith("Add to the IAM policy: {}")
    await ground.advance(60.0)
    await scene.round()
    assert scene.statuses.conditions(SERVICE)["RegistryPermitted"] == ("True", "Permitted")
    assert len([each for each in caplog.messages if "lacks a permission" in each]) == 1


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


async def test_what_never_held_is_not_denied_and_what_held_is(scene: Scene) -> None:
    scene.types = frozenset({"DeletionsHeld"})
    denial = Stand("DeletionsHeld", status=False, problem=Problem.of(IN_SYNC, what="x"), is_quiet=True)
    scene.extra = [denial]
    await scene.start()
    await scene.round()
    assert scene.statuses.conditions(SERVICE).keys() == {"RegistryReachable"}
    scene.extra = [replace(denial, status=True, is_quiet=False)]
    await scene.round()
    scene.extra = [denial]
    assert await scene.round() == [SERVICE]
    assert scene.statuses.conditions(SERVICE)["DeletionsHeld"] == ("False", "InSync")
    assert await scene.round() == []


async def test_a_field_holds_what_is_said_and_nothing_of_before_and_goes_when_nothing_is_said(scene: Scene) -> None:
    scene.fields = {"held": {"count": 3, "causes": {"Missing": 2, "Replaced": 1}}}
    await scene.start()
    await scene.round()
    assert scene.statuses.objects[SERVICE].status["held"] == scene.fields["held"]
    scene.fields = {"held": {"count": 4, "causes": {"Configuration": 4}}}
    assert await scene.round() == [SERVICE]
    assert scene.statuses.objects[SERVICE].status["held"] == scene.fields["held"]
    assert await scene.round() == []
    scene.fields = {"held": None}
    assert await scene.round() == [SERVICE]
    assert "held" not in scene.statuses.objects[SERVICE].status
    assert await scene.round() == []


async def test_providers_look_once_a_round_whatever_number_of_objects_there_is(scene: Scene) -> None:
    await scene.start()
    for rounds in (1, 2, 3):
        await scene.round()
        assert scene.looks == rounds


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
    said = [r for r in caplog.records if r.levelno >= logging.WARNING and "not allowed to patch" in r.getMessage()]
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
