"""Copies of one frame, from several concentrators or late.

A frame is known by its bytes. Only frames that were proved authentic are remembered, so nobody can fill the table; they
are remembered until the device could have repeated them (its second window has closed), so a copy that dawdled on a
slow line is not taken for a repetition. A frame is *closed* when every concentrator that is there has sent a copy, or
after the window: then it is answered.

The budget: RX1 opens 1 s after the frame's end. `lead_ms` (150) is for the frame's way here, the answer's way to the
forwarder and the 43 ms in which that prepares it; it grows where forwarders say TOO_LATE. So an answer has 850 ms from
the first copy. Copies are waited for 200 ms, and the commit runs beside that, not after it: it may take all of the
850 ms before the answer moves to RX2, and 1,850 ms before it waits for the next uplink.
"""

from pave_gateway.core import limits
from pave_gateway.core.lorawan.radio import Reception, Uplink


class Dedup:
    """Authentic frames of the last seconds, by their bytes."""

    def __init__(self, remember_ms: int) -> None:
        """Remember frames for `remember_ms`."""
        self._remember_ms = remember_ms
        self._frames: dict[bytes, Reception] = {}  # in the order of their first copies

    def find(self, uplink: Uplink, now_ms: int) -> Reception | None:
        """Return the frame that `uplink` is a copy of."""
        self._forget(now_ms)
        return self._frames.get(uplink.phy)

    def add(self, uplink: Uplink, now_ms: int) -> Reception | None:
        """Remember a new, authentic frame; None when there is no room for more."""
        if len(self._frames) >= limits.LORAWAN_RECEPTIONS:
            return None
        reception = Reception(uplink.phy, now_ms)
        reception.add(uplink, now_ms)
        self._frames[uplink.phy] = reception
        return reception

    def _forget(self, now_ms: int) -> None:
        while self._frames:
            phy = next(iter(self._frames))
            if now_ms - self._frames[phy].first_ms < self._remember_ms:
                return
            del self._frames[phy]
