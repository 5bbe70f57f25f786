"""etcd as a registry: instances in the SkyDNS layout that CoreDNS's etcd plugin serves, and beside it what that lacks.

aiohttp is imported when a registry is opened, not before: commands that need none start fast.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.etcd.options import read_options
from kube_registrar.registries.etcd.rules import CAPABILITIES
from kube_registrar.registries.port import PORT_VERSION, Registry, written_for
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@written_for(PORT_VERSION, CAPABILITIES)
@asynccontextmanager
async def open_registry(
    config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[Registry]:
    """Open the etcd at `config["endpoints"]`; see `options.Options` for the other options.

    Raises UserError for options that cannot be. No call is made yet: a wrong password and members that do not answer
    show in the first one.
    """
    options = read_options(config, name)
    from kube_registrar.registries.etcd.registry import connect  # noqa: PLC0415 - see above

    async with connect(options, name, clock, fence) as registry:
        yield registry
