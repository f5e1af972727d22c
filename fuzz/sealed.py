"""Properties of OSCORE. A fuzzer does not guess a tag: some targets seal what they are given, under the right keys."""

from __future__ import annotations

from typing import Any

from fuzz.helpers import fields_of

SECRET = bytes(range(16))
_PAIR: list[Any] = []


def _contexts() -> Any:
    """Return the contexts of client and server, made once: deriving keys would be most of the time."""
    from pave_wire.oscore_context import FRESH_WINDOW, Context

    if not _PAIR:
        _PAIR.append(Context(SECRET, b"", b"c", b"s", 0, FRESH_WINDOW))
        _PAIR.append(Context(SECRET, b"", b"s", b"c", 0, FRESH_WINDOW))
        for context in _PAIR:
            context.reserve(1 << 39)
    return _PAIR


def option_survives(data: bytes) -> None:
    """The OSCORE option's value encodes to a value of the same."""
    from pave_wire import oscore_options

    piv, kid, kid_context = oscore_options.decode_value(data)
    if kid is not None or kid_context is None:  # a kid context by itself may be read, but is never written
        again = oscore_options.encode_value(piv, kid, kid_context)
        assert oscore_options.decode_value(again) == (piv, kid, kid_context)


def option_seeds() -> list[bytes]:
    """RFC 8613, C.4 to C.8, and 6.1."""
    return [bytes.fromhex(text) for text in ("", "0914", "090014", "19140837cbf3210017a2d3", "0100", "0105ff")]


def outside_is_refused(data: bytes) -> None:
    """Nothing passes as request or response that nobody sealed."""
    from pave_wire import coap, oscore
    from pave_wire.errors import OscoreError

    client, server = _contexts()
    message = coap.decode(data)
    try:
        oscore.open_request(server.find, message)
        raise AssertionError("a request nobody sealed")
    except OscoreError:
        pass
    _, exchange = oscore.seal_request(client, coap.Message(coap.CON, coap.GET, 1, b"\1"))
    oscore.open_response(exchange, message)
    raise AssertionError("a response nobody sealed")


def outside_seeds() -> list[bytes]:
    """OSCORE messages of another key."""
    from pave_wire import coap

    return [
        coap.encode(coap.Message(coap.CON, coap.POST, 1, b"\1", [(coap.OSCORE, b"\x09\x14c")], bytes(13))),
        coap.encode(coap.Message(coap.ACK, coap.CHANGED, 1, b"\1", [(coap.OSCORE, b"")], bytes(13))),
        coap.encode(coap.Message(coap.ACK, coap.CONTENT, 1, b"\1", [(6, b""), (coap.OSCORE, b"\1\5")], bytes(13))),
    ]


class _Believing:
    """The memory of a device that is told to believe a new gateway."""

    def context(self, peer_id: bytes, sequence: int, window: tuple[int, int]) -> Any:
        from pave_wire.oscore_context import Context

        return Context(SECRET, b"", b"c", peer_id, sequence, window)

    def keep_peer(self, peer_id: bytes, window: tuple[int, int]) -> None:
        raise AssertionError(f"{peer_id!r} is believed")

    def reserve(self, limit: int) -> None:
        pass

    def used(self, sequence: int) -> None:
        pass


def named_is_not_believed(data: bytes) -> None:
    """Nobody becomes a device's gateway by a response that nobody sealed. `data`: length of the option, it, payload."""
    from pave_wire import coap
    from pave_wire.coap_oscore import OscoreSecurity

    security = OscoreSecurity(_contexts()[0], _Believing())
    _, binding = security.seal_request(coap.Message(coap.CON, coap.GET, 1, b"\1"), None)
    end = 1 + (data[0] if data else 0)
    message = coap.Message(coap.ACK, coap.CHANGED, 1, b"\1", [(coap.OSCORE, data[1:end])], data[end:])
    security.open_response(binding, message)
    raise AssertionError("a response nobody sealed")


def named_seeds() -> list[bytes]:
    """Another gateway, the one there is, and the device itself."""
    return [b"\x09\x09\1another" + bytes(12), b"\x03\x09\1s" + bytes(12), b"\x03\x09\1c" + bytes(12)]


def inside_request_is_read(data: bytes) -> None:
    """`data` sealed as the plaintext of a request; what opens is sealed and opened to the same once more."""
    from pave_wire import coap, oscore, oscore_options

    client, server = _contexts()
    piv = _piv(client.take_number())
    sealed = client.seal(client.sender_nonce(int.from_bytes(piv, "big")), data, client.own_request_aad(piv))
    options = [(coap.OSCORE, oscore_options.encode_value(piv, b"c"))]
    request, _ = oscore.open_request(server.find, coap.Message(coap.CON, coap.POST, 1, b"\1", options, sealed))
    again, _ = oscore.open_request(server.find, oscore.seal_request(client, request)[0])
    assert fields_of(again) == fields_of(request)


def inside_response_is_read(data: bytes) -> None:
    """`data` sealed as the plaintext of a response."""
    from pave_wire import coap, oscore

    client, server = _contexts()
    register = coap.Message(coap.CON, coap.GET, 1, b"\1", [(coap.OBSERVE, b"")])
    asked, waiting = oscore.seal_request(client, register)
    _, exchange = oscore.open_request(server.find, asked)
    sealed = server.seal(exchange.nonce, data, exchange.aad)
    oscore.open_response(waiting, coap.Message(coap.ACK, coap.CONTENT, 1, b"\1", [(coap.OSCORE, b"")], sealed))


def _piv(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def inside_seeds() -> list[bytes]:
    """Plaintexts: code, options, payload."""
    return [
        b"\2\xb1r\x11p\xffpayload",
        b"\1\x60\x51s",
        b"\x45\x60\xffon",
        b"\x44",
        b"\x84\xc1\x3c\xff\xa0",
        b"\3\xd1\x0e\0",
    ]
