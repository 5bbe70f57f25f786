"""List-and-watch: a listener hears of every object of a kind, and of every one that went, whatever is lost between.

A list is a quorum read (no resourceVersion), page by page; a watch goes on from it. When the API server no longer knows
where we were (410), all is listed anew, and what was kept and is not in the list is told as deleted, `seen=False`.
No error ends it. Sources: Kubernetes API concepts, "Efficient detection of changes" and "Retrieving large results sets
in chunks"; client-go's reflector, for when a watch that fails is better listed anew.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic

from kube_registrar.cluster.codec import Page, Unreadable
from kube_registrar.cluster.errors import (
    ApiElsewhere,
    ApiError,
    ApiForbidden,
    ApiGone,
    ApiSilent,
    ApiThrottled,
    ApiUnauthorized,
    ApiUnreachable,
    Status,
    error_of,
)
from kube_registrar.cluster.mirror import Listener, Mirror, R, key_of
from kube_registrar.cluster.resources import Resource
from kube_registrar.cluster.session import Params, Session
from kube_registrar.cluster.vouching import Vouch, unasked
from kube_registrar.runtime.backoff import Backoff

logger = logging.getLogger(__name__)


_ELSEWHERE = (ApiUnreachable, ApiThrottled, ApiForbidden, ApiUnauthorized, ApiElsewhere)
"""What is out of reach or refused would not be listed either: the watch is tried again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a reflector lists and watches. Times in seconds."""

    page_size: int = 500
    page_seconds: float = 60.0
    watch_seconds: tuple[float, float] = (240.0, 360.0)
    """A watch lasts this long, drawn anew each time, so that replicas do not all come again at once."""
    silence_seconds: float = 90.0
    """A watch that says nothing for this long is cut: the API server sends a bookmark about every minute."""
    short_watch_seconds: float = 1.0
    """A watch that ends sooner, with nothing said, counts as a failure: it must not spin."""
    watch_failures: int = 2
    """After so many failures in a row, in a watch that could be reached, all is listed anew."""
    yield_every: int = 100
    """So many records of a page are told before others may run."""


@dataclass(slots=True)
class Counters:
    """What metrics are made of. All but the last only grow."""

    events: int = 0
    lists: int = 0
    watches: int = 0
    errors: int = 0
    """Lists and watches that failed, 410 and silence included."""
    unreadable: int = 0
    synthesised: int = 0
    """Deletions told because an object misses from a list."""
    last_event_monotonic: float | None = None
    """When the API server last said anything, bookmarks included; by the session's clock."""


