"""One check: a connection to an address, and what Route 53 would make of it.

Plain asyncio and not an HTTP client, for what is needed is what such a client adds to: no name is resolved, no
redirect followed (3xx is an answer, and a good one), no proxy asked, and no more read than the first line.

Source: "How Amazon Route 53 determines whether a health check is healthy" in the Route 53 developer guide.
"""

import asyncio
import errno
import os
import re
import ssl
from functools import cache
from typing import Final

from kube_registrar.registries.embedded.checks.endpoints import Endpoint

CONNECT_SECONDS: Final = 4.0
ANSWER_SECONDS: Final = 2.0
TCP_SECONDS: Final = 10.0

_LINE_BYTES = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_GOOD = range(200, 400)
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})
"""What is missing on this machine: files, memory, or ports to connect from."""


class NoVerdictError(Exception):
    """A check could not be made, and the instance is not to blame: this machine has no more of what it takes."""


async def probe(endpoint: Endpoint) -> str:
    """Check an endpoint once; return what is wrong, empty if nothing is. It takes twelve seconds at most.

    Raises NoVerdictError, which says what this machine has too little of.
    """
    seconds = TCP_SECONDS if endpoint.type == "TCP" else CONNECT_SECONDS
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port, limit=_LINE_BYTES)
    except TimeoutError:
        return f"no connection within {seconds:.0f} s"
    except OSError as error:
        _judge(error)
        return f"no connection ({os.strerror(error.errno) if error.errno else type(error).__name__})"
    try:
        return "" if endpoint.type == "TCP" else await _ask(endpoint, reader, writer)
    finally:
        writer.transport.abort()


async def _ask(endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if endpoint.type == "HTTPS":
                await writer.start_tls(_context(), server_hostname=endpoint.name or None)
            writer.write(
                f"GET {endpoint.path} HTTP/1.1\r\nHost: {endpoint.host}\r\nUser-Agent: kube-registrar\r\n"
                "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            line = await reader.readuntil(b"\n")
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    except asyncio.IncompleteReadError:
        return "the connection was closed without an answer"
    except asyncio.LimitOverrunError:
        return "the answer is not HTTP"
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors; a name that TLS cannot send is a ValueError
        if isinstance(error, OSError):
            _judge(error)
        return f"no answer ({getattr(error, 'reason', '') or getattr(error, 'strerror', '') or type(error).__name__})"
    found = _STATUS.fullmatch(line)
    if not found:
        return "the answer is not HTTP"
    return "" if int(found[1]) in _GOOD else f"the status {int(found[1])}"


def _judge(error: OSError) -> None:
    """Raise NoVerdictError for an error of this machine. TLS's numbers are of another kind."""
    if error.errno in _OURS and not isinstance(error, ssl.SSLError):
        raise NoVerdictError(os.strerror(error.errno)) from None


@cache
def _context() -> ssl.SSLContext:
    """Certificates are not verified, as Route 53 does not: that somebody answers is all that is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
