"""The fields that both of our kinds have."""

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
