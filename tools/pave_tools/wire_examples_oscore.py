"""OSCORE in docs/WIRE.md: keys, a report and its answer sealed, and what becomes of the two counters.

The keys are those of RFC 8613, appendix C.1, known to all.
"""

from collections.abc import Callable

from pave_tools.wire_examples import DEVICE, LEFT, dump, fenced, fields, hexed, table
from pave_wire import cbor, coap, hkdf, limits, model, oscore, senml
from pave_wire.errors import OscoreEchoError
from pave_wire.oscore_context import FRESH_WINDOW, KEY_BYTES, NONCE_BYTES, Context, derive

SECRET = bytes(range(1, 17))
SALT = bytes.fromhex("9e7ca92223786340")
DEVICE_ID, GATEWAY_ID = b"", b"\x01"
NUMBER = 20
PIV = bytes((NUMBER,))
CHALLENGE = bytes.fromhex("0123456789abcdef")
_CCM = 10  # COSE's number of AES-CCM-16-64-128


def _ends(lost: bool = False) -> tuple[Context, Context]:
    """Return device and gateway."""
    device = Context(SECRET, SALT, DEVICE_ID, GATEWAY_ID, NUMBER, FRESH_WINDOW)
    gateway = Context(SECRET, SALT, GATEWAY_ID, DEVICE_ID, 0, None if lost else FRESH_WINDOW)
    device.reserve(NUMBER + limits.OSCORE_RESERVE)
    gateway.reserve(limits.OSCORE_RESERVE)
    return device, gateway


def _report(*further: tuple[int, bytes]) -> coap.Message:
    options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, coap.uint(senml.CONTENT_FORMAT)), *further]
    return coap.Message(coap.CON, coap.POST, 0x7D35, b"\x51", options, model.pack_readings(DEVICE, [LEFT]))


def _answer(code: int = coap.CHANGED, *options: tuple[int, bytes]) -> coap.Message:
    return coap.Message(coap.ACK, code, 0x7D35, b"\x51", list(options))


def keys() -> str:
    """What both sides derive."""
    extracted = hkdf.extract(SALT, SECRET)
    lines = [
        f"{'Master Secret':<16}{hexed(SECRET)}",
        f"{'Master Salt':<16}{hexed(SALT)}",
        "IDs             device: empty, gateway: 01; no ID Context",
        "",
    ]
    for name, role_id, kind, size in (
        ("device's key", DEVICE_ID, "Key", KEY_BYTES),
        ("gateway's key", GATEWAY_ID, "Key", KEY_BYTES),
        ("Common IV", b"", "IV", NONCE_BYTES),
    ):
        info = cbor.dumps([role_id, None, _CCM, kind, size])
        value = derive(extracted, role_id, None, kind, size)
        if value != hkdf.expand(extracted, info, size):
            raise ValueError(f"{name} is not derived from {info.hex()}")
        lines.append(f"{name:<16}{hexed(value):<48}info {hexed(info)}")
    return fenced("\n".join(lines))


def nonce() -> str:
    """The nonce of the request."""
    device, _ = _ends()
    padded = bytes((len(DEVICE_ID),)) + DEVICE_ID.rjust(7, b"\0") + PIV.rjust(5, b"\0")
    common_iv = derive(hkdf.extract(SALT, SECRET), b"", None, "IV", NONCE_BYTES)
    both = bytes(one ^ other for one, other in zip(padded, common_iv, strict=True))
    if both != device.sender_nonce(NUMBER):
        raise ValueError("the nonce is not made as the page says")
    return fenced(
        f"{hexed(padded)}  size of the ID 00, ID in 7 bytes, Partial IV 14 in 5\n"
        f"{hexed(common_iv)}  Common IV\n"
        f"{hexed(both)}  the two, exclusive or"
    )


def aad() -> str:
    """The additional data of the request and of its answer."""
    device, _ = _ends()
    parts = (
        (11, 'array of 3, "Encrypt0", empty'), (1, "string of 8 bytes:"), (2, "array of 5; version 1"),
        (2, "[10], AES-CCM-16-64-128"), (1, "kid of the request, empty"), (2, "Partial IV of the request"),
        (1, "options of class I: none"),
    )  # fmt: skip
    lines = fields(device.own_request_aad(PIV), parts)
    return fenced(lines)


def request() -> str:
    """The report sealed, byte by byte, after it was opened again."""
    device, gateway = _ends()
    message = _report()
    outer, _ = oscore.seal_request(device, message)
    opened, _ = oscore.open_request(gateway.find, outer)
    if coap.encode(opened) != coap.encode(message):
        raise ValueError("the sealed report came out as another")
    plaintext = gateway.open(gateway.recipient_nonce(NUMBER), outer.payload, gateway.peer_request_aad(PIV))
    inside = ((1, "POST"), (2, "Uri-Path: r"), (2, "Content-Format: 112"), (1, "the payload follows"))
    outside = (
        (1, "version 1, confirmable, token of 1 byte"), (1, "POST, whatever is inside; FETCH with Observe"),
        (3, "message ID, token"), (1, "option 9, OSCORE, of 2 bytes"),
        (2, "kid present, Partial IV of 1 byte: 14; the kid is empty"), (1, "the payload follows"),
    )  # fmt: skip
    head, body = 6, len(plaintext) - 6
    data = coap.encode(outer)
    at = len(data) - len(outer.payload)
    return fenced(
        f"{len(plaintext)} bytes of plaintext:\n\n{fields(plaintext[:head], inside)}\n"
        f"{f'... {body} bytes':<48}SenML, as above\n\n"
        f"{len(data)} bytes of datagram:\n\n{fields(data[:at], outside)}\n"
        f"{f'... {len(plaintext)} bytes':<48}ciphertext\n{hexed(data[-8:]):<48}tag\n\nciphertext and tag:\n\n"
        f"{dump(outer.payload)}"
    )


