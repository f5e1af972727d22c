"""LoRaWAN over-the-air activation (TS001-1.0.4, 6.2), as the device and as the join server.

The device sends a Join-Request with DevNonce, a counter that never goes back under one JoinEUI; the join server answers
with a Join-Accept, and both derive the same two session keys. The server "encrypts" its answer with the AES decryption
function, so that a device needs encryption alone.

Both counters are the caller's to persist: DevNonce before the request is sent, and on the server before the accept is.
A Join-Accept is not bound to the request it answers: the device takes one only while it waits for one, and refuses a
JoinNonce it has used before (TR007 v1.1, 4.13.2): it persists the last one with the session. Pavé's join server counts
up, so one number is enough. Under a foreign join server that draws JoinNonce at random, give `decode_join_accept` no
last one (a lower number is no replay there) and compare `join_nonce` with a list of those used under this root key.

EUIs are bytes in the order they are printed; they travel reversed.
"""

import struct

from pave_wire.aes import BLOCK_BYTES, decryptor, encryptor
from pave_wire.cmac import Cmac
from pave_wire.errors import LorawanError, MicError, ReplayError
from pave_wire.lorawan import JOIN_ACCEPT, JOIN_REQUEST, MIC_BYTES, Session, check_dev_addr, frame_type

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Sequence

DEV_NONCE_MAX = 0xFFFF
JOIN_NONCE_MAX = 0xFFFFFF
CF_LIST_CHANNELS = 5
_EUI_BYTES = 8
_REQUEST_BYTES = 23
_ACCEPT_BYTES = 17, 33  # without and with a CFList


class JoinAccept:
    """What the network tells a device that joins.

    Attributes:
        join_nonce: 24 bits, for each device a counter that only goes up.
        net_id: 24 bits.
        dev_addr: 32 bits.
        rx1_dr_offset: 0 to 7 (see `region.rx1_data_rate`).
        rx2_data_rate: 0 to 15.
        rx_delay_s: from an uplink to RX1, 1 to 15 (0 is sent as it is and read as 1); RX2 opens a second later.
        frequencies_hz: of channels 3 to 7, five numbers of which 0 is an unused channel; () for no list.
    """

    __slots__ = ("dev_addr", "frequencies_hz", "join_nonce", "net_id", "rx1_dr_offset", "rx2_data_rate", "rx_delay_s")

    def __init__(
        self,
        join_nonce: int,
        net_id: int,
        dev_addr: int,
        rx1_dr_offset: int = 0,
        rx2_data_rate: int = 0,
        rx_delay_s: int = 1,
        frequencies_hz: "Sequence[int]" = (),
    ) -> None:
        self.join_nonce = join_nonce
        self.net_id = net_id
        self.dev_addr = dev_addr
        self.rx1_dr_offset = rx1_dr_offset
        self.rx2_data_rate = rx2_data_rate
        self.rx_delay_s = rx_delay_s
        self.frequencies_hz = frequencies_hz


def encode_join_request(app_key: bytes, join_eui: bytes, dev_eui: bytes, dev_nonce: int) -> bytes:
    """Return a device's Join-Request (23 bytes); `app_key` is 16 bytes, the EUIs 8.

    Raises:
        LorawanError: an EUI of another length, or DevNonce used up (65,536 joins): give the device another JoinEUI.
    """
    if not 0 <= dev_nonce <= DEV_NONCE_MAX:
        raise LorawanError("DevNonce %d; 0 to %d, then another JoinEUI" % (dev_nonce, DEV_NONCE_MAX))
    if len(join_eui) != _EUI_BYTES or len(dev_eui) != _EUI_BYTES:
        raise LorawanError("EUIs of %d and %d bytes; 8" % (len(join_eui), len(dev_eui)))
    euis = struct.unpack(">QQ", join_eui + dev_eui)
    message = struct.pack("<BQQH", JOIN_REQUEST << 5, euis[0], euis[1], dev_nonce)
    return message + Cmac(app_key).digest(message)[:MIC_BYTES]


def join_request_euis(data: bytes) -> tuple[bytes, bytes]:
    """Return (JoinEUI, DevEUI) that a Join-Request claims, by which the root key is looked up. Proves nothing.

    Raises:
        LorawanError: not a Join-Request.
    """
    if frame_type(data) != JOIN_REQUEST or len(data) != _REQUEST_BYTES:
        raise LorawanError("%d bytes of type %d are no Join-Request" % (len(data), data[0] >> 5))
    join_eui, dev_eui = struct.unpack("<QQ", data[1:17])
    return struct.pack(">Q", join_eui), struct.pack(">Q", dev_eui)


def decode_join_request(app_key: bytes, data: bytes, last_dev_nonce: int) -> int:
    """Return DevNonce of an authentic Join-Request; `last_dev_nonce` is the last one accepted, -1 for none.

    Raises:
        MicError: of another device or root key.
        ReplayError: authentic, but DevNonce (`error.counter`) is not above `last_dev_nonce`.
        LorawanError: not a Join-Request.
    """
    join_request_euis(data)
    _authenticate(app_key, data)
    dev_nonce = struct.unpack("<H", data[17:19])[0]
    _check_above("DevNonce", dev_nonce, last_dev_nonce)
    return dev_nonce


