"""An HTTP session for a client of the API server that is not ours and would open a connection for each request.

kopf handles all objects at once when it begins. Each TLS connection costs a quarter of a megabyte, which is not given
back, and some ten milliseconds of both sides: 400 objects were 130 MB and eight seconds.
"""

import ssl
from collections.abc import Mapping

import aiohttp

REQUESTS_AT_ONCE = 16


def pooled_session(
    context: ssl.SSLContext, headers: Mapping[str, str], proxy: str | None, *, watches: int
) -> aiohttp.ClientSession:
    """Return a session for so many watches, which hold a connection each, and a few requests at once beside them.

    It is made in the loop that uses it, and closed by whoever has it.
    """
    connector = aiohttp.TCPConnector(limit=REQUESTS_AT_ONCE + watches, ssl=context)
    return aiohttp.ClientSession(connector=connector, headers=headers, proxy=proxy)
