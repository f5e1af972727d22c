"""`pave-emulator`: boards in a street that is not there. One module per command."""

from __future__ import annotations

import typer

from pave_emulator.cli import fault, image, listing, picture, record, replay, run, shell

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("run")(run.run)
app.command("image")(image.image)
app.command("list")(listing.list_parts)
app.command("shell")(shell.shell)
app.command("fault")(fault.fault)
app.command("picture")(picture.picture)
app.command("record")(record.record)
app.add_typer(replay.app, name="replay")
