"""Many open operations looked at in one call: a sweep of ListOperations.

A sweep asks for no status. So it sees also what is still under way, stops as soon as it has seen all that is open, and
need not know how a filter spells success: the service model says SUCCESS, its documentation SUCCEED. The one filter is
by date, with a quarter of an hour to both sides: no signature is taken from a clock that is further off.

Cloud Map takes pages first and filters them then, so in an account where much else goes on ten pages may hold little of
ours. Whatever a sweep does not tell in time (it is throttled, fails, or looks too early) is looked at one by one.
"""

import asyncio
import contextlib
import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kube_registrar.model.errors import Refused, RegistryError
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.concurrency import within

FEW: Final = 3
"""So many open operations are looked at one by one: that is as cheap as a sweep, and sooner."""
LEAST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 5.0
"""Between two sweeps."""
MOST_PAGES: Final = 10
STALE_SECONDS: Final = 2 * MOST_SECONDS
"""An operation that no sweep has shown for so long is looked at by itself."""
SKEW_SECONDS: Final = 900.0

_WORTHWHILE: Final = 10  # ends a call: with that, confirming costs a tenth of a call a registration
_CHANGE: Final = 1.5  # of the interval from one sweep to the next
_REST_SECONDS: Final = 300.0
_SUCCEEDED: Final = frozenset({"SUCCESS", "SUCCEED"})
_FAILED: Final = frozenset({"FAIL", "FAILED"})

_log = logging.getLogger(__name__)


def has_succeeded(operation: Mapping[str, Any]) -> bool:
    """Whether it is done."""
    return operation.get("Status") in _SUCCEEDED


def has_failed(operation: Mapping[str, Any]) -> bool:
    """Whether it never will be done."""
    return operation.get("Status") in _FAILED


def is_terminal(operation: Mapping[str, Any]) -> bool:
    """Whether nothing more will come of it."""
    return has_succeeded(operation) or has_failed(operation)


@dataclass(eq=False, slots=True)
class Followed:
    """An open operation. Times are monotonic seconds; `summary` is what a sweep said of its end."""

    operation_id: str
    since: float
    seen_at: float
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    summary: Mapping[str, Any] | None = None


class Sweep:
    """Follows operations. One task sweeps while more than a few are open; `aclose` ends it."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._open: set[Followed] = set()
        self._task: asyncio.Task[None] | None = None
        self._interval = LEAST_SECONDS
        self._rests_until = 0.0
        self._troubles = Backoff(first=4.0, most=_REST_SECONDS)

    async def aclose(self) -> None:
        """Sweep no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextmanager
    def following(self, operation_id: str) -> Iterator[Followed]:
        """Follow an operation that was accepted just now."""
        now = self._clock.monotonic()
        followed = Followed(operation_id, since=now, seen_at=now)
        self._open.add(followed)
        if self._is_needed() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="sweep of operations")
        try:
            yield followed
        finally:
            self._open.discard(followed)

    async def told(self, followed: Followed, seconds: float) -> None:
        """Return when a sweep has seen its end, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await within(self._clock, seconds, followed.ended.wait())

    def watches(self, followed: Followed) -> bool:
        """Whether the end of it will be told, so that nobody need look at it by itself."""
        return self._is_needed() and self._clock.monotonic() >= self._rests_until and self._is_fresh(followed)

    def _is_fresh(self, followed: Followed) -> bool:
        """Whether it is worth paging for: another account's, or one that was lost, is in no page."""
        return self._clock.monotonic() - followed.seen_at <= STALE_SECONDS

    def _is_needed(self) -> bool:
        return len(self._open) > FEW

    async def _run(self) -> None:
        self._interval = LEAST_SECONDS
        while self._is_needed():
            await self._clock.sleep(max(self._interval, self._rests_until - self._clock.monotonic()))
            if not self._is_needed():
                return
            try:
                await self._sweep()
            except RegistryError as error:
                self._rest(_REST_SECONDS if isinstance(error, Refused) else self._troubles.failed())
                _log.warning("operations are looked at one by one for a while: %s", error)
            except Exception:  # noqa: BLE001 - a surprise in a page must not end the sweeps
                self._rest(_REST_SECONDS)
                _log.exception("a sweep of operations failed unexpectedly; they are looked at one by one for a while")

    async def _sweep(self) -> None:
        """Look through the pages until all that was open has been seen, or ten pages."""
        unseen = defaultdict[str, list[Followed]](list)
        for followed in filter(self._is_fresh, self._open):
            unseen[followed.operation_id].append(followed)
        request: dict[str, object] = {"MaxResults": 100, "Filters": [self._recent()]}
        pages = seen = ended = 0
        while unseen and pages < MOST_PAGES:
            page = await self._client.call("ListOperations", request, "sweeping the operations under way")
            pages += 1
            for summary in page.get("Operations", ()):
                found = unseen.pop(summary.get("Id"), ())
                seen += len(found)
                ended += self._tell(found, summary)
            if "NextToken" not in page:
                break
            request["NextToken"] = page["NextToken"]
        else:
            for followed in (each for several in unseen.values() for each in several):
                followed.seen_at = -math.inf  # buried under what others do
        self._pace(pages, seen, ended)

    def _recent(self) -> Mapping[str, object]:
        """Return the filter that lets all pass that is open here, whatever clock is wrong."""
        now = self._clock.time()
        oldest = now - (self._clock.monotonic() - min(each.since for each in self._open))
        dates = [str(int(oldest - SKEW_SECONDS)), str(int(now + SKEW_SECONDS))]
        return {"Name": "UPDATE_DATE", "Values": dates, "Condition": "BETWEEN"}

    def _tell(self, followed: tuple[Followed, ...] | list[Followed], summary: Mapping[str, Any]) -> int:
        """Note what a page says of an operation; return how many have ended by that."""
        for each in followed:
            each.seen_at = self._clock.monotonic()
            if is_terminal(summary):
                each.summary = summary
                each.ended.set()
        return len(followed) if is_terminal(summary) else 0

    def _pace(self, pages: int, seen: int, ended: int) -> None:
        """Sweep sooner while that tells much for a call, later while it does not, and not at all in the noise."""
        if pages == MOST_PAGES and seen < pages:
            self._rest(self._troubles.failed(at_least=MOST_SECONDS))
            return
        self._troubles.succeeded()
        factor = 1 / _CHANGE if ended >= _WORTHWHILE * pages else _CHANGE
        self._interval = min(MOST_SECONDS, max(LEAST_SECONDS, self._interval * factor))

    def _rest(self, seconds: float) -> None:
        self._rests_until = self._clock.monotonic() + seconds
