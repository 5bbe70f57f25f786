"""A registry behind the portal, asked with boto3; every call is made in a thread, beside the loop that answers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kube_registrar.model.changes import Change
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.simulation import Simulation
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.server.access.doors import KeyedDoor
from kube_registrar.server.access.keys import AccessKey, KeyRing
from kube_registrar.server.access.verifying import Verifier
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.server.portal.portal import Portal


@cache
def _session() -> Any:
    """Return one session: each new one reads the service model from disk."""
    return boto3.Session()


class Api:
    """Cloud Map's operations as coroutines."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        """Ask for an operation, such as `discover_instances`. Raises ClientError."""
        answer = await asyncio.to_thread(getattr(self.client, operation), **members)
        answer.pop("ResponseMetadata")
        return dict(answer)

    async def refused(self, operation: str, **members: Any) -> tuple[str, str]:
        """Return the code and the message of the error that it must end with."""
        try:
            found = await self(operation, **members)
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise AssertionError(f"it answered {found}")


@asynccontextmanager
async def asked(registry: Registry, clock: Clock | None = None, *, key: AccessKey | None = None) -> AsyncIterator[Api]:
    """Put the portal before a registry while the context is open; with a key, that is needed and shown."""
    time = clock or SystemClock()
    door = KeyedDoor(Verifier(KeyRing((key,)), time)) if key else None
    async with serve(app(Portal(registry, time), Simulation(), time, door=door), "127.0.0.1", 0) as port:
        client = _session().client(
            "servicediscovery",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="eu-west-1",
            aws_access_key_id=key.id if key else "any",
            aws_secret_access_key=key.secret if key else "any",
            config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, proxies={}),
        )
        yield Api(client)


async def must(registry: Registry, service: ServiceRef, *changes: Change) -> None:
    """Apply changes, every one of which must be confirmed."""
    errors: Mapping[str, object] = {
        each.change.instance_id: each.error async for each in registry.apply(service, changes) if each.error
    }
    assert errors == {}
