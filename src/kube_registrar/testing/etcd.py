"""An etcd cluster of one member or more, as a registry: quick rather than durable, killed with this process."""

import contextlib
import json
import signal
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kube_registrar.testing import binaries
from kube_registrar.testing.errors import GroundError
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until

_ELECTION_MILLISECONDS = 1_000


class Member:
    """One member: its folder, its ports and, while it runs, its process."""

    def __init__(self, name: str, folder: Path, scheme: str = "http") -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.child: Child | None = None


class EtcdCluster:
    """Members that can be killed, stopped and started again, and what is in them.

    `flags` go to every member: for TLS, `--cert-file` and what belongs to it, with `scheme` https.
    `is_durable`: each write waits for the disk, as it does in earnest.
    """

    def __init__(
        self, folder: Path, members: int = 1, *flags: str, scheme: str = "http", is_durable: bool = False
    ) -> None:
        self._binary = binaries.locate(["etcd"])["etcd"]
        self._flags = (*flags, *(() if is_durable else ("--unsafe-no-fsync",)))
        self.members = [Member(f"m{number}", folder, scheme) for number in range(members)]

    @property
    def endpoints(self) -> Sequence[str]:
        """The client URLs of all members."""
        return [member.url for member in self.members]

    def start(self, *members: Member) -> Self:
        """Start these members, or all; each on the data that it had. Whoever needs an answer waits for it."""
        cluster = ",".join(f"{member.name}={member.peer}" for member in self.members)
        for member in members or self.members:
            command: list[str | Path] = [
                self._binary,
                f"--name={member.name}",
                f"--data-dir={member.folder / member.name}",
                f"--listen-client-urls={member.url}",
                f"--advertise-client-urls={member.url}",
                f"--listen-peer-urls={member.peer}",
                f"--initial-advertise-peer-urls={member.peer}",
                f"--initial-cluster={cluster}",
                "--heartbeat-interval=100",
                f"--election-timeout={_ELECTION_MILLISECONDS}",
                "--log-level=warn",
                *self._flags,
            ]
            member.child = Child(f"etcd {member.name}", command, member.folder / f"{member.name}.log")
        return self

    def wait(self, seconds: float = 60.0) -> Self:
        """Wait until a write is taken, or one that needs a user is refused."""
        wait_until(self._answers, "etcd to answer", seconds=seconds)
        return self

    def kill(self, *members: Member) -> None:
        """End these members, or all, as a machine that loses power would."""
        for member in members or self.members:
            if member.child is not None:
                member.child.kill()
                member.child = None

    def pause(self, member: Member) -> None:
        """Let a member hang: what reaches it waits until it goes on."""
        assert member.child is not None  # noqa: S101
        member.child.signal(signal.SIGSTOP)

    def go_on(self, member: Member) -> None:
        """Let a member go on."""
        assert member.child is not None  # noqa: S101
        member.child.signal(signal.SIGCONT)

    def leader(self) -> Member:
        """Return the member that leads; waits until one does."""
        return wait_until(self._leader, "a member of etcd to lead", seconds=60.0)

    def call(self, path: str, body: Mapping[str, Any], token: str = "") -> Mapping[str, Any]:
        """Ask the first member that runs. Raises GroundError where it is refused."""
        running = next(member for member in self.members if member.child is not None)
        return _asked(running.url, path, body, token)

    def keys(self, prefix: str) -> Mapping[str, Any]:
        """Return what begins with `prefix`, by key; values are JSON."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        found = self.call("/v3/kv/range", {"key": _encoded(prefix), "range_end": _encoded(end)}).get("kvs", ())
        return {b64decode(each["key"]).decode(): json.loads(b64decode(each["value"])) for each in found}

    def put(self, key: str, value: str) -> None:
        """Write a key as somebody else would."""
        self.call("/v3/kv/put", {"key": _encoded(key), "value": _encoded(value)})

    def compact(self) -> None:
        """Forget all revisions but the newest."""
        revision = self.call("/v3/kv/range", {"key": _encoded("x")})["header"]["revision"]
        self.call("/v3/kv/compaction", {"revision": revision})

    def _answers(self) -> bool:
        with contextlib.suppress(GroundError):
            self.put("ready", "1")
            return True
        return False

    def _leader(self) -> Member | None:
        for member in self.members:
            if member.child is not None:
                with contextlib.suppress(GroundError):
                    status = _asked(member.url, "/v3/maintenance/status", {})
                    if status.get("leader") == status["header"]["member_id"]:
                        return member
        return None

    def __enter__(self) -> Self:
        return self.start().wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _asked(url: str, path: str, body: Mapping[str, Any], token: str = "") -> Mapping[str, Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - see above
            found: Mapping[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        raise GroundError(f"etcd refuses {path}: {error.read().decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise GroundError(f"etcd does not answer {path}: {error}") from None


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
