"""The flags that `gc` and `takeover` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kube_registrar.cli.options import settings_options
from kube_registrar.cli.upkeep.showing import FORMATS

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = (
    "registry",
    "endpoint_url",
    "region",
    "data",
    "policy",
    "kubeconfig",
    "context",
    "log_format",
    "log_level",
)


def upkeep_options(*more: str) -> Callable[[F], F]:
    """Give a command what both take, and the flags of the settings `more`."""
    flags = (
        click.option(
            "--registry-name",
            multiple=True,
            metavar="NAME",
            help="Only this one of the configured registries. May be given several times.",
        ),
        click.option("--namespace", default="", metavar="NAME", help="Only this registry namespace."),
        click.option("--service", default="", metavar="NAME", help="Only registry services of this name."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(FORMATS),
            default="table",
            show_default=True,
            help="How the instances are shown.",
        ),
        click.option("--dry-run", is_flag=True, help="Show, and change nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        settings_options(*_SETTINGS, *more),
    )

    def decorate(function: F) -> F:
        for flag in reversed(flags):
            function = flag(function)
        return function

    return decorate
