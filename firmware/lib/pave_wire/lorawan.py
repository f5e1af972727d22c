"""LoRaWAN data frames (TS001-1.0.4, class A), as the device and as the network server.

A frame is MHDR | DevAddr, FCtrl, FCnt, FOpts | FPort | FRMPayload | MIC. The payload is enciphered with AES in
counter mode, the whole is sealed by four bytes of AES-CMAC; both take the whole 32-bit frame counter, of which 16 bits
travel. So the receiver first extends those 16 bits, and the MIC then proves the guess: the counter of a frame is the
smallest one above the last accepted whose low bits match. (1.0.4 dropped MAX_FCNT_GAP, which RP002-1.0.4 lists for
older devices; one round is what The Things Stack and LoRaMac-node allow as well.) If the MIC fails there and holds one
round lower, the frame is authentic and old.

Nothing is kept here. A `Session` is what a join gave; counters are arguments and results. The caller persists them, and
never gives `encode_uplink` or `encode_downlink` a counter it has given before: that would seal two payloads under one
key stream. A frame repeated for NbTrans is the same bytes sent again, not encoded again.
"""

import struct

from pave_wire import limits
from pave_wire.aes import BLOCK_BYTES, encryptor
from pave_wire.cmac import Cmac
from pave_wire.errors import AddressError, LorawanError, MicError, ReplayError

UP, DOWN = 0, 1  # Dir of the blocks that are enciphered and authenticated

JOIN_REQUEST, JOIN_ACCEPT, UNCONFIRMED_UP, UNCONFIRMED_DOWN, CONFIRMED_UP, CONFIRMED_DOWN = 0, 1, 2, 3, 4, 5

# Flags of FCtrl
ADR = 0x80
ADR_ACK_REQ = 0x40  # uplink only
ACK = 0x20
PENDING = 0x10  # downlink; in an uplink the same bit is ClassB

FCNT_MAX = 0xFFFFFFFF
MIC_BYTES = 4
_HEADER_BYTES = 8  # MHDR and the fixed part of FHDR


class Session:
    """What a join gives both sides, for as long as it lasts: plain values for the caller to persist.

    Attributes:
        dev_addr: device address, 32 bits.
        nwk_skey: 16 bytes; authenticates every frame and enciphers port 0.
        app_skey: 16 bytes; enciphers every other port.
    """

    __slots__ = ("app_skey", "dev_addr", "nwk_skey")

    def __init__(self, dev_addr: int, nwk_skey: bytes, app_skey: bytes) -> None:
        self.dev_addr = dev_addr
        self.nwk_skey = nwk_skey
        self.app_skey = app_skey


class Frame:
    """One authentic data frame.

    Attributes:
        fcnt: its whole 32-bit counter; persist it before acting on the frame.
        port: 0 to 255 (0: `payload` is MAC commands), or None when the frame has neither port nor payload.
        payload: bytes, in clear.
        fopts: bytes, up to 15: MAC commands beside the payload.
        flags: ADR, ADR_ACK_REQ, ACK, PENDING.
        confirmed: whether the sender wants an ACK.
    """

    __slots__ = ("confirmed", "fcnt", "flags", "fopts", "payload", "port")

    def __init__(self, fcnt: int, port: int | None, payload: bytes, fopts: bytes, flags: int, confirmed: bool) -> None:
        self.fcnt = fcnt
        self.port = port
        self.payload = payload
        self.fopts = fopts
        self.flags = flags
        self.confirmed = confirmed


def encode_uplink(
    session: Session,
    fcnt: int,
    port: int | None,
    payload: bytes = b"",
    fopts: bytes = b"",
    flags: int = 0,
    confirmed: bool = False,
) -> bytes:
    """Return a device's data frame (PHYPayload bytes); the arguments are as in `Frame`.

    Raises:
        LorawanError: a counter past 32 bits (join again), an address past them, FOpts with port 0 or over 15 bytes, a
            payload without a port or over what a frame holds. What the data rate allows is `region.max_payload_bytes`.
    """
    return _encode(UP, session, fcnt, port, payload, fopts, flags, confirmed)


