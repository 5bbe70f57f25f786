"""The HTTP application: from a request to an operation of the catalog, and back.

The order is that of a real service: who may ask, what is asked, is it too much, is it well-formed, do it. Simulated
troubles stand where the real ones would: throttles and faults before anything is done, lost replies and hangs after.
"""

import logging
import random
from collections.abc import Mapping

from aiohttp import web

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.simulation import Simulation
from kube_registrar.runtime.clock import Clock
from kube_registrar.server.cloudmap import discoveries, hosts, protocol
from kube_registrar.server.cloudmap.catalog import Catalog, Discovering
from kube_registrar.server.cloudmap.discoveries import Discoveries
from kube_registrar.server.cloudmap.lane import Quick
from kube_registrar.server.cloudmap.simulation import Troubles

_log = logging.getLogger(__name__)

_MOST_BYTES = 1024 * 1024
"""The largest request: a register with all its attributes has 5,000 characters."""

QUICK: web.AppKey[Quick] = web.AppKey("quick")
"""What `serving` may answer in the fast lane; not there where all requests must come this way."""


def app(catalog: Catalog, simulation: Simulation, clock: Clock) -> web.Application:
    """Return the application that serves `catalog`; `serving.serve` listens with it."""
    troubles = Troubles(simulation, clock)
    kept = Discoveries(catalog, random.Random(simulation.seed)) if isinstance(catalog, Discovering) else None

    async def handle(request: web.Request) -> web.Response:
        try:
            return await _handle(request, catalog, troubles)
        except CloudMapError as error:
            return protocol.error_answer(error)
        except web.HTTPRequestEntityTooLarge:
            return protocol.error_answer(CloudMapError("SerializationException", "The request is larger than 1 MiB"))
        except web.RequestPayloadError as error:
            why = str(error).rpartition("\n")[2].strip()
            return protocol.error_answer(CloudMapError("SerializationException", f"The body cannot be read: {why}"))
        except ConnectionError:
            raise  # the client has gone: aiohttp knows what to do
        except Exception:  # noqa: BLE001 - the last resort: the client gets an answer, the log the cause
            _log.exception("a request to the Cloud Map API failed; this is a bug")
            return protocol.error_answer(CloudMapError("InternalFailure", "The registry failed; its log says more"))

    application = web.Application(client_max_size=_MOST_BYTES)
    application.router.add_route("*", "/{path:.*}", handle)
    if kept is not None and troubles.are_none:
        application[QUICK] = _quick(kept)
    return application


def _quick(kept: Discoveries) -> Quick:
    """Return what answers a discovery whose headers are as they should be. It lets in whom `_handle` lets in.

    All that is to be refused is left to `_handle`, which has the sentences.
    """
    targets = {f"{protocol.TARGET_PREFIX}.{operation}": operation for operation in discoveries.OPERATIONS}

    def quick(headers: Mapping[str, str], body: bytes) -> bytes | None:
        operation = targets.get(headers.get("x-amz-target", ""))
        if operation is None or not hosts.is_allowed(headers.get("host")):
            return None
        try:
            return kept.answer(operation, body)
        except CloudMapError:
            return None

    return quick


async def _handle(request: web.Request, catalog: Catalog, troubles: Troubles) -> web.Response:
    if not hosts.is_allowed(request.headers.get("Host")):
        message = (
            "The Host header must be an address or localhost: a name may be anybody's, and nobody is authenticated"
        )
        raise CloudMapError("AccessDeniedException", message)
    operation = protocol.operation_of(request.method, request.path, request.headers)
    if operation not in catalog.operations:
        raise CloudMapError("UnknownOperationException", f"{operation} is not served by this registry")
    content = await request.read()
    await troubles.before(operation)
    wanted = validated(operation, protocol.body_of(content))
    region = protocol.region_of(request.headers.get("Authorization"))
    try:
        answer = protocol.answer(await catalog.execute(operation, wanted, region))
    finally:
        await troubles.hang()
        if troubles.loses_reply() and request.transport is not None:
            request.transport.abort()
    return answer
