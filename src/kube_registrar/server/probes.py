"""What asks about this process: liveness, readiness and metrics."""

from collections.abc import Callable, Sequence

from aiohttp import web

from kube_registrar.runtime.metrics import Metrics

Sentences = Callable[[], Sequence[str]]


def probes(metrics: Metrics, not_ready: Sentences, wedged: Sentences = list) -> web.Application:
    """Return the application of `/healthz`, `/readyz` and `/metrics`.

    `not_ready` returns a sentence for each thing that is still missing; with none of them the process is ready.
    `wedged` returns one for each thing that only a restart can mend; with none of them it is healthy. A registry or
    an API server that is away is no such thing.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(wedged())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(not_ready())

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", render)])
    return app


def _answer(sentences: Sequence[str]) -> web.Response:
    text = "".join(f"{sentence}\n" for sentence in sentences) or "ok\n"
    return web.Response(text=text, status=503 if sentences else 200)
