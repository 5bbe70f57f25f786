"""The HTTP application: from a request to an operation of the catalog, and back.

The order is that of a real service: who may ask, what is asked, is it too much, is it well-formed, do it. Simulated
troubles stand where the real ones would: throttles and faults before anything is done, lost replies and hangs after.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.simulation import Simulation
from kube_registrar.runtime.clock import Clock
from kube_registrar.server.access import places, roles
from kube_registrar.server.access.doors import Door, OpenDoor
from kube_registrar.server.access.keys import AccessKey
from kube_registrar.server.access.places import Places, Searching
from kube_registrar.server.access.rates import too_many
from kube_registrar.server.cloudmap import protocol
from kube_registrar.server.cloudmap.bodies import Bodies
from kube_registrar.server.cloudmap.catalog import Catalog, Discovering
from kube_registrar.server.cloudmap.discoveries import Discoveries
from kube_registrar.server.cloudmap.lane import Quick
from kube_registrar.server.cloudmap.meeting import Server
from kube_registrar.server.cloudmap.quick import quick
from kube_registrar.server.cloudmap.simulation import Troubles
from kube_registrar.server.cloudmap.traffic import UNKNOWN, Traffic

_log = logging.getLogger(__name__)

_MOST_BYTES = 1024 * 1024
"""The largest request: a register with all its attributes has 5,000 characters."""

QUICK: web.AppKey[Quick] = web.AppKey("quick")
"""What `serving` may answer in the fast lane; not there where all requests must come this way."""

_OPERATION = web.RequestKey("operation", str)

_BODY_SECONDS = 20.0
"""How long a body may take to come once its headers are there."""


def app(
    catalog: Catalog,
    simulation: Simulation,
    clock: Clock,
    *,
    door: Door | None = None,
    traffic: Traffic | None = None,
) -> web.Application:
    """Return the application that serves `catalog`; `serving.serve` listens with it.

    `door` lets requests in, without one all that are for this machine; `traffic` counts them.
    """
    known = catalog if isinstance(catalog, Places) else None
    server = Server(door or OpenDoor(), traffic or Traffic(), Troubles(simulation, clock), catalog, known)
    kept = Discoveries(catalog, random.Random(simulation.seed)) if isinstance(catalog, Discovering) else None

    async def handle(request: web.Request) -> web.Response:
        began = server.traffic.now()
        code = "ok"
        try:
            return await _handle(request, server)
        except CloudMapError as error:
            code = error.code
            return protocol.error_answer(error)
        except web.HTTPRequestEntityTooLarge:
            code = "SerializationException"
            return protocol.error_answer(CloudMapError(code, "The request is larger than 1 MiB"))
        except web.RequestPayloadError as error:
            code = "SerializationException"
            why = str(error).rpartition("\n")[2].strip()
            return protocol.error_answer(CloudMapError(code, f"The body cannot be read: {why}"))
        except ConnectionError:
            code = "ConnectionLost"
            raise  # the client has gone: aiohttp knows what to do
        except Exception:  # noqa: BLE001 - the last resort: the client gets an answer, the log the cause
            code = "InternalFailure"
            _log.exception("a request to the Cloud Map API failed; this is a bug")
            return protocol.error_answer(CloudMapError(code, "The registry failed; its log says more"))
        finally:
            server.traffic.answered(request.get(_OPERATION, UNKNOWN), code, began)

    application = web.Application(client_max_size=_MOST_BYTES)
    application.router.add_route("*", "/{path:.*}", handle)
    # A rate by address needs the address, which the fast lane does not have.
    if kept is not None and server.troubles.are_none and not server.door.counts_addresses:
        application[QUICK] = quick(kept, server)
    return application


async def _handle(request: web.Request, server: Server) -> web.Response:
    door, catalog = server.door, server.catalog
    headers: Mapping[str, str] = request.headers if door.is_open else protocol.headers_of(request.headers.items())
    if door.is_open or not request.content.is_eof():
        door.greet(headers)
    operation = protocol.operation_of(request.method, request.path, headers)
    if operation not in catalog.operations:
        raise CloudMapError("UnknownOperationException", f"{operation} is not served by this registry")
    request[_OPERATION] = operation
    server.traffic.begin(operation)
    try:
        content = await _body(request, server.bodies, operation)
        key = door.admit(operation, headers, content, target=request.raw_path, client=request.remote or "")
        await server.troubles.before(operation)
        wanted = validated(operation, protocol.body_of(content))
        region = protocol.region_of(request.headers.get("Authorization"))
        try:
            return protocol.answer(await _executed(server, key, operation, wanted, region))
        finally:
            await server.troubles.hang()
            if server.troubles.loses_reply() and request.transport is not None:
                request.transport.abort()
    finally:
        server.traffic.end()


async def _body(request: web.Request, bodies: Bodies, operation: str) -> bytes:
    if request.content.is_eof():
        return await request.read()
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while part := await request.content.readany():
                if not bodies.take(len(part)):
                    raise too_many(operation)
                body += part
                if len(body) > _MOST_BYTES:
                    raise web.HTTPRequestEntityTooLarge(max_size=_MOST_BYTES, actual_size=len(body))
        return bytes(body)
    except TimeoutError:
        raise CloudMapError(
            "RequestTimeoutException", f"The body of the request did not come within {_BODY_SECONDS:.0f} s"
        ) from None
    finally:
        bodies.give_back(len(body))


async def _executed(
    server: Server, key: AccessKey | None, operation: str, wanted: Mapping[str, Any], region: str | None
) -> Mapping[str, Any]:
    """Carry out an operation; of a key that is limited to registry namespaces, within these."""
    if key is None or key.namespaces is None:
        return await server.catalog.execute(operation, wanted, region)
    if server.places is None:
        return await _searched(server.catalog, key, operation, wanted, region)
    # Nothing is awaited between the check and what it is for, so a name cannot come to mean another namespace.
    places.check(key, operation, wanted, server.places)
    answer = await server.catalog.execute(operation, wanted, region)
    return places.visible(key, operation, answer, server.places)


async def _searched(
    catalog: Catalog, key: AccessKey, operation: str, wanted: Mapping[str, Any], region: str | None
) -> Mapping[str, Any]:
    """The same where it takes a while to find out where things are, and what is carried out only reads."""
    if not isinstance(catalog, Searching):
        raise roles.denied(key, operation, "because this registry does not tell its registry namespaces apart")
    places.check(key, operation, wanted, await places.located(catalog, operation, wanted))
    answer = await catalog.execute(operation, wanted, region)
    # Once more before it is told: meanwhile an id may have come that was not there, or come to mean another thing.
    places.check(key, operation, wanted, await places.located(catalog, operation, wanted))
    return places.visible(key, operation, answer, await places.listed(catalog, operation, answer))
