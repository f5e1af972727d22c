"""The command line behind `tools/flash.py`."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from pave_tools.board import Board, board_path, load_board
from pave_tools.device_keys import OSCORE_NAMESPACE, Provisioner
from pave_tools.errors import ToolError
from pave_tools.firmware import build as build_firmware
from pave_tools.image import DeviceSettings, build_flash_image, first_epoch
from pave_tools.manifest import SLOT, load_role
from pave_tools.nvs_image import NvsValues
from pave_tools.provisioning import Flashed, public_hex, read_reader, technician_key

_TECHNICIAN_KEY = Path(typer.get_app_dir("pave")) / "technician.key"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def tools() -> None:
    """Make what goes on a Pavé device."""


@app.command()
def build(
    role: Annotated[str, typer.Option(help="a role of firmware/manifest.toml: presence, kiosk")],
    board: Annotated[str, typer.Option(help="a board of hardware/boards: pave-presence-v1")],
    device: Annotated[str, typer.Option(help="EUI-64: 24a160fffe000101")],
    gateway: Annotated[str, typer.Option(help="HOST:PORT of the gateway's CoAP")],
    wifi_ssid: Annotated[str, typer.Option(help="Wi-Fi network")],
    wifi_key: Annotated[str, typer.Option(envvar="PAVE_WIFI_KEY", help="better given in the environment")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the image to write")] = Path("flash.bin"),
    gateway_file: Annotated[Path | None, typer.Option(help="the gateway's public file: makes keys for it")] = None,
    technician: Annotated[Path, typer.Option(help="your key, made if there is none")] = _TECHNICIAN_KEY,
    records: Annotated[Path, typer.Option(help="folder for the record that the gateway imports")] = Path("records"),
    insecure: Annotated[bool, typer.Option("--insecure", help="no keys, plain CoAP: laboratories only")] = False,
) -> None:
    """Build the flash image of one device. An image with keys is flashed once, and then deleted."""
    try:
        host, port = split_address(gateway)
        target = load_board(board_path(board))
        check_board(role, target)
        settings = DeviceSettings(device, role, host, port, wifi_ssid, wifi_key, insecure)
        files = build_firmware(role)
        flashed = Flashed(device, role, target.name, version("pave"), first_epoch(time.time()))
        nvs: NvsValues = {"pave": {"epoch": flashed.epoch}}
        if gateway_file is not None:
            provisioner = Provisioner(technician_key(technician), [read_reader(gateway_file)], records)
            nvs = {**nvs, OSCORE_NAMESPACE: provisioner.provision(flashed)}
        elif not insecure:
            raise ToolError("a device needs keys: name the gateway's public file with --gateway-file, or --insecure")
        build_flash_image(target, files, settings.config(target), nvs, output)
    except ToolError as error:
        typer.echo(f"flash: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{output}: {role} {device} on {target.name}, {len(files)} files, app slots empty")


@app.command()
def key(
    technician: Annotated[Path, typer.Option(help="your key, made if there is none")] = _TECHNICIAN_KEY,
) -> None:
    """Show the public half of your key: what the operator puts into the site file, to believe your records."""
    try:
        public = public_hex(technician_key(technician))
    except ToolError as error:
        typer.echo(f"flash: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f'[[registry.technician]]\nname = "your name"\nkey = "{public}"')


def check_board(role: str, board: Board) -> None:
    """Raise `ToolError` unless `board` is listed for `role` in the manifest."""
    modules = [entry.device_path for entry in load_role(role).modules]
    if f"{SLOT}/boards/{board.module}.mpy" not in modules:
        raise ToolError(f"role {role!r} has no pins for board {board.name!r}; name the board that the role is made for")


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; raises `ToolError`."""
    host, separator, port = address.rpartition(":")
    if not (host and separator and port.isdecimal()):
        raise ToolError(f"gateway {address!r} should be HOST:PORT, such as 192.168.1.10:5683")
    return host, int(port)


def main() -> None:
    """Entry point."""
    app()
