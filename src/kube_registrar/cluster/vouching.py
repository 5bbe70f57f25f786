"""Who answers: is it the API server of our cluster? Whoever asks it hands on a way to find out."""

from collections.abc import Awaitable, Callable

Vouch = Callable[[], Awaitable[None]]
"""Returns once the API server was found to be that of our cluster; raises ApiError otherwise."""


async def unasked() -> None:
    """Take whoever answers for our cluster."""
