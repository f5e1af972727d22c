"""Settings and commands in docs/WIRE.md: tables of what there is, and an example of each message."""

from collections.abc import Callable

from pave_tools.wire_examples import fenced, fields, hexed, table
from pave_wire import command, shadow
from pave_wire.command import Command, Result
from pave_wire.shadow import Document

COMMAND_ID = 27_400_000


def settings() -> str:
    """Every setting."""
    return table(
        ("number", "name", "sensor", "kiosk", "values"),
        [
            (
                number,
                f"`{name}`",
                *(" x"[bool(kinds & kind)] for kind in (shadow.PRESENCE, shadow.KIOSK)),
                _range(allowed),
            )
            for number, name, kinds, allowed in shadow.SETTINGS
        ],
    )


def _range(allowed: object) -> str:
    if isinstance(allowed, int):
        return f"text, {allowed} bytes of UTF-8, without control characters"
    if not isinstance(allowed, tuple):
        return "a map, below"
    if isinstance(allowed[0], str):
        return ", ".join(f"{value} {text}" for value, text in enumerate(allowed))
    return f"{allowed[0]:,} to {allowed[1]:,}"


def documents() -> str:
    """A whole document of a kiosk that rotates its Wi-Fi, its report, and a part for a sensor."""
    desired = shadow.pack(Document(7, {1: 600, 15: {0: 2, 1: "abribus", 2: "correct horse", 3: True}}))
    report = shadow.pack(Document(7, {1: 600, 15: {0: 1, 1: [1, 2], 2: 2, 3: 1}}))
    part = shadow.pack(Document(12, {3: 9000, 7: None}, part=True))
    answer = shadow.pack(Document(12, {3: 8000, 7: None}, part=True, refused=(3,)))
    parts = (
        ("GET /s, answered with what a kiosk is to have", desired),
        ("PUT /s, what it has: profile 2 failed, wrong key; it uses 1", report),
        ("PUT /s to a sensor over LoRaWAN: two of its settings, one back to its default", part),
        ("2.04 from the sensor: it keeps its threshold of 8,000 nT", answer),
    )
    return fenced("\n\n".join(f"{text}, {len(data)} bytes:\n{_lines(data)}" for text, data in parts))


def _lines(data: bytes) -> str:
    return fields(data, [(len(data), "")])


def commands() -> str:
    """Every command."""
    return table(
        ("code", "command", "sensor", "kiosk", "argument"),
        [
            (code, name, *(" x"[bool(kinds & kind)] for kind in (shadow.PRESENCE, shadow.KIOSK)), _argument(allowed))
            for code, (name, kinds, allowed) in enumerate(command.COMMANDS)
        ],
    )


def _argument(allowed: object) -> str:
    if not isinstance(allowed, tuple):
        return ""
    name, lowest, highest = allowed
    return f"{name}, {lowest} to {highest:,}"


def statuses() -> str:
    """Every status of a result."""
    return table(("code", "status"), enumerate(command.STATUSES))


def command_example() -> str:
    """A command and two results."""
    asked = command.pack_command(Command(COMMAND_ID, command.MAINTENANCE, 60))
    done = command.pack_result(Result(COMMAND_ID, command.DONE))
    stale = command.pack_result(Result(COMMAND_ID, command.STALE, newest_id=COMMAND_ID + 5))
    return fenced(
        f"{hexed(asked)}\n{{0: {COMMAND_ID}, 1: 2, 2: 60}}: maintenance for an hour\n\n"
        f"{hexed(done)}\n{{0: {COMMAND_ID}, 1: 1}}: done\n\n"
        f"{hexed(stale)}\n{{0: {COMMAND_ID}, 1: 4, 3: {COMMAND_ID + 5}}}: not carried out; the newest it knows"
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "setting-documents": documents,
    "commands": commands,
    "command-statuses": statuses,
    "command-example": command_example,
}
