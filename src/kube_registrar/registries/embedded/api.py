"""Cloud Map's operations by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kube_registrar.model.cloudmap.begun import Begun
from kube_registrar.registries.embedded import (
    attributes,
    discovery,
    health,
    instances,
    lists,
    namespaces,
    services,
    tags,
)
from kube_registrar.registries.embedded.core import Core

Handler = Callable[[Core, Mapping[str, Any], str], Awaitable[dict[str, Any]]]

HANDLERS: Mapping[str, Handler] = {
    "CreateHttpNamespace": namespaces.create_http,
    "CreatePrivateDnsNamespace": namespaces.create_private,
    "CreatePublicDnsNamespace": namespaces.create_public,
    "CreateService": services.create,
    "DeleteNamespace": namespaces.delete,
    "DeleteService": services.delete,
    "DeleteServiceAttributes": attributes.delete,
    "DeregisterInstance": instances.deregister,
    "DiscoverInstances": discovery.discover,
    "DiscoverInstancesRevision": discovery.revision,
    "GetInstance": instances.get,
    "GetInstancesHealthStatus": instances.health_status,
    "GetNamespace": namespaces.get,
    "GetOperation": lists.operation,
    "GetService": services.get,
    "GetServiceAttributes": attributes.get,
    "ListInstances": instances.list_instances,
    "ListNamespaces": lists.namespaces,
    "ListOperations": lists.operations,
    "ListServices": lists.services,
    "ListTagsForResource": tags.list_tags,
    "RegisterInstance": instances.register,
    "TagResource": tags.tag,
    "UntagResource": tags.untag,
    "UpdateHttpNamespace": namespaces.update_http,
    "UpdateInstanceCustomHealthStatus": health.update,
    "UpdatePrivateDnsNamespace": namespaces.update_private,
    "UpdatePublicDnsNamespace": namespaces.update_public,
    "UpdateService": services.update,
    "UpdateServiceAttributes": attributes.update,
}
"""Each takes the core, a request that was checked against the table of shapes, and the Region for ARNs."""

BEGINNINGS: Mapping[str, Callable[[Core, Mapping[str, Any]], Begun]] = {
    "DeregisterInstance": instances.deregistering,
    "RegisterInstance": instances.registering,
}
"""What begins those that are asked for most, and waits for nothing."""

OPERATIONS = frozenset(HANDLERS)
"""Their names."""
