"""What a test makes go wrong in a FakeRegistry, each with one call that reads like a sentence."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.refs import InstanceId


class Op(StrEnum):
    """What a registry is asked; changes count by their kind."""

    FIND = "find"
    ENSURE = "ensure"
    REMOVE = "remove"
    INSTANCES = "instances"
    DISCOVER = "discover"
    REGISTER = "register"
    DEREGISTER = "deregister"
    SET_HEALTH = "set health"


@dataclass(slots=True)
class Fault:
    """One thing to go wrong: the answer is `error`; the effect comes before it, `effect_after` seconds on, or never."""

    op: Op
    error: RegistryError
    effect_after: float | None
    instance: InstanceId | None
    left: int | None


@dataclass(slots=True)
class Delay:
    """An operation that takes `seconds` until it takes effect and is confirmed."""

    op: Op
    seconds: float
    instance: InstanceId | None
    left: int | None


Each = TypeVar("Each", Fault, Delay)


@dataclass(slots=True)
class Faults:
    """The faults still to come; the oldest one that fits a call is used first.

    `times`: how many calls it hits; None: all, until `heal`. `instance`: only changes of that instance.
    """

    _faults: list[Fault] = field(default_factory=list)
    _delays: list[Delay] = field(default_factory=list)

    def fail(self, op: Op, error: RegistryError, *, times: int | None = 1, instance: InstanceId | None = None) -> None:
        """The next call answers `error` and does nothing."""
        self._faults.append(Fault(op, error, None, instance, times))

    def lose_reply(self, op: Op, *, times: int | None = 1, instance: InstanceId | None = None) -> None:
        """The next call takes effect, but its answer is lost: `Unreachable(doubtful=True)`."""
        self._faults.append(Fault(op, _lost(), 0.0, instance, times))

    def lose_request(self, op: Op, *, times: int | None = 1, instance: InstanceId | None = None) -> None:
        """The next call never arrives, and its caller cannot know: `Unreachable(doubtful=True)`."""
        self._faults.append(Fault(op, _lost(), None, instance, times))

    def straggle(self, op: Op, seconds: float, *, times: int | None = 1, instance: InstanceId | None = None) -> None:
        """The next call answers `Unreachable(doubtful=True)` at once and takes effect `seconds` later."""
        self._faults.append(Fault(op, _lost(), seconds, instance, times))

    def delay(self, op: Op, seconds: float, *, times: int | None = None, instance: InstanceId | None = None) -> None:
        """Calls take `seconds` of the clock before they take effect and are answered."""
        self._delays.append(Delay(op, seconds, instance, times))

    def heal(self) -> None:
        """Forget all that was still to go wrong, delays included."""
        self._faults.clear()
        self._delays.clear()

    def take_fault(self, op: Op, instance: InstanceId | None = None) -> Fault | None:
        """Use up the oldest fault that fits. Called by the fake."""
        return _take(self._faults, op, instance)

    def take_delay(self, op: Op, instance: InstanceId | None = None) -> float:
        """Use up the oldest delay that fits and return its seconds. Called by the fake."""
        delay = _take(self._delays, op, instance)
        return delay.seconds if delay else 0.0


def _lost() -> Unreachable:
    return Unreachable("the connection was dropped before the reply", doubtful=True)


def _take(waiting: list[Each], op: Op, instance: InstanceId | None) -> Each | None:
    for each in waiting:
        if each.op is op and each.instance in {None, instance}:
            if each.left is not None:
                each.left -= 1
                if each.left <= 0:
                    waiting.remove(each)
            return each
    return None
