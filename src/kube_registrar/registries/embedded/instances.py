"""Operations on instances: register and deregister are asynchronous, one at a time for an instance."""

import asyncio
from collections.abc import Mapping
from typing import Any

from kube_registrar.model.cloudmap import paging
from kube_registrar.model.cloudmap.begun import Begun
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import rendering, rules
from kube_registrar.registries.embedded.core import Core, Duplicate
from kube_registrar.registries.embedded.state import (
    DEREGISTER_INSTANCE,
    REGISTER_INSTANCE,
    SUCCESS,
    Instance,
    Service,
    Submission,
)


async def register(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer RegisterInstance, an upsert."""
    return await _answered(registering(core, request))


def registering(core: Core, request: Mapping[str, Any]) -> Begun:
    """Begin what RegisterInstance asks for. Raises CloudMapError."""
    service = core.service("ServiceId", request["ServiceId"])
    instance_id, creator = request["InstanceId"], request.get("CreatorRequestId", "")
    done = _repeated(core, service, instance_id, request["Attributes"], creator)
    if done is not None:
        return Begun({"OperationId": done}, None)
    return _begun(begin_register(core, service, instance_id, request["Attributes"], creator))


def _begun(submission: Submission) -> Begun:
    return Begun({"OperationId": submission.operation.id}, submission.accepted)


async def _answered(begun: Begun) -> dict[str, Any]:
    """Wait until it is durable, whether or not the caller still waits; return its answer."""
    if begun.stored is not None:
        await asyncio.shield(begun.stored)
    return dict(begun.answer)


def _repeated(
    core: Core, service: Service, instance_id: str, attributes: Mapping[str, str], creator: str
) -> str | None:
    """Return the operation that has done just this already, by CreatorRequestId; None for a new one.

    It "allows failed RegisterInstance requests to be retried without the risk of executing the operation twice", says
    the API reference: a second time would make the health check anew. Whoever wants that gives another one, or none.
    """
    there = service.instances.get(instance_id)
    if not creator or there is None or instance_id in service.busy:
        return None
    if there.creator != creator or there.attributes != attributes:
        return None
    for operation in reversed(core.state.log):
        if (operation.service_id, operation.instance_id) == (service.record.id, instance_id):
            return operation.id if operation.type == REGISTER_INSTANCE and operation.status == SUCCESS else None
    return None


def begin_register(
    core: Core, service: Service, instance_id: str, attributes: Mapping[str, str], creator: str = ""
) -> Submission:
    """Begin to register. A repetition of a register under way (same CreatorRequestId and attributes) is that one.

    Raises CloudMapError InvalidInput, naming the attribute; DuplicateRequest, naming the operation to wait for;
    ResourceLimitExceeded where one more instance does not fit. Upserts of what is there need no room.
    """
    rules.check_instance(service, instance_id, attributes, core.options)
    busy = service.busy.get(instance_id)
    if busy:
        repeats = creator and busy.request.get("creator") == creator and busy.request.get("attributes") == attributes
        if repeats:
            return busy
        raise Duplicate(busy)
    if instance_id not in service.instances:
        rules.check_quota(service, core.options.quotas)
    stored = {"name": service.path, "attributes": dict(attributes), "creator": creator}
    return core.ledger.begin(REGISTER_INSTANCE, stored, **_targets(service, instance_id))


async def deregister(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DeregisterInstance."""
    return await _answered(deregistering(core, request))


def deregistering(core: Core, request: Mapping[str, Any]) -> Begun:
    """Begin what DeregisterInstance asks for. Raises CloudMapError."""
    return _begun(begin_deregister(core, core.service("ServiceId", request["ServiceId"]), request["InstanceId"]))


def begin_deregister(core: Core, service: Service, instance_id: str) -> Submission:
    """Begin to deregister. Raises CloudMapError DuplicateRequest or InstanceNotFound.

    An instance that a register is under way for is DuplicateRequest, not InstanceNotFound: it may still come.
    """
    busy = service.busy.get(instance_id)
    if busy:
        raise Duplicate(busy)
    _found(service, instance_id)
    return core.ledger.begin(DEREGISTER_INSTANCE, {"name": service.path}, **_targets(service, instance_id))


def _targets(service: Service, instance_id: str) -> dict[str, str]:
    return {
        "namespace_id": service.record.namespace_id,
        "service_id": service.record.id,
        "instance_id": instance_id,
    }


def _found(service: Service, instance_id: str) -> Instance:
    instance = service.instances.get(instance_id)
    if instance is None:
        raise CloudMapError("InstanceNotFound", f"Service {service.record.name!r} has no instance {instance_id!r}")
    return instance


async def get(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer GetInstance."""
    instance = _found(core.service("ServiceId", request["ServiceId"]), request["InstanceId"])
    account = core.options.account
    return {"ResourceOwner": account, "Instance": rendering.instance(instance, account)}


async def list_instances(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer ListInstances."""
    service = core.service("ServiceId", request["ServiceId"])
    found, token = paging.page(sorted(service.instances), request, f"instances {service.record.id}", str)
    account = core.options.account
    answer = {
        "ResourceOwner": account,
        "Instances": [rendering.instance_summary(service.instances[item], account) for item in found],
    }
    return answer | ({"NextToken": token} if token else {})


async def health_status(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer GetInstancesHealthStatus."""
    service = core.service("ServiceId", request["ServiceId"])
    wanted = sorted(set(request["Instances"])) if "Instances" in request else sorted(service.instances)
    instances = {item: _found(service, item) for item in wanted}
    found, token = paging.page(wanted, request, f"health {service.record.id}", str)
    status = {item: rendering.health(service, instances[item]) for item in found}
    return {"Status": status, **({"NextToken": token} if token else {})}
