"""The policies that hold the rules: what they look at, and which of their parts the chart chooses from."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kube_registrar.declared.admission import annotations
from kube_registrar.declared.admission.annotations import Rule
from kube_registrar.declared.admission.cel import text
from kube_registrar.model.records import ANNOTATION_PREFIX

Json = dict[str, Any]

_WRITTEN: Final = ["CREATE", "UPDATE"]
PODS: Final[Sequence[Json]] = [
    {"apiGroups": [""], "apiVersions": ["v1"], "operations": _WRITTEN, "resources": ["pods"]},
]
OWNERS: Final[Sequence[Json]] = [
    {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": _WRITTEN,
        "resources": ["services", "replicationcontrollers"],
    },
    {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": _WRITTEN,
        "resources": ["deployments", "statefulsets", "daemonsets", "replicasets"],
    },
    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": _WRITTEN, "resources": ["jobs", "cronjobs"]},
]
"""Services, and what has a template of pods."""


def policies() -> Mapping[str, Json]:
    """Return what the chart's template puts together: the specs of two policies, and parts of bindings."""
    return {
        "malformed": _policy(annotations.variables(), annotations.malformed()),
        "unknown": _policy({"unknown": annotations.unknown_keys()}, annotations.unknown()),
        "changed": {"name": "what-is-new", "expression": _changed()},
        "pods": {"resourceRules": list(PODS)},
        "owners": {"resourceRules": list(OWNERS)},
    }


def _policy(variables: Mapping[str, str], rules: Sequence[Rule]) -> Json:
    shared = {"annotations": _annotations("object"), **variables}
    return {
        "failurePolicy": "Ignore",
        "matchConstraints": {"resourceRules": [*PODS, *OWNERS]},
        "matchConditions": [
            {"name": "is-annotated", "expression": f"{_annotations('object')}.exists(k, {_is_ours('k')})"},
            {"name": "is-written-by-users", "expression": _WITHOUT_CONTROLLER},
        ],
        "variables": [{"name": name, "expression": expression} for name, expression in shared.items()],
        "validations": [{"expression": rule.expression, "messageExpression": rule.message} for rule in rules],
    }


_WITHOUT_CONTROLLER: Final = "!object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false))"
"""What a controller makes has a template that was looked at, and nobody reads what it is told."""


def _is_ours(key: str) -> str:
    return f"{key}.startsWith({text(ANNOTATION_PREFIX)})"


def _annotations(thing: str) -> str:
    """Return the annotations that pods are given, or a Service has. A kind at a time has each of these paths."""
    template = f"dyn({thing}).spec.template"
    job = f"dyn({thing}).spec.jobTemplate.spec.template"
    whose = f"{thing}.kind in ['Pod', 'Service'] ? dyn({thing}) : {thing}.kind == 'CronJob' ? {job} : {template}"
    return f"({whose}).?metadata.?annotations.orValue({{}})"


def _changed() -> str:
    """Whether an annotation of ours is another than before: what is stored already is never refused."""
    new, old = _annotations("object"), _annotations("oldObject")
    is_same = f"k in {old} && {old}[k] == {new}[k]"
    return f"request.operation == 'CREATE' || {new}.exists(k, {_is_ours('k')} && !({is_same}))"
