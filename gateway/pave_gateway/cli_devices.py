"""`pave-gateway devices`: which there are, where they stand, and what may be done with them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pave_gateway.cli_common import AsJson, Device, Site, ago, ask, group, show_json, show_table

app = group("The devices of a site: who they are, where they stand, who changed that.")

_Place = Annotated[str, typer.Argument(help="Id of a bay or kiosk of the site file.")]
_DETAILS = (
    "device", "state", "place", "since", "kind", "board", "firmware", "version", "flashed", "technician", "note",
    "added", "retired", "keys", "hearing",
)  # fmt: skip


@app.command("list")
def list_(
    site: Site,
    as_json: AsJson = False,
    state: Annotated[
        str, typer.Option(help="provisioned, active or retired; hearing: never, ok, late, silent, nowhere.")
    ] = "",
) -> None:
    """List the devices."""
    found = ask(site, lambda client: list(client.pages("devices")))
    if state:
        found = [device for device in found if state in (device["state"], device["hearing"])]
    if as_json:
        show_json(found)
        return
    columns = ("device", "state", "place", "kind", "epoch", "hearing", "heard", "technician", "note")
    show_table(
        columns,
        ([*(d[c] for c in columns[:6]), ago(d["heard_ago_s"]), d["technician"], d["note"]] for d in found),
    )


@app.command()
def show(site: Site, device: Device, as_json: AsJson = False) -> None:
    """Show one device, with its past and what it said last."""
    found = ask(site, lambda client: client.get("devices", device))
    if as_json:
        show_json(found)
        return
    heard = ago(found["heard_ago_s"])
    rows = [(name, ", ".join(found[name]) if name == "keys" else found[name]) for name in _DETAILS]
    rows += [("heard", f"{heard} ago" if heard else "")]
    if found["last_reading"]:
        reading = found["last_reading"]
        values = ", ".join(f"{name}={value}" for name, value in reading["values"].items())
        rows.append(("last reading", f"{reading['received']}  {reading['epoch']}:{reading['seq']}  {values}"))
    show_table(("", ""), (row for row in rows if row[1] not in (None, "")))
    if found["places"]:
        show_table(("place", "since", "until", "ended by"), (period.values() for period in found["places"]))


@app.command()
def add(
    site: Site,
    device: Device,
    kind: Annotated[str, typer.Option(help="presence or kiosk.")] = "",
    board: Annotated[str, typer.Option(help="Its board.")] = "",
    note: Annotated[str, typer.Option(help="What the audit trail shall say.")] = "",
    as_json: AsJson = False,
) -> None:
    """Register a device whose keys its network server has (ChirpStack, The Things Stack)."""
    new = {"device": device, "kind": kind, "board": board, "note": note}
    _told(ask(site, lambda client: client.post("devices", body=new)), as_json)


@app.command()
def assign(site: Site, place: _Place, device: Device, as_json: AsJson = False) -> None:
    """Let a device that stands nowhere speak for a place that has none."""
    _act_at(site, device, "assign", place, as_json)


@app.command()
def replace(site: Site, place: _Place, device: Device, as_json: AsJson = False) -> None:
    """Let a device that stands nowhere speak for a place in the stead of the one there."""
    _act_at(site, device, "replace", place, as_json)


@app.command()
def move(site: Site, device: Device, place: _Place, as_json: AsJson = False) -> None:
    """Let a device speak for another place, which has none."""
    _act_at(site, device, "move", place, as_json)


@app.command()
def release(site: Site, device: Device, as_json: AsJson = False) -> None:
    """Take a device from its place; its history stays there."""
    _told(ask(site, lambda client: client.post("devices", device, "release")), as_json)


@app.command()
def retire(site: Site, device: Device, as_json: AsJson = False) -> None:
    """Refuse a device's readings from now on and wipe its keys."""
    _told(ask(site, lambda client: client.post("devices", device, "retire")), as_json)


@app.command()
def log(
    site: Site, device: Annotated[str, typer.Option(help="Of this device alone.")] = "", as_json: AsJson = False
) -> None:
    """Show the audit trail: who did what, oldest first."""
    acts = ask(site, lambda client: list(client.pages("acts")))
    acts = [act for act in acts if device in ("", act["device"])]
    if as_json:
        show_json(acts)
        return
    columns = ("number", "at", "actor", "act", "device", "place", "detail")
    show_table(columns, ([act[column] for column in columns] for act in acts))


def _act_at(site: Path, device: str, act: str, place: str, as_json: bool) -> None:
    _told(ask(site, lambda client: client.post("devices", device, act, body={"place": place})), as_json)


def _told(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    device = answer["device"]
    where = f" at {device['place']}" if device["place"] else ""
    print(f"done, act {answer['act']}: {device['device']} is {device['state']}{where}")
