"""Hello (`POST /h`): who a device is and where it stands in counting, and the gateway's answer.

Both are CBOR maps (content-format 60) with small integers as keys; a receiver ignores keys it does not know. The
longest hello has 50 bytes, and 51 with the token of its SCHC rule: the whole payload of a LoRaWAN frame at DR0 to DR2,
where it therefore travels without FOpts. MAC commands that leave it no room go first, in a frame of their own.

    hello     0 epoch   1 the seq it gives next   2 board, "pave-presence-v1"   3 version of its software
              4 what reset it: index in RESET_CAUSES
    welcome   0 time, seconds since 1970 (absent where the gateway does not know it)   1 ETag of the desired shadow
"""

from pave_wire import cbor, limits
from pave_wire.errors import ModelError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

# 0 to 5 as `machine.reset_cause()` of MicroPython on the ESP32 counts them; a brown-out is inferred by the firmware.
RESET_CAUSES = ("unknown", "power-on", "hard", "watchdog", "deep-sleep", "soft", "brown-out")
RESET_CAUSE_MAX = 23  # what CBOR says in one byte; a number beyond RESET_CAUSES is one of a later version


class Hello:
    """A device at its start, after a join, or after a long time without an acknowledgement.

    Attributes:
        epoch, seq: the identity that its next reading will have.
        board: what it is, as in hardware/boards: 1 to `limits.BOARD_CHARS` letters, digits and -._+
        version: of its software: 1 to `limits.VERSION_CHARS` of the same.
        reset_cause: 0 to RESET_CAUSE_MAX; what it means is in RESET_CAUSES, as far as that goes.
    """

    __slots__ = ("board", "epoch", "reset_cause", "seq", "version")

    def __init__(self, epoch: int, seq: int, board: str, version: str, reset_cause: int) -> None:
        self.epoch = epoch
        self.seq = seq
        self.board = board
        self.version = version
        self.reset_cause = reset_cause


def pack_hello(hello: Hello) -> bytes:
    """Return the CBOR bytes of `hello`, 50 at most.

    Raises:
        ModelError: a field that `unpack_hello` would refuse.
    """
    fields = {0: hello.epoch, 1: hello.seq, 2: hello.board, 3: hello.version, 4: hello.reset_cause}
    _hello(fields)
    return cbor.dumps(fields)


def unpack_hello(data: bytes) -> Hello:
    """Return the `Hello` in `data` (bytes).

    Raises:
        CborError: not CBOR within the limits.
        ModelError: a field is missing, of another type, or beyond its bound.
    """
    return _hello(_map(data))


def pack_welcome(time_s: int | None, shadow_etag: bytes) -> bytes:
    """Return the CBOR bytes that answer a hello; `time_s` (seconds since 1970) is None where it is not known."""
    fields: "dict[int, int | bytes]" = {1: shadow_etag}
    if time_s is not None:
        fields[0] = time_s
    return cbor.dumps(fields)


def unpack_welcome(data: bytes) -> tuple[int | None, bytes]:
    """Return (time_s or None, shadow_etag) from `pack_welcome`'s bytes.

    Raises:
        CborError, ModelError: as `unpack_hello`; an ETag has 0 to 8 bytes (RFC 7252, 5.10).
    """
    fields = _map(data)
    time_s = _number(fields, 0, 0xFFFFFFFFFF) if 0 in fields else None
    etag = fields.get(1)
    if not isinstance(etag, bytes) or len(etag) > 8:
        raise ModelError("the shadow's ETag is %r; 0 to 8 bytes" % (etag,))
    return time_s, etag


def _hello(fields: "dict[Any, Any]") -> Hello:
    return Hello(
        _number(fields, 0, limits.EPOCH_MAX),
        _number(fields, 1, limits.SEQ_MAX),
        _text(fields, 2, limits.BOARD_CHARS),
        _text(fields, 3, limits.VERSION_CHARS),
        _number(fields, 4, RESET_CAUSE_MAX),
    )


def _map(data: bytes) -> "dict[Any, Any]":
    fields = cbor.loads(data)
    if not isinstance(fields, dict):
        raise ModelError("a hello is a map, not %s" % type(fields).__name__)
    return fields  # pyright: ignore[reportUnknownVariableType]


def _number(fields: "dict[Any, Any]", key: int, limit: int) -> int:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise ModelError("field %d of a hello is %r; an integer from 0 to %d" % (key, value, limit))
    return value


def _text(fields: "dict[Any, Any]", key: int, limit: int) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise ModelError("field %d of a hello is %r; text of 1 to %d characters" % (key, value, limit))
    # It ends in logs, tables and pages, and a character beyond ASCII would be several bytes.
    if not all("a" <= char <= "z" or "A" <= char <= "Z" or "0" <= char <= "9" or char in "-._+" for char in value):
        raise ModelError("field %d of a hello is %r; letters, digits and -._+" % (key, value))
    return value
