"""The gateway's properties on subjects with planted bugs. The harness must find each."""

from __future__ import annotations

from typing import Any

from fuzz import gateway


def pack(data: bytes) -> None:
    """A reader that takes readings of the future."""
    from pave_gateway.ingress import coap_pack
    from pave_wire import model

    def usual(pack: bytes, device: str) -> Any:
        readings = coap_pack.usual(pack, device)
        at = pack.find(b"\xa3\x22") + 2  # {bt: ...
        if readings is not None or at < 2 or pack[at:] == b"" or not 0 < pack[at] < 24:
            return readings
        return [model.Reading(device, 1, 1, -pack[at], {})]

    gateway.pack_is_read_alike(data, usual)


def outside(data: bytes) -> None:
    """A look that lets a Partial IV begin with 0."""
    from pave_gateway.ingress import coap_parse

    def look(datagram: bytes) -> Any:
        try:
            return coap_parse.outside(datagram)
        except coap_parse.Unacceptable:
            at = 4 + (datagram[0] & 0x0F)
            if datagram[at + 1 : at + 4] == b"\x0a\x00\x05":
                return b"\x00\x05", gateway.KID, None, b""
            raise

    gateway.outside_is_found_alike(data, look)


class Talkative(gateway.Front):
    """A front that resets what it cannot read, as RFC 7252, 4.2, would have it of a confirmable message."""

    def put(self, data: bytes, address: Any) -> None:
        """Let a datagram arrive."""
        before = self.front.counters.dropped["token_length"]
        super().put(data, address)
        if self.front.counters.dropped["token_length"] > before and data[1] == 2:
            self.front.outbox._put(b"\x70\0" + data[2:4], address)


def stranger(data: bytes) -> None:
    """See `Talkative`."""
    gateway.stranger_meets_silence(data, Talkative)


class Hasty(gateway.Front):
    """A front that answers DELETE before its window is on disk."""

    def sealed(self, plaintext: bytes) -> bytes:
        """Return a request of the device with this inside."""
        self._is_delete = plaintext[:1] == b"\4"
        return super().sealed(plaintext)

    def put(self, data: bytes, address: Any) -> None:
        """Let a datagram arrive."""
        super().put(data, address)
        if self._is_delete:
            self.disk.flush()


def inside(data: bytes) -> None:
    """See `Hasty`."""
    gateway.inside_is_answered_to_its_device(data, Hasty)
