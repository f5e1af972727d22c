"""A command (`POST /x` to a device) and what became of it, as CBOR maps (content-format 60).

    command   0 id   1 code: index in COMMANDS   2 argument, an integer, where the command has one
    result    0 id   1 status: index in STATUSES   2 a word on a failure   3 of "stale": the id of the newest it knows

A device carries out each id at most once, and only one above all that it knows: it keeps the id in durable memory
before it acts. A repetition of the newest id is answered with that one's status again, a lower id with "stale". So the
gateway may send a command until it is answered. The result comes in the response, or later in a `POST /x` of the
device's own; over LoRaWAN always as a response, of which there may be two: "started", and the last word.

A command has at most 13 bytes, 14 in the packet with its token; a result without a word at most 9.
"""

from pave_wire import cbor, limits
from pave_wire.errors import ModelError
from pave_wire.shadow import BOTH, KIOSK, PRESENCE

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

CALIBRATE, REBOOT, MAINTENANCE, IDENTIFY = 0, 1, 2, 3
LOG, UNLOCK, FACTORY_RESET, ERASE, POWER_CYCLE_PC = 4, 5, 6, 7, 8
STARTED, DONE, FAILED, REFUSED, STALE = 0, 1, 2, 3, 4
STATUSES = ("started", "done", "failed", "refused", "stale")
# name, kinds (`shadow`), the argument's name and range; None where there is none
COMMANDS = (
    ("calibrate", PRESENCE, None),  # the field as it is now is that of an empty bay
    ("reboot", BOTH, None),
    ("maintenance", BOTH, ("minutes", 0, 1440)),  # say nothing of vehicles, show a notice; 0 ends it
    ("identify", BOTH, ("seconds", 1, 600)),  # blink
    ("log", KIOSK, ("lines", 1, 48)),  # the newest lines of its log, as readings
    ("unlock", BOTH, ("minutes", 1, 60)),  # starts anew, with a REPL on its serial port for so long
    # What cannot be undone has to be confirmed with the last four hexadecimal digits of the device, as a number.
    ("factory_reset", BOTH, ("confirm", 0, 65535)),  # settings as flashed, baseline forgotten; keys stay
    ("erase", BOTH, ("confirm", 0, 65535)),  # keys as well: it says nothing more until it is provisioned anew
    ("power_cycle_pc", KIOSK, None),
)


class Command:
    """What a device is to do; `argument` is None where the command has none."""

    __slots__ = ("argument", "code", "id")

    def __init__(self, command_id: int, code: int, argument: "int | None" = None) -> None:
        self.id = command_id
        self.code = code
        self.argument = argument


class Result:
    """What became of a command: `status` is an index in STATUSES, `newest_id` is 0 but for STALE."""

    __slots__ = ("detail", "id", "newest_id", "status")

    def __init__(self, command_id: int, status: int, detail: str = "", newest_id: int = 0) -> None:
        self.id = command_id
        self.status = status
        self.detail = detail
        self.newest_id = newest_id


def check(code: int, kind: int, argument: "Any") -> None:
    """Raise `ModelError` unless a device of `kind` (as in `shadow`) knows the command and its argument."""
    if not 0 <= code < len(COMMANDS) or not COMMANDS[code][1] & kind:
        raise ModelError("command %d is not one of this kind of device" % code)
    name, _, allowed = COMMANDS[code]
    if allowed is None:
        if argument is not None:
            raise ModelError("%s takes no argument, %r was given" % (name, argument))
    elif isinstance(argument, bool) or not isinstance(argument, int) or not allowed[1] <= argument <= allowed[2]:
        raise ModelError("%s: %s is %r; an integer from %d to %d" % ((name, allowed[0], argument) + allowed[1:]))


def pack_command(command: Command) -> bytes:
    """Return the CBOR bytes of `command`, at most 13."""
    fields = {0: command.id, 1: command.code}
    if command.argument is not None:
        fields[2] = command.argument
    return cbor.dumps(fields)


def unpack_command(data: bytes) -> Command:
    """Return the `Command` in `data` (bytes); whether the device knows it, `check` says.

    Raises:
        CborError: not CBOR within the limits.
        ModelError: a field is missing or no integer in its range.
    """
    fields = _map(data)
    command_id = _number(fields, 0, 1, limits.SEQ_MAX)
    return Command(command_id, _number(fields, 1, 0, 255), _number(fields, 2, 0, 65535) if 2 in fields else None)


def pack_result(result: Result) -> bytes:
    """Return the CBOR bytes of `result`; the word on a failure is cut to `limits.COMMAND_DETAIL_CHARS`."""
    fields: "dict[int, int | str]" = {0: result.id, 1: result.status}
    if result.detail:
        fields[2] = result.detail[: limits.COMMAND_DETAIL_CHARS]
    if result.newest_id:
        fields[3] = result.newest_id
    return cbor.dumps(fields)


def unpack_result(data: bytes) -> Result:
    """Return the `Result` in `data` (bytes).

    Raises:
        CborError, ModelError: as `unpack_command`.
    """
    fields = _map(data)
    command_id = _number(fields, 0, 1, limits.SEQ_MAX)
    status = _number(fields, 1, 0, len(STATUSES) - 1)
    detail = fields.get(2, "")
    if not isinstance(detail, str) or len(detail) > limits.COMMAND_DETAIL_CHARS or not _is_plain(detail):
        raise ModelError("2 of a result is %r; a text of at most %d characters" % (detail, limits.COMMAND_DETAIL_CHARS))
    return Result(command_id, status, detail, _number(fields, 3, 0, limits.SEQ_MAX) if 3 in fields else 0)


def _map(data: bytes) -> "dict[Any, Any]":
    fields = cbor.loads(data)
    if not isinstance(fields, dict):
        raise ModelError("a command or a result is a map, not %s" % type(fields).__name__)
    return fields  # pyright: ignore[reportUnknownVariableType]


def _number(fields: "dict[Any, Any]", key: int, lowest: int, highest: int) -> int:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ModelError("%d of a command or result is %r; an integer from %d to %d" % (key, value, lowest, highest))
    return value


def _is_plain(text: str) -> bool:
    return all(" " <= char <= "~" for char in text)