def response() -> str:
    """The 2.04 both ways: with the nonce of the request, and with a Partial IV."""
    blocks: list[str] = []
    for reuse_nonce in (True, False):
        device, gateway = _ends()
        outer, asked = oscore.seal_request(device, _report())
        _, answered = oscore.open_request(gateway.find, outer)
        sealed = oscore.seal_response(answered, _answer(), reuse_nonce, name_sender=not reuse_nonce)
        if oscore.open_response(asked, sealed).code != coap.CHANGED:
            raise ValueError("the 2.04 came out as another")
        data = coap.encode(sealed)
        said = (
            (1, "OSCORE option, empty: nonce of the request")
            if reuse_nonce
            else (4, "OSCORE option: Partial IV of 1 byte: 00; the gateway's ID: 01")
        )
        parts = (
            (1, "version 1, acknowledgement, token of 1 byte"), (1, "2.04, whatever is inside; 2.05 with Observe"),
            (3, "message ID, token"), said, (1, "the payload follows"), (1, "ciphertext of 44, 2.04"), (8, "tag"),
        )  # fmt: skip
        title = "all of it new: the one answer without a Partial IV" if reuse_nonce else "any other answer"
        blocks.append(f"{len(data)} bytes, {title}:\n\n{fields(data, parts)}")
    return fenced("\n\n".join(blocks))


def reservation() -> str:
    """The life of a sender sequence number: stored first, used after."""
    rows: list[tuple[object, ...]] = []
    stored = 0

    def row(what: str, context: Context) -> None:
        nonlocal stored
        due = context.reservation_due()
        if due is not None:
            stored = due
            context.reserve(due)
        rows.append((what, context.sequence, "-" if due is None else due))

    context = Context(SECRET, SALT, DEVICE_ID, GATEWAY_ID, stored, FRESH_WINDOW)
    row("new keys", context)
    for count in (100, 28, 72):
        for _ in range(count):
            context.take_number()
        row(f"{count} messages later", context)
    context = Context(SECRET, SALT, DEVICE_ID, GATEWAY_ID, stored, FRESH_WINDOW)
    row("power cut, boot", context)
    return table(("", "next number", "stored before it is used"), rows)


def window() -> str:
    """What a replay window admits."""
    _, gateway = _ends()
    rows: list[tuple[object, ...]] = []
    for number in (20, 22, 21, 21, 60, 29, 28, 20):
        is_new = gateway.is_new(number)
        if is_new:
            gateway.accept(number)
        highest, seen = gateway.window or FRESH_WINDOW
        rows.append((number, "accepted" if is_new else "silence", highest, f"`{seen:08x}`"))
    return table(("Partial IV", "", "highest", "mask: bit n is highest - n"), rows)


def echo() -> str:
    """The recovery of a lost window."""
    device, gateway = _ends(lost=True)
    gateway.lose_window(CHALLENGE)
    outer, asked = oscore.seal_request(device, _report())
    try:
        oscore.open_request(gateway.find, outer)
        raise ValueError("a lost window admitted a request")
    except OscoreEchoError as error:
        refused = oscore.seal_response(error.exchange, _answer(coap.UNAUTHORIZED, (coap.ECHO, CHALLENGE)))
    value = oscore.open_response(asked, refused).option(coap.ECHO) or b""
    refusal = device.open(device.recipient_nonce(0), refused.payload, device.own_request_aad(PIV))
    again, asked = oscore.seal_request(device, _report((coap.ECHO, value)))
    piv = bytes((NUMBER + 1,))
    _, answered = oscore.open_request(gateway.find, again)
    repeated = gateway.open(gateway.recipient_nonce(NUMBER + 1), again.payload, gateway.peer_request_aad(piv))
    oscore.open_response(asked, oscore.seal_response(answered, _answer()))
    highest, seen = gateway.window or FRESH_WINDOW
    return fenced(
        f"device   POST /r  Partial IV {hexed(PIV)}  authentic, not acted on\n"
        f"gateway  4.01     Partial IV 00  inside: {hexed(refusal)}\n"
        f"device   POST /r  Partial IV {hexed(piv)}  inside: {hexed(repeated[:15])} ff ...\n"
        f"gateway  2.04     Partial IV 01  window: highest {highest}, mask {seen:08x}"
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "oscore-keys": keys,
    "oscore-nonce": nonce,
    "oscore-aad": aad,
    "oscore-request": request,
    "oscore-response": response,
    "oscore-reservation": reservation,
    "oscore-window": window,
    "oscore-echo": echo,
}
