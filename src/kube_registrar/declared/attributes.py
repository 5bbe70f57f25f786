"""The annotation `attributes`: the user's own keys, checked by the registry's rules as far as no pod is needed.

Rules: AWS Cloud Map API reference, RegisterInstance (AttrKey, AttrValue). They are ASCII throughout, so a character
is a byte. All registries are held to them, so that a workload can move from one to another.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from kube_registrar.declared import shorthand, templates
from kube_registrar.declared.problems import AnnotationError, shown, wrong
from kube_registrar.declared.templates import FORMS, Template, TemplateError
from kube_registrar.model.attributes import is_reserved
from kube_registrar.model.reasons import INVALID_ATTRIBUTE, MALFORMED_ANNOTATION, RESERVED_ATTRIBUTE, Problem

KEY: Final = "attributes"
MAX_KEY_CHARACTERS: Final = 255
MAX_VALUE_CHARACTERS: Final = 1_024

KEY_PATTERN = re.compile(r"[!-~]+")
VALUE = re.compile(r"(?:[!-~][ \t!-~]*)?")


def read_attributes(text: str) -> tuple[Mapping[str, Template], tuple[Problem, ...]]:
    """Read the annotation: a template for each key, and a problem for each attribute that is wrong.

    With any problem the attributes as a whole are not to be used. An empty annotation asks for none.
    """
    if not text.strip():
        return {}, ()
    try:
        pairs = shorthand.parse(text)
    except shorthand.ShorthandError as error:
        step = 'Write key=value,key2="value, with comma", or a JSON object of strings'
        return {}, (wrong(KEY, shown(text), str(error), step, reason=MALFORMED_ANNOTATION).problem,)
    return read_pairs(pairs)


def read_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[Mapping[str, Template], tuple[Problem, ...]]:
    """Read attributes that stand apart already: as `read_attributes` does."""
    found: dict[str, Template] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    for key, value in pairs:
        if key in seen:
            problems.append(_invalid(f"key {shown(key)} twice", "a key has one value", "Remove one of them").problem)
        seen.add(key)
        try:
            check_key(key)
            found[key] = _template(key, value)
        except AnnotationError as error:
            problems.append(error.problem)
    return found, tuple(dict.fromkeys(problems))


def check_key(key: str) -> None:
    """Raise AnnotationError unless users may set this key."""
    if not key:
        raise _invalid("an empty key", "a key has at least one character", "Name it")
    if len(key) > MAX_KEY_CHARACTERS:
        rule = f"at most {MAX_KEY_CHARACTERS} are allowed"
        raise _invalid(f"key {shown(key)}", rule, "Shorten it")
    if not KEY_PATTERN.fullmatch(key):
        raise _invalid(f"key {shown(key)}", "only visible ASCII characters are allowed in a key", "Choose another key")
    if "," in key:
        rule = "a comma is not allowed in a key, for KUBE_ATTRIBUTES lists the keys with commas"
        raise _invalid(f"key {shown(key)}", rule, "Choose another key")
    if is_reserved(key):
        rule = "keys that begin with AWS_, ECS_ or KUBE_, and AVAILABILITY_ZONE and REGION, are set by kube-registrar"
        raise wrong(KEY, shown(key), rule, "", reason=RESERVED_ATTRIBUTE)


def check_value(key: str, value: str, limit: int | None = MAX_VALUE_CHARACTERS) -> None:
    """Raise AnnotationError unless the registry takes this value; `limit` is in characters."""
    if limit is not None and len(value) > limit:
        found = f"a value of {len(value):,} characters for key {shown(key)}"
        raise _invalid(found, f"at most {limit:,} are allowed", "Shorten it")
    if not VALUE.fullmatch(value):
        rule = "only printable ASCII characters, space and tab are allowed, and the first must be visible"
        raise _invalid(f"value {shown(value)} for key {shown(key)}", rule, "Correct it")


def _template(key: str, value: str) -> Template:
    """Parse a value; one without forms is checked at once, the others when they are filled from a pod."""
    try:
        template = templates.parse(value)
    except TemplateError as error:
        rule = f"{error}; there are {', '.join(FORMS)}, and $$( for $( itself"
        raise _invalid(f"value {shown(value)} for key {shown(key)}", rule, "Correct it") from error
    if all(isinstance(part, str) for part in template):
        check_value(key, "".join(part for part in template if isinstance(part, str)))
    return template


def _invalid(found: str, rule: str, next_step: str) -> AnnotationError:
    return wrong(KEY, found, rule, next_step, reason=INVALID_ATTRIBUTE)
