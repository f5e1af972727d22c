"""What the network server has on disk, as rows of a transaction and as it is read back at start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JoinRow:
    """A Join-Request was accepted. Out of date unless both nonces rise; DevNonce counts under one `root`.

    Attributes:
        device: Whose.
        root: The keys it joins with (`roots.root_of`). Sessions under others end with this row.
        dev_nonce: Of the request.
        join_nonce: Of the accept.
    """

    device: str
    root: str
    dev_nonce: int
    join_nonce: int


@dataclass(frozen=True, slots=True)
class LoraSessionRow:
    """A session that a Join-Accept is about to offer; one offered earlier and never used is gone.

    Attributes:
        device: Whose.
        session: Its JoinNonce: the name of the session among those of the device.
        dev_addr: 32 bits.
        sealed_keys: NwkSKey and AppSKey, sealed.
        parameters: As `Parameters.text`.
        fcnt_down: Downlink counters below it may be used.
        era: Of the journal (`store.meta`) when it was made. In a later one the file may lag behind what was on air.
    """

    device: str
    session: int
    dev_addr: int
    sealed_keys: bytes
    parameters: str
    fcnt_down: int
    era: int


@dataclass(frozen=True, slots=True)
class SessionStartRow:
    """The device has sent under the session: it is the one, all before it are gone. Written twice it says the same."""

    device: str
    session: int


@dataclass(frozen=True, slots=True)
class FcntUpRow:
    """A frame of the device's session was admitted. Out of date unless `fcnt` is above the one on disk."""

    device: str
    session: int
    fcnt: int


@dataclass(frozen=True, slots=True)
class LoraDownRow:
    """Downlink counters of the session below `reserved` may be used. Written twice it says the same."""

    device: str
    session: int
    reserved: int


@dataclass(frozen=True, slots=True)
class ParametersRow:
    """The device has agreed to other parameters."""

    device: str
    session: int
    parameters: str


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """Where a device stands in counting its readings; `text` as `Progress.text`."""

    device: str
    text: str


@dataclass(frozen=True, slots=True)
class LinkRow:
    """What a device's link is like; `text` as `Link.text`."""

    device: str
    text: str


@dataclass(frozen=True, slots=True)
class AirtimeRow:
    """What a concentrator sent in one grain of time (`region.GRAIN_MS`, of the monotonic clock) in one sub-band."""

    gateway_id: str
    grain: int
    band: int
    spent_us: int


@dataclass(frozen=True, slots=True)
class AirtimeForgottenRow:
    """Grains of a concentrator that no longer count."""

    gateway_id: str
    grains: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionsEndRow:
    """The device's root keys become others, or it has left the site: its sessions end. Its nonces stay with `root`."""

    device: str


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A device as it is on disk; numbers are -1, `root` is "" and `session` None where there is nothing yet.

    All sessions of the device were made under `root`, and so was the last DevNonce.
    """

    device: str
    root: str
    dev_nonce: int
    join_nonce: int
    session: int | None
    fcnt_up: int
    fcnt_down: int
    progress: str
    link: str


@dataclass(frozen=True, slots=True)
class StoredLorawan:
    """All of it."""

    devices: tuple[StoredDevice, ...] = ()
    sessions: tuple[LoraSessionRow, ...] = ()
    airtime: tuple[AirtimeRow, ...] = ()
