"""What came of looking after an object, and how it is written to its status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kube_registrar.cluster.status import Condition, with_condition
from kube_registrar.model.errors import Conflict, Forbidden, Refused, RegistryError, Unreachable
from kube_registrar.model.ownership import PREFIX, owner_named, owns
from kube_registrar.model.reasons import (
    ADOPTED,
    CANNOT_BE_CHANGED,
    CONFLICTING,
    CREATED,
    IN_SYNC,
    NOT_READY,
    OWNED_BY_ANOTHER,
    OWNER,
    PERMISSION_MISSING,
    REFUSED_SETTINGS,
    REGISTRY_UNAVAILABLE,
    SETTINGS_DIFFER,
    Problem,
)
from kube_registrar.model.refs import RegistryName, registry_of
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.operator.differences import difference
from kube_registrar.registries.port import Found

SOON_SECONDS = 1.0
LATER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an object stands: `retry_after` in seconds, None if only a change of the object can help."""

    ready: bool
    problem: Problem
    found: Found | None = None
    created: bool = False
    synced: Problem | None = None
    """Set where what is in the registry is used, though it differs from the spec."""
    owned_elsewhere: Problem | None = None
    """Set where what is in the registry is used, though its settings are somebody else's."""
    retry_after: float | None = None


def settled(
    what: str,
    registry: RegistryName,
    found: Found,
    creator: str,
    spec: NamespaceSpec | ServiceSpec,
    *,
    is_final: bool = True,
    left_out: str = "",
) -> Verdict:
    """Return the verdict on a thing that is there.

    `is_final`: what could be changed of it was changed. `left_out`: what the registry cannot do of it.
    """
    created = found.created_by == creator
    differs = "; ".join(filter(None, (difference(spec, found.spec), left_out)))
    is_owner = owns(found.spec.tags, spec.tags, made=created)
    reason = CANNOT_BE_CHANGED if is_owner and is_final else SETTINGS_DIFFER
    return Verdict(
        ready=True,
        problem=Problem.of(CREATED if created else ADOPTED, what=what, registry=registry),
        found=found,
        created=created,
        synced=Problem.of(reason, what=what, registry=registry, error=differs) if differs else None,
        owned_elsewhere=None if is_owner else _owned_elsewhere(what, found, spec),
    )


def _owned_elsewhere(what: str, found: Found, spec: NamespaceSpec | ServiceSpec) -> Problem:
    ours = ", ".join(f"{key}={value}" for key, value in sorted(spec.tags.items()) if key.startswith(PREFIX))
    return Problem.of(
        OWNED_BY_ANOTHER, what=what, owner=owner_named(found.spec.tags, found.created_by), tags=ours or "of an owner"
    )


def failed(what: str, registry: RegistryName, error: RegistryError, attempt: int) -> Verdict:
    """Return the verdict on a thing that could not be made or found; `attempt` counts from 0."""
    backoff = min(LATER_SECONDS, SOON_SECONDS * 2.0 ** min(attempt, 10))
    match error:
        case Conflict():
            return Verdict(ready=False, problem=_problem(CONFLICTING, what, registry, error), retry_after=LATER_SECONDS)
        case Forbidden():
            problem = Problem.of(PERMISSION_MISSING, registry=registry, error=error)
            return Verdict(ready=False, problem=problem, retry_after=LATER_SECONDS)
        case Refused():
            problem = _problem(REFUSED_SETTINGS, what, registry, error)
            return Verdict(ready=False, problem=problem, retry_after=LATER_SECONDS)
        case Unreachable():
            return Verdict(
                ready=False, problem=_problem(REGISTRY_UNAVAILABLE, what, registry, error), retry_after=backoff
            )
        case _:
            after = max(backoff, getattr(error, "after", 0.0))
            return Verdict(ready=False, problem=_problem(NOT_READY, what, registry, error), retry_after=after)


def lasting_refusal(verdict: Verdict) -> str:
    """Why instances may not be registered: not for what passes by itself, which must not hold what could go on.

    That is an outage, or a permission that somebody is about to give. Nor for what is withheld: once it is there,
    whoever made it, the catalog knows.
    """
    passing = {"RegistryUnavailable", "PermissionMissing", "NotReady", "Withheld"}
    return "" if verdict.ready or verdict.problem.reason in passing else verdict.problem.message


def _problem(reason: Any, what: str, registry: RegistryName, error: RegistryError) -> Problem:
    return Problem.of(reason, what=what, registry=registry, error=error)


def status_of(verdict: Verdict, what: str, before: Mapping[str, Any], generation: int, now: float) -> dict[str, object]:
    """Return the status fields to patch; `before` is the present status, `now` seconds since 1970.

    What is known of an id is kept when the registry cannot be asked.
    """
    synced, is_synced = verdict.problem, None
    if verdict.ready:
        synced, is_synced = verdict.synced or Problem.of(IN_SYNC, what=what), verdict.synced is None
    conditions: Sequence[Condition] = before.get("conditions") or []
    stands = [("Ready", verdict.ready, verdict.problem), ("Synced", is_synced, synced)]
    if verdict.ready:
        owned = verdict.owned_elsewhere or Problem.of(OWNER, what=what)
        stands.append(("SettingsOwned", verdict.owned_elsewhere is None, owned))
    for type_, state, problem in stands:
        conditions = with_condition(
            conditions,
            type_,
            state,
            reason=problem.reason,
            message=problem.message,
            generation=generation,
            now=now,
        )
    status: dict[str, object] = {"observedGeneration": generation, "conditions": conditions}
    if verdict.found is not None:
        registry = registry_of(verdict.found.spec.ref)
        status |= {
            "registry": registry,
            "id": verdict.found.id,
            "arn": verdict.found.arn,
            "created": verdict.created,
        }
    return status
