"""The gateway's control interface: HTTP with JSON on a Unix socket, for the command line and the site's own programs.

`openapi.json` describes it. Until there are users and roles, the right to act is the right to open the socket's file.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fastapi import FastAPI

from pave_gateway.api import control_devices, control_records, control_settings, control_upkeep
from pave_gateway.api.acts import Acts
from pave_gateway.api.app import State
from pave_gateway.api.control_models import FoundThing, Status
from pave_gateway.api.control_socket import ControlServer
from pave_gateway.api.problems import RESPONSES, add_problems
from pave_gateway.assembly.core import Core
from pave_gateway.assembly.gateway import Gateway
from pave_gateway.control_address import socket_path
from pave_gateway.core.lorawan import capacity
from pave_gateway.findings import Finding


def open_control(gateway: Gateway, state: State, journal: Path) -> ControlServer:
    """Serve it beside `journal`; raises PortError if the socket cannot be had."""
    return ControlServer(create_control(gateway, state), socket_path(journal))


def create_control(gateway: Gateway, state: State) -> FastAPI:
    """Return the application."""
    core = gateway.core
    app = FastAPI(
        title=f"Pavé gateway, {core.config.site.name}: control", docs_url=None, redoc_url=None, responses=RESPONSES
    )
    add_problems(app)
    acts = Acts(core)
    app.include_router(control_devices.router(core, gateway.silence, acts))
    app.include_router(control_settings.router(core, acts))
    app.include_router(control_records.router(core, acts))
    app.include_router(control_upkeep.router(core, acts, gateway.rotation))
    _add_status(app, core, state)
    return app


def _add_status(app: FastAPI, core: Core, state: State) -> None:
    @app.get("/status", summary="What is wrong, counters, room on the disk, capacity", tags=["status"])
    async def status() -> Status:  # pyright: ignore[reportUnusedFunction]
        statistics = state.statistics()
        config = core.config
        usage = core.reader.usage(config.journal.policy([sink.name for sink in config.sink]))
        rows = statistics.get("lorawan", {}).get("capacity")
        return Status(
            site=config.site.id,
            gateway_id=core.registrar.keys.gateway_id.hex(),
            findings=shown(state.findings()),
            statistics=statistics,
            journal=asdict(usage),
            listen=config.listens(),
            capacity=None if rows is None else capacity.table([capacity.Capacity(**row) for row in rows]),
        )


def shown(findings: Sequence[Finding]) -> list[FoundThing]:
    """Return findings for an answer in JSON."""
    return [FoundThing(severity=one.severity.value, what=one.what, next_step=one.next_step) for one in findings]
