"""A change that has begun: what will be answered, and what to wait for before."""

from asyncio import Future
from collections.abc import Mapping
from typing import NamedTuple


class Begun(NamedTuple):
    """A change that passed all checks. Nobody needs to wait for it: it is made all the same.

    `stored`: done once `answer` may be sent, with the CloudMapError of what could not be stored, if it could not; None
    where the change was made before.
    """

    answer: Mapping[str, str]
    stored: "Future[None] | None"
