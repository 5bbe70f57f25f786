"""The last gates: from a wanted registration to an instance that clients find."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kube_registrar.explaining.steps import State, Step
from kube_registrar.model.changes import Register
from kube_registrar.model.identity import is_estranged, is_own
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import WITHHELD
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.planning.compare import NOT_WHOLE, differing, is_true_to
from kube_registrar.planning.plan import ESTRANGED_ID, FOREIGN_ID
from kube_registrar.planning.policy import is_allowed

Cluster = tuple[Uid, str]
"""The UID of the cluster, and its configured name."""
BY_ITSELF = "The operator does it; if it does not, look at the events below, and whether it runs and leads"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a registry service holds, what a discovery of it answers, or why it cannot be read."""

    instances: Mapping[InstanceId, Instance] = field(default_factory=dict)
    discovered: frozenset[InstanceId] = frozenset()
    error: str = ""


def instance_steps(
    registration: Registration, seen: Seen, policy: Policy, *, cluster: Cluster, is_wanted: bool
) -> Iterator[Step]:
    """Yield the gates of one registration, of a pod that fits. `is_wanted`: it lives and counts as ready."""
    about, instance_id = str(registration.service), registration.instance.id
    if seen.error:
        yield Step(
            "registry", State.FAILS, f"{about} cannot be read: {seen.error}", "It is tried again by itself", about
        )
        return
    yield Step("registry", State.OK, f"{about} can be read, and holds {len(seen.instances)} instances", about=about)
    current = seen.instances.get(instance_id)
    step = _instance(registration, current, policy, cluster=cluster, is_wanted=is_wanted)
    yield step
    if current is None or step.state is not State.OK:
        return
    yield from _health(registration, current, about)
    if instance_id in seen.discovered:
        yield Step("discoverable", State.OK, "clients find it", about=about)
    elif current.health is not Health.UNHEALTHY:
        yield Step("discoverable", State.WAITS, "a discovery does not answer with it yet", BY_ITSELF, about)


def _instance(
    registration: Registration, current: Instance | None, policy: Policy, *, cluster: Cluster, is_wanted: bool
) -> Step:
    about, wanted = str(registration.service), registration.instance
    uid, name = cluster
    if current is not None and is_estranged(current.attributes, uid, name):
        return Step("instance", State.FAILS, f"{wanted.id}: {ESTRANGED_ID}", about=about)
    if current is not None and not is_own(current.attributes, uid):
        return Step("instance", State.FAILS, f"{wanted.id}: {FOREIGN_ID}", about=about)
    if not is_wanted:
        message = f"{wanted.id} is not there" if current is None else f"{wanted.id} is still there"
        after = "It is registered once the gates above are passed" if current is None else "It goes, unless it is held"
        return Step("instance", State.WAITS, message, after, about)
    if current is not None and is_true_to(current, wanted):
        return Step("instance", State.OK, f"{wanted.id} is there as wanted", about=about)
    there = {wanted.id} if current else frozenset[InstanceId]()
    if not is_allowed(Register(wanted, registration.origin), there, policy):
        words = {"action": "registration", "what": f"{wanted.id} in {about}", "policy": policy}
        message = WITHHELD.sentence.format(registry=registration.service.namespace.registry, **words)
        return Step("instance", State.FAILS, message, "Choose another policy for it", about)
    if current is None:
        return Step("instance", State.WAITS, f"{wanted.id} is not there", BY_ITSELF, about)
    if not current.is_whole:
        return Step("instance", State.WAITS, f"{wanted.id} is there, and {NOT_WHOLE}", BY_ITSELF, about)
    keys = ", ".join(differing(current.attributes, wanted.attributes))
    return Step("instance", State.WAITS, f"{wanted.id} differs in {keys}", BY_ITSELF, about)


def _health(registration: Registration, current: Instance, about: str) -> Iterator[Step]:
    wanted = registration.instance.health
    if wanted is Health.UNKNOWN:
        return
    if current.health is wanted:
        yield Step("health", State.OK, f"it is {current.health}, as its pod is", about=about)
    else:
        yield Step("health", State.WAITS, f"it is {current.health}, and its pod {wanted}", BY_ITSELF, about)
