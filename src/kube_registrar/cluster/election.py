"""Leader election by a Lease: who leads, for how long it is sure, and who is next.

The rules are client-go's (`tools/leaderelection`): a lease has ended when its record has not changed for its duration,
by our own monotonic clock since we saw the last change. What others' clocks say counts for nothing. Unlike client-go's,
a standby also watches the Lease: one that is released is taken at once, and the end of one is known to the moment.
"""

import asyncio
import contextlib
import logging
import random
import socket
import uuid
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound
from kube_registrar.cluster.lease import Lease, LeaseStore, micro_time
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.concurrency import within
from kube_registrar.runtime.fence import Fence

_log = logging.getLogger(__name__)

Lead = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Terms:
    """Times in seconds. The lease less the renew deadline is what a write may take: `fence.WRITE_SECONDS`."""

    lease: int = 10
    renew_deadline: float = 6.0
    retry: float = 2.0
    """Between two looks of a standby and two renewals of a leader; a renewal that failed is tried again in half of it,
    so that trouble of half the renew deadline costs no leadership."""
    goodbye: float = 1.0
    """How long a stop waits for the end of the work, and again for the release of the lease."""


def new_identity() -> str:
    """Return a name of this process that no other has: the pod's or host's, and something random."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


class Elector:
    """Stands by until the lease is ours, leads while it is, and stands by again.

    `fence` is closed unless we lead, and open no longer than our lease is sure to last.
    """

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        fence: Fence,
        clock: Clock,
        *,
        terms: Terms | None = None,
        draw: random.Random | None = None,
    ) -> None:
        """`draw`: of jitter; tests give their own."""
        self.identity = identity
        self.is_leading = False
        self.attempted_at: float | None = None
        """When the lease was last tried for (monotonic seconds of `clock`); None while this takes no part."""
        self._store = store
        self._fence = fence
        self._clock = clock
        self._terms = terms or Terms()
        self._draw = draw or random.Random()
        self._seen: Lease | None = None
        self._seen_at = clock.monotonic()
        self._wake = asyncio.Event()
        self._may_be_ours = False
        """Whether the record may name us: it does, or a write of it had no answer."""
        self._told_leader = ""
        self._trouble = ""
        fence.close()

    async def run(self, lead: Lead) -> None:
        """Do `lead` whenever we lead, until cancelled. It is cancelled, and its end awaited, when we lead no more.

        What `lead` raises ends this too. However it ends, the lease is released.
        """
        self.attempted_at = self._clock.monotonic()
        try:
            while True:
                await self._lead(lead, await self._stand_by())
        finally:
            self.attempted_at = None
            await self._release()

    # Standing by.

    async def _stand_by(self) -> float:
        """Return once the lease is ours: the time before the request that made it so."""
        watching = asyncio.create_task(self._watch(), name="watch of the Lease")
        try:
            while True:
                self._wake.clear()
                began = self._clock.monotonic()
                if await self._attempt(self._claim, self._terms.renew_deadline / 2):
                    return began
                await self._turn()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _turn(self) -> None:
        """Wait until it is worth trying again: a while, or to the end of the other's lease, or until it is released."""
        wait = self._terms.retry * self._draw.uniform(0.8, 1.2)
        rest = self._ends_at() - self._clock.monotonic()
        with contextlib.suppress(TimeoutError):
            await within(self._clock, min(wait, rest) if rest > 0 else wait, self._wake.wait())

    async def _watch(self) -> None:
        """See each change of the Lease as it comes. Whatever fails here, the Lease is read again and again anyway."""
        backoff = Backoff()
        while True:
            try:
                async with aclosing(self._store.watch()) as leases:
                    async for lease in leases:
                        backoff.succeeded()
                        self._see(lease)
                        if lease is not None and not lease.holder:
                            self._wake.set()
            except ApiError as error:
                _log.debug("the %s is not watched just now, only read: %s", self._store, error)
            await self._clock.sleep(backoff.failed())

    def _see(self, lease: Lease | None) -> None:
        """Note what the Lease says, and when it last said something else.

        One that was deleted says on what it said: its holder did not release it, and may not know yet.
        """
        if lease is None:
            self._seen = replace(self._seen, body={}) if self._seen else None
            return
        if lease != self._seen:
            self._seen_at = self._clock.monotonic()
        self._seen, holder = lease, lease.holder
        if holder not in {"", self.identity, self._told_leader}:
            _log.info("standing by, %s leads", holder)
        self._told_leader = holder

    def _ends_at(self) -> float:
        return self._seen_at + (self._seen.seconds if self._seen else 0)

    def _holder(self) -> str:
        return self._seen.holder if self._seen else ""

    def _is_anothers(self) -> bool:
        return self._holder() not in {"", self.identity}

    # The Lease.

    async def _attempt(self, act: Callable[[], Coroutine[Any, Any, bool]], seconds: float) -> bool:
        """Try within so many seconds; say what is wrong once, and not at every attempt."""
        self.attempted_at = self._clock.monotonic()
        try:
            done = await within(self._clock, seconds, act())
        except ApiError as error:
            self._say(self._sentence(error))
            return False
        except TimeoutError:
            self._say(f"the {self._store} can neither be read nor written: no answer within {seconds:g} s")
            return False
        if self._trouble:
            _log.info("the %s can be read and written again", self._store)
        self._trouble = ""
        return done

    async def _claim(self) -> bool:
        """Look, and take the lease if it is free; tell whether it is ours now."""
        self._see(await self._store.read())
        if self._is_anothers() and self._clock.monotonic() < self._ends_at():
            self._may_be_ours = False
            return False
        try:
            await self._write(self._seen)
        except ApiConflict:
            return False  # somebody was faster: look again at the next turn
        return True

    async def _renew(self) -> bool:
        """Write over what we wrote last; if somebody else wrote or deleted it meanwhile, look."""
        try:
            await self._write(self._seen)
        except (ApiConflict, ApiNotFound):
            return await self._claim()
        return True

    async def _write(self, before: Lease | None) -> None:
        now = micro_time(self._clock.time())
        is_same = before is not None and before.holder == self.identity
        self._may_be_ours = True
        written = await self._store.write(
            Lease(
                holder=self.identity,
                seconds=self._terms.lease,
                acquired=before.acquired if before and is_same else now,
                renewed=now,
                transitions=before.transitions + (not is_same) if before else 0,
                body=before.body if before else {},
            )
        )
        self._see(written)

    async def _release(self) -> None:
        """Give the lease up, if it is still ours, so that another takes it at once; else it has to run out."""
        if not self._may_be_ours:
            return
        try:
            await within(self._clock, self._terms.goodbye, self._give_up())
        except (ApiError, TimeoutError) as error:
            said = str(error) or f"no answer within {self._terms.goodbye:g} s"
            _log.warning("the %s could not be released, so another replica takes over later: %s", self._store, said)
        self._may_be_ours = False

    async def _give_up(self) -> None:
        lease = await self._store.read()
        if lease is None or lease.holder != self.identity:
            return
        now = micro_time(self._clock.time())
        await self._store.write(Lease("", 1, now, now, lease.transitions, lease.body))  # as client-go releases
        _log.info("the %s is released", self._store)

    # Leading.

    async def _lead(self, lead: Lead, renewed: float) -> None:
        """Lead until the lease is lost, or we are cancelled."""
        self._fence.open_until(renewed + self._terms.lease)
        self.is_leading = True
        _log.info("leading, by the %s as %s", self._store, self.identity)
        work = asyncio.create_task(lead(), name="lead")
        renewing = asyncio.create_task(self._keep(renewed), name="renew the Lease")
        is_lost = False
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
            is_lost = not work.done()
        finally:
            self._fence.close()
            self.is_leading = False
            await self._end({work, renewing}, is_lost=is_lost)
        for task in (work, renewing):
            if not task.cancelled():
                task.result()
        _log.warning("this replica leads no more: %s", self._why_lost())

    async def _end(self, tasks: set[asyncio.Task[None]], *, is_lost: bool) -> None:
        """End the work. The fence is closed, so nothing more is sent, and a stop keeps the next one waiting briefly."""
        for task in tasks:
            task.cancel()
        if not is_lost:
            await asyncio.wait(tasks, timeout=self._terms.goodbye)
            await self._release()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, renewed: float) -> None:
        """Renew until that failed for too long, or another holds the lease. `renewed`: before the last good request."""
        terms, retry = self._terms, self._terms.retry
        while True:
            deadline = renewed + terms.renew_deadline
            pause = retry * self._draw.uniform(0.9, 1.1)
            await self._clock.sleep(min(pause, deadline - self._clock.monotonic()))
            began = self._clock.monotonic()
            if began >= deadline:
                return
            if await self._attempt(self._renew, min(terms.renew_deadline / 2, deadline - began)):
                renewed, retry = began, terms.retry
                self._fence.open_until(renewed + terms.lease)
            elif self._is_anothers():
                return
            else:
                retry = terms.retry / 2

    def _why_lost(self) -> str:
        if self._is_anothers():
            return f"{self._holder()} holds the {self._store}"
        return self._trouble or f"the {self._store} was not renewed for {self._terms.renew_deadline:g} s"

    # What is said.

    def _say(self, trouble: str) -> None:
        if not self._trouble:
            _log.warning("%s; it is tried again", trouble)
        self._trouble = trouble

    def _sentence(self, error: ApiError) -> str:
        if isinstance(error, ApiForbidden):
            return (
                f"not allowed to use the {self._store}: grant get, create, update and watch of "
                f"leases.coordination.k8s.io there ({error})"
            )
        return f"the {self._store} can neither be read nor written ({error})"
