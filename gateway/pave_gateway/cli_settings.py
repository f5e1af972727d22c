"""`pave-gateway shadow` and `pave-gateway command`: a device's settings, and what it is to do."""

import json
import time
from typing import Annotated, Any

import typer

from pave_gateway.cli_client import Client
from pave_gateway.cli_common import USAGE, AsJson, Device, Site, ask, group, refuse, show_json, show_table

shadow = group("The settings that devices are to have, and those they have.")
command = group("What devices are to do, and what came of it.")

_OVER = ("done", "failed", "expired")
_LOOK_S = 0.5


@shadow.command()
def show(site: Site, device: Device, as_json: AsJson = False) -> None:
    """Show a device's settings: desired, and as it reported them."""
    _show(ask(site, lambda client: client.get("devices", device, "shadow")), as_json)


@shadow.command("set")
def set_(
    site: Site,
    device: Device,
    settings: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Such as led=on; NAME= alone is the default.")
    ],
    as_json: AsJson = False,
) -> None:
    """Change settings that a device is to have; wifi='{"ssid": "...", "key": "..."}' rotates its credentials."""
    changes = dict(_setting(text) for text in settings)

    def change(client: Client) -> dict[str, Any]:
        version = client.get("devices", device, "shadow")["version"]
        return client.patch("devices", device, "shadow", body=changes, version=version)

    _show(ask(site, change), as_json)


@command.command()
def send(
    site: Site,
    device: Device,
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="calibrate, reboot, maintenance or identify.")],
    argument: Annotated[int | None, typer.Argument(help="Minutes of maintenance, seconds of identify.")] = None,
    wait: Annotated[int, typer.Option(help="Seconds to wait for what comes of it.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Have a device do something, as soon as it can be reached."""

    def give(client: Client) -> dict[str, Any]:
        given = client.post("devices", device, "commands", body={"command": name, "argument": argument})
        until_s = time.monotonic() + wait
        while given["state"] not in _OVER and time.monotonic() < until_s:
            time.sleep(_LOOK_S)
            kept = client.get("devices", device, "commands")["commands"]
            given = next((one for one in kept if one["id"] == given["id"]), given)
        return given

    given = ask(site, give)
    if as_json:
        show_json(given)
    else:
        print(f"command {given['id']}, {given['command']}: {given['state']}{_because(given)}")


@command.command("list")
def list_(site: Site, device: Device, as_json: AsJson = False) -> None:
    """List the commands to a device, newest first."""
    found = ask(site, lambda client: client.get("devices", device, "commands"))["commands"]
    if as_json:
        show_json(found)
        return
    columns = ("id", "command", "argument", "state", "detail", "created", "changed", "expires")
    show_table(columns, ([one[column] for column in columns] for one in found))


def _because(given: dict[str, Any]) -> str:
    return f" ({given['detail']})" if given["detail"] else ""


def _setting(text: str) -> tuple[str, Any]:
    """Return (name, value) of NAME=VALUE: JSON where it is some, else text; None where there is no value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        refuse(f"{text!r}: write NAME=VALUE, such as led=on", USAGE)
    if not value:
        return name, None
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    print(f"{found['device']}: version {found['version']}, the device has version {found['reported_version']}")
    names = dict.fromkeys((*found["desired"], *found["reported"]))
    rows = [(name, found["desired"].get(name), found["reported"].get(name), _standing(found, name)) for name in names]
    if rows:
        show_table(("setting", "desired", "reported", ""), rows)


def _standing(found: dict[str, Any], name: str) -> str:
    if name == "wifi":
        return f"{found['wifi']} {found['wifi_failure']}".strip()
    return "refused" if name in found["refused"] else "on its way" if name in found["differing"] else ""
