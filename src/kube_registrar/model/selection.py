"""What a discovery answers, as Cloud Map documents it (DiscoverInstances, AWS Cloud Map API reference)."""

from collections.abc import Mapping, Sequence

from kube_registrar.model.instances import Health, HealthFilter, Instance, Query


def select(instances: Sequence[Instance], query: Query) -> Sequence[Instance]:
    """Return those of `instances` that `query` asks for, in their order.

    Parameters are ANDed. Where instances have no status (no health check) the health filter is ignored. Optional
    parameters apply only if something is left that matches them too.
    """
    matching = [each for each in instances if _matches(each, query.parameters)]
    alive = _by_health(matching, query.health)
    preferred = [each for each in alive if _matches(each, query.optional_parameters)]
    return (preferred or alive)[: query.max_results]


def _matches(instance: Instance, parameters: Mapping[str, str]) -> bool:
    return all(instance.attributes.get(key) == value for key, value in parameters.items())


def _by_health(instances: Sequence[Instance], wanted: HealthFilter) -> Sequence[Instance]:
    if wanted is HealthFilter.ALL or all(each.health is Health.UNKNOWN for each in instances):
        return instances
    status = Health.UNHEALTHY if wanted is HealthFilter.UNHEALTHY else Health.HEALTHY
    chosen = [each for each in instances if each.health is status]
    return instances if wanted is HealthFilter.HEALTHY_OR_ELSE_ALL and not chosen else chosen
