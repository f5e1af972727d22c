"""The command `pave-gateway`."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pave_gateway import log
from pave_gateway.config import Config, ConfigError, load, parse_endpoint
from pave_gateway.ingress.coap_server import InsecureError, check_security
from pave_gateway.ports import PortError
from pave_gateway.runtime import Runtime
from pave_gateway.store.journal import JournalError

try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    new_event_loop = asyncio.new_event_loop

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The edge gateway of a Pavé site.")

_Site = Annotated[Path, typer.Option(help="The site file (TOML).")]
_Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key, such as sink.city.port=1884; repeatable.")
]

_USAGE_ERROR = 2


@app.command()
def run(site: _Site, overrides: _Set = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    log.configure()
    config = _load(site, overrides)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(Runtime(config)))
    except (InsecureError, JournalError, PortError) as error:
        _refuse(str(error))


@app.command()
def check_config(site: _Site, overrides: _Set = None) -> None:
    """Check the site file and say what it describes."""
    config = _load(site, overrides)
    try:
        check_security(parse_endpoint(config.listen.coap)[0], config.coap.insecure)
    except InsecureError as error:
        _refuse(str(error))
    print(f"{site}: ok: {len(config.bay)} bays, {len(config.kiosk)} kiosks, {len(config.sink)} sinks")


async def serve(runtime: Runtime) -> None:
    """Start `runtime`, say where it listens, and stop it cleanly on SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    addresses = await runtime.start()
    print(f"gateway ready coap={addresses.coap} http={addresses.http}", flush=True)
    await stopping.wait()
    await runtime.stop()


def main() -> None:
    """Entry point."""
    app()


def _load(site: Path, overrides: list[str] | None) -> Config:
    try:
        return load(site, overrides or ())
    except ConfigError as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(_USAGE_ERROR)
