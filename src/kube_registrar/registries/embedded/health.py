"""The health of instances. All changes are written here, each with its line in the history.

What somebody says takes effect after a while, unless it is taken back before; what the registry's own checks find takes
effect at once.

Source: HealthCheckCustomConfig in the API reference, which also says that the same value again hastens nothing.
"""

from collections.abc import Mapping
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import Instance, Service, Status

_RETRY_SECONDS = 1.0
_SAID = "said by UpdateInstanceCustomHealthStatus"


async def update(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer UpdateInstanceCustomHealthStatus, once the wish is durable."""
    await change(core, core.service("ServiceId", request["ServiceId"]), request["InstanceId"], request["Status"])
    return {}


async def change(core: Core, service: Service, instance_id: str, status: str) -> None:
    """Store the wish for a status and let it take effect when its time has come."""
    instance = service.instances.get(instance_id)
    if not service.record.custom_health:
        rule = "only a service with HealthCheckCustomConfig takes a status"
        message = f"Service {service.record.name!r} has no custom health check: {rule}"
        raise CloudMapError("CustomHealthNotFound", message, field="Status", rule=rule)
    if instance is None:
        raise CloudMapError("InstanceNotFound", f"Service {service.record.name!r} has no instance {instance_id!r}")
    if status == instance.next_health:
        return
    delay_ms = int(core.options.custom_health_delay * 1000)
    if status == instance.health or not delay_ms:
        await _put(core, service, instance_id, Status(status), _SAID)
        return
    due_ms = core.ledger.now_ms() + delay_ms
    await _put(core, service, instance_id, Status(instance.health, status, due_ms), _SAID)
    core.spawn(_take_effect(core, service, instance_id, due_ms))


def resume(core: Core) -> None:
    """Go on with the updates that had not taken effect when the last process ended."""
    for service in core.state.services.values():
        for instance in service.instances.values():
            if instance.next_health is not None:
                core.spawn(_take_effect(core, service, instance.id, instance.next_health_ms))


async def _take_effect(core: Core, service: Service, instance_id: str, due_ms: int) -> None:
    await core.clock.sleep(due_ms / 1000 - core.clock.time())
    while True:
        instance = service.instances.get(instance_id)
        # Something newer may have been said meanwhile: then this wish is void.
        if instance is None or instance.next_health is None or instance.next_health_ms != due_ms:
            return
        try:
            await _put(core, service, instance_id, Status(instance.next_health), _SAID)
        except CloudMapError:
            await core.clock.sleep(_RETRY_SECONDS)  # The disk is full: it has been said, and the wish stands.


async def found(core: Core, service: Service, instance: Instance, status: str, reason: str) -> bool:
    """Store what a check of the registry's own found, and return whether it still mattered.

    An instance that was registered anew meanwhile, or is about to be, is not what was checked.
    """
    is_there = service.instances.get(instance.id) is instance and instance.id not in service.busy
    if not is_there or service.record.check is None:
        return False
    await _put(core, service, instance.id, Status(status), reason)
    return True


async def _put(core: Core, service: Service, instance_id: str, status: Status, reason: str) -> None:
    statements = [storage.put_health(service.record.id, instance_id, status)]
    instance = service.instances.get(instance_id)
    if instance is not None and instance.health != status.health:
        statements += storage.put_transition(service.path, instance_id, status.health, reason, core.ledger.now_ms())
    await core.write(statements, lambda: core.state.set_health(service, instance_id, status))
