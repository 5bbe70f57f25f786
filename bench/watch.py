"""A bare watch of pods: the lines as the API server sends them, and a new connection where one ends.

The API server drops a watcher that is too slow for it, as a bench on a busy machine may be; then it goes on from the
last version that it has heard of, so that nothing is lost.
"""

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kube_registrar.testing.control_plane import ControlPlane


class BareWatch:
    """Watches what lies at `path`, from now on; iterate it to get its events. It never ends by itself."""

    def __init__(self, plane: ControlPlane, path: str) -> None:
        self._server = urlsplit(plane.url).netloc
        self._context = ssl.create_default_context(cafile=str(plane.ca_file))
        self._headers = {"Authorization": f"Bearer {plane.token}"}
        self._path = path
        self._version = str(plane.api.get(f"{path}?limit=1")["metadata"]["resourceVersion"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            connection = http.client.HTTPSConnection(self._server, context=self._context)
            try:
                path = f"{self._path}?watch=1&resourceVersion={self._version}"
                connection.request("GET", path, headers=self._headers)
                yield from self._events(connection.getresponse())
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()

    def _events(self, lines: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            if event["type"] == "ERROR":
                raise RuntimeError(f"the watch cannot go on: {event['object']}")
            self._version = event["object"]["metadata"]["resourceVersion"]
            yield event
