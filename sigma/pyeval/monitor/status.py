"""What an operator asks the running service: is it alive, and what has it counted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .access import refusal
from .metrics import CONTENT_TYPE, Metrics


def status_routes(metrics: Metrics) -> list[Route]:
    """Return ``/healthz`` (the service runs; no event is judged for it) and, for who has the token, ``/metrics``."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def exposition(request: Request) -> Response:
        if (refused := refusal(request)) is not None:
            return refused
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return [Route("/healthz", healthz), Route("/metrics", exposition)]
