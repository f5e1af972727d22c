"""What docs/WIRE.md shows: one function for each generated block, name to Markdown in `BLOCKS`."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence

from pave_wire import coap, event, hello, limits, model, reading, schc, schc_rules, senml, senml_json

DEVICE = "24a160fffe000101"
LORAWAN_BYTES = 13  # MHDR 1, DevAddr 4, FCtrl 1, FCnt 2, FPort 1, MIC 4
LEFT = model.Reading(DEVICE, 259, 74042, 3, {"occupied": False, "reason": "field", "confidence": 0.96, "lasted": 5400})
_LIMITS = (
    "DATAGRAM_BYTES", "COAP_OPTIONS", "COAP_TOKEN_BYTES", "CBOR_DEPTH", "CBOR_ITEMS", "SENML_RECORDS",
    "SENML_NAME_CHARS", "READINGS_PER_PACK", "VALUES_PER_READING", "TEXT_CHARS", "EPOCH_MAX", "SEQ_MAX", "AGE_MAX_S",
    "BOARD_CHARS", "VERSION_CHARS", "EVENT_BYTES", "SCHC_BYTES", "OSCORE_ID_BYTES", "OSCORE_ID_CONTEXT_BYTES",
    "OSCORE_WINDOW", "LORAWAN_PHY_BYTES", "LORAWAN_FOPTS_BYTES", "MAC_COMMANDS", "COSE_BYTES", "BUNDLE_FILES",
    "BUNDLE_PATH_CHARS", "BUNDLE_SLOT_BYTES", "BUNDLE_OTA_BYTES", "SHADOW_BYTES", "SETTINGS_PER_SHADOW",
    "COMMAND_DETAIL_CHARS",
)  # fmt: skip
_HEADER = {
    schc_rules.VERSION: "version",
    schc_rules.TYPE: "type",
    schc_rules.TOKEN_LENGTH: "token length",
    schc_rules.CODE: "code",
    schc_rules.MID: "message ID",
    schc_rules.TOKEN: "token",
    schc_rules.MARKER: "payload marker",
    11: "Uri-Path",
    12: "Content-Format",
    15: "Uri-Query",
    23: "Block2",
}
_ACTIONS = {
    schc_rules.ELIDED: ("equal", "not-sent"),
    schc_rules.SENT: ("ignore", "value-sent"),
    schc_rules.MAPPED: ("match-mapping", "mapping-sent"),
}
_DIRECTIONS = {schc_rules.UP: "up", schc_rules.DOWN: "down", schc_rules.BOTH: "both"}
_METHODS = {coap.GET: "GET", coap.POST: "POST", coap.PUT: "PUT"}


def hexed(data: bytes) -> str:
    """Return `data` as pairs of digits with spaces between."""
    return data.hex(" ")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def fenced(text: str) -> str:
    """Return `text` as a block of code."""
    return f"```\n{text}\n```"


def dump(data: bytes) -> str:
    """Return `data` in lines of 32 bytes."""
    return "\n".join(hexed(data[at : at + 32]) for at in range(0, len(data), 32))


def fields(data: bytes, parts: Sequence[tuple[int, str]]) -> str:
    """Return `data` cut into `parts` of (bytes, meaning), 16 bytes a line; raises `ValueError` where they differ."""
    lines: list[str] = []
    rest = data
    for size, meaning in parts:
        for at in range(0, size, 16):
            lines.append(f"{hexed(rest[at : min(at + 16, size)]):<48}{'' if at else meaning}".rstrip())
        rest = rest[size:]
    if sum(size for size, _ in parts) != len(data):
        raise ValueError(f"{len(data)} bytes do not have the parts that the page tells")
    return "\n".join(lines)


def file_name(digest: bytes) -> bytes:
    """Return what stands for a file in its path `/f/<digest>`."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


def report() -> str:
    """A report of one reading: bytes, records, JSON of the resolved form."""
    data = model.pack_readings(DEVICE, [LEFT])
    records = senml.decode(data)
    lines = [f"{len(data)} bytes of CBOR:", "", dump(data), "", "the same as records:", ""]
    lines += [json.dumps(record, ensure_ascii=False) for record in records]
    resolved = senml_json.encode(senml.resolve(records))
    lines += ["", "resolved, in JSON (content-format 110):", "", resolved.replace("},", "},\n ")]
    return fenced("\n".join(lines))


