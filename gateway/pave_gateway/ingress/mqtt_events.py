"""What another's network server tells of a device, whichever server it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """Where a frame was heard: a gateway's id, RSSI and SNR."""

    gateway_id: str
    rssi_dbm: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class ExternalFrame:
    """A frame as another's network server tells of it.

    Attributes:
        device: EUI-64 as text.
        session: What the server calls the session.
        fcnt: Of the frame.
        port: FPort, None for MAC commands alone.
        data: In clear.
        received_ms: When the server received it, milliseconds since 1970 by its clock; None where it does not say.
        data_rate: DR0 to DR7, None where it is no data rate of EU868.
        frequency_hz: Of the channel.
        heard: By which gateways.
    """

    device: str
    session: str
    fcnt: int
    port: int | None
    data: bytes
    received_ms: int | None = None
    data_rate: int | None = None
    frequency_hz: int = 0
    heard: tuple[Heard, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalJoin:
    """A device has joined: `session` and `join` are what the server calls the session and the join."""

    device: str
    session: str
    join: str
