"""What the connected cluster says: its UID, and whether the objects that instances stand for live there now."""

import asyncio
from collections.abc import Iterable, Mapping
from enum import StrEnum
from urllib.parse import quote

import msgspec

from kube_registrar.cluster.errors import ApiError, ApiNotFound
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.refs import Origin, Uid

GETS_AT_ONCE = 20
_PLURALS = {"Pod": "pods", "Service": "services"}


class Here(StrEnum):
    """How the object that an instance stands for is found in the connected cluster."""

    GONE = "gone"
    """There is none of that name."""
    ANOTHER = "another"
    """There is one of that name, with another UID."""
    LIVES = "lives"
    """It is there."""
    UNKNOWN = "unknown"
    """The API server did not say."""


class _Metadata(msgspec.Struct):
    uid: str


class _Object(msgspec.Struct):
    metadata: _Metadata


async def connected(configuration: Configuration) -> Uid:
    """Return the UID of the connected cluster. Raises UserError or ApiError where there is none to be had."""
    async with open_session(configuration.kubeconfig, configuration.context) as session:
        return await Lookup(session).cluster_uid()


async def standings(configuration: Configuration, origins: Iterable[Origin]) -> Mapping[Origin, Here]:
    """Ask for each object by a direct, current read."""
    at_once = asyncio.Semaphore(GETS_AT_ONCE)
    async with open_session(configuration.kubeconfig, configuration.context) as session:

        async def ask(origin: Origin) -> tuple[Origin, Here]:
            async with at_once:
                return origin, await _standing(session, origin)

        return dict(await asyncio.gather(*map(ask, dict.fromkeys(origins))))


async def _standing(session: Session, origin: Origin) -> Here:
    plural = _PLURALS.get(origin.kind)
    if plural is None or not origin.namespace or not origin.name:
        return Here.UNKNOWN
    path = f"/api/v1/namespaces/{quote(origin.namespace, safe='')}/{plural}/{quote(origin.name, safe='')}"
    try:
        found = msgspec.json.decode(await session.get(path), type=_Object)
    except ApiNotFound:
        return Here.GONE
    except (ApiError, msgspec.DecodeError):
        return Here.UNKNOWN
    return Here.LIVES if found.metadata.uid == origin.uid else Here.ANOTHER
