"""The processes of one control plane: started in order, watched while they come up, ended together."""

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from kube_registrar.testing import components
from kube_registrar.testing.api import ApiClient, ApiError, ApiUnreachable
from kube_registrar.testing.applying import Applier
from kube_registrar.testing.components import Component, Settings, Site
from kube_registrar.testing.errors import GroundError, PortTaken
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until

MAX_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux


class Parts:
    """What runs of one control plane, in a folder of its own. `stop` must be called, whatever `start` did."""

    def __init__(self, binaries: Mapping[str, Path], settings: Settings, token: str) -> None:
        self.binaries = binaries
        self._settings = settings
        self._token = token
        self._children: dict[Component, Child] = {}
        self._api: ApiClient | None = None
        self._applier: Applier | None = None
        self.site = site = Site(_make_directory(), free_port())
        site.write("tokens.csv", f'{token},admin,admin,"system:masters"\n')
        site.write("kubeconfig", components.kubeconfig(site.url, site.ca_file, token))

    @property
    def api(self) -> ApiClient:
        """The administrator's client; made when the API server has made the certificate that it trusts."""
        if self._api is None:
            self._api = ApiClient(self.site.url, self._token, self.site.ca_file)
        return self._api

    @property
    def applier(self) -> Applier:
        """What applies objects with that client, and remembers which kinds are served."""
        if self._applier is None:
            self._applier = Applier(self.api)
        return self._applier

    def start(self) -> None:
        """Start everything and wait for it. Raises ProcessFailed; what runs by then is left to `stop`."""
        for component in self._settings.components():
            self.start_component(component)
        self._wait(Component.CONTROLLER_MANAGER, self._controllers_run)

    def stop(self) -> None:
        """Kill everything and delete the folder."""
        for child in self._children.values():
            child.kill()
        self._children.clear()
        shutil.rmtree(self.site.directory, ignore_errors=True)

    def child(self, component: Component) -> Child:
        """Return the process of a component. Raises GroundError when it was stopped or never started."""
        if component not in self._children:
            raise GroundError(f"{component} does not run; running: {', '.join(self._children) or 'nothing'}")
        return self._children[component]

    def check(self) -> None:
        """Raise ProcessFailed when something that should run has ended by itself."""
        for child in self._children.values():
            if (code := child.poll()) is not None:
                raise child.failure(f"ended by itself with {code}")

    def stop_component(self, component: Component) -> None:
        """Kill a component."""
        self.child(component).kill()
        del self._children[component]

    def start_component(self, component: Component) -> None:
        """Start a component and, for etcd and the API server, wait until it is ready. Raises ProcessFailed."""
        if component in self._children:
            raise GroundError(f"{component} runs already")
        binary, site = self.binaries[component.value], self.site
        command: list[str | Path] = [binary, *components.flags(component, site, self._settings, binary)]
        self._children[component] = Child(
            component.value, command, site.log(component), cwd=site.directory, remove=site.directory
        )
        if component is Component.ETCD:
            self._wait(component, lambda: _accepts(site.etcd_socket))
        elif component is Component.API_SERVER:
            self._wait(component, self._api_server_is_ready)

    def _wait(self, component: Component, ready: Callable[[], bool]) -> None:
        """Wait until a component is ready; raise with the end of its log when it ends before, or is not in time."""
        child = self._children[component]
        seconds = self._settings.start_seconds
        with contextlib.suppress(GroundError):  # a better one is made below
            wait_until(lambda: child.poll() is not None or ready(), component.value, seconds=seconds)
            if child.poll() is None:
                return
        code = child.poll()
        error = child.failure(f"was not ready after {seconds:g} s" if code is None else f"ended by itself with {code}")
        raise PortTaken(str(error)) if "address already in use" in str(error) else error

    def _api_server_is_ready(self) -> bool:
        if not self.site.ca_file.exists() and not _cut_out_ca(self.site):
            return False
        with contextlib.suppress(ApiError, ApiUnreachable):
            return self.api.raw("GET", "/readyz", timeout=5) == b"ok"
        return False

    def _controllers_run(self) -> bool:
        """Whether the service account controller, one of the last to start, has done its work."""
        try:
            self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True


def _make_directory() -> Path:
    """Make a folder for our user alone, whose path is short enough for a socket in it."""
    directory = Path(tempfile.mkdtemp(prefix="kube-registrar-"))
    if len(str(directory / "etcd.sock")) <= MAX_SOCKET_PATH:
        return directory
    directory.rmdir()
    return Path(tempfile.mkdtemp(prefix="kube-registrar-", dir="/tmp"))  # its mode is 0700


def _cut_out_ca(site: Site) -> bool:
    """Write the API server's CA, the last certificate of its chain, once the chain is there in full."""
    if not site.certificate.exists():
        return False
    end = "-----END CERTIFICATE-----\n"
    certificates = site.certificate.read_text(encoding="ascii").split(end)
    if len(certificates) != 3 or certificates[-1]:  # noqa: PLR2004  # its own, the CA, and nothing after them
        return False
    site.write("ca.crt", certificates[1] + end)
    return True


def _accepts(path: Path) -> bool:
    """Whether a server listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False
