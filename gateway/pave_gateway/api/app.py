"""What the gateway serves over HTTP: the console's page, open data, live events, counters, health."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from pave_gateway.api.events import EventHub, EventStream
from pave_gateway.api.features import etag, feature_collection
from pave_gateway.console.page import STATIC, Page
from pave_gateway.core.bays import Bays
from pave_gateway.core.places import Place
from pave_gateway.findings import Finding


class State(Protocol):
    """How the gateway stands (`assembly.state`)."""

    def statistics(self) -> dict[str, Any]:
        """Return the counters."""
        ...

    def findings(self) -> list[Finding]:
        """Return what is wrong, with the next step."""
        ...

    @property
    def storage_error(self) -> str:
        """Why readings cannot be stored, empty while they can."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """The parts of a gateway that the API shows."""

    site_name: str
    insecure: bool
    places: Sequence[Place]
    bays: Bays
    state: State
    hub: EventHub
    clock_ms: Callable[[], int]


def create_app(served: Served) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title=f"Pavé gateway, {served.site_name}", docs_url=None, redoc_url=None
    )  # their pages load from a CDN
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_console(app, served)
    _add_open_data(app, served)
    _add_operation(app, served)
    return app


def _add_console(app: FastAPI, served: Served) -> None:
    page = Page(served.site_name, served.insecure, served.places)

    @app.get("/", include_in_schema=False)
    async def console() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(page.render(served.bays, served.clock_ms()), media_type="text/html", headers=_NO_CACHE)

    @app.get("/events")
    async def events() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Server-sent events: one `snapshot` of all bays, then a `change` per bay that fills or empties."""
        stream = served.hub.open()
        if stream is None:
            return JSONResponse({"detail": "too many viewers; try again later"}, 503, {"Retry-After": "10"})
        return _Events(stream)


class _Events(StreamingResponse):
    """Gives the viewer's place back also when it left before its first event."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(stream, media_type="text/event-stream", headers=_NO_CACHE)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.close()


def _add_open_data(app: FastAPI, served: Served) -> None:
    @app.get("/open-data/bays.geojson")
    async def bays(if_none_match: Annotated[str | None, Header()] = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Return every bay with its state, as GeoJSON (RFC 7946)."""
        tag = etag(served.places, served.bays)
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        if if_none_match is not None and _matches(tag, if_none_match):
            return Response(status_code=304, headers=headers)
        collection = feature_collection(served.bays, served.clock_ms())
        return JSONResponse(collection, headers=headers, media_type="application/geo+json")


def _add_operation(app: FastAPI, served: Served) -> None:
    @app.get("/stats")
    async def stats() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Return the counters."""
        return served.state.statistics()

    @app.get("/healthz")
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Return 200 while readings can be stored, 503 otherwise; `findings` say what is wrong and the next step."""
        reason = served.state.storage_error
        found = [
            {"severity": finding.severity.value, "what": finding.what, "next_step": finding.next_step}
            for finding in served.state.findings()
        ]
        body = {"status": "failing" if reason else "ok", "storage_error": reason, "findings": found}
        return JSONResponse(body, 503 if reason else 200)


def _matches(tag: str, if_none_match: str) -> bool:
    """Compare weakly, as RFC 9110, 13.1.2 asks for If-None-Match."""
    offered: Iterable[str] = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in ("*", tag.removeprefix("W/")) for candidate in offered)


_NO_CACHE = {"Cache-Control": "no-store"}
