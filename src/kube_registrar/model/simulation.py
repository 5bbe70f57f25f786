"""Simulated troubles of a registry, for whoever tests a Cloud Map client: what they are, and how they are written.

    latency=20ms,operation-delay=0.3s-1s,late-failure=0.1,throttle=50/100,faults=0.2,lost-replies=0.05

A span of time is one duration or two (`0.3s-1s`: drawn anew each time); units are ms, s and m. A chance is 0 to 1.
A rate is `per second/burst`; `throttle` gives each operation a bucket of its own, `throttle.RegisterInstance` gives
one to that operation only, and `throttle.RegisterInstance+DeregisterInstance` one to the two together. `seed` makes
all draws repeatable.
"""

import difflib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kube_registrar.model.cloudmap.shapes import OPERATIONS
from kube_registrar.model.errors import UserError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_THROTTLE = "throttle"


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds from `least` to `most`."""

    least: float = 0.0
    most: float = 0.0

    def draw(self, dice: random.Random) -> float:
        """Draw one number of seconds."""
        return self.least if self.least == self.most else dice.uniform(self.least, self.most)


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `per_second` flow in, `burst` are held."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """All switches; the default is no trouble at all."""

    latency: Span = Span()
    """Before every answer."""
    operation_delay: Span = Span()
    """From accepting an asynchronous operation to its end."""
    late_failure: float = 0.0
    """The chance that an asynchronous operation ends in FAIL."""
    throttle: Mapping[str, Rate] = field(default_factory=dict)
    """By operation, or several joined by `+` that share one bucket; `""` is the rate of each of the others."""
    faults: float = 0.0
    """The chance of an InternalFailure before anything was done."""
    lost_replies: float = 0.0
    """The chance that a request is done and its connection then dropped."""
    hangs: float = 0.0
    """The chance that a request is done and its answer never comes."""
    custom_health_delay: float | None = None
    """Seconds until an UpdateInstanceCustomHealthStatus takes effect; None: as the registry is configured."""
    seed: int | None = None

    def rate(self, operation: str) -> Rate | None:
        """Return the rate of an operation, if it has one."""
        return self.throttle.get(self.bucket(operation)) or self.throttle.get("")

    def bucket(self, operation: str) -> str:
        """Return the name of the bucket that an operation draws on."""
        return next((each for each in self.throttle if operation in each.split("+")), operation)


KEYS = (
    "latency", "operation-delay", "late-failure", _THROTTLE, f"{_THROTTLE}.OPERATION", "faults", "lost-replies",
    "hangs", "custom-health-delay", "seed",
)  # fmt: skip


def simulation(wanted: str | Mapping[str, object]) -> Simulation:
    """Read the switches, from `key=value,key=value` or from a mapping of the same keys.

    Raises UserError, naming the key, what was found and what is allowed.
    """
    pairs = _pairs(wanted) if isinstance(wanted, str) else {key: str(value) for key, value in wanted.items()}
    return Simulation(
        latency=_span("latency", pairs.pop("latency", None)),
        operation_delay=_span("operation-delay", pairs.pop("operation-delay", None)),
        late_failure=_chance("late-failure", pairs.pop("late-failure", None)),
        faults=_chance("faults", pairs.pop("faults", None)),
        lost_replies=_chance("lost-replies", pairs.pop("lost-replies", None)),
        hangs=_chance("hangs", pairs.pop("hangs", None)),
        custom_health_delay=_seconds("custom-health-delay", pairs.pop("custom-health-delay", None)),
        seed=_seed(pairs.pop("seed", None)),
        throttle=dict(_throttle(key, value) for key, value in pairs.items()),
    )


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        key, separator, value = item.partition("=")
        if not separator:
            raise UserError(f"simulate has {item!r}: write key=value, such as latency=20ms")
        if key in pairs:
            raise UserError(f"simulate has {key} twice: give it once")
        pairs[key] = value
    return pairs


def _throttle(key: str, value: str) -> tuple[str, Rate]:
    """Read a rate; it comes last, so that any key that is left over and is no rate is an unknown one."""
    name, _, operation = key.partition(".")
    if name != _THROTTLE:
        near = difflib.get_close_matches(key, KEYS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"simulate has the unknown key {key!r}: known are {', '.join(KEYS)}{hint}")
    for unknown in [each for each in operation.split("+") if operation and each not in OPERATIONS]:
        near = difflib.get_close_matches(unknown, OPERATIONS, 1)
        raise UserError(
            f"simulate has {key}: no operation has that name; {near[0] if near else 'RegisterInstance'} is one"
        )
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)", value)
    if not found or float(found[1]) <= 0 or float(found[2]) < 1:
        raise UserError(f"simulate has {key}={value}: write per-second/burst, such as 50/100, the burst at least 1")
    return operation, Rate(float(found[1]), float(found[2]))


def _seconds(key: str, value: str | None) -> float | None:
    if value is None:
        return None
    found = _DURATION.fullmatch(value)
    if not found:
        raise UserError(f"simulate has {key}={value}: write a duration, such as 20ms, 0.3s or 1m")
    return float(found[1]) * _UNITS[found[2]]


def _span(key: str, value: str | None) -> Span:
    if value is None:
        return Span()
    least, separator, most = value.partition("-")
    if not _DURATION.fullmatch(least) or (separator and not _DURATION.fullmatch(most)):
        raise UserError(f"simulate has {key}={value}: write a duration such as 20ms, or two such as 0.3s-1s")
    first, last = _seconds(key, least) or 0.0, _seconds(key, most if separator else least) or 0.0
    if last < first:
        raise UserError(f"simulate has {key}={value}: the first duration must not be the longer one")
    return Span(first, last)


def _chance(key: str, value: str | None) -> float:
    if value is None:
        return 0.0
    if not re.fullmatch(r"\d+(\.\d+)?", value) or float(value) > 1:
        raise UserError(f"simulate has {key}={value}: write a chance from 0 to 1, such as 0.1")
    return float(value)


def _seed(value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,18}", value):
        raise UserError(f"simulate has seed={value}: write a whole number")
    return int(value)
