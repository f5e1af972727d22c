"""Semtech UDP, version 2, from the server's side: datagrams as bytes (PROTOCOL.TXT of packet_forwarder 4.0.1).

    forwarder                                        server
    PUSH_DATA  token, EUI, {"rxpk": [...]}   --->
                                             <---    PUSH_ACK   token            at once
    PULL_DATA  token, EUI                    --->    every 10 s or so
                                             <---    PULL_ACK   token
                                             <---    PULL_RESP  token, {"txpk": {...}}
    TX_ACK     token, EUI, {"txpk_ack": ...} --->    empty when all is well

Version 1, which old forwarders speak, is the same without TX_ACK. The JSON is read in `semtech_udp_json`. There is no
authentication whatever: a frame proves itself by its MIC, who sends and asks for frames proves nothing.
"""

from dataclasses import dataclass

from pave_gateway.core import limits

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
VERSIONS = (1, 2)
_HEADER_BYTES = 12
_ANSWERS = {PUSH_DATA: PUSH_ACK, PULL_DATA: PULL_ACK}


class DatagramError(ValueError):
    """Not a datagram that a forwarder sends; `str` is the reason, one of `REASONS`."""


TOO_SHORT, TOO_LONG, VERSION, KIND = "too_short", "too_long", "version", "kind"
REASONS = (TOO_SHORT, TOO_LONG, VERSION, KIND)


@dataclass(frozen=True, slots=True)
class Datagram:
    """What a forwarder sent.

    Attributes:
        version: 1 or 2.
        kind: PUSH_DATA, PULL_DATA or TX_ACK.
        token: 16 bits, to be sent back.
        gateway_id: The concentrator's EUI-64, 16 lower-case hexadecimal digits.
        body: What follows: JSON, or nothing.
    """

    version: int
    kind: int
    token: int
    gateway_id: str
    body: bytes


def parse(data: bytes) -> Datagram:
    """Read the header of a datagram from a forwarder; raises DatagramError."""
    if len(data) < _HEADER_BYTES:
        raise DatagramError(TOO_SHORT)
    if len(data) > limits.SEMTECH_DATAGRAM_BYTES:
        raise DatagramError(TOO_LONG)
    if data[0] not in VERSIONS:
        raise DatagramError(VERSION)
    if data[3] not in (PUSH_DATA, PULL_DATA, TX_ACK):
        raise DatagramError(KIND)
    return Datagram(data[0], data[3], int.from_bytes(data[1:3], "big"), data[4:12].hex(), data[_HEADER_BYTES:])


def acknowledgement(datagram: Datagram) -> bytes:
    """Return the PUSH_ACK or PULL_ACK that answers a PUSH_DATA or PULL_DATA."""
    return _header(datagram.version, datagram.token, _ANSWERS[datagram.kind])


def pull_resp(version: int, token: int, body: bytes) -> bytes:
    """Return a PULL_RESP whose JSON is `body`."""
    return _header(version, token, PULL_RESP) + body


def _header(version: int, token: int, kind: int) -> bytes:
    return bytes((version, token >> 8, token & 0xFF, kind))
