from aiohttp import ClientSession

from kube_registrar.runtime.metrics import Metrics
from kube_registrar.server.listening import listening
from kube_registrar.server.probes import probes


async def test_readiness_says_what_is_missing_until_nothing_is() -> None:
    missing = ["the pods have not been listed yet", "registry 'default' does not answer"]
    app = probes(Metrics("0"), lambda: missing)
    async with listening(app, "127.0.0.1", 0, flag="--listen") as port, ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 503
            assert await answer.text() == "the pods have not been listed yet\nregistry 'default' does not answer\n"
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        missing.clear()
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_metrics_are_served_as_prometheus_reads_them() -> None:
    app = probes(Metrics("1.2.3"), list)
    async with (
        listening(app, "127.0.0.1", 0, flag="--listen") as port,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'kube_registrar_build_info{revision="unknown",version="1.2.3"} 1.0' in (await answer.text()).splitlines()


async def test_liveness_says_what_is_wedged() -> None:
    wedged: list[str] = []
    app = probes(Metrics("0"), list, lambda: wedged)
    async with listening(app, "127.0.0.1", 0, flag="--listen") as port, ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        wedged.append("the round over all pods has not been got on with for 61 s")
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 503
            assert await answer.text() == "the round over all pods has not been got on with for 61 s\n"
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
