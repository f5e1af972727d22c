"""What the registry puts into a transaction. Every group opens with the `ActRow` that says who did what."""

from dataclasses import dataclass

SITE_FILE = "site file"  # the actor of what follows from the site file alone


@dataclass(frozen=True, slots=True)
class ActRow:
    """One line of the audit trail, and the guard of its group.

    Attributes:
        number: 1, 2, 3, ...: a group whose first number is not the next one was decided on an outdated registry.
        at_ms: When, milliseconds since 1970.
        actor: Who, as the API or the command line knows them.
        act: "add", "provision", "assign", "release", "retire", "new journal", "new sealing key",
            "sealing key dropped", "settings", "command", "export records", "damage seen".
        device: Of which device; "" for an act on none.
        place: At which place; "" for none.
        detail: In words.
    """

    number: int
    at_ms: int
    actor: str
    act: str
    device: str = ""
    place: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device as it is from now on.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        kind: The role of its firmware, such as "presence"; "" if unknown.
        board: "" if unknown.
        firmware: What was flashed, "" if unknown.
        epoch: Of its provisioning (`core.keys_record`), -1 for a device without a record.
        technician: Who flashed it, "" if unknown.
        note: The technician's words.
        added_ms: When it came into the registry, milliseconds since 1970.
        retired_ms: When it was retired, None while it is in use.
    """

    device: str
    kind: str
    board: str
    firmware: str
    epoch: int
    technician: str
    note: str
    added_ms: int
    retired_ms: int | None = None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """The sealed keys of a device, in place of any it had; `sealed` is None where they are wiped."""

    device: str
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class ForgetReplayRow:
    """The device's OSCORE keys are others from here on, or none: what is known of its replay window is of old keys.

    Its window is unknown then, not fresh: another gateway may have heard the new keys before this one.
    """

    device: str


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """The device speaks for the place behind the log's position of then.

    Attributes:
        place: Id of a bay or kiosk.
        device: EUI-64.
        from_ms: When, milliseconds since 1970.
        synchronized: Whether the gateway's clock could be trusted then.
    """

    place: str
    device: str
    from_ms: int
    synchronized: bool


@dataclass(frozen=True, slots=True)
class AssignmentEndRow:
    """The device no longer speaks for the place, behind the log's position of then; `ended_by` is the actor."""

    place: str
    device: str
    to_ms: int
    ended_by: str


@dataclass(frozen=True, slots=True)
class LifeRow:
    """The journal has drawn its `gateway_id` (`core.keys`)."""

    gateway_id: bytes
    begun_ms: int


RegistryRow = ActRow | DeviceRow | KeyRow | ForgetReplayRow | AssignmentRow | AssignmentEndRow | LifeRow
