"""Backends by name: entry points of the group `kube_registrar.registries`, ours and other packages' alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from kube_registrar.model.errors import BrokenBackend, UserError
from kube_registrar.registries.port import ENTRY_POINT_GROUP, PORT_VERSION, Capabilities, OpenRegistry

_OURS = "kube_registrar."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of registry that is installed: the package that brings it, and what of it opens one."""

    name: str
    package: str
    version: str
    target: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind that was loaded."""

    kind: Kind
    opener: OpenRegistry

    @property
    def one_process(self) -> bool:
        """Whether a registry of it can be open in one process only."""
        return bool(getattr(self.opener, "one_process", False))

    @property
    def capabilities(self) -> Capabilities | None:
        """What its registries can do, as far as it says so without being opened."""
        said = getattr(self.opener, "capabilities", None)
        return said if isinstance(said, Capabilities) else None


def kinds() -> Sequence[Kind]:
    """Return the kinds of registry that are installed, in order. Nothing is imported."""
    return [_kind(point) for _, point in sorted(_points().items())]


def installed() -> Sequence[str]:
    """Return the names of the kinds of registry that are installed, in order."""
    return tuple(sorted(_points()))


def load(kind: str) -> OpenRegistry:
    """Return what opens a registry of this kind. Raises as `backend` does."""
    return backend(kind).opener


def backend(kind: str) -> Backend:
    """Import a kind.

    Raises UserError if there is no such kind, and BrokenBackend if its package cannot be imported, has nothing that can
    be called there, or was written for another version of the port.
    """
    points = _points()
    if kind not in points:
        known = ", ".join(installed()) or "none"
        raise UserError(
            f"registry kind {kind!r} is not installed; installed: {known}. "
            "Choose one of these, or install the package that brings it"
        )
    return Backend(_kind(points[kind]), _import(points[kind]))


def is_shared(kind: str) -> bool:
    """Whether another process may write to a registry of this kind, or to one that cannot be loaded."""
    try:
        return not backend(kind).one_process
    except UserError:
        return True


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _kind(point: EntryPoint) -> Kind:
    version = point.dist.version if point.dist else ""
    return Kind(point.name, _package(point), version, point.value, point.module.startswith(_OURS))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _import(point: EntryPoint) -> OpenRegistry:
    package = _package(point)
    try:
        opener = point.load()
    except (Exception, SystemExit) as error:  # whatever a plugin raises while it is imported
        raise BrokenBackend(
            f"registry kind {point.name!r} of package {package} cannot be loaded from {point.value}: "
            f"{type(error).__name__}: {error}. Install what it needs, or another version of it"
        ) from error
    if not callable(opener):
        raise BrokenBackend(
            f"registry kind {point.name!r} of package {package} is {type(opener).__name__} {point.value}, "
            "which cannot be called. Install another version of it"
        )
    _check_version(point, getattr(opener, "port_version", None))
    opened: OpenRegistry = opener
    return opened


def _check_version(point: EntryPoint, version: object) -> None:
    if version == PORT_VERSION or (version is None and point.module.startswith(_OURS)):
        return
    said = "does not say for which version of the port it was written" if version is None else f"is for port {version}"
    raise BrokenBackend(
        f"registry kind {point.name!r} of package {_package(point)} {said}, and this kube-registrar has port "
        f"{PORT_VERSION}. Install a version of it that was written for that: the port is experimental until 1.0"
    )
