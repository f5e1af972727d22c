"""Properties of the radio's formats: LoRaWAN and SCHC.

A fuzzer does not guess an integrity code, so most targets put the right one behind the bytes they are given.
"""

from __future__ import annotations

from typing import Any

from fuzz.helpers import fields_of

KEY = bytes(range(16))


def _session(data: bytes) -> Any:
    from pave_wire import lorawan

    return lorawan.Session(int.from_bytes(data[1:5], "little"), KEY, KEY[::-1])


def uplink_survives(data: bytes) -> None:
    """Bytes behind which the right code stands, as an uplink."""
    _frame_survives(data, 0)


def downlink_survives(data: bytes) -> None:
    """The same as a downlink."""
    _frame_survives(data, 1)


def _frame_survives(data: bytes, direction: int) -> None:
    """A frame is refused with a wrong code, and with the right one encodes to a frame of the same."""
    from pave_wire import lorawan
    from pave_wire.cmac import Cmac
    from pave_wire.errors import LorawanError

    session = _session(data)
    decode = (lorawan.decode_uplink, lorawan.decode_downlink)[direction]
    encode = (lorawan.encode_uplink, lorawan.encode_downlink)[direction]
    fcnt = int.from_bytes(data[6:8], "little")
    code = lorawan._mic(Cmac(KEY), direction, session.dev_addr, fcnt, data)
    try:
        decode(session, data + bytes(4), -1)
        assert code == bytes(4)
    except LorawanError:
        pass
    frame = decode(session, data + code, -1)
    again = encode(session, frame.fcnt, frame.port, frame.payload, frame.fopts, frame.flags, frame.confirmed)
    assert fields_of(decode(session, again, -1)) == fields_of(frame)  # bits reserved for the future are not kept


def frame_seeds() -> list[bytes]:
    """Frames without their codes: with payload, with FOpts, with commands, empty; both ways."""
    from pave_wire import lorawan

    session = lorawan.Session(0x26011BDA, KEY, KEY[::-1])
    frames: list[bytes] = []
    for encode in (lorawan.encode_uplink, lorawan.encode_downlink):
        frames += [
            encode(session, 1, 1, b"event", b"\2"),
            encode(session, 2, 0, b"\6\xff\1"),
            encode(session, 3, None, flags=lorawan.ACK, confirmed=True),
        ]
    return [frame[:-4] for frame in frames]


def raw_frame_is_refused(data: bytes) -> None:
    """Bytes as they are, through everything that looks at a frame before its key is known."""
    from pave_wire import lorawan, lorawan_join

    lorawan.frame_type(data)
    for look in (lorawan.dev_addr, lorawan_join.join_request_euis):
        _try(look, data)
    _try(lorawan.decode_uplink, _session(data), data, 5)
    _try(lorawan_join.decode_join_request, KEY, data, -1)
    _try(lorawan_join.decode_join_accept, KEY, data)


def _try(call: Any, *arguments: Any) -> None:
    from pave_wire.errors import LorawanError

    try:
        call(*arguments)
    except LorawanError:
        pass


def join_accept_survives(data: bytes) -> None:
    """Plain bytes under the right code: what is accepted encodes and decodes to the same."""
    from pave_wire import lorawan_join
    from pave_wire.aes import decryptor
    from pave_wire.cmac import Cmac

    plain = data + Cmac(KEY).digest(b"\x20" + data)[:4]
    if len(plain) not in (16, 32):
        return
    accept = lorawan_join.decode_join_accept(KEY, b"\x20" + decryptor(KEY)(plain))
    lorawan_join.session_of(KEY, accept, 1)
    again = lorawan_join.decode_join_accept(KEY, lorawan_join.encode_join_accept(KEY, accept))
    assert fields_of(again) == fields_of(accept)


def join_accept_seeds() -> list[bytes]:
    """Without and with frequencies."""
    fixed = bytes.fromhex("010000130000da1b01260301")
    return [fixed, fixed + bytes.fromhex("184f84e85684b85e84886684586e8400")]


def commands_survive(data: bytes) -> None:
    """Commands encode to commands that decode to the same, in both directions."""
    from pave_wire import mac_commands

    for direction in (0, 1):
        commands, _ = mac_commands.decode(direction, data)
        again, why = mac_commands.decode(direction, mac_commands.encode(direction, commands))
        assert (again, why) == (commands, mac_commands.COMPLETE)


def command_seeds() -> list[bytes]:
    """Most of what a network server says, and a device."""
    return [
        bytes.fromhex("021403035007ff000105070802d2ad8406070300d2ad845008010a05d2ad840d0102030405"),
        b"\2\3\7\6\xff\1",
    ]


def packet_survives(data: bytes) -> None:
    """RuleID, direction, packet: the message decompressed compresses to a packet of the same message."""
    from pave_wire import schc

    if len(data) < 2:
        return
    direction = data[1] % 2 + 1
    message = schc.decompress(data[0], data[2:], direction)
    rule, packet = schc.compress(message, direction)
    assert fields_of(schc.decompress(rule, packet, direction)) == fields_of(message)


def packet_seeds() -> list[bytes]:
    """Every rule, both directions, with a little residue and payload."""
    from pave_wire import schc_rules

    packets = (b"", b"\x55" * 3, b"\x81digest\x01\x06", b"x" * 20)
    return [bytes((rule[0], up)) + packet for rule in schc_rules.RULES for up in (0, 1) for packet in packets]
