"""What asks about this process: liveness, readiness and metrics."""

from collections.abc import Callable, Sequence

from aiohttp import web

from kube_registrar.runtime.metrics import Metrics


def probes(metrics: Metrics, not_ready: Callable[[], Sequence[str]]) -> web.Application:
    """Return the application of `/healthz`, `/readyz` and `/metrics`.

    `not_ready` returns a sentence for each thing that is still missing; with none of them the process is ready.
    Liveness asks nothing but an answer: a registry or an API server that is away is no reason to restart us.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = not_ready()
        text = "".join(f"{sentence}\n" for sentence in missing) or "ok\n"
        return web.Response(text=text, status=503 if missing else 200)

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", render)])
    return app
