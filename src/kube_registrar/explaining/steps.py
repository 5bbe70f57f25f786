"""The steps of an explanation: gates that an object has to pass, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kube_registrar.model.reasons import Problem


class State(StrEnum):
    """How an object stands at a gate."""

    OK = "ok"
    NOTE = "note"
    """It passes; something is worth knowing."""
    WAITS = "waits"
    """It does not pass yet, and nobody has to do anything."""
    FAILS = "fails"
    """It does not pass before somebody changes something."""


@dataclass(frozen=True, slots=True)
class Step:
    """One gate: its name, how the object stands there, a sentence, and what to do, if anything.

    `about`: the registry service that it is about, where the object asks for several things.
    """

    name: str
    state: State
    message: str
    next_step: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All steps of one object, and those of the objects that it stands for, such as a Deployment's pods."""

    object: str
    steps: Sequence[Step]
    parts: Sequence["Explanation"] = ()

    @property
    def stopped_at(self) -> Step | None:
        """The first gate that the object, or one of its parts, does not pass."""
        own = next((step for step in self.steps if step.state in {State.FAILS, State.WAITS}), None)
        return own or next((part.stopped_at for part in self.parts if part.stopped_at), None)


def of_problem(name: str, problem: Problem, *, about: str = "") -> Step:
    """Return the step of a problem that somebody must solve: in the words of its event."""
    return Step(name, State.FAILS, problem.message, about=about)
