"""What of shadow, hellos and commands is durable."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DesiredRow:
    """The settings a device is to have; out of date unless `version` follows the one stored (the first is 1).

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        version: Counts the changes, for ever.
        values: CBOR map, number of the setting (`pave_wire.shadow.SETTINGS`) to value; passphrases are sealed.
    """

    device: str
    version: int
    values: bytes


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """The settings a device says it has.

    Attributes:
        device: As above.
        version: Of the desired ones it has taken up.
        values: CBOR map, number of the setting to value.
        refused: CBOR array, numbers of the settings that it would not take.
        reported_ms: When it said so, milliseconds since 1970.
    """

    device: str
    version: int
    values: bytes
    refused: bytes
    reported_ms: int


@dataclass(frozen=True, slots=True)
class HelloRow:
    """A device's newest hello.

    Attributes:
        device: As above.
        board: What it is, as in hardware/boards.
        version: Of its software.
        reset_cause: As in `pave_wire.hello`.
        epoch: Of its next reading.
        seq: Of its next reading.
        heard_ms: When, milliseconds since 1970.
    """

    device: str
    board: str
    version: str
    reset_cause: int
    epoch: int
    seq: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command and what became of it; out of date once one that ended is stored.

    Attributes:
        device: As above.
        id: Grows from one command to the device's next.
        code: Index in `pave_wire.command.COMMANDS`.
        argument: Of the command, or None.
        state: One of `core.commands.State`, its text.
        detail: Why it failed, "" otherwise.
        created_ms: When it was asked for, milliseconds since 1970.
        changed_ms: When it came into this state.
        expires_ms: Not carried out after.
    """

    device: str
    id: int
    code: int
    argument: int | None
    state: str
    detail: str
    created_ms: int
    changed_ms: int
    expires_ms: int
