"""The requests of 10,000 sensors, as `pave_wire` would make them, and the proof that an answer is what it should be.

Each request is the report of one reading by one sensor: `POST /r`, confirmable, SenML in CBOR; request n is of device
n modulo the number of devices. Under OSCORE it is sealed under the Partial IV that follows the device's last. A device
is known by its number, from which its keys are made; servers make the same ones.

`pave_wire` takes 60 us for such a request, so here only what changes from one to the next is made anew: seq, state,
Partial IV, message ID and token. `check` compares with `pave_wire`.
"""

from __future__ import annotations

import random
import struct

from pave_gateway.core.keys import DeviceKeys
from pave_wire import coap, model, oscore
from pave_wire.coap import Message
from pave_wire.oscore_context import FRESH_WINDOW, Context
from pave_wire.oscore_options import encode_value

GATEWAY_ID = b"gateway"
SALT = b"\x9e\x7c\xa9\x22\x23\x78\x63\x40"
EPOCH = 28_339_200  # an epoch begins with the date of flashing, in seconds since 2026-01-01
FIRST_SEQ = 4_711
TOKENS = 1 << 16
_SEQ_MARK = 0xA5A5
_OPTIONS = [(coap.URI_PATH, model.PATH_READINGS.encode()), (coap.CONTENT_FORMAT, b"\x70")]
_FIELD_T = (0.6e-6, 42.1e-6)
_LASTED_S = (5400, 911)


def keys_of(number: int) -> DeviceKeys:
    """Return the keys of a device, with the roles as the gateway has them."""
    secret = random.Random(number).randbytes(16)
    return DeviceKeys(f"24a160fffe{number:06x}", secret, SALT, GATEWAY_ID, (0x10000 + number).to_bytes(3, "big"))


def reading_of(number: int, turn: int) -> model.Reading:
    """Return what a device reports when it is its turn, counted from 0: every time the other state."""
    occupied = turn & 1
    values: dict[str, bool | float | str] = {
        model.OCCUPIED: bool(occupied),
        model.REASON: "field",
        model.CONFIDENCE: _single(0.97),
        model.FIELD: _single(_FIELD_T[occupied]),
        model.LASTED: _LASTED_S[occupied],
    }
    return model.Reading(keys_of(number).device, EPOCH, FIRST_SEQ + turn, 0, values)


def message_of(number: int, turn: int) -> Message:
    """Return the request, before it is sealed."""
    payload = model.pack_readings(keys_of(number).device, [reading_of(number, turn)])
    return Message(coap.CON, coap.POST, 0, b"\0\0", list(_OPTIONS), payload)


class Device:
    """One sensor: seals its requests and opens their answers."""

    def __init__(self, number: int) -> None:
        keys = keys_of(number)
        self.context = Context(
            keys.master_secret, keys.master_salt, keys.recipient_id, keys.sender_id, 0, FRESH_WINDOW, None
        )
        self._parts = [_plain_parts(number, turn) for turn in (0, 1)]

    def plain(self, turn: int) -> bytes:
        """Return what follows the token of a request without OSCORE."""
        before, after = self._parts[turn & 1]
        return before + (FIRST_SEQ + turn).to_bytes(2, "big") + after

    def sealed(self, turn: int) -> bytes:
        """Return what follows the token of the request under Partial IV `turn`."""
        piv, nonce, aad = self._binding(turn)
        value = encode_value(piv, self.context.sender_id)
        plaintext = bytes((coap.POST,)) + self.plain(turn)
        head = bytes((coap.OSCORE << 4 | len(value),))
        return head + value + b"\xff" + self.context.seal(nonce, plaintext, aad)

    def opened(self, turn: int, answer: bytes) -> int:
        """Return the code inside the answer to `sealed(turn)`; raises an `OscoreError` if it is not authentic."""
        _, nonce, aad = self._binding(turn)
        exchange = oscore.Exchange(self.context, nonce, aad, False)
        return oscore.open_response(exchange, coap.decode(answer)).code

    def _binding(self, turn: int) -> tuple[bytes, bytes, bytes]:
        piv = turn.to_bytes(5, "big").lstrip(b"\0") or b"\0"
        return piv, self.context.sender_nonce(turn), self.context.own_request_aad(piv)


def header(mid: int, at: int) -> bytes:
    """Return the header and token of request `at` of a load: the token alone tells it from others under way."""
    return b"\x42\x02" + (mid & 0xFFFF).to_bytes(2, "big") + (at & TOKENS - 1).to_bytes(2, "big")


def check(number: int = 7, turn: int = 300) -> tuple[int, int]:
    """Compare with `pave_wire`; return the bytes of such a request, plain and sealed."""
    device = Device(number)
    message = message_of(number, turn)
    message.mid, message.token = turn, (5).to_bytes(2, "big")
    plain = header(turn, 5) + device.plain(turn)
    device.context.sequence = turn
    device.context.reserve(turn + 1)
    sealed = header(turn, 5) + device.sealed(turn)
    if plain != coap.encode(message) or sealed != coap.encode(oscore.seal_request(device.context, message)[0]):
        raise AssertionError("a request is not what pave_wire makes; see _ingest_requests")
    return len(plain), len(sealed)


def _single(value: float) -> float:
    """Return `value` as the ESP32's floats have it: 4 bytes of CBOR."""
    return struct.unpack("f", struct.pack("f", value))[0]


def _plain_parts(number: int, turn: int) -> tuple[bytes, bytes]:
    """Return what is around the seq, from the options on."""
    reading = reading_of(number, turn)
    reading.seq = _SEQ_MARK
    payload = model.pack_readings(reading.device, [reading])
    data = coap.encode(Message(coap.CON, coap.POST, 0, b"", list(_OPTIONS), payload))[4:]
    before, after = data.split(_SEQ_MARK.to_bytes(2, "big"))
    return before, after
