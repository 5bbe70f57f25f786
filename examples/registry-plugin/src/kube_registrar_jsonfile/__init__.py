"""A registry in one JSON file. The entry point `open_registry` is all that kube-registrar knows of this package."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.port import written_for
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence
from kube_registrar_jsonfile.registry import CAPABILITIES, JsonFileRegistry
from kube_registrar_jsonfile.store import Store


@written_for(4, CAPABILITIES)
@asynccontextmanager
async def open_registry(
    config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[JsonFileRegistry]:
    """Open the registry in the file `config["path"]`, which need not be there yet."""
    unknown = sorted(config.keys() - {"path"})
    path = config.get("path")
    if unknown:
        raise UserError(f"registry {name} has the option {unknown[0]!r}: the kind jsonfile knows `path` alone")
    if not isinstance(path, str) or not Path(path).parent.is_dir():
        raise UserError(f"registry {name} has the path {path!r}: it must name a file in a folder that is there")
    yield JsonFileRegistry(name, Store(Path(path)), fence or Fence(clock))
