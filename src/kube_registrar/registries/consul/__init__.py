"""Consul as a registry: services and instances in its catalog, what is declared of them in its key-value store.

aiohttp is imported when a registry is opened, not before: commands that need none start fast.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.consul.options import read_options
from kube_registrar.registries.consul.rules import CAPABILITIES
from kube_registrar.registries.port import PORT_VERSION, Registry, written_for
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@written_for(PORT_VERSION, CAPABILITIES)
@asynccontextmanager
async def open_registry(
    config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[Registry]:
    """Open one datacenter of a Consul; `config` as `options.Options` says.

    Raises UserError for options that cannot be, and files that cannot be read. No call is made yet: a Consul that does
    not answer, or does not know the token, shows in the first one.
    """
    options = read_options(config, name)
    from kube_registrar.registries.consul.registry import connect  # noqa: PLC0415 - see above

    async with connect(options, name, clock, fence) as registry:
        yield registry
