"""SLIP framing as the ROM loader has it: each packet begins and ends with 0xC0.

Source: esptool documentation, "Serial Protocol", Low Level Protocol; RFC 1055 for the escapes.
"""

from __future__ import annotations

END = 0xC0
ESCAPED = {b"\xdb\xdc": b"\xc0", b"\xdb\xdd": b"\xdb"}
MAX_PACKET_BYTES = 65536 + 8  # a request's header and the most its 16-bit size can announce


def encode(packet: bytes) -> bytes:
    """One packet, framed."""
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Decoder:
    """Bytes in, packets out. What lies between packets is dropped, so is a packet with a wrong escape."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inside = False

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes."""
        packets: list[bytes] = []
        first, *later = data.split(b"\xc0")
        if self._inside:
            self._buffer += first
        for piece in later:
            packet = _unescape(bytes(self._buffer)) if self._inside and self._buffer else None
            if packet is not None:
                packets.append(packet)
            # The end of a packet may be the beginning of the next: an empty one is the gap between two.
            self._inside = not (self._inside and self._buffer)
            self._buffer = bytearray(piece if self._inside else b"")
        if len(self._buffer) > 2 * MAX_PACKET_BYTES:
            self._buffer.clear()
            self._inside = False
        return packets


def _unescape(packet: bytes) -> bytes | None:
    pieces = packet.split(b"\xdb")
    out = [pieces[0]]
    for piece in pieces[1:]:
        meaning = ESCAPED.get(b"\xdb" + piece[:1])
        if meaning is None:
            return None
        out.append(meaning + piece[1:])
    return b"".join(out)
