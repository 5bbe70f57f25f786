"""What is held, and who else is in the registry, as our kinds say it: conditions, and `status.held`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_registrar.cluster.status import rfc3339
from kube_registrar.model.reasons import DELETIONS_HELD, NO_DELETIONS_HELD, NOTHING_FOUND, Problem
from kube_registrar.operator.standing import Look, Said, Stand
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.holds import NOTHING, TYPES, Held, Notice, key_of


@dataclass(frozen=True, slots=True)
class Notices:
    """Says it of every object; a `Standing`. An object that never had trouble says nothing of it."""

    engine: Engine
    """Asked for its holds at each look: they are others whenever it leads anew."""
    types: frozenset[str] = frozenset(TYPES)

    def look(self) -> Look:
        """Take the notices of all objects, which says in events what is new in them."""
        notices = self.engine.holds.notices()
        return lambda thing: _said(notices.get(key_of(thing), NOTHING))


def _said(notice: Notice) -> Said:
    return Said(list(_stands(notice)), {"held": _held(notice.held)})


def _stands(notice: Notice) -> Iterator[Stand]:
    for type_ in TYPES:
        problem = notice.conditions.get(type_)
        nothing = Problem.of(NO_DELETIONS_HELD if type_ == DELETIONS_HELD.name else NOTHING_FOUND)
        yield Stand(type_, problem is not None, problem or nothing, is_quiet=problem is None)


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
