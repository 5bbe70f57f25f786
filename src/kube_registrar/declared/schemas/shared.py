"""The fields that both of our kinds have."""

from collections.abc import Mapping
from typing import Final

from kube_registrar.declared import labels
from kube_registrar.declared.schemas.fields import Field, Fields, Rule


def description_and_tags(what: str) -> Fields:
    """Return the fields `description`, `tags` and the values of these. `what`: namespace or service."""
    return {
        "description": Field(
            "A text for people, kept in the registry.",
            limits={"maxLength": 1024},
        ),
        "tags": Field(
            f"Tags that the {what} is given where the registry has tags. Ownership is recorded in further ones.",
            limits={"maxProperties": 45},
            rules=(
                Rule(
                    "self.all(key, key.size() >= 1 && key.size() <= 128)",
                    "the key of a tag must have 1 to 128 characters",
                ),
                Rule(
                    "self.all(key, !key.startsWith('aws:') && !key.startsWith('kube-registrar'))",
                    "the key of a tag must not begin with aws: or kube-registrar, which are reserved",
                ),
            ),
        ),
        "tags{}": Field(limits={"maxLength": 256}),
    }


_LIST: Final = {"x-kubernetes-list-type": "atomic"}


def label_selector(at: str, description: str, *, if_empty: str, limits: Mapping[str, object] | None = None) -> Fields:
    """Return the fields of a label selector that stands at a path.

    `if_empty` is said of one without any requirement, which would match everything. `limits`: of the selector itself.
    """
    is_not_empty = (
        "(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && "
        "self.matchExpressions.size() > 0)"
    )
    has_values = Rule(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
        "values are required with In and NotIn, and not allowed with Exists and DoesNotExist",
    )
    expressions = f"{at}.matchExpressions"
    value = {"maxLength": labels.MAX_VALUE_CHARACTERS, "pattern": labels.VALUE}
    return {
        at: Field(description, limits or {}, (Rule(is_not_empty, if_empty),)),
        f"{at}.matchLabels": Field(
            "Labels that must be there, each with this value.",
            {"maxProperties": 64},
            (Rule(f"self.all(key, {_is_key('key')})", labels.KEY_RULE),),
        ),
        f"{at}.matchLabels{{}}": Field(limits=value),
        expressions: Field("Requirements that must all hold, beside matchLabels.", {"maxItems": 64, **_LIST}),
        f"{expressions}[]": Field(rules=(has_values,)),
        f"{expressions}[].key": Field(
            "The label that is looked at.",
            {"minLength": 1, "maxLength": labels.MAX_KEY_CHARACTERS},
            (Rule(_is_key("self"), labels.KEY_RULE),),
        ),
        f"{expressions}[].operator": Field(
            "How it is compared; NotIn and DoesNotExist match what does not have the label too."
        ),
        f"{expressions}[].values": Field("The values of In and NotIn.", {"maxItems": 100, **_LIST}),
        f"{expressions}[].values[]": Field(limits=value),
    }


def _is_key(text: str) -> str:
    """Return CEL of whether a text may be the key of a label."""
    short = f"(!{text}.contains('/') || {text}.indexOf('/') <= {labels.MAX_PREFIX_CHARACTERS})"
    return f"{text}.matches('{labels.KEY}') && {short}"
