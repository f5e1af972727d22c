"""The SCHC context: which CoAP messages travel over LoRaWAN, and what of each is sent (RFC 8724, 7; RFC 8824).

Both ends have these rules built in; the RuleID is the frame's FPort (as in RFC 9011, 5.2), 20 to 22 stay free for
fragmentation. A rule is (RuleID, directions, field descriptors); a field descriptor is

    (field, bits, position, target, action)

    field     an option's number, or one of the header's fields below
    bits      length; VARIABLE: whole bytes, their number in front of them (RFC 8724, 7.4.2)
    position  1 for the first field of this name, 2 for the second (Uri-Path)
    target    the value expected; for MAPPED the tuple of those allowed
    action    ELIDED  equal, not-sent            SENT  ignore, value-sent
              MAPPED  match-mapping, mapping-sent

On LoRaWAN the frame counters do the work of CoAP's message layer: every message is NON with message ID 0, and what
needs an answer has a token of one byte. Events and batches need none: the cumulative acknowledgement answers them, or a
refusal that names the reading as the acknowledgement does. `POST /r?oldest` is a batch before which nothing waits.
"""

from pave_wire.event_encode import REFUSALS

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    Target = int | bytes | tuple[int, ...]
    Descriptor = tuple[int, int, int, Target, int]

UP, DOWN = 1, 2  # as LoRaWAN has it: up is from the device
BOTH = 3
VARIABLE = 0
ELIDED, SENT, MAPPED = 0, 1, 2
VERSION, TYPE, TOKEN_LENGTH, CODE, MID, TOKEN, MARKER = -7, -6, -5, -4, -3, -2, -1

# 4.00 to 4.29 and 5.00 to 5.05: those of RFC 7252, 7959, 8132 (4.09, 4.22) and 8516 (4.29)
ERRORS = (
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x88, 0x89, 0x8C, 0x8D, 0x8F, 0x96, 0x9D,
    0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5,
)  # fmt: skip
SUCCESSES = (0x41, 0x42, 0x43, 0x44, 0x45)  # 2.01 to 2.05

_VERSION = (VERSION, 2, 1, 1, ELIDED)
_TYPE = (TYPE, 2, 1, 1, ELIDED)  # NON
_GET, _POST, _PUT, _CHANGED, _CONTENT = [(CODE, 8, 1, code, ELIDED) for code in (0x01, 0x02, 0x03, 0x44, 0x45)]
_ERROR = (CODE, 8, 1, ERRORS, MAPPED)  # with problem details
_RESPONSE = (CODE, 8, 1, SUCCESSES + ERRORS, MAPPED)
_ANSWER = (CODE, 8, 1, (0x44, 0x45), MAPPED)  # with content: 2.04, 2.05
_MID = (MID, 16, 1, 0, ELIDED)
_NO_TOKEN = (TOKEN_LENGTH, 4, 1, 0, ELIDED)
_ONE_BYTE = (TOKEN_LENGTH, 4, 1, 1, ELIDED)
_TOKEN = (TOKEN, 8, 1, b"", SENT)
_R, _H, _S, _F, _X = [(11, 8, 1, path, ELIDED) for path in (b"r", b"h", b"s", b"f", b"x")]  # Uri-Path
_DIGEST = (11, VARIABLE, 2, b"", SENT)
_EVENT = (12, 16, 1, b"\xfd\xe9", ELIDED)  # Content-Format 65001
_ACKNOWLEDGEMENT = (12, 16, 1, b"\xfd\xea", ELIDED)  # 65002
_SENML = (12, 8, 1, b"\x70", ELIDED)  # 112
_CBOR = (12, 8, 1, b"\x3c", ELIDED)  # 60
_OCTETS = (12, 8, 1, b"\x2a", ELIDED)  # 42
_PROBLEM = (12, 16, 1, b"\x01\x01", ELIDED)  # 257
_OLDEST = (15, 48, 1, b"oldest", ELIDED)  # Uri-Query
_BLOCK2 = (23, VARIABLE, 1, b"", SENT)
_MARKER = (MARKER, 8, 1, 0xFF, ELIDED)


def _message(code: "Descriptor", has_token: bool, *options: "Descriptor") -> "tuple[Descriptor, ...]":
    """Return the descriptors of a whole message; all rules share those of the fields they have in common."""
    if has_token:
        return (_VERSION, _TYPE, _ONE_BYTE, code, _MID, _TOKEN) + options
    return (_VERSION, _TYPE, _NO_TOKEN, code, _MID) + options


RULES = (
    (1, UP, _message(_POST, False, _R, _EVENT, _MARKER)),
    (2, UP, _message(_POST, False, _R, _SENML, _MARKER)),
    (3, UP, _message(_POST, True, _H, _CBOR, _MARKER)),
    (4, BOTH, _message(_GET, True, _S)),
    (5, UP, _message(_GET, True, _F, _DIGEST, _BLOCK2)),
    (6, DOWN, _message(_CHANGED, False, _ACKNOWLEDGEMENT, _MARKER)),
    (8, BOTH, _message(_RESPONSE, True)),
    (9, BOTH, _message(_ANSWER, True, _CBOR, _MARKER)),
    (10, DOWN, _message(_CONTENT, True, _OCTETS, _BLOCK2, _MARKER)),
    (11, BOTH, _message(_ERROR, True, _PROBLEM, _MARKER)),
    (12, DOWN, _message(_POST, True, _X, _CBOR, _MARKER)),
    (13, DOWN, _message(_PUT, True, _S, _CBOR, _MARKER)),
    (14, UP, _message(_POST, False, _R, _SENML, _OLDEST, _MARKER)),
) + tuple(
    [(port, DOWN, _message((CODE, 8, 1, code, ELIDED), False, _ACKNOWLEDGEMENT, _MARKER)) for port, code in REFUSALS]
)
