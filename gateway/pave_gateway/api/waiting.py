"""What is served over HTTP while a start waits for room on the disk: that it does."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from pave_gateway.core import limits

_STEP = "free some space on the disk of the journal; the gateway goes on by itself"


def create_waiting_app(reason: Callable[[], str]) -> FastAPI:
    """Return an application that answers everything by 503, in the form of `/healthz`; `reason` returns why."""
    app = FastAPI(title="Pavé gateway, not started yet", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/{path:path}")
    async def waiting(path: str) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        del path
        found = {"severity": "error", "what": f"not started yet: {reason()}", "next_step": _STEP}
        body = {"status": "failing", "started": False, "storage_error": reason(), "findings": [found]}
        return JSONResponse(body, 503, {"Retry-After": f"{limits.START_AGAIN_S:.0f}"})

    return app
