"""Hints of what others change: a watch over our prefix and one over CoreDNS's path, each from where it ended last."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.etcd import wire
from kube_registrar.registries.etcd.client import Client
from kube_registrar.registries.etcd.faults import Failed, Kind, of_answer
from kube_registrar.registries.etcd.tracks import Tracks
from kube_registrar.runtime.backoff import Backoff

_WATCH: Final = "/v3/watch"
_LONGEST_PAUSE: Final = 5.0

_log = logging.getLogger(__name__)


class Watch:
    """Yields hints for ever; what is asked of it once is one watch. `service_of`: the service that a key is about."""

    def __init__(
        self, client: Client, prefix: str, service_of: Callable[[str], ServiceRef | None], tracks: Tracks
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._service_of = service_of
        self._tracks = tracks
        self._next = 0
        """The revision from which on nothing was told yet; 0: not known."""

    async def hints(self) -> AsyncGenerator[ServiceRef | None]:
        """Yield each service that somebody else changed; None where it cannot be known which, as at the start."""
        backoff = Backoff(most=_LONGEST_PAUSE)
        while True:
            try:
                async with aclosing(self._once()) as told:
                    async for hint in told:
                        backoff.succeeded()
                        yield hint
            except (Failed, RegistryError) as error:
                _log.info("the watch of etcd ended and is begun again: %s", error)
                if isinstance(error, Failed) and error.fault.kind is Kind.COMPACTED:
                    self._next = 0
                else:
                    await self._client.clock.sleep(backoff.failed())

    async def _once(self) -> AsyncGenerator[ServiceRef | None]:
        asked = {
            "key": wire.encoded(self._prefix),
            "range_end": wire.encoded(wire.end_of(self._prefix)),
            "progress_notify": True,
        }
        if self._next:
            asked["start_revision"] = str(self._next)
        stream = self._client.stream(_WATCH, {"create_request": asked}, "watching")
        async with aclosing(stream) as results:
            async for result in results:
                _check(result)
                if result.get("created"):
                    if not self._next:
                        self._next = wire.revision(result) + 1
                        yield None
                    continue
                for hint in await self._foreign(result.get("events", ())):
                    yield hint
                self._next = max(self._next, wire.revision(result) + 1)

    async def _foreign(self, events: Sequence[Mapping[str, Any]]) -> Sequence[ServiceRef]:
        """Return the services that somebody else changed, each once."""
        found: dict[ServiceRef, None] = {}
        for entry in (wire.entry(event["kv"]) for event in events):
            service = self._service_of(entry.key)
            if service and service not in found and not await self._tracks.is_own(service, entry.modified):
                found[service] = None
        return tuple(found)


async def together(watches: Sequence[Watch]) -> AsyncGenerator[ServiceRef | None]:
    """Yield the hints of several watches, the first one once all have begun."""
    told: asyncio.Queue[ServiceRef | None] = asyncio.Queue()

    async def follow(watch: Watch) -> None:
        async with aclosing(watch.hints()) as hints:
            async for hint in hints:
                told.put_nowait(hint)

    tasks = [asyncio.create_task(follow(each), name="watch of etcd") for each in watches]
    try:
        to_begin = len(watches)
        while True:
            hint = await told.get()
            if to_begin and hint is None:  # each tells it when it begins, and nothing before
                to_begin -= 1
            if not to_begin:
                yield hint
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(result: Mapping[str, Any]) -> None:
    """Raise Failed if etcd has ended this watch."""
    if result.get("canceled"):
        compacted = "compact_revision" in result
        reason = "compacted" if compacted else str(result.get("cancel_reason", "it gives no reason"))
        raise Failed(of_answer(HTTPStatus.OK, json.dumps({"message": reason}).encode(), "watching"))