class Reflector(Generic[R]):
    """Lists and watches one kind in one Kubernetes namespace, or in all (`namespace` empty).

    `keep(record)` tells which records are remembered, so that their deletion can be told after a gap. `on_synced` is
    called after every complete list. `vouch`: nothing is taken from an API server before it, and what a list lacks, or
    has another UID for, only after another one.
    """

    def __init__(
        self,
        session: Session,
        resource: Resource[R],
        listener: Listener[R],
        *,
        namespace: str = "",
        keep: Callable[[R], bool] | None = None,
        on_synced: Callable[[], None] | None = None,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        vouch: Vouch = unasked,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.counters = Counters()
        self.has_synced = False
        self.began_monotonic: float | None = None
        """When `run` was begun; None before."""
        self.trouble = ""
        """Why nothing is heard just now; empty while all is well."""
        self._is_refused = False
        self._session = session
        self._mirror = Mirror(listener, keep or (lambda record: True))  # noqa: ARG005  # all are kept
        self._on_synced = on_synced or listener.synced
        self._limits = limits or Limits()
        self._backoff = backoff or Backoff()
        self._vouch = vouch
        self._path = resource.path(namespace)
        self._call = f"GET {self._path}"
        self._where = f"namespace {namespace}" if namespace else "all namespaces"
        self._version = ""
        """Where to watch from; empty when all has to be listed."""
        self._failed_watches = 0

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was heard, not even a bookmark; 0 before `run`."""
        since = self.counters.last_event_monotonic or self.began_monotonic
        return 0.0 if since is None else self._session.clock.monotonic() - since

    @property
    def kept(self) -> int:
        """How many records are remembered."""
        return len(self._mirror)

    async def run(self) -> None:
        """List and watch until cancelled."""
        self.began_monotonic = self._session.clock.monotonic()
        while True:
            if not self._version:
                await self._attempt("list", self._list)
            else:
                await self._attempt("watch", self._watch)

    async def fetch(self, namespace: str, params: Params) -> None:
        """Read some of a Kubernetes namespace beside the watch, and have what it passed over told. Raises ApiError.

        `params`: selectors. For what becomes interesting only after it was listed; several at a time, of what no two
        of them read.
        """
        # By the namespace's own path: pages of a list that a field selector keeps to one namespace come twice, and
        # some of them not at all (kube-apiserver 1.37).
        path = self.resource.path(namespace)
        await self._vouch()
        reading = self._mirror.begin_beside()
        try:
            token = ""
            while True:
                page = await self._page(token, params, path)
                for number, record in enumerate(page.records, start=1):
                    self._mirror.beside(record, reading)
                    if number % self._limits.yield_every == 0:
                        await asyncio.sleep(0)
                token = page.token
                if not token:
                    break
        finally:
            self._mirror.end_beside(reading)

    async def _attempt(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except ApiError as error:
            self.counters.errors += 1
            if isinstance(error, ApiGone):
                logger.info("%s: too much was missed, all is listed anew", self._call)
                self._version = ""
            elif isinstance(error, ApiSilent):
                # Quiet clusters are silent too; that it was cut in vain is no trouble.
                self._count_failed_watch()
                return
            else:
                self._say(self._sentence(what, error), is_refusal=isinstance(error, ApiForbidden))
                if what == "watch" and not isinstance(error, _ELSEWHERE):
                    self._count_failed_watch()
            await self._pause(error.after if isinstance(error, ApiThrottled) else 0.0)
        except Exception:
            # A mistake of ours must not make us deaf; the backoff keeps it from filling the log.
            self.counters.errors += 1
            logger.exception("%s: this is a mistake in kube-registrar; it is tried again by itself", self._call)
            await self._pause()

    def _count_failed_watch(self) -> None:
        self._failed_watches += 1
        if self._failed_watches % self._limits.watch_failures == 0:
            self._version = ""

    async def _pause(self, at_least: float = 0.0) -> None:
        await self._session.clock.sleep(self._backoff.failed(at_least))

    async def _list(self) -> None:
        await self._vouch()
        missing = self._mirror.keys
        replaced: list[R] = []
        token = ""
        while True:
            page = await self._page(token)
            missing.difference_update(page.unreadable)
            for number, record in enumerate(page.records, start=1):
                if self._mirror.is_another(record):
                    missing.discard(key_of(record))
                    replaced.append(record)
                else:
                    missing.discard(self._mirror.applied(record))
                if number % self._limits.yield_every == 0:
                    await asyncio.sleep(0)
            token = page.token
            if not token:
                break
        if missing or replaced:
            await self._vouch()  # with another cluster behind the same address nothing of ours is gone
        for record in replaced:
            self._mirror.applied(record, is_proven=True)
        self._mirror.missing(missing)
        self.counters.synthesised += len(missing)
        self.counters.lists += 1
        self._version = page.resource_version
        self.has_synced = True
        if not self._failed_watches:
            self._well()
        self._on_synced()

    async def _page(self, token: str, selectors: Params | None = None, path: str = "") -> Page[R]:
        chunk = {"limit": str(self._limits.page_size), **({"continue": token} if token else {})}
        params = {**(selectors or {}), **chunk}
        body = await self._session.get(path or self._path, params, seconds=self._limits.page_seconds)
        self._heard()
        try:
            page = self.resource.codec.page(body)
        except Unreadable as error:
            raise ApiError(f"{self._call}: {error}") from None
        for namespace, name in page.unreadable:
            self._unreadable(f"{namespace}/{name}")
        return page

    async def _watch(self) -> None:
        clock, limits = self._session.clock, self._limits
        begun, events = clock.monotonic(), self.counters.events
        params = {
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(random.uniform(*limits.watch_seconds))),
        }
        try:
            async with self._session.stream(self._path, params, silence=limits.silence_seconds) as lines:
                self.counters.watches += 1
                await self._vouch()
                if not self._failed_watches:
                    self._well()
                async for line in lines:
                    self._take(line)
        finally:
            was_short = self.counters.events == events and clock.monotonic() - begun < limits.short_watch_seconds
            if not was_short:
                self._backoff.succeeded()
        if was_short:
            await self._pause()

    def _take(self, line: bytes) -> None:
        try:
            event = self.resource.codec.event(line)
        except Unreadable as error:
            self._unreadable(str(error))
            return
        self._heard()
        if event.status is not None:
            raise self._error_in(event.status)
        self._version = event.resource_version or self._version
        self._failed_watches = 0
        self._backoff.succeeded()
        if self.trouble:
            self._well()
        if event.record is None:
            return
        self.counters.events += 1
        if event.type == "DELETED":
            self._mirror.deleted(event.record)
        else:
            self._mirror.applied(event.record)

    def _error_in(self, status: Status) -> ApiError:
        # Some API servers say Expired with another code than 410.
        code = HTTPStatus.GONE if status.reason in {"Expired", "Gone"} else status.code
        return error_of(self._call, code, status)

    def _heard(self) -> None:
        self.counters.last_event_monotonic = self._session.clock.monotonic()

    def _unreadable(self, what: str) -> None:
        self.counters.unreadable += 1
        logger.error("%s: an object is passed over, for it cannot be read: %s", self._call, what)

    def _say(self, trouble: str, *, is_refusal: bool) -> None:
        # Once when it begins, and not at every attempt; what goes on is in the counters. A right that turns out to be
        # missing is said all the same: somebody has to do something.
        if not self.trouble or (is_refusal and not self._is_refused):
            logger.warning("%s; it is tried again by itself", trouble)
        self.trouble = trouble
        self._is_refused |= is_refusal

    def _well(self) -> None:
        if self.trouble:
            logger.info("%s: all is well again", self._call)
        self.trouble = ""
        self._is_refused = False

    def _sentence(self, verb: str, error: ApiError) -> str:
        what = f"{verb} {self.resource.qualified} in {self._where}"
        if isinstance(error, ApiForbidden):
            return f"not allowed to {what}: grant the verb {verb!r} on {self.resource.qualified} ({error})"
        if error.status == HTTPStatus.NOT_FOUND and self.resource.group:
            return f"cannot {what}: the kind is not installed, do so with kubectl apply -f crds/ ({error})"
        return f"cannot {what} ({error})"


class Watch(Generic[R]):
    """One listener over one kind in the Kubernetes namespaces given, or in all where none is: a reflector for each.

    Cluster-scoped kinds are watched whole, whatever `namespaces` says. Options are those of Reflector.
    """

    def __init__(
        self,
        session: Session,
        resource: Resource[R],
        listener: Listener[R],
        namespaces: Sequence[str] = (),
        *,
        keep: Callable[[R], bool] | None = None,
        limits: Limits | None = None,
        vouch: Vouch = unasked,
    ) -> None:
        self.resource = resource
        self._listener = listener
        within = tuple(dict.fromkeys(namespaces)) if resource.namespaced else ()
        self.reflectors: tuple[Reflector[R], ...] = tuple(
            Reflector(
                session,
                resource,
                listener,
                namespace=namespace,
                keep=keep,
                on_synced=self._one_synced,
                limits=limits,
                vouch=vouch,
            )
            for namespace in within or ("",)
        )

    @property
    def has_synced(self) -> bool:
        """Whether all that is there has been told."""
        return all(reflector.has_synced for reflector in self.reflectors)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why nothing is heard from somewhere just now."""
        return tuple(reflector.trouble for reflector in self.reflectors if reflector.trouble)

    @property
    def counters(self) -> Counters:
        """The sum over the reflectors; `last_event_monotonic` is the oldest, None if one never heard anything."""
        each = [reflector.counters for reflector in self.reflectors]
        heard = [counters.last_event_monotonic for counters in each]
        known = [moment for moment in heard if moment is not None]
        return Counters(
            events=sum(one.events for one in each),
            lists=sum(one.lists for one in each),
            watches=sum(one.watches for one in each),
            errors=sum(one.errors for one in each),
            unreadable=sum(one.unreadable for one in each),
            synthesised=sum(one.synthesised for one in each),
            last_event_monotonic=min(known) if len(known) == len(heard) else None,
        )

    async def fetch(self, namespace: str, params: Params) -> None:
        """Read some of a Kubernetes namespace beside the watch; nothing where it is not watched. Raises ApiError."""
        for reflector in self.reflectors:
            if reflector.namespace in {"", namespace}:
                await reflector.fetch(namespace, params)

    async def run(self) -> None:
        """List and watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run(), name=f"watch {self.resource.plural} {reflector.namespace}".rstrip())

    def _one_synced(self) -> None:
        if self.has_synced:
            self._listener.synced()
