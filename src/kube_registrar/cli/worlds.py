"""The identity and the registries that a configuration gives to an engine."""

from collections.abc import Mapping, Sequence

from kube_registrar.declared.settings import Configuration
from kube_registrar.model.limits import Limits
from kube_registrar.model.refs import RegistryName, Uid
from kube_registrar.registries.port import Capabilities, Registry
from kube_registrar.sources.world import World


def world_of(configuration: Configuration, cluster_uid: Uid, registries: Sequence[Registry]) -> World:
    """Return the world of an engine that has been told nothing yet."""
    return World(
        cluster_uid=cluster_uid,
        cluster_name=configuration.cluster_name,
        default_registry=RegistryName(configuration.default_registry),
        allow_undeclared=configuration.allow_undeclared,
        registries=_limits({registry.name: registry.capabilities for registry in registries}),
    )


def _limits(capabilities: Mapping[RegistryName, Capabilities]) -> Mapping[RegistryName, Limits]:
    """Return what sources must know of each registry: they see no port."""
    return {
        name: Limits(
            max_attributes=can.max_attributes,
            max_attribute_characters=can.max_attribute_characters,
            max_attribute_value=can.max_attribute_value,
            namespace_types=can.namespace_types,
            record_types=can.record_types,
            custom_health=can.custom_health,
        )
        for name, can in capabilities.items()
    }
