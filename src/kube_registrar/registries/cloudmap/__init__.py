"""AWS Cloud Map as a registry, and whatever speaks its API (the embedded registry does).

boto3 is imported when a registry is opened, not before: commands that need none start fast.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.cloudmap.options import read_options
from kube_registrar.registries.cloudmap.rules import CAPABILITIES
from kube_registrar.registries.port import PORT_VERSION, Registry, written_for
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@written_for(PORT_VERSION, CAPABILITIES)
@asynccontextmanager
async def open_registry(
    config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[Registry]:
    """Open a Cloud Map of one account and Region; `config` as `options.Options` says.

    Raises UserError for options, a profile or a Region that cannot be. No call is made yet: missing credentials and
    an endpoint that does not answer show in the first one.
    """
    options = read_options(config, name)
    from kube_registrar.registries.cloudmap.registry import connect  # noqa: PLC0415 - see above

    async with connect(options, name, clock, fence) as registry:
        yield registry
