"""Who may use a registry namespace: the rule of `allowedNamespaces`.

Label selectors mean what they mean in Kubernetes ("Labels and Selectors"): all of it must hold, an empty selector
matches everything, and NotIn and DoesNotExist match objects without the key.
"""

from collections.abc import Mapping

from kube_registrar.declared.specs import AllowedFrom, AllowedNamespaces, LabelRequirement, LabelSelector, Operator


def allows(allowed: AllowedNamespaces, labels: Mapping[str, str]) -> bool:
    """Whether a Kubernetes namespace with these labels may use the registry namespace."""
    match allowed.from_:
        case AllowedFrom.ALL:
            return True
        case AllowedFrom.SELECTOR:
            return allowed.selector is not None and selects(allowed.selector, labels)
        case AllowedFrom.NONE:
            return False


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def _holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
