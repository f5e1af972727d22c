"""`pave-gateway journal` and `pave-gateway keys`: what an operator does for the gateway itself."""

import sys
import time
from typing import Any

import typer

from pave_gateway.cli_client import Client
from pave_gateway.cli_common import REFUSED, AsJson, Site, ask, group, show_json, show_table

journal = group("The journal.")
keys = group("The keys that seal what is secret in the journal.")

_LOOK_S = 0.3
_PATIENCE_S = 20.0  # that a rotation is watched while the disk takes nothing
_BACKUPS = (
    "Backups made before need the key file of then. Keep a copy of it with them, as secret as they are; or make a"
    " backup now, and destroy both"
)


@journal.command()
def seen(site: Site, as_json: AsJson = False) -> None:
    """Say that you have seen the journal's damage; status tells it no longer, the audit trail keeps it."""
    done = ask(site, lambda client: client.post("journal", "seen"))
    if as_json:
        show_json(done)
    else:
        print(f"done, act {done['act']}: seen: {done['damage']}")


@keys.command()
def rotate(site: Site, as_json: AsJson = False) -> None:
    """Make a new sealing key, seal all secrets of the journal with it, then take the old key out of the key file.

    The gateway goes on with it by itself, also after this command was ended, or the gateway was killed.
    """
    found = ask(site, lambda client: _watched(client, not as_json and sys.stdout.isatty()))
    _show(found, as_json)
    if not _is_whole(found):
        raise typer.Exit(REFUSED)
    if not as_json:
        print(f"Copy the key file off this machine again, an older copy does not open the journal: {found['key_file']}")
        print(_BACKUPS)


@keys.command()
def show(site: Site, as_json: AsJson = False) -> None:
    """Say which sealing keys the key file has, and how far a rotation is."""
    _show(ask(site, lambda client: client.get("keys")), as_json)


def _watched(client: Client, is_told: bool) -> dict[str, Any]:
    """Begin a rotation, or go on with it, and return where it stands when it is over or nothing moves any longer."""
    found = client.post("keys", "rotate")
    moved_s, before = time.monotonic(), found["parts"]
    while found["running"] and time.monotonic() - moved_s < _PATIENCE_S:
        time.sleep(_LOOK_S)
        found = client.get("keys")
        if found["parts"] != before:
            moved_s, before = time.monotonic(), found["parts"]
        if is_told:
            print(f"\r{_progress(found)}\x1b[K", end="", flush=True)
    if is_told:
        print("\r\x1b[K", end="")
    return found


def _progress(found: dict[str, Any]) -> str:
    parts = ", ".join(f"{part['name']} {part['passed']:,} of {part['rows']:,}" for part in found["parts"])
    return f"{parts}; {found['trouble']}" if found["trouble"] else parts


def _is_whole(found: dict[str, Any]) -> bool:
    return not found["running"] and not found["trouble"] and not found["faults"] and len(found["sealing"]) == 1


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    *older, newest = found["sealing"]
    print(f"{found['key_file']}: sealing key {newest['id']}, made {newest['made']}")
    for key in older:
        print(f"older, until nothing is sealed under it: {key['id']}, made {key['made']}")
    for key in found["dropped"]:
        print(f"no longer in the file: {key['id']}, made {key['made']}, taken out {key['dropped']}")
    columns = ("", "in the journal", "looked at", "sealed anew", "do not open")
    rows = [tuple(part[name] for name in ("name", "rows", "passed", "anew", "closed")) for part in found["parts"]]
    show_table(columns, rows)
    for fault in found["faults"]:
        print(fault)
    if found["trouble"]:
        print(f"{'it waits' if found['running'] else 'it ended'}: {found['trouble']}")
    if found["running"]:
        print("not over: the gateway goes on with it; see pave-gateway keys show")
    elif _is_whole(found):
        print("everything is sealed under the newest key")
    else:
        print("not whole: mend what is said above, then pave-gateway keys rotate")
