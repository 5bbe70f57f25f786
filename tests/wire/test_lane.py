"""The fast lane gives the answers that the long way gives, whatever is asked and whatever has happened before."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import Simulation, simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, lane, protocol, serve
from kube_registrar.server.cloudmap.application import QUICK
from kube_registrar.server.cloudmap.bodies import Bodies
from kube_registrar.server.cloudmap.discoveries import Discoveries
from tests.wire.harness import TARGET, Server, namespace, register, running, service

NAMES = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}


def plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a discovery's answer without its order."""
    found = sorted(answer.get("Instances", ()), key=lambda each: str(each["InstanceId"]))
    return {**answer, "Instances": found}


def whole(answer: Mapping[str, Any]) -> bool:
    """Whether all that match are in it, so that another draw must have the same."""
    return len(answer.get("Instances", ())) < 3


# What is asked, and what happens in between.

VALUES = st.sampled_from(["dev", "prod", "1", "2", "ä", ""])
PAIRS = st.dictionaries(st.sampled_from(["stage", "version", "other", "no key"]), VALUES, max_size=2)
NAMED = st.fixed_dictionaries(
    {"NamespaceName": st.sampled_from(["one", "two", "", None, 5]), "ServiceName": st.sampled_from(["a", "b", "c"])},
    optional={
        "QueryParameters": PAIRS | st.none(),
        "OptionalParameters": PAIRS | st.lists(VALUES),
        "HealthStatus": st.sampled_from(["HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL", "WELL"]),
        "MaxResults": st.sampled_from([1, 3, 1000, 1001, 0, 3.0, 2.5, True, "3"]),
        "OwnerAccount": st.sampled_from(["000000000000", "111111111111", "x"]),
        "Unknown": VALUES,
    },
)
ASKED = st.tuples(st.sampled_from(["DiscoverInstances", "DiscoverInstancesRevision"]), NAMED)
CHANGES = st.tuples(
    st.sampled_from(["register", "deregister", "unwell", "well", "recreate"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["i-1", "i-2", "i-3"]),
    st.dictionaries(st.sampled_from(["stage", "version"]), st.sampled_from(["dev", "prod", "1", "2"])),
)


ALWAYS = [
    (operation, {"NamespaceName": "one", "ServiceName": name})
    for operation in ("DiscoverInstances", "DiscoverInstancesRevision")
    for name in ("a", "b")
]
START = [("register", "a", "i-1", {"stage": "dev"}), ("register", "b", "i-2", {"stage": "prod"})]


class Place:
    """A registry of two namespaces with two services each, one of the two with a custom health check."""

    def __init__(self, registry: EmbeddedRegistry) -> None:
        self.registry = registry
        self.namespaces: dict[str, str] = {}
        self.services: dict[tuple[str, str], str] = {}

    async def call(self, operation: str, **members: Any) -> Any:
        return await self.registry.execute(operation, validated(operation, members))

    async def make(self) -> "Place":
        for name in ("one", "two"):
            await self.call("CreateHttpNamespace", Name=name)
        self.namespaces = {each["Name"]: each["Id"] for each in (await self.call("ListNamespaces"))["Namespaces"]}
        for name in self.namespaces:
            for each in ("a", "b"):
                await self.make_service(name, each)
        return self

    async def make_service(self, name: str, each: str) -> None:
        config: dict[str, Any] = {"HealthCheckCustomConfig": {}} if each == "a" else {}
        made = await self.call("CreateService", Name=each, NamespaceId=self.namespaces[name], **config)
        self.services[name, each] = made["Service"]["Id"]

    async def change(self, what: str, name: str, instance: str, attributes: dict[str, str]) -> None:
        """Do it in the first namespace; what cannot be done is not."""
        target = {"ServiceId": self.services["one", name], "InstanceId": instance}
        try:
            if what == "register":
                await self.call("RegisterInstance", **target, Attributes=attributes)
            elif what == "deregister":
                await self.call("DeregisterInstance", **target)
            elif what == "recreate":
                for each in (await self.call("ListInstances", ServiceId=target["ServiceId"]))["Instances"]:
                    await self.call("DeregisterInstance", ServiceId=target["ServiceId"], InstanceId=each["Id"])
                await self.call("DeleteService", Id=target["ServiceId"])
                await self.make_service("one", name)
            else:
                status = "HEALTHY" if what == "well" else "UNHEALTHY"
                await self.call("UpdateInstanceCustomHealthStatus", **target, Status=status)
        except CloudMapError:
            return

    async def long_way(self, operation: str, content: bytes) -> dict[str, Any]:
        try:
            return dict(await self.registry.execute(operation, validated(operation, protocol.body_of(content))))
        except CloudMapError as error:
            return {"code": error.code, "message": error.message}


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    config = {"data": folder, "customHealthDelaySeconds": 0}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield await Place(registry).make()


def kept_answer(kept: Discoveries, operation: str, content: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(kept.answer(operation, content))
    except CloudMapError as error:
        return {"code": error.code, "message": error.message}
    return answer


def test_what_is_kept_is_what_would_be_looked_up_whatever_changes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Questions are asked over and over, with changes between; each answer is compared with that of the long way."""

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.lists(ASKED, min_size=1, max_size=5), st.lists(CHANGES, max_size=8))
    def run(questions: list[tuple[str, dict[str, Any]]], changes: list[Any]) -> None:
        async def play() -> None:
            async with place(tmp_path_factory.mktemp("lane")) as here:
                kept = Discoveries(here.registry, random.Random(1))
                for change in [*START, *changes]:
                    await here.change(*change)
                    for operation, members in [*ALWAYS, *questions] * 2:
                        content = json.dumps(members).encode()
                        expected = await here.long_way(operation, content)
                        answer = kept_answer(kept, operation, content)
                        if whole(expected):
                            assert plain(answer) == plain(expected)
                        assert len(answer.get("Instances", ())) == len(expected.get("Instances", ()))

        asyncio.run(play())

    run()


async def test_the_order_is_random_and_a_part_is_any_part(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        for number in range(4):
            await here.change("register", "b", f"i-{number}", {})
        kept = Discoveries(here.registry, random.Random(1))
        asked = {"NamespaceName": "one", "ServiceName": "b"}

        def orders(**members: Any) -> set[tuple[str, ...]]:
            content = json.dumps({**asked, **members}).encode()
            answers = [json.loads(kept.answer("DiscoverInstances", content)) for _ in range(600)]
            return {tuple(each["InstanceId"] for each in answer["Instances"]) for answer in answers}

        assert len(orders()) == 24
        assert len(orders(MaxResults=2)) == 12


def held_octets(kept: Discoveries) -> int:
    """Return what rows and decks take, each counted once however many answers it is in."""
    answers = [each for answers in kept._kept.values() for each in answers.values()]
    rows = {id(row): len(row) for each in answers for row in each.found.rows or ()}
    return sum(rows.values()) + sum(each.deck.size for each in answers if each.deck)


def told(kept: Discoveries, number: int, **members: Any) -> int:
    """Ask for the instances of one service, in one of many spellings, and return how many came."""
    content = json.dumps({"NamespaceName": "one", "ServiceName": "b", **members}).encode() + b" " * number
    return len(kept_answer(kept, "DiscoverInstances", content)["Instances"])


async def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.server.cloudmap.discoveries._MOST_ANSWERS", 5)
    monkeypatch.setattr("kube_registrar.server.cloudmap.discoveries._MOST_ROWS", 7)
    async with place(tmp_path) as here:
        for number in range(3):
            await here.change("register", "b", f"i-{number}", {})
        kept = Discoveries(here.registry, random.Random(1))
        for number in range(50):
            assert told(kept, number % 11) == 3
            held = kept._kept["DiscoverInstances"]
            assert 1 <= len(held) <= 5
            assert sum(len(each.found.rows or ()) for each in held.values()) <= 7


async def test_spellings_of_a_question_share_their_rows(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        for number in range(20):
            await here.change("register", "b", f"i-{number}", {"large": "x" * 1000})
        kept = Discoveries(here.registry, random.Random(1))
        for number in range(100):
            assert told(kept, number, MaxResults=1 + number % 3) == 1 + number % 3
        assert len(kept._kept["DiscoverInstances"]) == 100
        assert held_octets(kept) < 20 * 1300


@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_kept_is_bounded_in_octets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Whatever is large in it: rows of other services, decks, questions, or what was kept of something that changed."""
    monkeypatch.setattr("kube_registrar.server.cloudmap.discoveries._MOST_OCTETS", 100_000, raising=False)
    async with place(tmp_path) as here:
        for number in range(12):
            await here.change("register", "b", f"i-{number}", {"large": "x" * 1000})
        kept = Discoveries(here.registry, random.Random(1))
        most = 0
        for number in range(150):
            for _ in range(times):
                assert told(kept, number, MaxResults=1) == 1
            assert held_octets(kept) <= kept.octets <= 100_000
            most = max(most, kept.octets)
            if number % 10 == 9:
                await here.change("register", "b", "i-0", {"changed": str(number)})
        assert most > 20_000


async def test_what_is_too_large_to_keep_is_answered_and_pushes_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(tmp_path) as here:
        for number in range(12):
            await here.change("register", "b", f"i-{number}", {"large": "x" * 1000})
        kept = Discoveries(here.registry, random.Random(1))
        monkeypatch.setattr("kube_registrar.server.cloudmap.discoveries._MOST_OCTETS", 20_000)
        for _ in range(3):  # the rows can be kept, the deck cannot
            assert told(kept, 0) == 12
        assert 12_000 < kept.octets <= 20_000
        monkeypatch.setattr("kube_registrar.server.cloudmap.discoveries._MOST_OCTETS", 10_000)
        await here.change("register", "b", "i-0", {"large": "y" * 1000})
        for _ in range(3):
            assert told(kept, 0) == 12
        assert kept.octets == 0


async def test_what_holds_no_more_is_freed_with_the_first_question_after_it(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        await here.change("register", "b", "i-0", {"stage": "dev"})
        kept = Discoveries(here.registry, random.Random(1))
        for number in range(40):
            assert told(kept, number // 2) == 1
        before = kept.octets
        await here.change("register", "b", "i-0", {"stage": "prod"})
        assert told(kept, 100) == 1
        assert len(kept._kept["DiscoverInstances"]) == 1
        assert kept.octets < before / 10


# On the wire.


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("lane"), customHealthDelaySeconds=0) as server:
        api = server.client()
        identifier = service(api, namespace(api))
        register(api, identifier, "a", stage="dev")
        register(api, identifier, "b", stage="prod")
        yield server


BODY = json.dumps({**NAMES, "QueryParameters": {"stage": "dev"}}).encode()


def request(body: bytes = BODY, operation: str = "DiscoverInstances", **headers: str) -> bytes:
    given = {"Host": "127.0.0.1", "X-Amz-Target": f"{TARGET}.{operation}", "Content-Length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items()]
    return b"POST / HTTP/1.1\r\n" + "".join(lines).encode() + b"\r\n" + body


class Answers:
    """Reads the answers of one connection, one by one."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self._file = self.socket.makefile("rb")

    def next(self) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body. Raises EOFError where the connection is closed."""
        line = self._file.readline()
        if not line:
            raise EOFError
        headers = {}
        while (text := self._file.readline().decode().rstrip("\r\n")) != "":
            name, _, value = text.partition(": ")
            headers[name] = value
        body = self._file.read(int(headers["Content-Length"]))
        return int(line.split()[1]), headers, json.loads(body)

    def ask(self, data: bytes) -> tuple[int, dict[str, str], Any]:
        self.socket.sendall(data)
        return self.next()

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@pytest.fixture
def connection(filled: Server) -> Iterator[Answers]:
    with closing(Answers(filled)) as answers:
        yield answers


def test_an_answer_of_the_lane_has_the_headers_of_all_others(connection: Answers) -> None:
    _, quick, _ = connection.ask(request())
    status, long, _ = connection.ask(request(b"{}", "ListNamespaces"))
    assert (status, list(quick)) == (200, list(long))
    changing = {"x-amzn-RequestId", "Date", "Content-Length"}
    assert {key: quick[key] for key in quick.keys() - changing} == {key: long[key] for key in long.keys() - changing}
    assert quick["x-amzn-RequestId"] != long["x-amzn-RequestId"]


def test_heads_that_are_kept_are_few_and_none_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "_MOST_HEADS", 3)
    quick = lane.Quick({}, lambda _: None, Bodies())
    lanes = lane.Lanes(quick, SystemClock(), asyncio.Protocol)
    heads = [b"head %d" % number for number in range(5)]
    for head in heads:
        lanes.keep(head, (len(head), {}, 0))
        assert lanes.known(head) == (len(head), {}, 0)
    assert sum(lanes.known(head) is not None for head in heads) <= 3
    lanes.keep(b"signed", (10, {"authorization": "AWS4-HMAC-SHA256 …"}, 0))
    lanes.keep(b"x" * 2000, (2004, {}, 0))
    assert lanes.known(b"signed") is None
    assert lanes.known(b"x" * 2000) is None


def test_requests_may_come_in_pieces_and_several_at_once(connection: Answers) -> None:
    data = request() * 3
    for position in range(0, len(data), 7):
        connection.socket.sendall(data[position : position + 7])
    connection.socket.sendall(request(b"{}", "ListServices") + request())
    answers = [connection.next() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200] * 5
    assert [[each["InstanceId"] for each in body.get("Instances", ())] for _, _, body in answers] == [
        ["a"], ["a"], ["a"], [], ["a"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(Host="evil.example"), 403),
        (request(smithy_protocol="rpc-v2-cbor"), 400),
        (request(b"{"), 400),
        (request(b"{}"), 400),
        (request(json.dumps({**NAMES, "NamespaceName": "none"}).encode()), 404),
        (request(operation="DiscoverNothing"), 400),
        (request().replace(b"POST /", b"POST /somewhere", 1), 200),
        (request().replace(b"POST", b"GET", 1), 400),
        (request(Expect="100-continue"), 100),
        (request().replace(b"Content-Length", b"Content-Length: 3\r\nContent-Length", 1), 400),
        (request().replace(b"Content-Length: ", b"Content-Length: +", 1), 400),
        (request().replace(b"Host: ", b"Host : ", 1), 400),
        (request().replace(b"Host: 127.0.0.1\r\n", b"", 1), 400),
        (request(X=f"{'x' * 9000}"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_what_is_no_plain_question_is_answered_as_ever(filled: Server, data: bytes, status: int) -> None:
    """And after any number of plain ones on the same connection as well."""
    for before in (0, 2):
        with closing(Answers(filled)) as connection:
            for _ in range(before):
                assert connection.ask(request())[0] == 200
            connection.socket.sendall(data)
            assert int(connection.socket.recv(4096).split()[1]) == status


def test_chunks_and_ends_of_connections_are_understood(filled: Server) -> None:
    chunked = request(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    with closing(Answers(filled)) as connection:
        assert connection.ask(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))[0] == 200
    with closing(Answers(filled)) as connection:
        assert connection.ask(request(Connection="close"))[1]["Connection"] == "close"
        with pytest.raises(EOFError):
            connection.next()


def test_a_client_that_does_not_read_gets_all_of_it_later(filled: Server) -> None:
    """Its answers fill the buffers; then no more is read from it, and nothing is lost."""
    with closing(Answers(filled)) as connection:
        connection.socket.setblocking(False)
        data, sent = memoryview(request() * 20_000), 0
        try:
            while sent < len(data):
                sent += connection.socket.send(data[sent:])
        except BlockingIOError:
            pass
        connection.socket.settimeout(30)
        count = sent // len(request())
        assert count > 0
        for _ in range(count):
            assert connection.next()[0] == 200
        connection.socket.sendall(data[sent : (count + 1) * len(request())])
        assert connection.next()[0] == 200


async def test_an_open_connection_does_not_keep_a_server_from_closing(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        async with serve(app(here.registry, Simulation(), SystemClock()), "127.0.0.1", 0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(json.dumps({"NamespaceName": "one", "ServiceName": "a"}).encode()))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert (await reader.read()).endswith(b"}")
        writer.close()


@pytest.mark.parametrize(
    ("switches", "is_there"),
    [("", True), ("operation-delay=1s", True), ("latency=1ms", False), ("throttle=1/1", False), ("faults=0.1", False)],
)
async def test_with_troubles_at_the_wire_there_is_no_lane(tmp_path: Path, switches: str, is_there: bool) -> None:
    async with place(tmp_path) as here:
        assert (QUICK in app(here.registry, simulation(switches), SystemClock())) is is_there


async def test_a_middleware_sees_every_request(tmp_path: Path) -> None:
    seen = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(request.headers["X-Amz-Target"])
        answer: web.StreamResponse = await handler(request)
        return answer

    async with place(tmp_path) as here:
        application = app(here.registry, Simulation(), SystemClock())
        application.middlewares.append(note)
        async with serve(application, "127.0.0.1", 0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(json.dumps({"NamespaceName": "one", "ServiceName": "a"}).encode()))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
    assert seen == [f"{TARGET}.DiscoverInstances"]
