"""When each instance is checked, how many at once, and after how many results its status changes.

Each instance has a time of its own within the interval, drawn when it comes, so a thousand that come at once, or are
read at a start, are checked one by one over the whole interval. The pause between two checks of one is drawn anew each
time, around the interval. Beyond CONCURRENT they wait for each other: where most connections time out, the interval
grows and no more sockets are open.

A check that this machine could not make, as it has no more files or ports, says nothing of the instance.

A status changes after `threshold` results in a row that say the other one. What is known of a row is lost with the
process, the status is not. A registration, also of the same again, begins anew: healthy, and nothing known.
"""

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import health
from kube_registrar.registries.embedded.checks.endpoints import Endpoint, checked_address, endpoint
from kube_registrar.registries.embedded.checks.probing import NoVerdictError
from kube_registrar.registries.embedded.checks.probing import probe as probe_once
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import HealthCheck, Instance, Service
from kube_registrar.runtime.seldom import Seldom

_log = logging.getLogger(__name__)

CONCURRENT: Final = 128
JITTER: Final = 0.1
"""A pause is the interval, less or more by this part of it at most."""

_SPARE = 64

Probe = Callable[[Endpoint], Awaitable[str]]


@dataclass(slots=True, eq=False)
class _Target:
    """An instance that is checked. `against`: results in a row that are not its status."""

    service: Service
    instance: Instance
    against: int = 0


class Checker:
    """Checks the instances of one registry; the state tells it of them. `probe` says what is wrong, or nothing."""

    def __init__(self, core: Core, probe: Probe = probe_once) -> None:
        self._core = core
        self._probe = probe
        self._targets: dict[tuple[str, str], _Target] = {}
        self._due: list[tuple[float, int, _Target]] = []
        self._order = itertools.count()
        self._waiting: deque[_Target] = deque()
        self._running = 0
        self._alarm: asyncio.Task[Any] | None = None
        self._alarm_at = 0.0
        self._shortage = Seldom(_log, self._now)

    def start(self) -> None:
        """Check all that is there, and what comes."""
        self._core.state.followers.append(self)
        for service_id in self._core.state.services:
            self.service_changed(service_id)

    def namespace_changed(self, namespace_id: str) -> None:
        """Nothing is checked of a namespace."""

    def service_changed(self, service_id: str) -> None:
        """Look at all instances of a service."""
        service = self._core.state.services.get(service_id)
        for instance_id in service.instances if service else ():
            self.instance_changed(service_id, instance_id)

    def instance_changed(self, service_id: str, instance_id: str) -> None:
        """Begin or end to check an instance. One whose health has changed is the same one still."""
        service = self._core.state.services.get(service_id)
        instance = service.instances.get(instance_id) if service else None
        if service is None or instance is None or service.record.check is None:
            self._targets.pop((service_id, instance_id), None)
            return
        known = self._targets.get((service_id, instance_id))
        if known is None or known.instance is not instance:
            target = self._targets[service_id, instance_id] = _Target(service, instance)
            self._check_at(self._now() + self._core.dice.uniform(0, self._core.options.check_interval), target)

    def _now(self) -> float:
        return self._core.clock.monotonic()

    def _check_at(self, due: float, target: _Target) -> None:
        heapq.heappush(self._due, (due, next(self._order), target))
        if len(self._due) > 2 * len(self._targets) + _SPARE:  # What was registered anew or went leaves its time here.
            self._due = [each for each in self._due if self._is_current(each[2])]
            heapq.heapify(self._due)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Have `_begin` called when the first is due; one alarm for all of them."""
        if not self._due:
            return
        due = self._due[0][0]
        if self._alarm is not None:
            if self._alarm_at <= due:
                return
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = self._core.spawn(self._ring(due))

    async def _ring(self, due: float) -> None:
        await self._core.clock.sleep(due - self._now())
        self._alarm = None
        while self._due and self._due[0][0] <= self._now():
            self._waiting.append(heapq.heappop(self._due)[2])
        self._begin()
        self._set_alarm()

    def _begin(self) -> None:
        """Begin as many of the checks that are due as may run at once."""
        while self._waiting and self._running < CONCURRENT:
            target = self._waiting.popleft()
            check = target.service.record.check
            if check is None or not self._is_current(target):
                continue
            where = self._where(target, check)
            if where is None:
                continue
            self._running += 1
            self._core.spawn(self._check(target, check, where))

    def _is_current(self, target: _Target) -> bool:
        return self._targets.get((target.service.record.id, target.instance.id)) is target

    def _where(self, target: _Target, check: HealthCheck) -> Endpoint | None:
        """Return where to check; None, and a line in the log, where that cannot or may not be. It then stays as it is.

        Registering refuses such an instance. Others are aliases, or older than the check or the option.
        """
        where = endpoint(target.service, target.instance, check)
        if where is None:
            reason = "it has no address or no port"
        else:
            key = checked_address(target.instance.attributes) or ""
            reason = self._core.options.check_addresses.refusal(target.instance.attributes[key])
        if not reason:
            return where
        _log.warning("instance %s of %s is not checked: %s", target.instance.id, target.service.path, reason)
        return None

    async def _check(self, target: _Target, check: HealthCheck, where: Endpoint) -> None:
        begun = self._now()
        try:
            reason = await self._probe(where)
            self._core.checks_made["failed" if reason else "passed"] += 1
            await self._judge(target, check, reason)
        except NoVerdictError as error:
            self._core.checks_made["undecided"] += 1
            self._shortage.warning(
                "health checks cannot be made (%s), and the statuses stay as they are: give this process what it has "
                "too little of, files for instance (ulimit -n), or have fewer connections",
                error,
            )
        except CloudMapError:
            pass  # The disk is full: it has been said, and the next result says the same.
        except Exception:  # noqa: BLE001 - the others are checked on
            _log.exception("a health check failed; this is a bug")
        finally:
            self._running -= 1
        if self._is_current(target):
            interval = self._core.options.check_interval
            self._check_at(begun + interval * self._core.dice.uniform(1 - JITTER, 1 + JITTER), target)
        self._begin()

    async def _judge(self, target: _Target, check: HealthCheck, reason: str) -> None:
        status = "UNHEALTHY" if reason else "HEALTHY"
        if status == target.instance.health:
            target.against = 0
            return
        target.against += 1
        if target.against < check.threshold:
            return
        if await health.found(self._core, target.service, target.instance, status, reason or "the check succeeded"):
            target.against = 0
            _log.info(
                "instance %s of %s is %s: %s",
                target.instance.id,
                target.service.path,
                status,
                reason or "the check succeeded",
            )
