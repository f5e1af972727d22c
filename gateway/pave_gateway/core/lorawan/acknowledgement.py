"""When a device is told that its readings are on disk, and what it is told when they are not.

A downlink costs the site what an uplink costs a device, and a site has one transmitter and one duty cycle for all. So
not every reading is answered by itself; the acknowledgement is cumulative, and the next one says what one left out
would have said. The policy:

    presence and alarm    answered at once: the device keeps awake, or wakes again, for what is not
    a repetition          answered at once: the device did not hear, or was not told
    `oldest` moved the    answered at once: the device waits for exactly this
      floor over a gap
    heartbeats and        every `heartbeats_per_ack`-th, so that an outbox of 20 never holds more of them than that, and
      diagnostics         whenever a frame goes to the device anyway and has room

Nothing is said while the floor stands where the device has been told it stands, except after a repetition, and nothing
where the device would read the low bits as another number (`Progress.acknowledgement`).

A refusal names its reading and is never held back: the device decides by it what to do with its outbox.
"""

from collections.abc import Sequence

from pave_gateway.core.ingest import Refusal
from pave_gateway.core.lorawan.progress import NOTHING, Progress
from pave_wire.event_encode import REFUSALS
from pave_wire.reading import Reading, class_of

_AT_ONCE = ("presence", "alarm")
_CODES = {
    Refusal.UNKNOWN_DEVICE: 0x83,  # 4.03
    Refusal.FOREIGN_VALUE: 0x80,  # 4.00
    Refusal.CONFLICT: 0x89,  # 4.09
    Refusal.BUSY: 0xA3,  # 5.03
    Refusal.NOT_STORED: 0xA3,
    Refusal.FULL: 0x8D,  # 4.13: a device gives up what is refused with it alone
}
BAD_REQUEST, FORBIDDEN, UNSUPPORTED_FORMAT = 0x80, 0x83, 0x8F
_PORTS = {code: port for port, code in REFUSALS}


class AcknowledgementPolicy:
    """Remembers, for each device, what it was told and how much it was not."""

    def __init__(self, heartbeats_per_ack: int) -> None:
        """Answer every `heartbeats_per_ack`-th of what can wait."""
        self._every = heartbeats_per_ack
        self._told: dict[str, tuple[int, int]] = {}  # device: floor last said
        self._withheld: dict[str, int] = {}

    def is_due(self, device: str, before: Progress, after: Progress, readings: Sequence[Reading]) -> bool:
        """Decide whether `readings`, now on disk, are to be answered at once."""
        repeated = any(before.has(reading.epoch, reading.seq) for reading in readings)
        if not repeated and after.floor == self._told.get(device, NOTHING):
            return False
        self._withheld[device] = self._withheld.get(device, 0) + len(readings)
        over_a_gap = after.floor[0] != before.floor[0] or after.floor[1] > before.floor[1] + len(readings)
        at_once = repeated or over_a_gap or any(class_of(reading.values) in _AT_ONCE for reading in readings)
        return at_once or self._withheld[device] >= self._every

    def told(self, device: str, floor: tuple[int, int]) -> None:
        """Note that an acknowledgement of `floor` is on its way to the device."""
        self._told[device] = floor
        self._withheld.pop(device, None)

    def forget(self, device: str) -> None:
        """Forget what a device was told: it has joined anew."""
        self._told.pop(device, None)
        self._withheld.pop(device, None)


def refusal_port(why: Refusal) -> int | None:
    """Return the FPort that says why readings were not stored; None for what is not answered."""
    code = _CODES.get(why)
    return None if code is None else _PORTS[code]


def port_of(code: int) -> int:
    """Return the FPort of a refusal with this CoAP code."""
    return _PORTS[code]