def datagram() -> str:
    """The CoAP datagram of that report, and its answer."""
    payload = model.pack_readings(DEVICE, [LEFT])
    options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, coap.uint(senml.CONTENT_FORMAT))]
    head = coap.encode(coap.Message(coap.CON, coap.POST, 0x7D35, b"\x51", options, payload))[: -len(payload)]
    answer = coap.encode(coap.Message(coap.ACK, coap.CHANGED, 0x7D35, b"\x51"))
    return fenced(
        f"{hexed(head)} ...\n"
        "41                      version 1, confirmable, token of 1 byte\n"
        "   02 7d 35 51          POST, message ID, token\n"
        "              b1 72     option 11, Uri-Path: r\n"
        "                 11 70  option 12, Content-Format: 112\n"
        "                    ff  the payload follows\n"
        f"{hexed(answer)}          2.04 in the acknowledgement: it is on disk"
    )


def problem() -> str:
    """Problem details."""
    data = model.problem("Bad CBOR", "truncated")
    return fenced(f'{hexed(data)}\n{{-1: "Bad CBOR", -2: "truncated"}}')


def event_example() -> str:
    """One event, field by field, and what it is expanded to."""
    data = event.encode(LEFT, True)
    bits = "".join(f"{byte:08b}" for byte in data)
    got = event.decode(data)
    fields = (
        ("version", 2, "0"), ("state", 2, "vacant"), ("reason", 4, "field"), ("ended", 2, "occupied"),
        ("oldest", 1, "nothing older waits"), ("confidence", 5, f"{got.values['confidence']}"),
        ("epoch", 8, f"{LEFT.epoch} mod 256"), ("seq", 16, f"{LEFT.seq} mod 65536"),
        ("age", 11, f"{got.age_s} s"), ("lasted", 13, f"{got.values['lasted']} s"),
    )  # fmt: skip
    lines = [f"{hexed(data)}: {len(data)} bytes, {LORAWAN_BYTES + len(data)} in the frame", ""]
    for name, size, meaning in fields:
        lines.append(f"{name:<12}{bits[:size]:<18}{int(bits[:size], 2):>6}  {meaning}")
        bits = bits[size:]
    lines += ["", "and so the reading", ""]
    expanded = got.reading(DEVICE, LEFT.epoch, LEFT.seq)
    lines.append(f"{expanded.identity}, {expanded.age_s} s old: {json.dumps(expanded.values)}")
    return fenced("\n".join(lines))


def event_codes() -> str:
    """States and reasons by number."""
    rows: list[tuple[object, ...]] = []
    for code in range(max(len(reading.STATES), len(reading.REASONS))):
        state = reading.STATES[code] if code < len(reading.STATES) else ""
        rows.append((code, state, reading.REASONS[code]))
    return table(("code", "state, ended", "reason"), rows)


def event_scale() -> str:
    """Seconds on the scale of age and of lasted."""
    rows: list[tuple[object, ...]] = []
    for value in (0, 59, 255, 257, 1023, 5400, 86399, 604800, 4177920):
        cells: list[object] = [value]
        for bits in (event.AGE_MANTISSA_BITS, event.LASTED_MANTISSA_BITS):
            code = event.to_scale(value, bits)
            cells += [code, event.from_scale(code, bits)]
        rows.append(tuple(cells))
    return table(("seconds", "age: code", "read as", "lasted: code", "read as"), rows)


def event_extension() -> str:
    """Low bits extended."""
    cases = ((8506, 16, 74041), (8500, 16, 74041), (3, 16, 65534), (65534, 16, 65539), (3, 8, 258))
    rows = [(low, bits, last, event.extend(low, bits, last)) for low, bits, last in cases]
    return table(("low bits", "how many", "newest known", "extended"), rows)


def acknowledgement() -> str:
    """An acknowledgement, and what it covers."""
    data = event.encode_acknowledgement(LEFT.epoch, LEFT.seq)
    lines = [
        f"{hexed(data)}: up to and including epoch {LEFT.epoch}, seq {LEFT.seq}; the newest given is epoch 260, seq 3",
        "",
    ]
    for epoch, seq in ((259, 74040), (259, 74042), (259, 74043), (258, 90000), (260, 0)):
        covered = event.is_acknowledged(data, epoch, seq, 260, 3)
        lines.append(f"epoch {epoch} seq {seq}: {'forget it' if covered else 'keep it'}")
    return fenced("\n".join(lines))


def hello_example() -> str:
    """A hello and a welcome."""
    said = hello.pack_hello(hello.Hello(259, 74043, "pave-presence-v1", "0.1.0", 6))
    answer = hello.pack_welcome(1765000000, b"\x1f\x02")
    return fenced(
        f'{hexed(said)}\n{{0: 259, 1: 74043, 2: "pave-presence-v1", 3: "0.1.0", 4: 6}}\n\n'
        f"{hexed(answer)}\n{{1: h'1f02', 0: 1765000000}}"
    )


def hello_causes() -> str:
    """The causes of a reset by number."""
    return table(("code", "what reset it"), enumerate(hello.RESET_CAUSES))