def encode_downlink(
    session: Session,
    fcnt: int,
    port: int | None,
    payload: bytes = b"",
    fopts: bytes = b"",
    flags: int = 0,
    confirmed: bool = False,
) -> bytes:
    """Return a network server's data frame: `encode_uplink` the other way round."""
    return _encode(DOWN, session, fcnt, port, payload, fopts, flags, confirmed)


def decode_uplink(session: Session, data: bytes, last_fcnt: int) -> Frame:
    """Return the `Frame` in `data` (bytes) as the network server; `last_fcnt` is the last accepted, -1 for none.

    Raises:
        AddressError: for another session's device; `dev_addr` tells whose it claims to be.
        ReplayError: authentic, but its counter (`error.counter`) is not above `last_fcnt`.
        MicError: neither; it may be of another session with the same address.
        LorawanError: not an uplink data frame.
    """
    return _decode(UP, session, data, last_fcnt)


def decode_downlink(session: Session, data: bytes, last_fcnt: int) -> Frame:
    """Return the `Frame` in `data` (bytes) as the device: `decode_uplink` the other way round."""
    return _decode(DOWN, session, data, last_fcnt)


def frame_type(data: bytes) -> int:
    """Return the type of a frame (JOIN_REQUEST to CONFIRMED_DOWN, 6 and 7 are not for us) from its first byte.

    Raises:
        LorawanError: a length that no frame has, or another major version.
    """
    if not _HEADER_BYTES + MIC_BYTES <= len(data) <= limits.LORAWAN_PHY_BYTES:
        raise LorawanError("frame of %d bytes; 12 to %d" % (len(data), limits.LORAWAN_PHY_BYTES))
    if data[0] & 3:
        raise LorawanError("major version %d; only 0, LoRaWAN R1, is known" % (data[0] & 3))
    return data[0] >> 5


def dev_addr(data: bytes) -> int:
    """Return the address that a data frame claims, by which its `Session` is looked up. Proves nothing."""
    if not UNCONFIRMED_UP <= frame_type(data) <= CONFIRMED_DOWN:
        raise LorawanError("frame of type %d has no address" % (data[0] >> 5))
    return struct.unpack("<I", data[1:5])[0]


def check_dev_addr(address: int) -> None:
    """Raise LorawanError unless `address` has 32 bits; MicroPython's `struct` would cut off what is over."""
    if not 0 <= address <= 0xFFFFFFFF:
        raise LorawanError("DevAddr %d; 32 bits" % address)


def extend_fcnt(last_fcnt: int, low: int) -> int:
    """Return the smallest counter above `last_fcnt` (-1 for none) whose 16 low bits are `low`."""
    expected = last_fcnt + 1
    return expected + ((low - expected) & 0xFFFF)


def _encode(
    direction: int,
    session: Session,
    fcnt: int,
    port: int | None,
    payload: bytes,
    fopts: bytes,
    flags: int,
    confirmed: bool,
) -> bytes:
    check_dev_addr(session.dev_addr)
    _check(fcnt, port, payload, fopts, flags)
    kind = (CONFIRMED_UP if confirmed else UNCONFIRMED_UP) + direction
    message = struct.pack("<BIBH", kind << 5, session.dev_addr, flags | len(fopts), fcnt & 0xFFFF) + fopts
    if port is not None:
        message += bytes((port,)) + _crypt(direction, session, fcnt, port, payload)
    if len(message) + MIC_BYTES > limits.LORAWAN_PHY_BYTES:
        raise LorawanError("frame of %d bytes; up to %d" % (len(message) + MIC_BYTES, limits.LORAWAN_PHY_BYTES))
    return message + _mic(Cmac(session.nwk_skey), direction, session.dev_addr, fcnt, message)


