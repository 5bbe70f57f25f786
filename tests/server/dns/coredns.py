"""The block of docs/dns.md in a real CoreDNS, in front of a real embedded registry. Run it by `make test-coredns`."""

import asyncio
import re
import subprocess
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.dns import serving
from kube_registrar.testing import binaries
from kube_registrar.testing.processes import Child, free_port
from tests.wire.test_dns import Place

PAGE = Path(__file__).parents[3] / "docs" / "dns.md"


def block(upstream: int, own: int) -> str:
    """Return the block that the page tells people to write, with other ports."""
    found = re.search(r"```\n(shop\.local:53 \{.*?\n\})\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].replace("shop.local:53", f"shop.local:{own}").replace("10.96.0.53:5353", f"127.0.0.1:{upstream}")


@pytest.fixture
def binary() -> Path:
    """Return a CoreDNS that tells its version."""
    found = binaries.locate(["coredns"])["coredns"]
    assert "CoreDNS-1." in subprocess.run([found, "-version"], capture_output=True, text=True, check=True).stdout
    return found


async def listens(port: int) -> bool:
    """Whether it takes connections: a query over UDP that comes too early would be lost without a word."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_coredns_answers_our_zone_by_its_forward_plugin(tmp_path: Path, binary: Path) -> None:
    own = free_port()
    async with (
        open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()) as registry,
        serving.serve(registry.zones, "127.0.0.1", 0) as (port, _),
    ):
        place = Place(registry, port)
        parent = await place.namespace()
        web, ports = await place.service(parent), await place.service(parent, "_http._tcp", "SRV")
        for number in range(1, 9):
            await place.register(web, f"web-7c9f8d6b5-{number}", number)
            await place.register(ports, f"web-7c9f8d6b5-{number}-and-a-long-hash", number)
        corefile = tmp_path / "Corefile"
        corefile.write_text(block(port, own), encoding="utf-8")
        with Child("CoreDNS", [binary, "-conf", corefile], tmp_path / "coredns.log"):
            through = Place(registry, own)
            async with asyncio.timeout(60):
                while not await listens(own):  # noqa: ASYNC110 - a process, which tells nobody
                    await asyncio.sleep(0.05)
            assert len(await through.addresses()) == 8
            query = dns.message.make_query("_http._tcp.shop.local", "SRV")
            reply, over_tcp = await dns.asyncquery.udp_with_fallback(query, "127.0.0.1", port=own, timeout=30)
            assert over_tcp
            assert len(reply.answer[0]) == 8
            assert len(await through.addresses(reply.answer[0][0].target.to_text())) == 1
            assert (await through.ask("x.shop.local")).rcode() == dns.rcode.NXDOMAIN
            assert (await through.ask("_tcp.shop.local")).rcode() == dns.rcode.NOERROR
            await place.do("DeregisterInstance", ServiceId=web, InstanceId="web-7c9f8d6b5-1")
            assert len(await through.addresses()) == 7
            assert (await through.ask("wEb.ShOp.LoCaL")).question[0].name.to_text() == "wEb.ShOp.LoCaL."
