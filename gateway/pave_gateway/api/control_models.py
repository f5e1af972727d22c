"""What the control interface takes and gives, as OpenAPI describes it."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from pave_gateway.core import limits

_EUI64 = "^[0-9a-f]{16}$"
Eui64 = Annotated[str, Field(pattern=_EUI64, description="EUI-64, 16 lower-case hexadecimal digits")]
DeviceInPath = Annotated[str, Path(pattern=_EUI64, description="EUI-64, 16 lower-case hexadecimal digits")]
Place = Annotated[str, Field(min_length=1, max_length=64, description="Id of a bay or kiosk of the site file")]
Note = Annotated[str, Field(max_length=200)]


class Given(BaseModel):
    """The base of what is taken: a key that is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewDevice(Given):
    """A device whose keys its network server has."""

    device: Eui64
    kind: Literal["presence", "kiosk", ""] = ""
    board: Annotated[str, Field(max_length=64)] = ""
    note: Note = ""


class At(Given):
    """The place of an act."""

    place: Place


class Device(BaseModel):
    """A device as the registry has it; empty or null where there is nothing to say."""

    device: str
    state: str = Field(description="provisioned, active or retired")
    place: str = Field(description="Where it stands")
    since: str = Field(description="Since when it stands there, RFC 3339")
    kind: str
    board: str
    firmware: str
    epoch: int = Field(description="Of its provisioning record, -1 for a device without one")
    flashed: str
    technician: str
    note: str
    added: str
    retired: str
    keys: list[str] = Field(description="Kinds of keys that the gateway has for it: oscore, lora")
    hearing: str | None = Field(
        description="never, ok, late, silent; nowhere: it stands nowhere, and reports or has lost its place; else null"
    )
    heard_ago_s: int | None = Field(description="Seconds since it was heard")


class Period(BaseModel):
    """A time that a device stood at a place."""

    place: str
    since: str
    until: str
    ended_by: str


class DeviceInDetail(Device):
    """The same, with its past and what it said last."""

    places: list[Period] = Field(description="Where it stood, oldest first")
    version: str = Field(description="Of its firmware, as it said itself")
    last_reading: dict[str, Any] | None


class Devices(BaseModel):
    """One page of the devices, in the order in which they came."""

    devices: list[Device]
    next: int | None = Field(description="`after` of the next page, null if this is the last")


class ActDone(BaseModel):
    """An act that is on disk and in effect."""

    act: int = Field(description="Its number in the audit trail")
    device: Device


class Act(BaseModel):
    """One line of the audit trail."""

    number: int
    at: str
    actor: str
    act: str
    device: str
    place: str
    detail: str


class Trail(BaseModel):
    """One page of the audit trail, oldest first."""

    acts: list[Act]
    next: int | None = Field(description="`after` of the next page, null if this is the last")


class Shadow(BaseModel):
    """A device's settings by name: those it is to have, and those it says it has; never a passphrase."""

    device: str
    version: int = Field(description="Of the desired settings, also the ETag")
    desired: dict[str, Any]
    reported: dict[str, Any]
    reported_version: int
    differing: list[str] = Field(description="Settings that it does not have as desired")
    refused: list[str] = Field(description="Settings that it would not take")
    wifi: str = Field(description="Where the rotation of its credentials stands")
    wifi_failure: str


class NewCommand(Given):
    """What the device is to do."""

    command: Annotated[str, Field(max_length=32, description="calibrate, reboot, maintenance or identify")]
    argument: Annotated[int | None, Field(description="Minutes of maintenance, seconds of identify")] = None


class Command(BaseModel):
    """A command, and what became of it."""

    id: int
    command: str
    argument: int | None
    state: str = Field(description="created, sent, acknowledged, done, failed or expired")
    detail: str
    created: str
    changed: str
    expires: str


class Commands(BaseModel):
    """Those of a device that are kept, newest first."""

    commands: list[Command]


class RecordFile(Given):
    """A provisioning record as a file."""

    name: Annotated[str, Field(max_length=255)]
    content: Annotated[str, Field(max_length=limits.RECORD_BYTES)]


class RecordFiles(Given):
    """Records to import."""

    records: Annotated[list[RecordFile], Field(min_length=1, max_length=limits.RECORDS_PER_CHANGE)]


class RecordResult(BaseModel):
    """What became of a record."""

    source: str
    device: str
    result: str = Field(description="added, replaced, known, older, conflict, not_stored or refused")
    detail: str


class RecordResults(BaseModel):
    """One for each record."""

    results: list[RecordResult]


class Reader(Given):
    """For whom records are sealed."""

    public_file: Annotated[str, Field(max_length=4096, description="Content of the other gateway's gateway.json")]


class DamageSeen(BaseModel):
    """The journal's damage is no longer told."""

    act: int = Field(description="Its number in the audit trail")
    damage: str = Field(description="What was found, as it was told until now")


class SealingKey(BaseModel):
    """A sealing key of the key file, without what is secret."""

    id: str = Field(description="8 hexadecimal digits, which stand in all that it sealed")
    made: str
    dropped: str = Field(default="", description="When it was taken out of the file; empty while it is there")


class SealedPart(BaseModel):
    """A kind of secret that the journal keeps, and how far the look at it is that runs, or ran last."""

    name: str
    rows: int = Field(description="Of the journal, that may have such a secret")
    passed: int = Field(description="How many of them were looked at")
    anew: int = Field(description="How many secrets were sealed anew")
    closed: int = Field(description="How many do not open, and stay as they are")


class Keys(BaseModel):
    """The sealing keys, and how far a rotation is: it is over when `running` is false and one key is left."""

    key_file: str = Field(description="To be copied off the machine after each rotation")
    sealing: list[SealingKey] = Field(description="Those in the key file, the newest last: that one seals")
    dropped: list[SealingKey] = Field(description="Those that rotations took out: backups of then still need them")
    running: bool
    trouble: str = Field(description="What it waits for while it runs, or why it ended; empty where all is well")
    parts: list[SealedPart]
    faults: list[str] = Field(description="Why secrets do not open, and the next step; of the first ones")
    act: int = Field(description="Of the audit trail, with which the last rotation began or ended; 0 before the first")


class FoundThing(BaseModel):
    """Something that is wrong, or worth knowing."""

    severity: str
    what: str
    next_step: str


class Status(BaseModel):
    """How the gateway stands."""

    site: str
    gateway_id: str
    findings: list[FoundThing]
    statistics: dict[str, Any]
    journal: dict[str, Any] = Field(description="What it holds, and for how many hours there is room")
    listen: dict[str, str] = Field(description="Where it listens, by key of the site file, as that was at its start")
    capacity: str | None = Field(description="Of the site's own LoRaWAN, as a table; null where it has none")
