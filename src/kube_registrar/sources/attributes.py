"""The attributes of a pod's instance: addresses, the standard ones, and the user's, within the registry's bounds."""

import re
from collections.abc import Iterable, Mapping

from kube_registrar.declared.attributes import KEY, check_value
from kube_registrar.declared.problems import AnnotationError, field_of, shown, wrong
from kube_registrar.declared.templates import PodField, Readable, Template, fill
from kube_registrar.model import attributes as keys
from kube_registrar.model.limits import Limits
from kube_registrar.model.reasons import INVALID_ATTRIBUTE, TOO_MANY_ATTRIBUTES, UNKNOWN_LABEL, Problem
from kube_registrar.model.records import REGION_LABEL, ZONE_LABEL, KubeService, Pod
from kube_registrar.sources.world import World

_TOLD = 8  # keys in a message


def user_attributes(
    pod: Readable, layers: Iterable[tuple[str, Mapping[str, Template]]]
) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """Fill the user's values; a label that the pod does not have leaves its attribute out, with a problem.

    `layers`: what is written, each with the place where; of a key that is in several the last is taken.
    """
    merged = {key: (place, template) for place, templates in layers for key, template in templates.items()}
    filled: dict[str, str] = {}
    problems: list[Problem] = []
    for key, (place, template) in merged.items():
        value = fill(template, pod)
        if isinstance(value, PodField):
            problems.append(_unknown_label(pod, place, value.label))
        else:
            filled[key] = value
    return filled, tuple(dict.fromkeys(problems))


def _unknown_label(pod: Readable, place: str, label: str) -> Problem:
    """Tell of a label that is missing: only pods have any that are read."""
    whose, step = "the pod", "Set it, or correct it"
    if not isinstance(pod, Pod):
        whose, step = "an instance without a pod", "Write another form, or the value itself"
    return Problem.of(UNKNOWN_LABEL, field=field_of(place), found=f"label {shown(label)}", whose=whose, next_step=step)


def attributes_of(
    standard: Mapping[str, str], limits: Limits, addresses: Mapping[str, str], user: Mapping[str, str]
) -> Mapping[str, str]:
    """Return all attributes of an instance. Raises AnnotationError when the user's do not fit in.

    `standard`: what we write, what is empty is left out. `addresses`: those that begin with `AWS_`, which no limit
    counts.
    """
    standard = _standard(standard, limits, user)
    # Checked once more: a value may have grown when it was filled, and this registry may take less than Cloud Map.
    for key, value in user.items():
        check_value(key, value, limits.max_attribute_value)
    _check_room(standard, user, limits)
    return {**addresses, **standard, **user}


def standard_of_pod(pod: Pod, world: World) -> Mapping[str, str]:
    """Return what we write of every pod; what it does not have, or nobody configured, is empty.

    Zone and region are those of the pod's own labels, which newer clusters set, or else of its node.
    """
    node = world.nodes.get(pod.node)
    labels = {**(node.labels if node else {}), **pod.labels}
    return {
        keys.AVAILABILITY_ZONE: labels.get(ZONE_LABEL, ""),
        keys.REGION: labels.get(REGION_LABEL, ""),
        keys.CLUSTER: world.cluster_name,
        keys.CLUSTER_UID: world.cluster_uid,
        keys.NAMESPACE: pod.namespace,
        keys.POD: pod.name,
        keys.POD_UID: pod.uid,
        keys.WORKLOAD: pod.workload,
    }


def standard_of_service(service: KubeService, node_name: str, zone: str, world: World) -> Mapping[str, str]:
    """Return what we write of what stands for no pod; `zone` is the endpoint's own word, before its node's."""
    node = world.nodes.get(node_name)
    labels = node.labels if node else {}
    return {
        keys.AVAILABILITY_ZONE: zone or labels.get(ZONE_LABEL, ""),
        keys.REGION: labels.get(REGION_LABEL, ""),
        keys.CLUSTER: world.cluster_name,
        keys.CLUSTER_UID: world.cluster_uid,
        keys.NAMESPACE: service.namespace,
        keys.SERVICE: service.name,
        keys.SERVICE_UID: service.uid,
    }


def _standard(values: Mapping[str, str], limits: Limits, user: Mapping[str, str]) -> Mapping[str, str]:
    """Make what we write fit, and add the list of the user's keys. Raises AnnotationError where that is too long."""
    fitted = {key: _fitted(value, limits) for key, value in values.items()}
    listed = ",".join(user)
    if limits.max_attribute_value is not None and len(listed) > limits.max_attribute_value:
        found = f"keys of {len(listed):,} characters, joined by commas"
        rule = f"at most {limits.max_attribute_value:,} are allowed, for KUBE_ATTRIBUTES lists them"
        raise _invalid(found, rule, "Shorten or remove some")
    return {key: value for key, value in {**fitted, keys.USER_KEYS: listed}.items() if value}


def _fitted(value: str, limits: Limits) -> str:
    """Make a value of ours fit: no registry may refuse a pod for what its author did not write."""
    if not (value.isascii() and value.isprintable()):  # the usual value has nothing to replace
        value = re.sub(r"[^ -~]", "-", value)
    return value.strip()[: limits.max_attribute_value]


def _check_room(standard: Mapping[str, str], user: Mapping[str, str], limits: Limits) -> None:
    """Raise AnnotationError where both do not fit together. The standard ones stay, for they say whose it is."""
    if limits.max_attributes is not None and len(standard) + len(user) > limits.max_attributes:
        left = max(limits.max_attributes - len(standard), 0)
        raise AnnotationError(
            Problem.of(
                TOO_MANY_ATTRIBUTES,
                field=field_of(KEY),
                found=len(user),
                left=left,
                limit=limits.max_attributes,
                excess=_told(list(user)[left:]),
            )
        )
    ours, theirs = _characters(standard), _characters(user)
    if limits.max_attribute_characters is not None and ours + theirs > limits.max_attribute_characters:
        found = f"{theirs:,} characters in keys and values, beside {ours:,} of the standard attributes"
        rule = f"at most {limits.max_attribute_characters:,} are allowed together"
        raise _invalid(found, rule, "Shorten or remove some")


def _characters(attributes: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in attributes.items())


def _told(excess: list[str]) -> str:
    named = ", ".join(shown(key) for key in excess[:_TOLD])
    return f"{named} and {len(excess) - _TOLD} more" if excess[_TOLD:] else named


def _invalid(found: str, rule: str, next_step: str) -> AnnotationError:
    return wrong(KEY, found, rule, next_step, reason=INVALID_ATTRIBUTE)
