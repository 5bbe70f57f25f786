"""Whose pod has an address: asked about each machine that an EndpointSlice names, for it could name anybody's pod.

No list of all pods is kept in memory, so the API server is asked, for all addresses at once, and again from time to
time, for addresses are given out again. What was answered counts until there is another answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from kube_registrar.cluster.errors import ApiForbidden
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sources.endpoints import ServiceKey

AGAIN_SECONDS = 300.0
"""How long an answer counts before the API server is asked again."""
GATHER_SECONDS = 2.0
"""To answer, all pods are read: however often slices change, that is not begun again before this has passed."""
MOST = 10_000
"""Addresses that are asked about at once; more take turns, those first of which nothing or the oldest is known."""

_RIGHT = (
    "grant the service account or user the right to list pods in all namespaces (the chart: rbac.podAddresses); it is "
    "tried again"
)

_log = logging.getLogger(__name__)

Ask = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Returns by address the Kubernetes namespace of the pod that has it, empty if none has it; raises otherwise."""


class Holders:
    """Keeps `known` true: by address, the Kubernetes namespace of the pod that has it, empty if none has it."""

    def __init__(self, ask: Ask, clock: Clock, on_answer: Callable[[ServiceKey], None]) -> None:
        """`on_answer` is called for each Service that asked, when something else is known of an address."""
        self._known: dict[str, str] = {}
        self._ask = ask
        self._clock = clock
        self._on_answer = on_answer
        self._askers: dict[ServiceKey, frozenset[str]] = {}
        self._asked_at: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._is_refused = False

    @property
    def known(self) -> Mapping[str, str]:
        """What is known: a live view."""
        return self._known

    def wants(self, service: ServiceKey, addresses: Iterable[str]) -> None:
        """Note which addresses a Service needs to know of; none: it needs nothing any more."""
        wanted = frozenset(addresses)
        if wanted == self._askers.get(service, frozenset()):
            return
        if wanted:
            self._askers[service] = wanted
        else:
            del self._askers[service]
        in_use = self._in_use()
        for address in [each for each in self._known if each not in in_use]:
            del self._known[address]
            self._asked_at.pop(address, None)
        self._wake.set()

    def _in_use(self) -> frozenset[str]:
        return frozenset[str]().union(*self._askers.values())

    def _due_at(self, address: str) -> float:
        """Return when to ask about an address, monotonic seconds."""
        return self._asked_at.get(address, -AGAIN_SECONDS) + AGAIN_SECONDS

    async def run(self) -> None:
        """Ask, until cancelled."""
        backoff = Backoff()
        while True:
            self._wake.clear()
            try:
                await self._ask_what_is_due()
                backoff.succeeded()
            except Exception as error:  # noqa: BLE001 - an error is no answer; what was known stays known
                self._refused(error)
                await self._clock.sleep(backoff.failed())
                continue
            await self._until_next()

    async def _ask_what_is_due(self) -> None:
        now = self._clock.monotonic()
        in_use = sorted(self._in_use(), key=lambda each: (self._due_at(each), each))[:MOST]
        if not in_use or self._due_at(in_use[0]) > now:
            return
        # As many as may be, whichever are due: it costs the same.
        for address, found in (await self._ask(in_use)).items():
            askers = [key for key, wanted in self._askers.items() if address in wanted]
            if not askers:
                continue  # no longer, and nobody would forget it
            self._asked_at[address] = now
            if self._known.get(address) != found:
                self._known[address] = found
                for service in askers:
                    self._on_answer(service)
        self._is_refused = False
        await self._clock.sleep(GATHER_SECONDS)

    async def _until_next(self) -> None:
        """Wait until somebody wants something else, or an answer has become old."""
        due = min(map(self._due_at, self._in_use()), default=None)
        if due is None:
            await self._wake.wait()
            return
        alarm = asyncio.create_task(self._clock.sleep(due - self._clock.monotonic()))
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({alarm, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            woken.cancel()

    def _refused(self, error: Exception) -> None:
        if not self._is_refused:
            self._is_refused = True
            next_step = _RIGHT if isinstance(error, ApiForbidden) else "it is tried again"
            _log.warning(
                "endpoints without pods wait: whose pod has an address cannot be asked; %s: %s", next_step, error
            )
