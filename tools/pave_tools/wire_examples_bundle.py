"""The update's bundle in docs/WIRE.md: one that a key known to all has signed, and every way to be refused.

The key is that of RFC 6979, appendix A.2.5, whose deterministic signatures it makes: not fit for any other use.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pave_tools.wire_examples import dump, fenced, fields, file_name, hexed, table
from pave_wire import bundle, cbor, cose, limits
from pave_wire.errors import WireError

_KEY = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
_NUMBERS = _KEY.public_key().public_numbers()
PUBLIC = _NUMBERS.x.to_bytes(32, "big") + _NUMBERS.y.to_bytes(32, "big")
KID = b"example"
VENDOR, KLASS, INSTALLED = "pave", "presence/pave-presence-v1", 41
FILES = [
    (path, size, hashlib.sha256(bytes(size)).digest())
    for path, size in (("slot/main.mpy", 210), ("slot/app/presence.mpy", 3070))
]
_LONG = "slot/" + limits.BUNDLE_PATH_CHARS * "x"


def sign(message: bytes) -> bytes:
    """Return r || s, the signature that RFC 6979 makes of `message`."""
    r, s = decode_dss_signature(_KEY.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _install(data: bytes) -> bundle.Manifest:
    return bundle.verify(data, {KID: PUBLIC}, VENDOR, KLASS, INSTALLED)


def example() -> str:
    """A release of two files, signed, byte by byte."""
    payload, to_be_signed = bundle.encode(bundle.Manifest(VENDOR, KLASS, INSTALLED + 1, FILES), KID)
    signature = sign(to_be_signed)
    data = cose.assemble(KID, payload, signature)
    if _install(data).files != FILES:
        raise ValueError("the bundle came out as another")
    protected = cose.decode(data)[0]
    outside = (
        (1, "tag 18, COSE_Sign1"), (1, "array of 4"), (1, f"protected header, {len(protected)} bytes:"),
        (3, "map of 2; 1, algorithm: -7, ES256"), (2 + len(KID), f'4, key ID: "{KID.decode()}"'),
        (1, "unprotected header, empty"), (2, f"payload, {len(payload)} bytes:"),
    )  # fmt: skip
    inside = [
        (3, "map of 5; 1, format: 1"), (2 + len(VENDOR), f'2, vendor: "{VENDOR}"'),
        (3 + len(KLASS), f'3, class: "{KLASS}"'), (3, f"4, sequence: {INSTALLED + 1}"),
        (2, f"5, files: array of {len(FILES)}"),
    ]  # fmt: skip
    for path, size, _ in FILES:
        head = 1 if len(path) < 24 else 2
        inside += [(1 + head + len(path), f'"{path}"'), (len(cbor.dumps(size)), f"{size} bytes"), (34, "SHA-256")]
    behind = ((2, "signature, 64 bytes:"), (32, "r"), (32, "s"))
    parts = (*outside, *inside, *behind)
    return fenced(
        f"public key x  {hexed(PUBLIC[:32])}\n           y  {hexed(PUBLIC[32:])}\n\n"
        f"{len(data)} bytes:\n\n{fields(data, parts)}\n\nwhat is signed, {len(to_be_signed)} bytes:\n\n"
        f"{dump(to_be_signed)}\n\nwhere the first file is: /f/{file_name(FILES[0][2]).decode()}"
    )


class _Faulty:
    """A bundle to be spoiled."""

    def __init__(self) -> None:
        self.manifest: Any = {1: 1, 2: VENDOR, 3: KLASS, 4: INSTALLED + 1, 5: [list(file) for file in FILES]}
        self.payload: bytes | None = None
        self.protected: Any = {1: cose.ES256, 4: KID}
        self.header: bytes | None = None
        self.unprotected: Any = {}
        self.signed = True
        self.parts: list[Any] = []
        self.tag, self.tail = b"\xd2", b""

    def data(self) -> bytes:
        """Return it as it would travel."""
        payload = cbor.dumps(self.manifest) if self.payload is None else self.payload
        protected = cbor.dumps(self.protected) if self.header is None else self.header
        signature = sign(cbor.dumps(["Signature1", protected, b"", payload])) if self.signed else bytes(64)
        parts = self.parts or [protected, self.unprotected, payload, signature]
        return self.tag + cbor.dumps(parts) + self.tail


def _set(name: str, value: Any) -> Callable[[_Faulty], None]:
    return lambda faulty: setattr(faulty, name, value)


def _field(name: str, key: int, value: Any) -> Callable[[_Faulty], None]:
    return lambda faulty: getattr(faulty, name).__setitem__(key, value)


def _files(*files: tuple[Any, ...]) -> Callable[[_Faulty], None]:
    return _field("manifest", 5, [list(file) for file in files])


_DIGEST = bytes(32)
FAULTS: tuple[tuple[str, Callable[[_Faulty], None]], ...] = (
    (f"more than {limits.COSE_BYTES:,} bytes", _set("tail", bytes(limits.COSE_BYTES))),
    ("first byte not `d2`", _set("tag", b"\xd1")),
    ("not CBOR within its limits, or bytes left over", _set("tail", b"\0")),
    ("not an array of 4: byte string, map, byte string, byte string", _set("parts", [b"", {}, None, b""])),
    ("protected header: not CBOR", _set("header", b"\xff")),
    ("protected header: not a map", _set("protected", [])),
    ("a label in both headers", _set("unprotected", {4: KID})),
    ("2, crit, in a header", _set("protected", {1: cose.ES256, 2: [99], 4: KID})),
    ("algorithm not ES256, or not in the protected header", _set("protected", {1: -35, 4: KID})),
    ("key ID not a byte string, or in neither header", _set("protected", {1: cose.ES256})),
    ("key ID not among the trusted", _set("protected", {1: cose.ES256, 4: b"other"})),
    ("signature of another key or over other bytes", _set("signed", False)),
    ("payload: not CBOR within its limits", _set("payload", b"\xff")),
    ("payload: not a map", _set("manifest", [])),
    ("1 is not 1", _field("manifest", 1, 2)),
    ("a key other than 1 to 5, or one missing; 5 not an array", _field("manifest", 6, 0)),
    (f"vendor or class not text of 1 to {limits.TEXT_CHARS} characters", _field("manifest", 2, "")),
    (f"sequence not 1 to {limits.SEQ_MAX:,}", _field("manifest", 4, 0)),
    (f"not 1 to {limits.BUNDLE_FILES} files", _files()),
    ("a file not [text, integer from 0, 32 bytes]", _files(("slot/a", 1, b""))),
    ("vendor not this device's", _field("manifest", 2, "other")),
    ("class not this device's", _field("manifest", 3, "kiosk/pave-kiosk-v1")),
    ("sequence not above the installed one", _field("manifest", 4, INSTALLED)),
    ("a path not as below", _files((_LONG, 1, _DIGEST))),
    ("a path twice, or through another file", _files(("slot/a", 1, _DIGEST), ("slot/a/b", 2**32, _DIGEST))),
    (f"`{bundle.OTA_PATH}` empty", _files((bundle.OTA_PATH, 0, _DIGEST))),
    ("no room left where it is to go", _files(("slot/a", limits.BUNDLE_SLOT_BYTES, _DIGEST))),
)


def refused(first: int) -> str:
    """Return the error of a bundle with fault `first` and, as far as one can have both, every later one."""
    faulty = _Faulty()
    for _, spoil in reversed(FAULTS[first:]):
        spoil(faulty)
    try:
        _install(faulty.data())
    except WireError as error:
        return type(error).__name__
    raise ValueError(f"a bundle was accepted: {FAULTS[first][0]}")


def checks() -> str:
    """The order of the checks, each with its error."""
    rows = [(number + 1, what, f"`{refused(number)}`") for number, (what, _) in enumerate(FAULTS)]
    return table(("", "refused", "error"), rows)


BLOCKS: dict[str, Callable[[], str]] = {"bundle": example, "bundle-checks": checks}
