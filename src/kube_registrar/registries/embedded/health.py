"""Custom health: an update takes effect after a while, unless another one takes it back before.

Source: HealthCheckCustomConfig in the API reference, which also says that the same value again hastens nothing.
"""

from collections.abc import Mapping
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import Service, Status

_RETRY_SECONDS = 1.0


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
        await _put(core, service, instance_id, Status(status))
        return
    due_ms = core.ledger.now_ms() + delay_ms
    await _put(core, service, instance_id, Status(instance.health, status, due_ms))
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
            await _put(core, service, instance_id, Status(instance.next_health))
        except CloudMapError:
            await core.clock.sleep(_RETRY_SECONDS)  # The disk is full: it has been said, and the wish stands.


async def _put(core: Core, service: Service, instance_id: str, status: Status) -> None:
    def apply() -> None:
        # Looked up anew: between asking and storing it may have been replaced, on the disk as well.
        instance = service.instances.get(instance_id)
        if instance is not None:
            instance.health, instance.next_health, instance.next_health_ms = status
            core.state.instance_changed(service, instance_id)

    await core.write([storage.put_health(service.record.id, instance_id, status)], apply)