def schc_fields() -> str:
    """Every field descriptor of the rules, once."""
    seen: dict[schc_rules.Descriptor, list[int]] = {}
    for rule_id, _, descriptors in schc_rules.RULES:
        for descriptor in descriptors:
            seen.setdefault(descriptor, []).append(rule_id)
    rows: list[tuple[object, ...]] = []
    for descriptor in sorted(seen, key=lambda item: (item[0], item[2], str(item[3]))):
        field, bits, position, target, action = descriptor
        ids = "all" if len(seen[descriptor]) == len(schc_rules.RULES) else ", ".join(map(str, sorted(seen[descriptor])))
        rows.append((_HEADER[field], bits or "var", position, _target(field, target, action), *_ACTIONS[action], ids))
    return table(("field", "bits", "position", "target value", "MO", "CDA", "in the rules"), rows)


def _target(field: int, target: "schc_rules.Target", action: int) -> str:
    if isinstance(target, tuple):
        return ", ".join(map(coap.code_text, target))
    if action == schc_rules.SENT:
        return ""
    if isinstance(target, bytes):
        return str(int.from_bytes(target, "big")) if field == coap.CONTENT_FORMAT else f"`{target.decode()}`"
    return coap.code_text(target) if field == schc_rules.CODE else str(target)


def schc_rules_table() -> str:
    """The rules, with the bits of residue each costs and an example."""
    rows: list[tuple[object, ...]] = []
    for rule_id, directions, descriptors in sorted(schc_rules.RULES, key=lambda rule: rule[0]):
        message = _example(descriptors)
        direction = schc_rules.UP if directions & schc_rules.UP else schc_rules.DOWN
        used, packet = schc.compress(message, direction)
        if used != rule_id or coap.encode(schc.decompress(used, packet, direction)) != coap.encode(message):
            raise ValueError(f"the example of rule {rule_id} came out as {used}")
        rows.append(
            (
                rule_id, _DIRECTIONS[directions], _summary(message), len(coap.encode(message)), f"`{hexed(packet)}`",
                LORAWAN_BYTES + len(packet),
            )
        )  # fmt: skip
    return table(("FPort", "direction", "message", "as CoAP, bytes", "packet", "frame, bytes"), rows)


def _example(descriptors: "tuple[schc_rules.Descriptor, ...]") -> coap.Message:
    sent = {schc_rules.TOKEN: b"\x51", coap.URI_PATH: file_name(bytes(range(32))), 23: b"\x22"}
    header: dict[int, int] = {}
    token = b""
    options: list[tuple[int, bytes]] = []
    for field, _, _, target, action in descriptors:
        value = target[-1] if isinstance(target, tuple) else sent[field] if action == schc_rules.SENT else target
        if isinstance(value, int):
            header[field] = value
        elif field == schc_rules.TOKEN:
            token = value
        else:
            options.append((field, value))
    payload = b""
    if schc_rules.MARKER in header:
        payload = {
            (coap.CONTENT_FORMAT, coap.uint(event.CONTENT_FORMAT)): event.encode(LEFT, True),
            (coap.CONTENT_FORMAT, coap.uint(event.CONTENT_FORMAT_ACKNOWLEDGEMENT)): event.encode_acknowledgement(1, 42),
        }.get(options[-1], b"\xa1\x00\x01")
    return coap.Message(header[schc_rules.TYPE], header[schc_rules.CODE], 0, token, options, payload)


def _summary(message: coap.Message) -> str:
    query = message.option(coap.URI_QUERY)
    path = f"/{message.path}{'?' + query.decode() if query else ''}" if message.path else ""
    words = [_METHODS.get(message.code) or coap.code_text(message.code), path]
    content_format = message.option(coap.CONTENT_FORMAT)
    words.append(f"content-format {coap.uint_value(content_format)}" if content_format else "")
    words.append("Block2" if message.option(23) else "")
    words.append("token" if message.token else "")
    return ", ".join(word for word in (" ".join(filter(None, words[:2])), *words[2:]) if word)


def bounds() -> str:
    """The limits that a peer can meet."""
    return table(("limit", "value"), [(f"`{name}`", f"{getattr(limits, name):,}") for name in _LIMITS])


BLOCKS: dict[str, Callable[[], str]] = {
    "report": report,
    "datagram": datagram,
    "problem": problem,
    "event": event_example,
    "event-codes": event_codes,
    "event-scale": event_scale,
    "event-extension": event_extension,
    "acknowledgement": acknowledgement,
    "hello": hello_example,
    "hello-causes": hello_causes,
    "schc-fields": schc_fields,
    "schc-rules": schc_rules_table,
    "limits": bounds,
}
