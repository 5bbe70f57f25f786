"""A real Consul on this machine: one server or several, on ports of their own, that can be killed and started again."""

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kube_registrar.testing import binaries
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until

ROOT_TOKEN: Final = "00000000-0000-0000-0000-00000000aaaa"  # noqa: S105 - of a server that lives for one test
START_SECONDS: Final = 30.0


class Consul:
    """`with Consul(folder) as consul`: it runs and leads. What it holds is in `folder`, and outlives `kill`."""

    def __init__(
        self, folder: Path, *, acl: bool = False, https: bool = False, settings: Mapping[str, Any] | None = None
    ) -> None:
        """`acl`: nothing is allowed without a token; `https`: beside HTTP; `settings` go into its configuration.

        Raises MissingBinaries where Consul is not built.
        """
        self._binary = binaries.locate(["consul"])["consul"]
        self._folder = folder
        self._settings = dict(settings or {})
        self._has_acl = acl
        self._runs = 0
        self._child: Child | None = None
        self.port = free_port()
        self.dns_port = free_port()
        self._https_port = free_port() if https else -1
        self._ports = {"https": self._https_port, "server": free_port(), "serf_lan": free_port()}

    @property
    def address(self) -> str:
        """Where its HTTP API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https_address(self) -> str:
        """Where its HTTP API is over TLS."""
        return f"https://127.0.0.1:{self._https_port}"

    @property
    def gossips_at(self) -> str:
        """Where other servers find it."""
        return f"127.0.0.1:{self._ports['serf_lan']}"

    @property
    def child(self) -> Child:
        """The process."""
        if self._child is None:
            raise RuntimeError("Consul does not run")
        return self._child

    def start(self) -> "Consul":
        """Start it and wait until it leads."""
        self.launch()
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until it takes writes."""
        wait_until(self.leads, self._why, seconds=START_SECONDS, every=0.05)

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "consul.json").write_text(json.dumps(self._configuration()), encoding="utf-8")
        self._runs += 1
        command: list[str | Path] = [self._binary, "agent", "-config-file", self._folder / "consul.json"]
        self._child = Child("Consul", command, self._folder / f"consul-{self._runs}.log")

    def kill(self) -> None:
        """End it as a machine that loses power would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def lose_data(self) -> None:
        """Remove all that it holds; it must not run."""
        shutil.rmtree(self._folder / "data")

    def leads(self) -> bool:
        """Whether it answers, knows a leader, and takes writes."""
        try:
            return bool(self.get("/v1/status/leader")) and self.put("/v1/kv/test-ground", b"") is True
        except OSError:
            return False

    def get(self, path: str, token: str = ROOT_TOKEN) -> Any:
        """GET a path; OSError where it answers an error, or not."""
        return self._ask("GET", path, None, token)

    def put(self, path: str, body: bytes | Mapping[str, Any] = b"", token: str = ROOT_TOKEN) -> Any:
        """PUT to a path; OSError where it answers an error, or not."""
        return self._ask("PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode(), token)

    def joins(self, others: "Sequence[Consul]") -> None:
        """Have it be one of several servers: of these, which it is one of itself. Not while it runs."""
        where = [each.gossips_at for each in others if each is not self]
        name = f"server-{others.index(self)}"
        self._settings |= {"bootstrap_expect": len(others), "node_name": name, "retry_join": where}

    def token(self, rules: str, name: str) -> str:
        """Make a policy of these rules, and return the secret of a token that has it alone."""
        policy = self.put("/v1/acl/policy", {"Name": name, "Rules": rules})
        made: str = self.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"]
        return made

    def _ask(self, method: str, path: str, body: bytes | None, token: str) -> Any:
        headers = {"X-Consul-Token": token} if self._has_acl else {}
        request = urllib.request.Request(f"{self.address}{path}", data=body, headers=headers, method=method)  # noqa: S310 - a loopback address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def _configuration(self) -> Mapping[str, Any]:
        ports = {"http": self.port, "dns": self.dns_port, "grpc": -1, "grpc_tls": -1, "serf_wan": -1, **self._ports}
        acl = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": ROOT_TOKEN}}
        own: dict[str, Any] = {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": "server-0",
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "data_dir": str(self._folder / "data"),
            "log_level": "warn",
            "disable_update_check": True,
            "connect": {"enabled": False},
            "performance": {"raft_multiplier": 1},
            "retry_interval": "1s",
            **({"acl": acl} if self._has_acl else {}),
        }
        return {**own, **self._settings, "ports": {**ports, **self._settings.get("ports", {})}}

    def _why(self) -> str:
        code = self.child.poll()
        return f"Consul to lead (exit code {code}); {self.child.failure('does not')}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@contextmanager
def several(servers: Sequence[Consul]) -> Iterator[Sequence[Consul]]:
    """Run these as one Consul, which has a leader as long as most of them live."""
    with ExitStack() as stack:
        for server in servers:
            server.joins(servers)
            server.launch()
            stack.callback(server.kill)
        for server in servers:
            server.wait()
        yield servers
