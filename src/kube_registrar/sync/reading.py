"""Reads what a watch passed over, each Kubernetes namespace and kind by itself: what cannot be read delays no other.

One list a selector; several at once are gathered into one of the whole namespace. What failed is tried again by
itself, ever less often, for as long as somebody needs it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.queue import KeyedQueue

GATHER_SECONDS = 0.05
"""What is applied together is read together."""
MOST_LISTS = 10
"""More selectors than that in one Kubernetes namespace, and it is read whole."""
READERS = 4
"""As many places are read at once: one that does not answer keeps no other waiting."""
TELL_AFTER = 3
"""A failure that goes on is told at its so-manieth time."""
SURPRISE_SECONDS = 30.0
_KINDS = ("Service", "EndpointSlice", "Pod")

_log = logging.getLogger(__name__)

Place = tuple[str, str]
"""Kind and Kubernetes namespace."""


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """Objects that somebody selects, of one kind and Kubernetes namespace; all where both selectors are empty."""

    kind: str
    namespace: str
    labels: str = ""
    fields: str = ""

    @property
    def place(self) -> Place:
        """Where it is."""
        return (self.kind, self.namespace)


class Fetch(Protocol):
    """Reads what a watch passed over, and has it told as the watch would; raises if it cannot."""

    async def __call__(self, need: Need) -> None:
        """Read it. Returns once all of it has been told. Several may be read at once, of different places."""


@dataclass(slots=True)
class _Trouble:
    """One list that failed. `due`: when it is tried again, monotonic seconds."""

    due: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)
    is_told: bool = False
    why: str = ""


class Readings:
    """What is to be read, and what could not be.

    `on_read` is called when all that was open in a Kubernetes namespace has been read. `unread` is told of needs that
    go on failing, and why; it returns whether somebody heard it.
    """

    def __init__(
        self, clock: Clock, on_read: Callable[[], None], unread: Callable[[frozenset[Need], Exception], bool]
    ) -> None:
        self.fetch: Fetch | None = None
        """Set by whoever watches; without it nothing is read."""
        self._clock = clock
        self._on_read = on_read
        self._unread = unread
        self._open: dict[Place, set[Need]] = {}
        self._troubles: dict[Need, _Trouble] = {}
        """By what was asked for: a need, or all of a namespace."""
        self._under_way: dict[Place, set[Need]] = {}
        """What the list covers that is being read."""
        self._queue: KeyedQueue[Place] = KeyedQueue(clock)

    @property
    def is_working(self) -> bool:
        """Whether something is to be read that does not wait for its next try."""
        return any(asked not in self._troubles for here in self._open.values() for asked, _ in _lists(here))

    @property
    def troubles(self) -> Sequence[str]:
        """What could not be read when it was tried last, and why, in plain words."""
        return [trouble.why for _, trouble in sorted(self._troubles.items(), key=lambda each: each[0])]

    def lack(self, namespace: str) -> bool:
        """Whether something of a Kubernetes namespace has not been read."""
        return any((kind, namespace) in self._open for kind in _KINDS)

    def open(self, needs: Collection[Need]) -> None:
        """Have these read."""
        if self.fetch is None:
            return
        for need in needs:
            self._open.setdefault(need.place, set()).add(need)
            self._under_way.get(need.place, set()).discard(need)  # the list that is being read may have passed it over
            self._queue.add_after(need.place, GATHER_SECONDS)

    def keep(self, needs: Collection[Need]) -> None:
        """Forget what is open and not among these."""
        for place, here in list(self._open.items()):
            here.intersection_update(needs)
            self._close(place)

    def _close(self, place: Place) -> None:
        """Forget a place where nothing is open, and the troubles of lists that are not made any more."""
        here = self._open.get(place, set())
        lists = {asked for asked, _ in _lists(here)}
        for asked in [one for one in self._troubles if one.place == place and one not in lists]:
            del self._troubles[asked]
        if not here:
            self._open.pop(place, None)

    async def run(self) -> None:
        """Read what is open, until cancelled."""
        for place in self._open:
            self._queue.add(place)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(READERS):
                    tasks.create_task(self._work(), name=f"reader {number}")
        finally:
            await self._queue.close()

    async def _work(self) -> None:
        while True:
            async with self._queue.take() as place:
                try:
                    await self._read_all(place)
                except Exception:  # noqa: BLE001 - one place's surprise must not stop the others
                    _log.exception("reading the %ss of %s failed unexpectedly; it is tried again", *place)
                    self._queue.add_after(place, SURPRISE_SECONDS)

    async def _read_all(self, place: Place) -> None:
        for asked, covered in list(_lists(self._open.get(place, ()))):
            if not self._waits(asked) and covered & self._open.get(place, set()):
                await self._read(place, asked, covered)
        self._again(place)

    async def _read(self, place: Place, asked: Need, covered: frozenset[Need]) -> None:
        """Make one list. Whatever goes wrong with it, the next one is made."""
        assert self.fetch is not None, "needs are open only where they can be read"  # noqa: S101
        under_way = self._under_way[place] = set(covered)
        try:
            await self.fetch(asked)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is read again
            self._failed(asked, covered, error)
        else:
            self._troubles.pop(asked, None)
            self._open.get(place, set()).difference_update(under_way)
            self._close(place)
            if not self.lack(place[1]):
                self._on_read()
        finally:
            del self._under_way[place]

    def _failed(self, asked: Need, covered: frozenset[Need], error: Exception) -> None:
        here = self._open.get(asked.place, set())
        if not covered & here:
            return  # nobody needs it any more
        trouble = self._troubles.setdefault(asked, _Trouble())
        trouble.due = self._clock.monotonic() + trouble.backoff.failed(getattr(error, "after", 0.0))
        level = logging.WARNING if trouble.backoff.failures == 1 else logging.DEBUG
        what = f"the {asked.kind}s in Kubernetes namespace {asked.namespace}"
        trouble.why = f"what is newly selected of {what} cannot be read: {error}"
        _log.log(level, "%s; it is tried again by itself", trouble.why)
        if trouble.backoff.failures >= TELL_AFTER and not trouble.is_told:
            trouble.is_told = self._unread(covered & here, error)

    def _again(self, place: Place) -> None:
        """Come again when the first list is due: one that failed, or one that became another meanwhile."""
        now = self._clock.monotonic()
        waits = [
            self._troubles[asked].due - now if asked in self._troubles else 0.0
            for asked, _ in _lists(self._open.get(place, ()))
        ]
        if waits:
            self._queue.add_after(place, max(min(waits), GATHER_SECONDS))

    def _waits(self, asked: Need) -> bool:
        trouble = self._troubles.get(asked)
        return trouble is not None and trouble.due > self._clock.monotonic()


def _lists(here: Collection[Need]) -> Iterator[tuple[Need, frozenset[Need]]]:
    """Yield the lists that are needed of one place, each with what it covers."""
    if not here:
        return
    whole = Need(*next(iter(here)).place)
    if len(here) > MOST_LISTS or whole in here:
        yield whole, frozenset(here)
    else:
        yield from ((need, frozenset({need})) for need in sorted(here))
