"""The commands of `pave-gateway`: `run` and `check-config`, and the groups of the others."""

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import typer

from pave_gateway import (
    cli_backup,
    cli_devices,
    cli_doctor,
    cli_records,
    cli_settings,
    cli_status,
    cli_upkeep,
    garbage,
    log,
)
from pave_gateway.cli_common import REFUSED, USAGE, Set, Site, read_site, refuse
from pave_gateway.config_lora_ingress import SecretError
from pave_gateway.core import limits
from pave_gateway.core.keys_sealed import KeyringError
from pave_gateway.core.registry_site import SiteConflictError
from pave_gateway.ports import PortError
from pave_gateway.store.journal import JournalError
from pave_gateway.store.key_file import KeyFileError

if TYPE_CHECKING:
    from pave_gateway.runtime import Addresses, Runtime

try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    new_event_loop = asyncio.new_event_loop

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The edge gateway of a Pavé site.")

_CLEANS_UP_S = limits.COMMIT_WAIT_AT_STOP_S + limits.DRAIN_AT_STOP_S  # what a start that is given up may take for it


class StartError(Exception):
    """The machine does not give what the gateway needs; the message says what, and the next step."""


class StoppedError(Exception):
    """It was told to stop before it was ready; the message says what it was waiting for."""


REFUSALS = (JournalError, KeyFileError, KeyringError, PortError, SecretError, SiteConflictError, StartError)


@app.command()
def run(site: Site, overrides: Set = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from pave_gateway.runtime import Runtime  # here: it takes a second, which other commands need not wait

    log.configure()
    runtime = Runtime(read_site(site, overrides))
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(runtime))
    except REFUSALS as error:
        refuse(str(error), USAGE)
    except StoppedError as error:
        refuse(str(error), REFUSED)


@app.command()
def check_config(site: Site, overrides: Set = None) -> None:
    """Check the site file and say what it describes."""
    config = read_site(site, overrides, here=True)
    print(f"{site}: ok: {len(config.bay)} bays, {len(config.kiosk)} kiosks, {len(config.sink)} sinks")


app.add_typer(cli_devices.app, name="devices")
app.add_typer(cli_settings.shadow, name="shadow")
app.add_typer(cli_settings.command, name="command")
app.add_typer(cli_records.app, name="records")
app.add_typer(cli_upkeep.journal, name="journal")
app.add_typer(cli_upkeep.keys, name="keys")
for command in (cli_status.status, cli_backup.backup, cli_backup.restore, cli_doctor.doctor):
    app.command()(command)


async def serve(runtime: "Runtime") -> None:
    """Start `runtime`, say where it listens, and stop it cleanly on SIGTERM or SIGINT, also while it starts.

    Raises:
        StartError, StoppedError, and what `Runtime.start` raises.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    addresses = await _started(runtime, stopping)
    garbage.settle()
    lora = f" semtech_udp={addresses.semtech_udp}" if addresses.semtech_udp else ""
    print(f"gateway ready coap={addresses.coap} http={addresses.http}{lora}", flush=True)
    await stopping.wait()
    await runtime.stop()


async def _started(runtime: "Runtime", stopping: asyncio.Event) -> "Addresses":
    """Start `runtime`; give up once it is to stop, whatever it is waiting for."""
    starting = asyncio.create_task(runtime.start(), name="start")
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    try:
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            return starting.result()
        told = f"stopped before it was ready: it was waiting for {runtime.waits_for}"
        starting.cancel()
        await asyncio.wait((starting,), timeout=_CLEANS_UP_S)
        with contextlib.suppress(Exception, asyncio.CancelledError, asyncio.InvalidStateError):
            starting.result()
        raise StoppedError(f"{told}; run pave-gateway doctor, which looks at all that it stands on")
    except OSError as error:
        raise StartError(
            f"not started: {error}, while it was waiting for {runtime.waits_for};"
            " mend that, or run pave-gateway doctor, which looks at all that it stands on"
        ) from error
    finally:
        stop.cancel()
