"""Writes what is held, and who else is in the registry, to the status of our kinds, at most every five seconds."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kube_registrar.cluster.status import Condition, rfc3339, with_condition
from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import DELETIONS_HELD, NO_DELETIONS_HELD, NOTHING_FOUND, Problem
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.holds import NOTHING, TYPES, Held, Notice, key_of

INTERVAL_SECONDS = 5.0

_log = logging.getLogger(__name__)

Change = Callable[[Mapping[str, Any], int], Mapping[str, object]]
"""From the present status of an object and its generation to the fields to merge; none: nothing is to be written."""
Update = Callable[[str, str, str, Change], Awaitable[None]]
"""Changes the status of (kind, namespace, name) as it is at that moment."""


async def follow_notices(engine: Engine, update: Update, clock: Clock) -> None:
    """Keep the conditions of holds and `status.held` of every object of ours true until cancelled.

    The objects are watched, so what somebody else overwrote is written again.
    """
    while True:
        await clock.sleep(INTERVAL_SECONDS)
        notices = engine.holds.notices()
        for thing in list(engine.catalog.objects()):
            notice = notices.get(key_of(thing), NOTHING)
            if not fields_of(notice, thing.status, thing.generation, clock.time()):
                continue
            try:
                await update(*key_of(thing), _change(notice, clock))
            except KubeRegistrarError as error:
                _log.debug("the status of %s %s could not be written: %s", thing.kind, thing.name, error)


def _change(notice: Notice, clock: Clock) -> Change:
    return lambda status, generation: fields_of(notice, status, generation, clock.time())


def fields_of(notice: Notice, status: Mapping[str, Any], generation: int, now: float) -> dict[str, object]:
    """Return the status fields to merge so that `status` says what `notice` does; empty if it does already.

    A condition that never held is not written: an object that has no trouble says nothing of it. `now`: since 1970.
    """
    there: Sequence[Condition] = status.get("conditions") or []
    conditions = there
    before = {str(one.get("type")): one for one in there}
    for type_ in TYPES:
        problem, old = notice.conditions.get(type_), before.get(type_)
        if problem is None and (old is None or old.get("status") == "False"):
            continue
        if (
            problem is not None
            and old is not None
            and (old.get("status"), old.get("message")) == ("True", str(problem))
        ):
            continue
        said = problem or (Problem.of(NO_DELETIONS_HELD if type_ == DELETIONS_HELD.name else NOTHING_FOUND))
        conditions = with_condition(
            conditions,
            type_,
            problem is not None,
            reason=said.reason,
            message=said.message,
            generation=generation,
            now=now,
        )
    result: dict[str, object] = {} if conditions is there else {"conditions": conditions}
    held = _held(notice.held)
    if held != status.get("held"):
        result["held"] = held
        if held is not None and notice.held is not None:  # a merge patch takes out by null what is no longer there
            causes = (status.get("held") or {}).get("causes") or {}
            result["held"] = {**held, "causes": {**dict.fromkeys(causes), **notice.held.causes}}
    return result


def _held(held: Held | None) -> Mapping[str, object] | None:
    if held is None:
        return None
    return {
        "count": held.count,
        "since": rfc3339(held.since),
        "token": held.token,
        "causes": dict(held.causes),
        "pods": list(held.pods),
    }
