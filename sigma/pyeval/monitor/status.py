"""What an operator asks the running service: is it alive, is it ready, and what has it counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .access import refusal
from .metrics import CONTENT_TYPE, Metrics
from .readiness import Check, Readiness


def status_routes(metrics: Metrics, readiness: Readiness) -> list[Route]:
    """Return ``/healthz``, ``/readyz`` and ``/metrics``; no event is judged for any of them.

    Probes rarely can send a token, so the first two answer everybody with a status, 200 or 503. Which check failed, and
    all counts, are for who has the token.
    """

    async def healthz(request: Request) -> Response:
        stuck = readiness.stuck()
        if not stuck:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("stuck\n" if refusal(request) else f"stuck: {stuck}\n", 503)

    async def readyz(request: Request) -> Response:
        checks = readiness.look()
        ready = all(check.finding.ok for check in checks if check.finding.required)
        status = 200 if ready else 503
        if refusal(request) is not None:
            return PlainTextResponse("ready\n" if ready else "not ready\n", status)
        return JSONResponse({"ready": ready, "checks": [_as_json(check) for check in checks]}, status)

    async def exposition(request: Request) -> Response:
        if (refused := refusal(request)) is not None:
            return refused
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", exposition)]


def _as_json(check: Check) -> dict[str, Any]:
    since = datetime.fromtimestamp(check.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {**check.finding._asdict(), "since": since}
