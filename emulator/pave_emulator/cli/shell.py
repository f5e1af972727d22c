"""`pave-emulator shell`: a terminal on a device's serial port, its console and MicroPython's REPL."""

from __future__ import annotations

import queue
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any, cast

import serial
import typer
from serial.tools.miniterm import Miniterm

from pave_emulator import roster as rosters
from pave_emulator.cli import options
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.control import ControlClient
from pave_emulator.runner import Plan, Runner
from pave_emulator.scenario.devices import DeviceEntry
from pave_emulator.scenario.model import Scenario
from pave_emulator.serial.line import CONSOLE_BAUD
from pave_emulator.session import Session, Setting

ALONE = "device"
START_TIMEOUT_S = 10.0
LEAVE_S = 0.2  # how long a read of the port may keep who wants to leave


def shell(
    device: Annotated[str | None, typer.Argument(help="a device of the emulator that runs in --work-dir")] = None,
    image: Annotated[Path | None, typer.Option(help="start one device with this flash image instead")] = None,
    board: Annotated[Path | None, typer.Option(help="its board file")] = None,
    in_place: options.InPlace = False,
    work_dir: options.WorkDir = options.DEFAULT_WORK_DIR,
) -> None:
    """Type at a device: Ctrl-C stops what it runs, Ctrl-D at the prompt resets it, Ctrl-] leaves."""
    with mistakes():
        if not sys.stdin.isatty():
            raise ValueError("a shell needs a terminal; programs use the serial port: `run --serial`, then mpremote")
        if device and not (image or board):
            with ControlClient(work_dir) as emulator:
                url = emulator.ask("serial", device=device)["url"]
            _type_at(url)
        elif image and board and not device:
            _alone(image, board, in_place)
        else:
            raise ValueError("give the name of a DEVICE that runs, or --image and --board to start one")


def _alone(image: Path, board: Path, in_place: bool) -> None:
    """One device in no street, for as long as somebody types at it."""
    scenario = Scenario("shell", 1, (0.0, 0.0, 0.0), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        entry = DeviceEntry(ALONE, board, image, where="--image")
        roster = rosters.assemble(scenario, [entry], Path(folder), in_place)
        plan = Plan(False, None, Path(folder), Setting(Path(folder)), open_ports=True, signals=False)
        ready: queue.Queue[str | Exception] = queue.Queue()

        def started(session: Session) -> None:
            ready.put(session.urls[ALONE])

        runner = Runner(scenario, roster, plan, lambda session: [], started)

        def live() -> None:
            try:
                runner.run()
            except Exception as error:  # told to who waits for the device
                ready.put(error)

        thread = threading.Thread(target=live)
        thread.start()
        try:
            found = ready.get(timeout=START_TIMEOUT_S)
            if isinstance(found, Exception):
                raise found
            _type_at(found)
        finally:
            runner.end()
            thread.join()


def _type_at(url: str) -> None:
    """Until Ctrl-]."""
    port = serial.serial_for_url(url, CONSOLE_BAUD, timeout=LEAVE_S)
    terminal = Miniterm(cast(Any, port), eol="cr")
    terminal.set_rx_encoding("UTF-8")
    terminal.set_tx_encoding("UTF-8")
    terminal.start()
    try:
        typer.echo(f"{url}; Ctrl-] leaves")  # from now on Ctrl-C is the device's
        terminal.join()
    finally:
        terminal.close()
