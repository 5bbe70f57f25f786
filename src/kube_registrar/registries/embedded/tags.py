"""Tags of namespaces and services."""

from collections.abc import Mapping, Sequence
from typing import Any

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError, invalid
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import Namespace, Service


def read(wanted: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Read a TagList. Raises CloudMapError InvalidInput."""
    tags: dict[str, str] = {}
    for tag in wanted:
        if tag["Key"] in tags:
            raise invalid("Tags", tag["Key"], "each key is allowed once")
        if tag["Key"].lower().startswith("aws:"):
            raise invalid("Tags", tag["Key"], "keys that begin with aws: are reserved")
        tags[tag["Key"]] = tag["Value"]
    return tags


def check_count(core: Core, tags: Mapping[str, str], resource: str) -> None:
    """Check the number of tags. Raises CloudMapError TooManyTagsException."""
    most = core.options.quotas.tags
    if most is not None and len(tags) > most:
        raise CloudMapError(
            "TooManyTagsException",
            f"{resource} would have {len(tags)} tags: {most} are allowed",
            ResourceName=resource,
        )


async def list_tags(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer ListTagsForResource."""
    resource = _resource(core, request["ResourceARN"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in resource.tags.items()]}


async def tag(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer TagResource."""
    arn, added = request["ResourceARN"], read(request["Tags"])

    async def change() -> None:
        resource = _resource(core, arn)
        tags = resource.tags | added
        check_count(core, tags, arn)
        await put(core, resource, tags)

    await core.exclusive(change)
    return {}


async def untag(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer UntagResource. Keys that are not there are no error."""
    keys = set(request["TagKeys"])

    async def change() -> None:
        resource = _resource(core, request["ResourceARN"])
        await put(core, resource, {key: value for key, value in resource.tags.items() if key not in keys})

    await core.exclusive(change)
    return {}


async def put(core: Core, resource: Namespace | Service, tags: dict[str, str]) -> None:
    """Replace all tags. To be called within `core.exclusive`."""
    kind = "namespace" if isinstance(resource, Namespace) else "service"

    def apply() -> None:
        resource.tags = tags

    await core.write([storage.put_tags(kind, resource.record.id, tags)], apply)


def _resource(core: Core, arn: str) -> Namespace | Service:
    identifier = arns.any_resource("ResourceARN", arn, core.options.account) or ""
    found = core.state.namespaces.get(identifier) or core.state.services.get(identifier)
    if found is None:
        raise CloudMapError("ResourceNotFoundException", f"There is no resource {arn!r}")
    return found
