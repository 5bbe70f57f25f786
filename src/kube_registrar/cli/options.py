"""Options of the command line, made from the table of settings, and the configuration that they make."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from kube_registrar.declared.settings import SETTINGS, VARIABLE_PREFIX, Configuration, Setting

F = TypeVar("F", bound=Callable[..., Any])

AT_LEAST_NOTHING = click.FloatRange(min=0.0)

_METAVARS = {
    "listen": "HOST:PORT",
    "api_listen": "HOST:PORT",
    "dns_listen": "HOST:PORT",
    "registry": "KIND",
    "endpoint_url": "URL",
    "region": "REGION",
    "data": "FOLDER",
    "quotas": "cloud-map|none",
    "simulate": "KEY=VALUE,…",
    "watch_namespaces": "NAMESPACE",
    "cluster_name": "NAME",
    "default_registry": "NAME",
    "served_registry": "NAME",
    "context": "NAME",
    "kubeconfig": "FILE",
    "lease_namespace": "NAMESPACE",
    "lease_name": "NAME",
    "resync_seconds": "SECONDS",
    "access_keys": "FILE",
    "api_rate": "RATE/BURST",
    "api_at_once": "NUMBER",
    "api_connections": "NUMBER",
    "tls_cert": "FILE",
    "tls_key": "FILE",
}


def settings_options(*names: str, without: Collection[str] = ()) -> Callable[[F], F]:
    """Give a command the flags of these settings (all but `without`, where none is named), and `--config`."""
    given = [setting for setting in SETTINGS if setting.flag and setting.name not in without]
    chosen = [setting for setting in given if not names or setting.name in names]

    def decorate(function: F) -> F:
        function = click.option(
            "--config",
            metavar="FILE",
            help=f"A YAML file of settings, each of which a flag or variable overrides. [env: {VARIABLE_PREFIX}CONFIG]",
        )(function)
        for setting in reversed(chosen):
            function = _option(setting)(function)
        return function

    return decorate


def seconds_option(
    flag: str, default: float, told: str, allowed: click.FloatRange = AT_LEAST_NOTHING
) -> Callable[[F], F]:
    """Return a flag of a command's own for a time. `told`: its help, without the default and what is allowed."""
    return click.option(flag, type=allowed, default=default, show_default=True, metavar="SECONDS", help=told)


def _option(setting: Setting) -> Callable[[F], F]:
    default = _default(setting)
    told = f"{setting.description} [env: {setting.variable}{f'; default: {default}' if default else ''}]"
    kind = get_args(setting.type)[0]
    if kind in (bool, bool | None):
        negative = f"--no-{setting.flag.removeprefix('--')}"
        return click.option(f"{setting.flag}/{negative}", setting.name, default=None, help=told)
    if isinstance(setting.default, tuple):
        told = told.replace(setting.description, f"{setting.description} May be given several times.")
        return click.option(setting.flag, setting.name, multiple=True, metavar=_METAVARS[setting.name], help=told)
    if setting.name in _METAVARS:
        type_ = int if kind is int else str
        return click.option(setting.flag, setting.name, type=type_, metavar=_METAVARS[setting.name], help=told)
    return click.option(setting.flag, setting.name, type=click.Choice([str(word) for word in kind]), help=told)


def _default(setting: Setting) -> str:
    is_shown = isinstance(setting.default, str | int) and not isinstance(setting.default, bool)
    return str(setting.default) if setting.default and is_shown else ""


def configured(flags: Mapping[str, object], kind: str = "") -> Configuration:
    """Merge the flags of a command, `config` among them, with the environment and the file. Raises UserError.

    `kind`: of the one registry that the command is about, where the file lists none.
    """
    # Help and completion get by with the table of settings; these read YAML.
    from kube_registrar.declared import yamlfile  # noqa: PLC0415
    from kube_registrar.declared.configuration import configuration  # noqa: PLC0415

    name = flags.get("config") or os.environ.get(f"{VARIABLE_PREFIX}CONFIG")
    file = yamlfile.read(str(name), _text_of(str(name))) if name else None
    is_given = flags.get("registry") or os.environ.get(f"{VARIABLE_PREFIX}REGISTRY")
    if kind and not is_given and (file is None or "registries" not in file.values):
        flags = {**flags, "registry": kind}
    return configuration(flags, os.environ, file)


def _text_of(name: str) -> str:
    from kube_registrar.model.errors import UserError  # noqa: PLC0415 - only a mistake needs it

    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"the configuration file {name} cannot be read ({error.strerror}): correct --config") from None
    except UnicodeDecodeError:
        raise UserError(f"the configuration file {name} is no UTF-8 text: correct --config") from None
