"""What the fast lane answers: discoveries at once, plain writes once they are stored.

Who is let in, what is counted and what is answered is as in `application`. Whatever is to be refused is left to it, as
it has the sentences: nothing has been begun then. What was begun and cannot be stored is answered from here.
"""

from asyncio import Future
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from kube_registrar.model.cloudmap.begun import Begun
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.server.access import places, roles
from kube_registrar.server.access.keys import AccessKey
from kube_registrar.server.access.places import Places
from kube_registrar.server.cloudmap import discoveries, protocol, reading
from kube_registrar.server.cloudmap.catalog import Writing
from kube_registrar.server.cloudmap.discoveries import Discoveries
from kube_registrar.server.cloudmap.lane import Ask, Instead, Later, Quick
from kube_registrar.server.cloudmap.meeting import Server
from kube_registrar.server.cloudmap.traffic import Traffic

_WRITES: Final = {f"{protocol.TARGET_PREFIX}.{operation}": operation for operation in reading.OPERATIONS_READ}
_MOST_REMEMBERED = 1024
"""Characters of a question that is remembered."""


def quick(kept: Discoveries, server: Server) -> Quick:
    """Return what answers in the fast lane."""
    found = {target: _discovering(kept, server, operation) for target, operation in discoveries.TARGETS.items()}
    if isinstance(server.catalog, Writing):
        found |= {target: _writing(server.catalog, server, operation) for target, operation in _WRITES.items()}
    return Quick(found, server.door.greet, server.bodies)


def _discovering(kept: Discoveries, server: Server, operation: str) -> Ask:
    def ask(headers: Mapping[str, str], body: bytes, later: Later) -> bytes | Instead:  # noqa: ARG001 - it is quick
        began = server.traffic.now()
        try:
            key = _admitted(server, operation, headers, body)
        except CloudMapError:
            return Instead.ELSEWHERE
        try:
            if key is not None and key.namespaces is not None:
                _check_discovery(server.places, key, operation, body)
            answer = kept.answer(operation, body)
        except CloudMapError:
            server.door.give_back(key)
            return Instead.ELSEWHERE
        server.traffic.answered(operation, "ok", began)
        return answer

    return ask


def _writing(catalog: Writing, server: Server, operation: str) -> Ask:
    traffic = server.traffic

    def ask(headers: Mapping[str, str], body: bytes, later: Later) -> bytes | Instead:
        began = traffic.now()
        wanted = reading.plain(operation, body)
        if wanted is None:
            return Instead.ELSEWHERE
        try:
            key = _admitted(server, operation, headers, body)
        except CloudMapError:
            return Instead.ELSEWHERE
        try:
            _check_write(server.places, key, operation, wanted)
            begun = _begun(catalog, traffic, operation, wanted)
        except CloudMapError:
            server.door.give_back(key)
            return Instead.ELSEWHERE
        answer = msgspec.json.encode(begun.answer)
        if begun.stored is None:
            _ended(traffic, operation, "ok", began)
            return answer

        def told(stored: Future[None]) -> None:
            error = stored.exception()
            refused = error if isinstance(error, CloudMapError) else None
            _ended(traffic, operation, refused.code if refused else "ok", began)
            later(refused or answer)

        begun.stored.add_done_callback(told)
        return Instead.LATER

    return ask


def _begun(catalog: Writing, traffic: Traffic, operation: str, wanted: Mapping[str, Any]) -> Begun:
    """Begin a write, and count it as under way. Raises CloudMapError, and nothing has changed then."""
    traffic.begin(operation)
    try:
        return catalog.begin(operation, wanted)
    except BaseException:
        traffic.end()
        raise


def _ended(traffic: Traffic, operation: str, code: str, began: float) -> None:
    traffic.end()
    traffic.answered(operation, code, began)


def _admitted(server: Server, operation: str, headers: Mapping[str, str], body: bytes) -> AccessKey | None:
    if server.door.is_open:
        server.door.greet(headers)
    return server.door.try_admit(operation, headers, body)


def _check_write(known: Places | None, key: AccessKey | None, operation: str, wanted: Mapping[str, Any]) -> None:
    """Raise CloudMapError unless a write is within what a limited key is for, or where that is not told here."""
    if key is None or key.namespaces is None:
        return
    if known is None:
        raise roles.denied(key, operation, "in the fast lane")
    places.check(key, operation, wanted, known)


def _check_discovery(known: Places | None, key: AccessKey, operation: str, body: bytes) -> None:
    """Do the same for a discovery, whose body was read for nothing else."""
    if len(body) > _MOST_REMEMBERED or known is None:
        raise roles.denied(key, operation, "in the fast lane")
    places.check(key, operation, _asked(operation, body), known)


@lru_cache(maxsize=4096)  # clients ask the same again and again
def _asked(operation: str, body: bytes) -> Mapping[str, Any]:
    return validated(operation, protocol.body_of(body))
