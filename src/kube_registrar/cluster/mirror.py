"""What a listener of list-and-watch hears, and what is remembered to tell it of deletions after a gap."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from kube_registrar.cluster.codec import Key
from kube_registrar.model.refs import Uid

logger = logging.getLogger(__name__)


class Record(Protocol):
    """What every record has; those of namespaced kinds have a `namespace` too."""

    @property
    def name(self) -> str:
        """The object's name."""

    @property
    def uid(self) -> Uid:
        """The object's UID."""


R = TypeVar("R", bound=Record)
R_contra = TypeVar("R_contra", bound=Record, contravariant=True)


class Listener(Protocol[R_contra]):
    """Hears what happens, in the event loop and in order. It must not block; what it raises is logged and no more."""

    def applied(self, record: R_contra) -> None:
        """It is there, and is like this: new, changed, or just listed again."""

    def deleted(self, record: R_contra, seen: bool) -> None:  # noqa: FBT001  # one fact, named at every call
        """It is gone; `record` is what was last known of it.

        `seen`: its deletion was seen, or a list of our cluster has another UID under its name. Otherwise it only misses
        from a list, or a watch told of another UID under its name, without its deletion.
        """

    def synced(self) -> None:
        """All that is there has been told. Called after every complete list, from the first time all are complete."""


def key_of(record: Record) -> Key:
    """Return namespace (empty for cluster-scoped kinds) and name."""
    return (getattr(record, "namespace", ""), record.name)


@dataclass(slots=True, eq=False)
class Beside:
    """One reading beside the watch. `heard`: what the watch told of meanwhile."""

    heard: set[Key] = field(default_factory=set)


class Mirror(Generic[R]):
    """Tells one listener, and remembers the records for which `keep` holds: no others cost memory."""

    def __init__(self, listener: Listener[R], keep: Callable[[R], bool]) -> None:
        self._listener = listener
        self._keep = keep
        self._kept: dict[Key, R] = {}
        self._besides: list[Beside] = []
        """What is read beside the watch just now."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def keys(self) -> set[Key]:
        """The keys of what is remembered, in a set of the caller's own."""
        return set(self._kept)

    def is_another(self, record: R) -> bool:
        """Whether something else is remembered under this name."""
        old = self._kept.get(key_of(record))
        return old is not None and old.uid != record.uid

    def applied(self, record: R, *, is_proven: bool = False) -> Key:
        """Tell of an object that is there; return its key.

        `is_proven`: our own cluster says so, and names are unique. Whatever had its name is gone for certain then, even
        if nobody saw it go.
        """
        key = key_of(record)
        self._heard(key)
        return self._applied(key, record, is_proven=is_proven)

    def _applied(self, key: Key, record: R, *, is_proven: bool = False) -> Key:
        old = self._kept.get(key)
        if old is not None and old.uid != record.uid:
            self._tell(self._listener.deleted, old, seen=is_proven)
        self._tell(self._listener.applied, record)
        if self._keep(record):
            self._kept[key] = record
        elif old is not None:
            del self._kept[key]
        return key

    def deleted(self, record: R) -> None:
        """Tell of an object whose deletion was seen."""
        self._heard(key_of(record))
        old = self._kept.pop(key_of(record), None)
        if old is not None and old.uid != record.uid:
            self._tell(self._listener.deleted, old, seen=False)
        self._tell(self._listener.deleted, record, seen=True)

    def begin_beside(self) -> "Beside":
        """Note that something is read beside the watch: what that tells meanwhile is newer. Several may be at once."""
        self._besides.append(Beside())
        return self._besides[-1]

    def beside(self, record: R, reading: "Beside") -> None:
        """Tell of an object that was read beside the watch; what the watch knows of it is newer, and told instead."""
        key = key_of(record)
        if key not in reading.heard:
            self._applied(key, self._kept.get(key, record))

    def end_beside(self, reading: "Beside") -> None:
        """Note that this reading is over."""
        self._besides.remove(reading)

    def _heard(self, key: Key) -> None:
        for reading in self._besides:
            reading.heard.add(key)

    def missing(self, keys: Iterable[Key]) -> None:
        """Tell of remembered objects that a complete list does not hold."""
        for key in keys:
            self._tell(self._listener.deleted, self._kept.pop(key), seen=False)

    def _tell(self, hear: Callable[..., None], record: Any, **how: bool) -> None:
        # A mistake with one object must not stop all others from being heard.
        try:
            hear(record, **how)
        except Exception:
            logger.exception("%s/%s could not be taken in; this is a mistake in kube-registrar", *key_of(record))
