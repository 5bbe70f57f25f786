"""Which registry is asked, and the open registry. What reads YAML or a backend is imported when it is needed."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from kube_registrar.cli.loopback import on_this_machine
from kube_registrar.cli.options import configured, settings_options
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName

if TYPE_CHECKING:
    from kube_registrar.registries.port import Registry

F = TypeVar("F", bound=Callable[..., Any])


def registry_options(function: F) -> F:
    """Give a command the flags that say which registry is asked."""
    return settings_options("registry", "endpoint_url", "region", "default_registry", "log_level")(function)


@asynccontextmanager
async def asked(flags: Mapping[str, object]) -> AsyncIterator["Registry"]:
    """Open the registry that the flags mean: Cloud Map, where they name none. Raises UserError."""
    from kube_registrar.registries.contained import Contained  # noqa: PLC0415 - help does not need it
    from kube_registrar.registries.opening import opened  # noqa: PLC0415 - see above
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above
    from kube_registrar.runtime.clock import SystemClock  # noqa: PLC0415 - see above

    configuration = _configuration(flags)
    logs.configure(configuration.log_format, configuration.log_level)
    name, entry = _entry(configuration)
    async with opened(entry.kind, entry.options, name, SystemClock()) as registry:
        yield Contained(registry)


def _configuration(flags: Mapping[str, object]) -> Configuration:
    is_given = flags["registry"] or flags["config"]
    is_given = is_given or {"KUBE_REGISTRAR_REGISTRY", "KUBE_REGISTRAR_CONFIG"} & os.environ.keys()
    return configured(flags if is_given else {**flags, "registry": "cloudmap"})


def _entry(configuration: Configuration) -> tuple[RegistryName, RegistryEntry]:
    from kube_registrar.registries.loading import is_shared  # noqa: PLC0415 - help does not need it

    name = RegistryName(configuration.default_registry)
    if name not in configuration.registries:
        raise UserError("no registry is configured: try --registry cloudmap with --region or --endpoint-url")
    entry = configuration.registries[name]
    if not is_shared(entry.kind):
        raise UserError(
            f"the {entry.kind} registry lives inside the operator that runs it: ask that through its API, with "
            "--registry cloudmap --endpoint-url http://127.0.0.1:8081 (run says the address)"
        )
    return name, on_this_machine(entry)
