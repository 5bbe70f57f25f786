"""What a discovery answers, by Cloud Map's rules, of instances that were read."""

from collections.abc import Mapping, Sequence

from kube_registrar.model.instances import Health, HealthFilter, Instance, Query


def selected(instances: Sequence[Instance], query: Query) -> Sequence[Instance]:
    """Return those that a query asks for, in their order.

    Parameters are ANDed. Instances without a status pass every filter of health. Optional parameters apply only if
    something is left that matches them too.
    """
    matching = [each for each in instances if _matches(each, query.parameters)]
    alive = _by_health(matching, query.health)
    preferred = [each for each in alive if _matches(each, query.optional_parameters)]
    return (preferred or alive)[: query.max_results]


def _matches(instance: Instance, parameters: Mapping[str, str]) -> bool:
    return all(instance.attributes.get(key) == value for key, value in parameters.items())


def _by_health(instances: Sequence[Instance], wanted: HealthFilter) -> Sequence[Instance]:
    if wanted is HealthFilter.ALL:
        return instances
    status = Health.UNHEALTHY if wanted is HealthFilter.UNHEALTHY else Health.HEALTHY
    chosen = [each for each in instances if each.health in {status, Health.UNKNOWN}]
    return instances if wanted is HealthFilter.HEALTHY_OR_ELSE_ALL and not chosen else chosen
