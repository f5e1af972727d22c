"""What the groups of commands share: options, the gateway of a site file, tables, refusals.

Exit status: 0 done, 1 the gateway refused or could not, 2 wrong usage or site file, 3 the gateway does not run,
130 Ctrl-C.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pave_gateway.cli_client import Client, NotRunningError, RefusedError, waiting_start
from pave_gateway.config import Config, ConfigError, load, parse_endpoint
from pave_gateway.control_address import socket_path
from pave_gateway.log import printable

REFUSED, USAGE, NOT_RUNNING = 1, 2, 3
_PIPE_COLUMNS = 240

Site = Annotated[Path, typer.Option(help="The site file (TOML).", envvar="PAVE_SITE")]
_OVERRIDES = "PAVE_SET"  # for all commands: they find the gateway by the journal, which may be overridden
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help=f"Override a key: sink.city.port=1884; repeatable. For all commands: {_OVERRIDES}."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_T = TypeVar("_T")


def eui64(text: str) -> str:
    """Return an EUI-64 as devices are named by, from any way of writing it; BadParameter for what is none."""
    digits = text.lower().replace(":", "").replace("-", "")
    if len(digits) != 16 or not set(digits) <= set("0123456789abcdef"):
        raise typer.BadParameter(f"{text!r} is no EUI-64; give 16 hexadecimal digits, as on the label")
    return digits


Device = Annotated[str, typer.Argument(help="EUI-64 of the device.", callback=eui64)]


def group(help_: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(no_args_is_help=True, help=help_)


def read_site(site: Path, overrides: list[str] | None = None, here: bool = False) -> Config:
    """Return a site file's content, with what the environment and then `overrides` put in the place of it, or end;
    `here` as in `load`.
    """
    try:
        return load(site, [*os.environ.get(_OVERRIDES, "").split(), *(overrides or ())], here)
    except ConfigError as error:
        refuse(str(error), USAGE)


def client_of(config: Config) -> Client:
    """Return a client of the gateway of a site."""
    return Client(socket_path(config.journal.path))


def ask(site: Path, question: Callable[[Client], _T]) -> _T:
    """Return what the site's gateway answers to `question`, or end."""
    config = read_site(site)
    try:
        return question(client_of(config))
    except NotRunningError as error:
        refuse(not_running(site, config, error), NOT_RUNNING)
    except RefusedError as error:
        refuse(str(error), REFUSED)


def not_running(site: Path, config: Config, error: NotRunningError) -> str:
    """Return what is wrong and the next step, where no gateway runs."""
    waits = waiting_start(parse_endpoint(config.listen.http))
    if waits is not None:
        return f"the gateway is being started, and waits: {waits}; ask again when it has started"
    return f"{error}; start it: pave-gateway run --site {site}"


def refuse(message: str, status: int) -> NoReturn:
    """End with `message`."""
    print(message, file=sys.stderr)
    raise typer.Exit(status)


def show_json(answer: Any) -> None:
    """Print an answer for a program."""
    print(json.dumps(answer, indent=1, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table, without a header where its columns have no names; what devices said cannot act on the terminal."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for row in rows:
        table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    console().print(table)


def console() -> Console:
    """Return where to print: as wide as the terminal, wide enough for whole lines where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def ago(seconds: int | None) -> str:
    """Return a length of time in the one unit that says most."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
