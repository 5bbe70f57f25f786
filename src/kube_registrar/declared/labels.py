"""What Kubernetes takes for a label: the rules of its keys and values, which a selector must follow too.

Source: Kubernetes documentation, "Labels and Selectors", syntax and character set; IsQualifiedName and
IsValidLabelValue of k8s.io/apimachinery/pkg/util/validation.
"""

import re
from functools import lru_cache
from typing import Final

from kube_registrar.declared.problems import shown

MAX_VALUE_CHARACTERS: Final = 63
MAX_NAME_CHARACTERS: Final = 63
MAX_PREFIX_CHARACTERS: Final = 253
MAX_KEY_CHARACTERS: Final = MAX_PREFIX_CHARACTERS + 1 + MAX_NAME_CHARACTERS
VALUE: Final = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
"""A pattern as the API takes it: its `$` is the end of the text. What is too long is for who uses it to see."""
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
KEY: Final = f"^({_PART}([.]{_PART})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
KEY_RULE: Final = (
    f"the key of a label is a name of at most {MAX_NAME_CHARACTERS} letters, digits, hyphens, underscores and dots, "
    f"alone or after a DNS name of at most {MAX_PREFIX_CHARACTERS} characters and a slash"
)
VALUE_RULE: Final = (
    f"the value of a label is at most {MAX_VALUE_CHARACTERS} letters, digits, hyphens, underscores and dots, beginning "
    "and ending with a letter or digit, or empty"
)
NAME: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""The name of a Service."""
NAME_RULE: Final = "the name of a Service is lower-case letters, digits and hyphens, ending with a letter or digit"


@lru_cache(maxsize=4096)  # selectors are looked at with every change of what is selected
def wrong_key(key: str) -> str:
    """Say what is wrong with the key of a label; nothing if it is right."""
    prefix, slash, _ = key.rpartition("/")
    is_right = re.fullmatch(KEY.removesuffix("$"), key) and not (slash and len(prefix) > MAX_PREFIX_CHARACTERS)
    return "" if is_right else f"{shown(key)} is no key, for {KEY_RULE}"


@lru_cache(maxsize=4096)
def wrong_value(key: str, value: str) -> str:
    """Say what is wrong with the value of a label; nothing if it is right."""
    is_right = re.fullmatch(VALUE.removesuffix("$"), value) and len(value) <= MAX_VALUE_CHARACTERS
    return "" if is_right else f"{shown(value)} of {shown(key)} is no value, for {VALUE_RULE}"


def wrong_name(name: str) -> str:
    """Say what is wrong with the name of a Service; nothing if it is right."""
    return "" if re.fullmatch(NAME.removesuffix("$"), name) else f"{shown(name)} is no name, for {NAME_RULE}"
