"""What is known of single instances, where that is more than what is known of the object that they stand for.

A Service stands behind many instances, and each has a condition of its own. A pod that is to be marked as unhealthy is
wanted still, so that nobody asks for evidence about it otherwise.
"""

from collections.abc import Callable, Iterable, Mapping

from kube_registrar.model.identity import origin_of
from kube_registrar.model.instances import Health, Instance, Registration, Wanted
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.planning.evidence import Cause, Evidence, Standing
from kube_registrar.sources.wishes import Lack, LackKind
from kube_registrar.sync.wanted import WantedState

_CAUSES: Mapping[LackKind, Cause] = {
    LackKind.NOT_READY: Cause.NOT_READY,
    LackKind.UNREACHABLE: Cause.UNREACHABLE,
    LackKind.ADDRESS: Cause.ADDRESS,
    LackKind.ABSENT: Cause.CONFIGURATION,
}


def closer_evidence(
    suspects: Iterable[Instance],
    wanted: Wanted,
    state: WantedState,
    of_pod: Callable[[Pod], Evidence],
) -> Mapping[InstanceId, Evidence]:
    """Return what is known of instances that nobody wants, and of those that are wanted as unhealthy.

    `of_pod`: what is known of a pod that is not ready.
    """
    origins = {instance.id: origin_of(instance.attributes).uid for instance in suspects}
    marked = [one for one in wanted.registrations.values() if one.instance.health is Health.UNHEALTHY]
    services = {*origins.values(), *(one.origin.uid for one in marked)} & state.services_asking.keys()
    found = {instance_id: lack for uid in services for instance_id, lack in _lacks(state, uid)}
    asked = {*origins, *(one.instance.id for one in marked)}
    result = {instance_id: _of_lack(lack) for instance_id, lack in found.items() if instance_id in asked}
    return {**result, **_of_pods(marked, state, of_pod)}


def _lacks(state: WantedState, uid: Uid) -> Iterable[tuple[InstanceId, Lack]]:
    wish = state.wishes.get(uid)
    return wish.lacks if wish else ()


def _of_lack(lack: Lack) -> Evidence:
    standing = Standing.GONE if lack.kind is LackKind.ADDRESS else Standing.DECLINED
    return Evidence(standing, lack.why, _CAUSES[lack.kind])


def _of_pods(
    marked: Iterable[Registration], state: WantedState, of_pod: Callable[[Pod], Evidence]
) -> Mapping[InstanceId, Evidence]:
    pods = ((one.instance.id, state.pods.get(one.origin.uid)) for one in marked)
    return {instance_id: of_pod(pod) for instance_id, pod in pods if pod is not None}
