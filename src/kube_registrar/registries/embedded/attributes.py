"""Operations on the attributes of a service itself: what is true of all its instances, and need not stand on each.

They are synchronous, and discovery does not look at them.

Source: UpdateServiceAttributes and its relatives in the API reference. That keys which are not there may be deleted,
and that an update leaves other attributes as they are, is what its name of an update that "adds" lets expect.
"""

from collections.abc import Mapping
from typing import Any

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import Service


async def get(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer GetServiceAttributes."""
    service, account = core.service("ServiceId", request["ServiceId"]), core.options.account
    attributes = {
        "ServiceArn": arns.arn(region, account, "service", service.record.id),
        "ResourceOwner": account,
        "Attributes": service.attributes,
    }
    return {"ServiceAttributes": attributes}


async def update(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer UpdateServiceAttributes: some are added or replaced, the others stay."""

    async def change() -> None:
        service = core.service("ServiceId", request["ServiceId"])
        attributes = service.attributes | request["Attributes"]
        _check_count(core, service, attributes)
        await _put(core, service, attributes)

    await core.exclusive(change)
    return {}


async def delete(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DeleteServiceAttributes. Keys that are not there are no error."""
    keys = set(request["Attributes"])

    async def change() -> None:
        service = core.service("ServiceId", request["ServiceId"])
        await _put(core, service, {key: value for key, value in service.attributes.items() if key not in keys})

    await core.exclusive(change)
    return {}


def _check_count(core: Core, service: Service, attributes: Mapping[str, str]) -> None:
    most = core.options.quotas.service_attributes
    if most is not None and len(attributes) > most:
        raise CloudMapError(
            "ServiceAttributesLimitExceededException",
            f"Service {service.record.name!r} would have {len(attributes)} attributes: {most} are allowed",
        )


async def _put(core: Core, service: Service, attributes: dict[str, str]) -> None:
    """Replace all attributes. To be called within `core.exclusive`."""

    def apply() -> None:
        service.attributes = attributes

    await core.write([storage.put_service_attributes(service.record.id, attributes)], apply)
