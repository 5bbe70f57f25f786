"""Kills a registry with SIGKILL at random moments while it writes, again and again, and looks at what is left.

python -m tests.registries.embedded.kills FOLDER COUNT [SEED [SWITCHES]]

What must hold after each kill: the file is whole; each write that was answered is there; none is there by half, that
is to say: the operations that ended in SUCCESS, played in their order, give exactly the instances; no revision fell.
This process has imported everything and has no threads, so each registry is a fork of it and costs no start.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.embedded.database import FILE
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import SystemClock

WRITERS = 8
MOST_ANSWERS = 60
"""That are waited for before a kill; then a few milliseconds more, so that it falls into any part of a write."""
A_FOLDER = 40
"""Kills before the next folder: operations past the newest 20,000 are forgotten, and then nothing can be judged."""


async def serve(folder: Path, switches: str, answered: int) -> None:
    """Write, by several writers at once, and note each operation that was answered."""
    config = {"data": folder, "simulate": switches}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        service = await _service(registry)
        await asyncio.gather(*(_write(registry, service, number, answered) for number in range(WRITERS)))


async def _service(registry: EmbeddedRegistry) -> str:
    services = (await registry.execute("ListServices", {}))["Services"]
    if services:
        return str(services[0]["Id"])
    while not (namespaces := (await registry.execute("ListNamespaces", {}))["Namespaces"]):
        with contextlib.suppress(CloudMapError):  # it is being made: by one that was killed meanwhile, or by this one
            await registry.execute("CreateHttpNamespace", {"Name": "killed"})
        await asyncio.sleep(0)
    made = await registry.execute("CreateService", {"Name": "web", "NamespaceId": namespaces[0]["Id"]})
    return str(made["Service"]["Id"])


async def _write(registry: EmbeddedRegistry, service: str, writer: int, answered: int) -> None:
    dice = random.Random(os.getpid() * WRITERS + writer)
    while True:
        request: dict[str, Any] = {"ServiceId": service, "InstanceId": f"i-{writer}-{dice.randrange(20)}"}
        operation = "DeregisterInstance"
        if dice.random() < 0.7:
            operation = "RegisterInstance"
            request["Attributes"] = {"mark": f"{dice.random()}", "long": "x" * dice.randrange(900)}
        try:
            answer = await registry.execute(operation, request)
        except CloudMapError as error:
            if error.code not in {"DuplicateRequest", "InstanceNotFound"}:
                raise
            await asyncio.sleep(0)
        else:
            os.write(answered, f"{answer['OperationId']}\n".encode())


@dataclass
class Judge:
    """What was answered so far by registries with this folder, and what must be true of it."""

    folder: Path
    ends_at_once: bool
    answered: set[str] = field(default_factory=set)
    revision: int = 0

    def look(self) -> None:
        """Look at what a killed registry has left. Raises AssertionError."""
        if not (self.folder / FILE).exists():
            assert not self.answered
            return
        with closing(sqlite3.connect(self.folder / FILE)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'operations'").fetchone():
                assert not self.answered  # it was killed before it had tables
                return
            columns = "id, type, status, instance_id, request"
            rows = connection.execute(f"SELECT {columns} FROM operations ORDER BY sequence").fetchall()
            instances = dict(connection.execute("SELECT id, attributes FROM instances").fetchall())
            [(revision,)] = connection.execute("SELECT coalesce(max(revision), 0) FROM services")
        status = {row[0]: row[2] for row in rows}
        missing = self.answered - status.keys()
        assert not missing, f"answered and lost: {missing}"
        if self.ends_at_once:
            assert {status[each] for each in self.answered} <= {"SUCCESS"}
        assert {key: msgspec.json.decode(value) for key, value in instances.items()} == _played(rows)
        assert revision >= self.revision
        self.revision = revision


def _played(rows: list[tuple[str, str, str, str, str]]) -> Mapping[str, Any]:
    """Return the instances that the operations leave when they are played in their order."""
    left = {}
    for _, kind, status, instance_id, request in rows:
        if status == "SUCCESS" and kind == "REGISTER_INSTANCE":
            left[instance_id] = msgspec.json.decode(request)["attributes"]
        elif status == "SUCCESS" and kind == "DEREGISTER_INSTANCE":
            del left[instance_id]
    return left


def kill(folder: Path, switches: str, dice: random.Random) -> set[str]:
    """Let a registry write for a while, kill it, and return the operations that it had answered.

    One in five is killed at a moment of its start.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(read)
            asyncio.run(serve(folder, switches, write))
        except BaseException:  # noqa: BLE001 - it is printed; nothing of the parent's must run here
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write)
    said = b""
    wanted = dice.randrange(MOST_ANSWERS) if dice.random() < 0.8 else 0
    while said.count(b"\n") < wanted:
        more = os.read(read, 65536)
        assert more, "the registry had ended by itself"
        said += more
    time.sleep(dice.uniform(0.0, 0.01 if wanted else 0.1))
    os.kill(child, signal.SIGKILL)
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    lines = said.decode("ascii").split("\n")[:-1]  # a line that was cut was not yet told
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the registry had ended by itself"
    return set(lines)


def main(folder: Path, count: int, seed: int, switches: str) -> int:
    """Kill `count` registries; print what was seen."""
    dice, answered, busy = random.Random(seed), 0, 0
    judge = Judge(folder / "0", ends_at_once=not switches)
    for number in range(count):
        if number % A_FOLDER == 0:
            judge = Judge(folder / str(number), ends_at_once=not switches)
        heard = kill(judge.folder, switches, dice)
        judge.answered |= heard
        answered += len(heard)
        busy += bool(heard)
        judge.look()
    sys.stdout.write(f"{count} kills, {busy} of them under load; {answered} answered writes, all there, none by half\n")
    return 0


if __name__ == "__main__":
    where, times, *more = sys.argv[1:]
    sys.exit(main(Path(where), int(times), int(more[0]) if more else 1, more[1] if len(more) > 1 else ""))
