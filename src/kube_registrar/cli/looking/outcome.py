"""What `plan` says: changes, what is withheld or held and why, and what is wrong. Values, before they are shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kube_registrar.cli.looking.declaring import Declared
from kube_registrar.cli.looking.stage import Stage
from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Register
from kube_registrar.model.identity import origin_of
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import Origin, ServiceRef
from kube_registrar.planning.compare import NOT_WHOLE, differing
from kube_registrar.planning.plan import ESTRANGED_ID, FOREIGN_ID
from kube_registrar.planning.policy import WITHHELD
from kube_registrar.registries.dryrun import Rehearsed

GROUPS = ("changes", "objects", "withheld", "held", "conflicts", "problems")
WITHHELD_ACTION = "the policy of registry {registry} is {policy}"


@dataclass(frozen=True, slots=True)
class Item:
    """One instance, or one object of ours, and what is said of it.

    `action`: Register, Update, Deregister, SetHealth; Create, Update, Remove of objects; Keep and Conflict, where
    nothing would be done. `service`: the registry service, empty for objects. `origin`: whom it concerns, for people.
    """

    action: str
    name: str
    origin: str
    reason: str
    service: str = ""
    kube_namespace: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of it. `troubles`: what could not be read, so that the rest may not be all."""

    objects: Sequence[Item] = ()
    changes: Sequence[Item] = ()
    withheld: Sequence[Item] = ()
    held: Sequence[Item] = ()
    conflicts: Sequence[Item] = ()
    problems: Sequence[Item] = ()
    troubles: Sequence[str] = ()

    @property
    def changes_anything(self) -> bool:
        """Whether something would be written."""
        return bool(self.objects or self.changes)

    def only(self, *, kube_namespace: str, service: str) -> "Outcome":
        """Return what is of one Kubernetes namespace, or of one registry service; empty: of all."""

        def wanted(item: Item) -> bool:
            of_service = not service or item.service == service or item.service.partition(":")[2] == service
            return of_service and kube_namespace in {"", item.kube_namespace}

        groups = {name: filter(wanted, getattr(self, name)) for name in GROUPS}
        return replace(self, **{name: list(items) for name, items in groups.items()})


def outcome_of(stage: Stage, objects: Sequence[Declared], troubles: Sequence[str]) -> Outcome:
    """Collect what the engine did on the dry run, and what its last plans left undone."""
    known = [each for each in objects if each.action]
    return Outcome(
        objects=[_object(each) for each in known if not each.withheld],
        changes=[_changed(each) for registry in stage.registries.values() for each in registry.rehearsed()],
        withheld=[*(_object(each) for each in known if each.withheld), *_withheld(stage)],
        held=list(_held(stage)),
        conflicts=list(_conflicts(stage)),
        problems=[*_problems(stage), *(_wrong(each) for each in objects if each.reason and not each.action)],
        troubles=troubles,
    )


def _changed(each: Rehearsed) -> Item:
    change = each.change
    if each.after is None:
        why = change.why if isinstance(change, Deregister) else "nothing asks for it"
        return _item("Deregister", each.service, change, why)
    if each.before is None:
        return _item("Register", each.service, change, "its pod asks for it, and it is not there")
    if not each.before.is_whole and isinstance(change, Register):
        return _item("Update", each.service, change, NOT_WHOLE)
    if each.before.attributes == each.after.attributes:
        return _item("SetHealth", each.service, change, f"it is {each.before.health}, and its pod {each.after.health}")
    return _item("Update", each.service, change, _difference(each.before, each.after))


def _difference(before: Instance, after: Instance) -> str:
    told = [key for key in differing(before.attributes, after.attributes) if key != keys.USER_KEYS]
    return f"it differs in {', '.join(told)}" if told else "it differs in its list of keys"


def _item(action: str, service: ServiceRef, change: Change, reason: str) -> Item:
    origin = change.origin
    return Item(action, change.instance_id, str(origin), reason, str(service), origin.namespace)


def _withheld(stage: Stage) -> Iterator[Item]:
    for service, made in sorted(stage.collector.plans.items(), key=lambda each: each[0]):
        registry = service.namespace.registry
        for change in made.withheld:
            action = {Register: "Register", Deregister: "Deregister"}.get(type(change), "SetHealth")
            if action == "Register" and change.instance_id in _there(stage, service):
                action = "Update"
            why = change.why + "; but " if isinstance(change, Deregister) else ""
            policy = WITHHELD_ACTION.format(registry=registry, policy=stage.policies[registry])
            yield _item(action, service, change, why + policy)


def _there(stage: Stage, service: ServiceRef) -> frozenset[str]:
    return frozenset(stage.registries[service.namespace.registry].read(service))


def _held(stage: Stage) -> Iterator[Item]:
    for service, made in sorted(stage.collector.plans.items(), key=lambda each: each[0]):
        there = stage.registries[service.namespace.registry].read(service)
        for instance_id, why in made.kept.items():
            if why != WITHHELD and instance_id in there:
                origin = origin_of(there[instance_id].attributes)
                yield Item("Keep", instance_id, str(origin), why, str(service), origin.namespace)


def _conflicts(stage: Stage) -> Iterator[Item]:
    for service, made in sorted(stage.collector.plans.items(), key=lambda each: each[0]):
        for each in made.conflicts:
            origin: Origin = each.origin
            is_estranged = each.instance.id in stage.collector.estranged.get(service, ())
            why = ESTRANGED_ID if is_estranged else FOREIGN_ID
            yield Item("Conflict", each.instance.id, str(origin), why, str(service), origin.namespace)


def _problems(stage: Stage) -> Iterator[Item]:
    wanted = stage.engine.wanted
    origins = {uid: pod.origin for uid, pod in wanted.pods.items()}
    origins |= {uid: service.origin for uid, service in wanted.services_asking.items()}
    for uid, wish in sorted(wanted.wishes.items(), key=lambda each: origins[each[0]]):
        origin = origins[uid]
        for problem in wish.problems:
            yield Item(problem.reason, origin.name, str(origin), problem.message, kube_namespace=origin.namespace)


def _object(each: Declared) -> Item:
    return Item(each.action, each.what, _named(each), each.reason, kube_namespace=each.thing.namespace)


def _wrong(each: Declared) -> Item:
    return Item("NotReady", each.thing.name, _named(each), each.reason, kube_namespace=each.thing.namespace)


def _named(each: Declared) -> str:
    thing = each.thing
    return f"{thing.kind} {thing.namespace}/{thing.name}" if thing.namespace else f"{thing.kind} {thing.name}"
