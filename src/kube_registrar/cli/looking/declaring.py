"""What would become of RegistryNamespaces and RegistryServices: their handlers' own decisions, on a dry run."""

from collections.abc import Sequence
from dataclasses import dataclass

from kube_registrar.cli.looking.stage import Stage
from kube_registrar.model.errors import RegistryError
from kube_registrar.model.reasons import CANNOT_BE_CHANGED, SETTINGS_DIFFER
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import registry_of
from kube_registrar.operator import lifecycle, removing
from kube_registrar.operator.verdicts import Verdict, lasting_refusal


@dataclass(frozen=True, slots=True)
class Declared:
    """What would be done for one object; `action` is Create, Update, Remove or empty.

    `withheld`: the policy of its registry does not allow it. Without an action `reason` says what is wrong, if anything
    is: the words of its condition.
    """

    thing: CustomObject
    action: str = ""
    what: str = ""
    reason: str = ""
    withheld: bool = False


async def declared(stage: Stage) -> Sequence[Declared]:
    """Look after every object once, namespaces first, and tell the catalog what came of it."""
    things = sorted(stage.catalog.objects(), key=lambda thing: (thing.kind, thing.namespace, thing.name))
    return [await _declared(stage, thing) for thing in things]


async def verdict_on(stage: Stage, thing: CustomObject) -> Verdict:
    """Return how an object stands, as its handler would find it."""
    name, identity = thing.status.get("registry"), thing.status.get("id")
    registry = next((each for key, each in stage.registries.items() if key == name), None)
    if registry is not None and isinstance(identity, str) and thing.status.get("created") is True:
        # Not every list tells who made a thing: then the object's status does, if it is about this very thing.
        registry.made_by(identity, stage.context.creator(thing.kind, thing.namespace, thing.name))
    look_after = lifecycle.ensure_namespace if thing.kind == "RegistryNamespace" else lifecycle.ensure_service
    return await look_after(stage.context, thing, 0)


async def _declared(stage: Stage, thing: CustomObject) -> Declared:
    if thing.terminating:
        return await _going(stage, thing)
    before = made(stage)
    verdict = await verdict_on(stage, thing)
    if thing.kind == "RegistryService":
        stage.catalog.refuse(thing.uid, lasting_refusal(verdict))
    ref = verdict.found.spec.ref if verdict.found else removing.declared(stage.context, thing)
    what = lifecycle.described(ref) if ref else ""
    if verdict.found and verdict.found.spec.ref in made(stage) - before:
        return Declared(thing, "Create", what, "it is declared, and the registry does not have it")
    if verdict.problem.reason == "Withheld":
        return Declared(thing, "Create", what, verdict.problem.message, withheld=True)
    differs = {SETTINGS_DIFFER.name, CANNOT_BE_CHANGED.name}
    if verdict.ready and verdict.created and verdict.synced and verdict.synced.reason in differs:
        is_allowed = stage.context.withholding.policy(registry_of(verdict.found.spec.ref)).updates  # type: ignore[union-attr]
        return Declared(thing, "Update", what, verdict.synced.message, withheld=not is_allowed)
    return Declared(thing, reason="" if verdict.ready else verdict.problem.message)


def made(stage: Stage) -> set[object]:
    """Return the registry namespaces and services that are not there and would be created."""
    return {found.spec.ref for registry in stage.registries.values() for found in registry.made}


async def _going(stage: Stage, thing: CustomObject) -> Declared:
    if not removing.removes(thing):
        return Declared(thing)
    try:
        ref = await removing.target(stage.context, thing)
    except (removing.Stays, RegistryError) as error:
        return Declared(thing, reason=str(error))
    if ref is None:
        return Declared(thing)
    withheld = removing.withheld_removal(stage.context, thing, ref)
    reason = withheld or "its object is being deleted, and its deletion policy is Delete"
    return Declared(thing, "Remove", lifecycle.described(ref), reason, withheld=bool(withheld))
