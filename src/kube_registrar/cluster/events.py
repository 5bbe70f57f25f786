"""Events on the objects of users: aggregated, limited, never in the way.

`Recorder.record` only notes; a task posts. The same (object, type, reason, message) within ten minutes is one Event
whose series is counted up. What cannot be posted is counted and logged once, never retried for ever.
"""

import asyncio
import logging
import random
import socket
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiNotFound, ApiThrottled, ApiUnreachable
from kube_registrar.cluster.notes import Note, event_name
from kube_registrar.cluster.rates import Bucket, Buckets
from kube_registrar.cluster.session import Session
from kube_registrar.model.refs import ObjectRef
from kube_registrar.runtime.backoff import Backoff

logger = logging.getLogger(__name__)

AGGREGATION_SECONDS = 600.0
"""The same within so long after the last time is counted, not posted anew."""
CAPACITY = 1_000
"""So many notes may wait; beyond that the oldest is dropped."""
REMEMBERED = 4_000
"""So many notes are remembered to be counted up."""
OBJECT_BURST, OBJECT_SECONDS = 25, 60.0
"""Requests about one object: a burst, then one in so many seconds."""
ALL_BURST, ALL_PER_SECOND = 100, 20.0
"""Requests about all objects together."""
_ATTEMPTS = 4

_Key = tuple[ObjectRef, str, str, str]


@dataclass(slots=True)
class Counters:
    """What metrics are made of; all only grow."""

    posted: int = 0
    """Requests that made an Event or counted one up."""
    dropped: int = 0
    """Notes not sent: too many waited, or too many were about one object."""
    failed: int = 0
    """Notes that the API server did not take."""


class Recorder:
    """Takes notes at any time and posts them while `run` runs. `instance`: this process; the pod's or host's name."""

    def __init__(self, session: Session, *, instance: str = "", capacity: int = CAPACITY) -> None:
        self.counters = Counters()
        self._session = session
        self._clock = session.clock
        self._instance = instance or socket.gethostname()
        self._capacity = capacity
        self._recent: OrderedDict[_Key, Note] = OrderedDict()
        self._waiting: OrderedDict[_Key, Note] = OrderedDict()
        self._wake = asyncio.Event()
        self._posting = asyncio.Lock()
        self._objects = Buckets(1 / OBJECT_SECONDS, OBJECT_BURST)
        self._all = Bucket(ALL_PER_SECOND, ALL_BURST)
        self._logged: set[tuple[int, str]] = set()
        self._is_running = False
        self._got_on_at = 0.0
        """When the posting last got on, or will at the earliest (monotonic seconds)."""

    @property
    def stuck_seconds(self) -> float:
        """For how long there has been something to post and nothing was done about it; 0 while `run` does not run."""
        has_work = self._is_running and (bool(self._waiting) or self._posting.locked())
        return max(0.0, self._clock.monotonic() - self._got_on_at) if has_work else 0.0

    def _get_on(self, after: float = 0.0) -> None:
        self._got_on_at = self._clock.monotonic() + after

    def record(self, ref: ObjectRef, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:  # noqa: A002
        """Note an event; never blocks, never raises. `reason` is one of `model.reasons`."""
        key, now = (ref, type, reason, message), self._clock.time()
        note = self._recent.get(key)
        if note is not None and now - note.last <= AGGREGATION_SECONDS:
            note.count += 1
            note.last = now
        else:
            name = event_name(ref.name, f"{random.getrandbits(64):016x}")
            note = self._recent[key] = Note(ref, type, reason, message, name, first=now, last=now)
        if not self._waiting and not self._posting.locked():
            self._get_on()
        self._recent.move_to_end(key)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        self._waiting.setdefault(key, note)
        if len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            self.counters.dropped += 1
        self._wake.set()

    async def run(self) -> None:
        """Post what is noted, until cancelled."""
        self._is_running = True
        self._get_on()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self.flush()
        finally:
            self._is_running = False

    async def flush(self) -> None:
        """Return once all that waits now has been posted or given up: for the end of a process."""
        async with self._posting:
            while self._waiting:
                _, note = self._waiting.popitem(last=False)
                if not self._objects.take(note.ref, self._clock.monotonic()):
                    # Not lost if it is said again: its count goes on, and is sent when there is room.
                    self.counters.dropped += 1
                    continue
                while (wait := self._all.wait(self._clock.monotonic())) > 0.0:
                    self._get_on(wait)
                    await self._clock.sleep(wait)
                self._all.take(self._clock.monotonic())
                await self._send(note)

    async def _send(self, note: Note) -> None:
        backoff = Backoff()
        for attempt in range(1, _ATTEMPTS + 1):
            self._get_on()
            try:
                await self._post(note)
            except ApiError as error:
                if attempt == _ATTEMPTS or not _may_pass(error):
                    self._give_up(note, error)
                    return
                pause = backoff.failed(error.after if isinstance(error, ApiThrottled) else 0.0)
                self._get_on(pause)
                await self._clock.sleep(pause)
            else:
                self.counters.posted += 1
                return

    async def _post(self, note: Note) -> None:
        count = note.count
        if note.posted:
            try:
                await self._session.patch(note.path, note.series())
            except ApiNotFound:
                # The API server forgets Events after an hour.
                note.posted = 0
        if not note.posted:
            try:
                await self._session.post(note.collection, note.body(self._instance))
            except ApiConflict:
                # An attempt before this one was done after all; nobody else uses this name.
                if count > 1:
                    await self._session.patch(note.path, note.series())
        note.posted = count

    def _give_up(self, note: Note, error: ApiError) -> None:
        self.counters.failed += 1
        if (error.status, error.reason) not in self._logged:
            self._logged.add((error.status, error.reason))
            logger.warning(
                "event %s on %s could not be posted (%s); more of this kind are only counted",
                note.reason,
                note.ref,
                error,
            )


def _may_pass(error: ApiError) -> bool:
    """Whether it may work in a moment."""
    return isinstance(error, ApiUnreachable | ApiThrottled) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