def encode_join_accept(app_key: bytes, accept: JoinAccept) -> bytes:
    """Return a join server's Join-Accept (17 bytes, 33 with frequencies).

    Raises:
        LorawanError: a field that does not fit.
    """
    settings = accept.rx1_dr_offset << 4 | accept.rx2_data_rate
    if not (0 <= accept.rx1_dr_offset <= 7 and 0 <= accept.rx2_data_rate <= 15 and 0 <= accept.rx_delay_s <= 15):
        raise LorawanError("RX1 offset 0 to 7, RX2 data rate 0 to 15, RX delay 0 to 15 s")
    if not (0 <= accept.join_nonce <= JOIN_NONCE_MAX and 0 <= accept.net_id <= 0xFFFFFF):
        raise LorawanError("JoinNonce %d, NetID %d; 24 bits" % (accept.join_nonce, accept.net_id))
    check_dev_addr(accept.dev_addr)
    plain = struct.pack("<Q", accept.net_id << 24 | accept.join_nonce)[:6]
    plain += struct.pack("<IBB", accept.dev_addr, settings, accept.rx_delay_s) + _pack_channels(accept.frequencies_hz)
    head = bytes((JOIN_ACCEPT << 5,))
    mic = Cmac(app_key).digest(head + plain)[:MIC_BYTES]
    return head + decryptor(app_key)(plain + mic)


def decode_join_accept(app_key: bytes, data: bytes, last_join_nonce: int = -1) -> JoinAccept:
    """Return the `JoinAccept` in `data` (bytes) as the device; `last_join_nonce` is the last one used, -1 for none.

    Raises:
        MicError: for another device.
        ReplayError: authentic, but JoinNonce (`error.counter`) is not above `last_join_nonce`; at the top of this file:
            what to do where the join server does not count up.
        LorawanError: not a Join-Accept.
    """
    if frame_type(data) != JOIN_ACCEPT or len(data) not in _ACCEPT_BYTES:
        raise LorawanError("%d bytes of type %d are no Join-Accept" % (len(data), data[0] >> 5))
    plain = encryptor(app_key)(bytes(data[1:]))
    _authenticate(app_key, bytes(data[:1]) + plain)
    join_nonce = int.from_bytes(plain[:3], "little")
    _check_above("JoinNonce", join_nonce, last_join_nonce)
    net_id = int.from_bytes(plain[3:6], "little")
    address, settings, delay_s = struct.unpack("<IBB", plain[6:12])
    channels = _unpack_channels(plain[12:-MIC_BYTES])
    return JoinAccept(join_nonce, net_id, address, settings >> 4 & 7, settings & 15, delay_s & 15 or 1, channels)


def session_of(app_key: bytes, accept: JoinAccept, dev_nonce: int) -> Session:
    """Return the `Session` that a Join-Accept gives, with its two keys; both frame counters start at 0."""
    seed = struct.pack("<QH", accept.net_id << 24 | accept.join_nonce, dev_nonce)
    seed = seed[:6] + seed[8:] + bytes(BLOCK_BYTES - 9)
    keys = encryptor(app_key)(b"\1" + seed + b"\2" + seed)
    return Session(accept.dev_addr, keys[:BLOCK_BYTES], keys[BLOCK_BYTES:])


def _authenticate(app_key: bytes, data: bytes) -> None:
    if Cmac(app_key).digest(data[:-MIC_BYTES])[:MIC_BYTES] != data[-MIC_BYTES:]:
        raise MicError("MIC does not hold for this root key")


def _check_above(name: str, counter: int, last: int) -> None:
    if counter <= last:
        error = ReplayError("%s %d; above %d" % (name, counter, last))
        error.counter = counter
        raise error


def _pack_channels(frequencies_hz: "Sequence[int]") -> bytes:
    """Return a CFList of type 0 (RP002-1.0.4, 2.4.4): 24 bits of 100 Hz for each channel."""
    if not frequencies_hz:
        return b""
    if len(frequencies_hz) != CF_LIST_CHANNELS:
        raise LorawanError("%d frequencies; 5, with 0 for an unused channel" % len(frequencies_hz))
    out = b""
    for frequency_hz in frequencies_hz:
        if frequency_hz % 100 or not 0 <= frequency_hz // 100 <= 0xFFFFFF:
            raise LorawanError("%d Hz; a multiple of 100 up to 1,677,721,500" % frequency_hz)
        out += (frequency_hz // 100).to_bytes(3, "little")
    return out + b"\0"


def _unpack_channels(cf_list: bytes) -> tuple[int, ...]:
    """Return the frequencies (Hz) of a CFList; () for none, or for a type that a dynamic channel plan does not use."""
    if not cf_list or cf_list[15]:
        return ()
    return tuple([int.from_bytes(cf_list[at : at + 3], "little") * 100 for at in range(0, 15, 3)])
