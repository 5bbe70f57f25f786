"""Names of objects for completion: whatever goes wrong, or takes long, there are none."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from kube_registrar.cli.kinds import Kind
from kube_registrar.cluster.session import open_session
from kube_registrar.model.errors import KubeRegistrarError

SECONDS = 1.5
MOST = 200


class _Meta(msgspec.Struct):
    name: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta


class _List(msgspec.Struct):
    items: list[_Named] | None = None


def names(kind: Kind, namespace: str, given: Mapping[str, object]) -> Sequence[str]:
    """Return the names of the objects of a kind; `given`: kubeconfig and context, where flags name them."""
    try:
        return asyncio.run(asyncio.wait_for(_names(kind, namespace, given), SECONDS))
    except (KubeRegistrarError, TimeoutError, OSError, msgspec.DecodeError):
        return ()


async def _names(kind: Kind, namespace: str, given: Mapping[str, object]) -> Sequence[str]:
    kubeconfig, context = (str(given[key]) if given.get(key) else None for key in ("kubeconfig", "context"))
    async with open_session(kubeconfig, context, request_seconds=SECONDS, reads_only=True) as session:
        body = await session.get(kind.path(namespace), {"limit": str(MOST)})
    return [one.metadata.name for one in msgspec.json.decode(body, type=_List).items or ()]
