"""Backends by name: entry points of the group `kube_registrar.registries`, ours and other packages' alike."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from kube_registrar.model.errors import UserError
from kube_registrar.registries.port import ENTRY_POINT_GROUP, OpenRegistry


def installed() -> Sequence[str]:
    """Return the kinds of registry that are installed, in order."""
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)}))


def load(kind: str) -> OpenRegistry:
    """Return what opens a registry of this kind.

    Raises UserError if there is no such kind, or if its package cannot be imported.
    """
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if kind not in found:
        known = ", ".join(installed()) or "none"
        raise UserError(
            f"registry kind {kind!r} is not installed; installed: {known}. "
            "Choose one of these, or install the package that brings it"
        )
    return _import(found[kind])


def _import(point: EntryPoint) -> OpenRegistry:
    package = point.dist.name if point.dist else point.module
    try:
        opener = point.load()
    except Exception as error:  # whatever a plugin raises while it is imported
        raise UserError(
            f"registry kind {point.name!r} of package {package} cannot be loaded from {point.value}: "
            f"{type(error).__name__}: {error}. Install what it needs, or another version of it"
        ) from error
    if not callable(opener):
        raise UserError(
            f"registry kind {point.name!r} of package {package} is {type(opener).__name__} {point.value}, "
            "which cannot be called. Install another version of it"
        )
    opened: OpenRegistry = opener
    return opened
