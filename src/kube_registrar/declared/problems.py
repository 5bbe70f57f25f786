"""How wrong annotations are told: shared words, so that every message reads alike."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import MALFORMED_ANNOTATION, Problem, Reason
from kube_registrar.model.records import ANNOTATION_PREFIX

SHOWN_CHARACTERS = 100
ALIKE_PERCENT = 70


class AnnotationError(KubeRegistrarError):
    """An annotation that cannot be read; `problem` names it, what was found, the rule and the next step."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def field_of(key: str) -> str:
    """Name an annotation in a message; what is more than its key, such as `spec.port of …`, names itself."""
    return key if " " in key else f"annotation {ANNOTATION_PREFIX}{key}"


def shown(text: str) -> str:
    """Quote what a user wrote: ASCII only, one line, shortened, for it goes into events and logs."""
    if len(text) <= SHOWN_CHARACTERS:
        return ascii(text)
    return f"{text[:SHOWN_CHARACTERS]!a}... ({len(text):,} characters)"


def wrong(key: str, found: str, rule: str, next_step: str, *, reason: Reason = MALFORMED_ANNOTATION) -> AnnotationError:
    """Make the error of one annotation. `found` is put in as it is: quote a user's words with `shown`."""
    return AnnotationError(Problem.of(reason, field=field_of(key), found=found, rule=rule, next_step=next_step))


def moved(problem: Problem, key: str, place: str) -> Problem:
    """Return a problem of annotation `key` as one of `place`, such as `service-registries[1].port`.

    One rule may be broken in several places. Every sentence about what a user wrote begins with its field.
    """
    begins = f"{field_of(key)} "
    if not problem.message.startswith(begins):
        return problem
    return Problem(problem.reason, f"{field_of(place)} {problem.message.removeprefix(begins)}")


@contextlib.contextmanager
def told_at(key: str, place: str) -> Iterator[None]:
    """Have what is wrong with annotation `key` in this block told of `place` instead."""
    try:
        yield
    except AnnotationError as error:
        raise AnnotationError(moved(error.problem, key, place)) from error


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the known word that was probably meant, or an empty string.

    Likeness goes by the characters that two words have in common, in any order: rules of apply time reckon it too.
    """
    best = max(known, key=lambda each: _alike(word, each))
    return best if _alike(word, best) >= ALIKE_PERCENT else ""


def _alike(word: str, other: str) -> int:
    """How much of two words is the same, in percent."""
    common = (Counter(word.lower()) & Counter(other.lower())).total()
    return 200 * common // (len(word) + len(other))
