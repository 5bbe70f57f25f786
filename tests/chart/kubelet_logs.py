"""The kubelet's door for logs: what `kubectl logs`, and helm of its hooks, ask the API server for."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.place import CORE

ARGUMENTS = ("--kubelet-preferred-address-types=InternalIP",)
"""What the API server must be told, for no DNS knows the host names of these nodes."""


@contextmanager
def logs_served(plane: ControlPlane, text_of: Callable[[str], str]) -> Iterator[None]:
    """Answer for all nodes of a plane until the end; `text_of` returns what the pod of a name wrote."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, kind, _, pod, _ = self.path.partition("?")[0].split("/")
            assert kind == "containerLogs"
            body = text_of(pod).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    # The API server does not ask a kubelet for its name: any certificate does, and this one is there.
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.site.certificate, plane.site.key_file)
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        door.socket = context.wrap_socket(door.socket, server_side=True)
        thread = threading.Thread(target=door.serve_forever, name="logs")
        thread.start()
        for node in plane.api.get(f"{CORE}/nodes")["items"]:
            status = {"daemonEndpoints": {"kubeletEndpoint": {"Port": door.server_port}}}
            plane.api.patch(f"{CORE}/nodes/{node['metadata']['name']}/status", {"status": status})
        try:
            yield
        finally:
            door.shutdown()
            thread.join()
