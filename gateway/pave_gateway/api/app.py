"""What the gateway serves over HTTP: the console's page, open data, live events, counters, health."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.places import Place


class SinkState(Protocol):
    """What is shown of a sink."""

    @property
    def name(self) -> str:
        """Its name in the site file."""
        ...

    @property
    def cursor(self) -> int:
        """The position up to which its back-end has the log."""
        ...

    @property
    def failing(self) -> bool:
        """Whether its last attempt failed."""
        ...

    @property
    def last_error(self) -> str:
        """Why its last failed attempt failed."""
        ...


class JournalState(Protocol):
    """What is asked of the journal."""

    def last_position(self) -> int:
        """Return the number of readings in the log."""
        ...

    def dead_letters(self, sink: str) -> int:
        """Return how many readings the back-end of `sink` refused for good."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """The parts of a gateway that the API shows; `coap_answers` counts answers to POST /r by response code."""

    site_id: str
    site_name: str
    insecure: bool
    places: Sequence[Place]
    bays: Bays
    ingest: Ingest
    journal: JournalState
    sinks: Sequence[SinkState]
    hub: EventHub
    clock_ms: Callable[[], int]
    coap_answers: Callable[[], Mapping[str, int]]


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
        return statistics(served)

    @app.get("/healthz")
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Return 200 while readings can be stored, 503 with the reason otherwise."""
        error = served.ingest.storage_error
        return JSONResponse({"status": "failing" if error else "ok", "storage_error": error}, 503 if error else 200)


def statistics(served: Served) -> dict[str, Any]:
    """Return the counters: of the journal for ever, of the rest since the start."""
    last = served.journal.last_position()
    counters = served.ingest.counters
    return {
        "site": served.site_id,
        "stored": last,
        "since_start": {
            "acknowledged": counters.acknowledged,
            "stored": counters.stored,
            "repeated": counters.repeated,
            "refused": dict(counters.refused),
            "coap_answers": dict(served.coap_answers()),
        },
        "in_flight": served.ingest.in_flight,
        "sinks": {sink.name: _sink(sink, served.journal, last) for sink in served.sinks},
        "availability": {kind: {"free": f, "total": t} for kind, (f, t) in served.bays.availability().items()},
    }


def _sink(sink: SinkState, journal: JournalState, last: int) -> dict[str, Any]:
    return {
        "cursor": sink.cursor,
        "backlog": last - sink.cursor,
        "dead_letters": journal.dead_letters(sink.name),
        "failing": sink.failing,
        "last_error": sink.last_error,
    }


def _matches(tag: str, if_none_match: str) -> bool:
    """Compare weakly, as RFC 9110, 13.1.2 asks for If-None-Match."""
    offered: Iterable[str] = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in ("*", tag.removeprefix("W/")) for candidate in offered)


_NO_CACHE = {"Cache-Control": "no-store"}
