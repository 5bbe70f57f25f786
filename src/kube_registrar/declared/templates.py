"""Values that read from the pod, in the form of Kubernetes' downward API: `v$(metadata.labels['version'])`.

`$$(` stands for `$(`; every other `$` for itself. Annotations cannot be read: only ours are kept of a pod.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

FORMS: Final = (
    "$(metadata.name)",
    "$(metadata.namespace)",
    "$(metadata.uid)",
    "$(metadata.labels['KEY'])",
    "$(spec.nodeName)",
    "$(status.podIP)",
)
"""Every form there is, as messages and documentation name them."""

_LABEL = re.compile(r"metadata\.labels\['([^']+)'\]")
_FIELDS = frozenset(form[2:-1] for form in FORMS if "labels" not in form)


class TemplateError(ValueError):
    """A form that does not exist or is not closed; says what was found."""


@dataclass(frozen=True, slots=True)
class PodField:
    """A field of the pod, such as `metadata.name`; or a label of it, then `label` is its key."""

    field: str
    label: str = ""


Template = tuple[str | PodField, ...]
"""Literal text and fields of the pod, in order."""


def parse(text: str) -> Template:
    """Split a value into text and fields. Raises TemplateError."""
    parts: list[str | PodField] = []
    literal = ""
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        literal += text[position:dollar]
        position = dollar
        if text.startswith("$$(", position):
            literal, position = literal + "$(", position + 3
        elif text.startswith("$(", position):
            end = text.find(")", position)
            if end < 0:
                raise TemplateError(f"{text[position : position + 40]!a} is not closed")
            parts.extend([literal, _field(text[position + 2 : end])])
            literal, position = "", end + 1
        else:
            literal, position = literal + "$", position + 1
    parts.append(literal + text[position:])
    return tuple(part for part in parts if part != "")


def _field(inner: str) -> PodField:
    if label := _LABEL.fullmatch(inner):
        return PodField("metadata.labels", label[1])
    if inner not in _FIELDS:
        raise TemplateError(f"{f'$({inner[:80]})'!a} is not known")
    return PodField(inner)


class Readable(Protocol):
    """What a template is filled from: a pod, or what is registered in its place."""

    @property
    def namespace(self) -> str: ...  # noqa: D102 - each as of a pod
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def uid(self) -> str: ...  # noqa: D102
    @property
    def node(self) -> str: ...  # noqa: D102
    @property
    def ips(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102


def fill(template: Template, pod: Readable) -> str | PodField:
    """Fill the template from `pod`, or return the label that it does not have."""
    fields: Mapping[str, str] = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": pod.node,
        "status.podIP": next(iter(pod.ips), ""),
    }
    text = ""
    for part in template:
        if isinstance(part, str):
            text += part
        elif part.label:
            if part.label not in pod.labels:
                return part
            text += pod.labels[part.label]
        else:
            text += fields[part.field]
    return text