def _check(fcnt: int, port: int | None, payload: bytes, fopts: bytes, flags: int) -> None:
    """Raise what the arguments of an encoder do wrong."""
    if not 0 <= fcnt <= FCNT_MAX:
        raise LorawanError("FCnt %d; 0 to %d, then join again" % (fcnt, FCNT_MAX))
    if flags & ~0xF0:
        raise LorawanError("flags 0x%x; ADR, ADR_ACK_REQ, ACK and PENDING are" % flags)
    if len(fopts) > limits.LORAWAN_FOPTS_BYTES:
        raise LorawanError("FOpts of %d bytes; more than 15 go to port 0" % len(fopts))
    if port is None and payload:
        raise LorawanError("payload of %d bytes without a port" % len(payload))
    if port is not None and not 0 <= port <= 255:
        raise LorawanError("port %d; 0 to 255" % port)
    if port == 0 and fopts:
        raise LorawanError("MAC commands both in FOpts and on port 0; choose one")


def _decode(direction: int, session: Session, data: bytes, last_fcnt: int) -> Frame:
    kind = frame_type(data)
    if kind not in (UNCONFIRMED_UP + direction, CONFIRMED_UP + direction):
        raise LorawanError("frame of type %d; not %s data" % (kind, "downlink" if direction else "uplink"))
    address, control, low = struct.unpack("<IBH", data[1:_HEADER_BYTES])
    if address != session.dev_addr:
        raise AddressError("frame for %08x; this is %08x" % (address, session.dev_addr))
    port_at = _HEADER_BYTES + (control & 0x0F)
    end = len(data) - MIC_BYTES
    if port_at > end:
        raise LorawanError("FOpts of %d bytes run past the end" % (control & 0x0F))
    port = data[port_at] if port_at < end else None
    if port == 0 and control & 0x0F:
        raise LorawanError("MAC commands both in FOpts and on port 0")
    fcnt = _authenticate(direction, session, data, extend_fcnt(last_fcnt, low))
    payload = b"" if port is None else _crypt(direction, session, fcnt, port, data[port_at + 1 : end])
    return Frame(fcnt, port, payload, bytes(data[_HEADER_BYTES:port_at]), control & 0xF0, kind >= CONFIRMED_UP)


def _authenticate(direction: int, session: Session, data: bytes, fcnt: int) -> int:
    """Return `fcnt` if the MIC of the frame holds for it."""
    message, mic = data[:-MIC_BYTES], data[-MIC_BYTES:]
    cmac = Cmac(session.nwk_skey)
    if fcnt <= FCNT_MAX and _mic(cmac, direction, session.dev_addr, fcnt, message) == mic:
        return fcnt
    old = fcnt - 0x10000
    if old >= 0 and _mic(cmac, direction, session.dev_addr, old, message) == mic:
        error = ReplayError("FCnt %d was received before" % old)
        error.counter = old
        raise error
    raise MicError("MIC does not hold for %08x with FCnt %d" % (session.dev_addr, fcnt))


def _crypt(direction: int, session: Session, fcnt: int, port: int, payload: bytes) -> bytes:
    """Encipher or decipher FRMPayload (TS001-1.0.4, 4.3.3): its own inverse."""
    encrypt = encryptor(session.app_skey if port else session.nwk_skey)
    out = bytearray(payload)
    for at in range(0, len(out), BLOCK_BYTES):
        stream = encrypt(_block(1, direction, session.dev_addr, fcnt, at // BLOCK_BYTES + 1))
        for i in range(at, min(at + BLOCK_BYTES, len(out))):
            out[i] ^= stream[i - at]
    return bytes(out)


def _mic(cmac: Cmac, direction: int, address: int, fcnt: int, message: bytes) -> bytes:
    """Return the four bytes that seal `message` (TS001-1.0.4, 4.4)."""
    return cmac.digest(_block(0x49, direction, address, fcnt, len(message)) + message)[:MIC_BYTES]


def _block(first: int, direction: int, address: int, fcnt: int, last: int) -> bytes:
    """Return block A_i (`first` 1, `last` i) or B_0 (0x49, the message's length)."""
    return struct.pack("<BIBIIBB", first, 0, direction, address, fcnt, 0, last)
