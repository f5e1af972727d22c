"""What passes between a network server, ours or another's, and the application."""

from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core.lorawan.downlinks import Message


@dataclass(frozen=True, slots=True)
class Payload:
    """What a frame carried.

    Attributes:
        device: EUI-64, 16 lower-case hexadecimal digits.
        port: FPort; None for a frame of MAC commands alone.
        data: In clear.
        fcnt: The frame's counter.
        joined: It is the first one since the device has joined.
        room_bytes: What a payload in answer may have; 0: nothing but answers is to be sent now.
        secure: Nobody but device and gateway reads what is sent (another's network server would).
    """

    device: str
    port: int | None
    data: bytes
    fcnt: int
    joined: bool = False
    room_bytes: int = 0
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a frame.

    Attributes:
        durable: It is on disk with all that it brought. Where false, nothing of it is.
        messages: What to send to the device, in this order.
        outdated: Not durable, since a row that was to admit it says that it was admitted before.
    """

    durable: bool
    messages: tuple[Message, ...] = ()
    outdated: bool = False


Done = Callable[[Answer], None]


@dataclass(slots=True)
class ApplicationCounters:
    """Since the start."""

    events: int = 0
    batches: int = 0
    hellos: int = 0
    rebuilt: int = 0
    acknowledged: int = 0  # acknowledgements given out
    withheld: int = 0  # readings stored without one of their own
    refused: int = 0
    before_hello: int = 0  # events that cannot be read yet
    unreadable: int = 0  # no rule, or not what the rule says
    replayed: int = 0  # the disk knew the frame
    not_stored: int = 0  # the disk, or the queue before it, did not take it
