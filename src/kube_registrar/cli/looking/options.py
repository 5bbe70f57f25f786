"""The flags that `plan` and `explain` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kube_registrar.cli.options import seconds_option, settings_options

F = TypeVar("F", bound=Callable[..., Any])

TIMED_OUT = 124
"""The exit code where --timeout was not enough."""


def looking_options(function: F) -> F:
    """Give a command what both take: how it is shown, how long it may take, and all settings."""
    flags = (
        click.option("-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True),
        seconds_option(
            "--timeout", 60.0, "How long reading everything may take.", click.FloatRange(min=0, min_open=True)
        ),
        settings_options(),
    )
    for flag in reversed(flags):
        function = flag(function)
    return function
