"""Settings of devices (shadow) and commands to them, over the control interface."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Request, Response

from pave_gateway.api import control_devices
from pave_gateway.api.acts import Acts
from pave_gateway.api.control_models import Command, Commands, DeviceInPath, NewCommand, Shadow
from pave_gateway.api.problems import Problem, problem
from pave_gateway.assembly.core import Core
from pave_gateway.core.change import Change
from pave_gateway.core.commands import TooManyError
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.shadow import VersionError
from pave_gateway.core.shadow_rows import CommandRow
from pave_gateway.store.shadow_tables import commands_of
from pave_wire import command as wire_command
from pave_wire.errors import ModelError

IfMatch = Annotated[str | None, Header(description="ETag of the settings as they were read; 412 if they have changed")]
Settings = Annotated[
    dict[str, Any],
    Body(
        description="Settings by name, null for the default (RFC 7396)",
        examples=[{"led": "on", "heartbeat_s": 1800}],
    ),
]


def router(core: Core, acts: Acts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["settings"])
    _add_shadow(routes, core, acts)
    _add_commands(routes, core, acts)
    return routes


def _add_shadow(routes: APIRouter, core: Core, acts: Acts) -> None:
    @routes.get("/devices/{device}/shadow", summary="The settings a device is to have, and those it has")
    async def shadow(device: DeviceInPath, response: Response) -> Shadow:  # pyright: ignore[reportUnusedFunction]
        control_devices.known(core, device)
        return _shadow(core, device, response)

    @routes.patch("/devices/{device}/shadow", summary="Change settings that a device is to have")
    async def change(  # pyright: ignore[reportUnusedFunction]
        device: DeviceInPath,
        settings: Settings,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
    ) -> Shadow:
        kind, version = _kind(core, device), _version(if_match)
        before = core.shadows.version(device)
        try:
            await acts.change(
                "settings",
                device,
                ", ".join(sorted(settings)),
                lambda: core.shadows.edit(device, kind, settings, version),
                control_devices.actor(request),
            )
        except VersionError as error:
            raise problem(412, str(error), if_match or "") from error
        except ModelError as error:
            raise problem(422, str(error), device) from error
        except Problem as error:
            if core.shadows.version(device) == before:
                raise
            raise Problem(412, error.details.detail, device, "read the settings again, then decide") from error
        return _shadow(core, device, response)


def _add_commands(routes: APIRouter, core: Core, acts: Acts) -> None:
    @routes.post("/devices/{device}/commands", status_code=201, summary="Have a device do something")
    async def send(device: DeviceInPath, new: NewCommand, request: Request) -> Command:  # pyright: ignore[reportUnusedFunction]
        kind = _kind(core, device)
        made: list[int] = []

        def make() -> Change:
            number, change = core.commands.create(device, kind, new.command, new.argument, core.now())
            made.append(number)
            return change

        said = new.command if new.argument is None else f"{new.command} {new.argument}"
        try:
            await acts.change("command", device, said, make, control_devices.actor(request))
        except TooManyError as error:
            raise problem(409, str(error), device) from error
        except ModelError as error:
            raise problem(422, str(error), said) from error
        return next(_command(row) for row in core.reader.read(commands_of, device) if row.id == made[0])

    @routes.get("/devices/{device}/commands", summary="Commands to a device, newest first, and what became of them")
    async def list_commands(device: DeviceInPath) -> Commands:  # pyright: ignore[reportUnusedFunction]
        control_devices.known(core, device)
        return Commands(commands=[_command(row) for row in core.reader.read(commands_of, device)])


def _kind(core: Core, device: str) -> int:
    """Return the kind of a device that has settings; raise Problem for any other."""
    control_devices.known(core, device)
    kind = core.kind_of(device)
    if kind is None:
        raise Problem(
            409, f"device {device} has no place, so nobody knows what it is for", device, "assign it to a place"
        )
    return kind


def _version(if_match: str | None) -> int | None:
    """Return the version in an If-Match field (RFC 9110, 13.1.1), None for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().strip('"')
    if not text.isdecimal():
        raise Problem(412, "no such version of the settings", if_match, "give the ETag as it was read")
    return int(text)


def _shadow(core: Core, device: str, response: Response) -> Shadow:
    view = core.shadows.view(device)
    response.headers["ETag"] = f'"{view.version}"'
    return Shadow(
        device=device,
        version=view.version,
        desired=view.desired,
        reported=view.reported,
        reported_version=view.reported_version,
        differing=view.differing,
        refused=view.refused,
        wifi=str(view.wifi.value),
        wifi_failure=view.wifi_failure,
    )


def _command(row: CommandRow) -> Command:
    return Command(
        id=row.id,
        command=wire_command.COMMANDS[row.code][0],
        argument=row.argument,
        state=row.state,
        detail=row.detail,
        created=iso_utc(row.created_ms),
        changed=iso_utc(row.changed_ms),
        expires=iso_utc(row.expires_ms),
    )
