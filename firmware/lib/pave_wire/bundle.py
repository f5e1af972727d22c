# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (decoded data may be of any type; isinstance narrows it as far as it goes)
"""The manifest of an update: what a device must know before it changes one byte of itself.

The fields are those of SUIT (RFC 9019, 3; RFC 9124, 4) that Pavé needs, as one CBOR map inside COSE_Sign1:

    {1: 1, 2: vendor, 3: class, 4: sequence, 5: [[path, size, SHA-256], ...]}

    1  version of this format                      any other is refused, as is any further key
    2  vendor, text                                of the device's maker
    3  class, text                                 role and board: "presence/pave-presence-v1"
    4  sequence, 1 to 2**32 - 1                    of the release, one count for each class; only grows
    5  files, one or more                          the release whole, in the order they are fetched

A path begins with what it is written to: "slot/" is the slot of code, "ota/" the MicroPython partition, that does not
run now. So one release serves either slot. Files travel apart, named by digest; a file that is there already need not.
"ota/" is no file system but one image: "ota/micropython.bin" or nothing. A slot is counted in the blocks that LittleFS
takes for it, directories included: sizes alone would admit a release whose many small files do not fit.

`verify` decides in this order, each refusal with its own error: signed by a trusted key, well-formed, our vendor, our
class, newer than what is installed, every path and size allowed. A file is good when its size and SHA-256 are as said
here; until then nothing may be activated. What no signature can show, that a newer release is withheld, is not here.
"""

from pave_wire import cbor, cose, limits
from pave_wire.errors import (
    BundleClassError,
    BundleError,
    BundlePathError,
    BundleSequenceError,
    BundleSizeError,
    BundleVendorError,
    BundleVersionError,
)

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    File = tuple[str, int, bytes]

FORMAT = 1
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
OTA_PATH = "ota/micropython.bin"
_ROOM_BYTES = {"slot": limits.BUNDLE_SLOT_BYTES, "ota": limits.BUNDLE_OTA_BYTES}
_DIRECTORY_BLOCKS = 2  # LittleFS: a pair, of which one holds while the other is written
# LittleFS (its own DESIGN.md, "CTZ skip-lists"): block n > 0 of a file begins with one pointer more than n has trailing
# zeros, of 4 bytes each; in all less than 8 bytes for each block but the first.
_POINTER_BYTES = 8


class Manifest:
    """A release for one class of device.

    Attributes:
        vendor, klass: text.
        sequence: int; a higher one is newer.
        files: list of (path, size in bytes, SHA-256 as 32 bytes).
    """

    __slots__ = ("files", "klass", "sequence", "vendor")

    def __init__(self, vendor: str, klass: str, sequence: int, files: "list[File]") -> None:
        self.vendor = vendor
        self.klass = klass
        self.sequence = sequence
        self.files = files


def encode(manifest: Manifest, kid: bytes) -> tuple[bytes, bytes]:
    """Return (payload, bytes to be signed with ES256 by the key `kid`); `cose.assemble` makes the bundle of both.

    Raises:
        WireError: a device would refuse it; see `decode`.
    """
    files = [list(file) for file in manifest.files]
    payload = cbor.dumps({1: FORMAT, 2: manifest.vendor, 3: manifest.klass, 4: manifest.sequence, 5: files})
    decode(payload)
    return payload, cose.to_be_signed(kid, payload)


def verify(data: bytes, keys: "cose.Keys", vendor: str, klass: str, installed_sequence: int) -> Manifest:
    """Return the `Manifest` in `data`, if this device may install it.

    Args:
        data: COSE_Sign1 bytes.
        keys: {key ID: public key}, see `cose.verify`.
        vendor: this device's.
        klass: this device's.
        installed_sequence: of the release that runs, or the highest ever confirmed; 0 when there was none.

    Raises:
        CborError, CoseError and its subclasses: see `cose.verify`.
        BundleVendorError, BundleClassError: made for other devices.
        BundleSequenceError: not newer than `installed_sequence`.
        BundleError and its other subclasses: see `decode`.
    """
    manifest = _read(cose.verify(data, keys))
    if manifest.vendor != vendor:
        raise BundleVendorError("vendor %r; this device's is %r" % (manifest.vendor, vendor))
    if manifest.klass != klass:
        raise BundleClassError("class %r; this device's is %r" % (manifest.klass, klass))
    if manifest.sequence <= installed_sequence:
        raise BundleSequenceError("sequence %d; newer than %d is wanted" % (manifest.sequence, installed_sequence))
    _check_files(manifest.files)
    return manifest


def decode(payload: bytes) -> Manifest:
    """Return the `Manifest` in `payload` (CBOR bytes), whoever made it, for whatever device.

    Raises:
        CborError: not CBOR within the limits.
        BundleVersionError: another version of the format.
        BundleError: not a manifest.
        BundleSizeError: no file, too many, a file or all of them too large, an empty image of MicroPython.
        BundlePathError: a path that is stated twice, runs through another file, leaves its place, is in "ota/" and not
            `OTA_PATH`, or has characters other than a-z A-Z 0-9 . - _
    """
    manifest = _read(payload)
    _check_files(manifest.files)
    return manifest


def _read(payload: bytes) -> Manifest:
    fields = cbor.loads(payload)
    if not isinstance(fields, dict):
        raise BundleError("a manifest is a map")
    if not _is_uint(fields.get(1)) or fields[1] != FORMAT:
        raise BundleVersionError("manifest of format %r; only %d is known" % (fields.get(1), FORMAT))
    values: "list[Any]" = [fields.get(key) for key in (2, 3, 4, 5)]
    vendor, klass, sequence, files = values
    if len(fields) != 5 or not isinstance(files, list):
        raise BundleError("a manifest has the keys 1 to 5; the last is an array")
    for text in (vendor, klass):
        if not isinstance(text, str) or not 0 < len(text) <= limits.TEXT_CHARS:
            raise BundleError("vendor or class %r; 1 to %d characters" % (text, limits.TEXT_CHARS))
    if not _is_uint(sequence) or not 0 < sequence <= limits.SEQ_MAX:
        raise BundleError("sequence %r; 1 to %d" % (sequence, limits.SEQ_MAX))
    if not 0 < len(files) <= limits.BUNDLE_FILES:
        raise BundleSizeError("%d files; 1 to %d" % (len(files), limits.BUNDLE_FILES))
    return Manifest(vendor, klass, sequence, [_file(item) for item in files])


def _is_uint(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _file(item: "Any") -> "File":
    if not isinstance(item, list) or len(item) != 3:
        raise BundleError("a file is [path, size, SHA-256]")
    path, size, digest = item
    if not isinstance(path, str) or not _is_uint(size) or not isinstance(digest, bytes) or len(digest) != 32:
        raise BundleError("file %r, %r: text, size, 32 bytes" % (path, size))
    return path, size, digest


def _check_files(files: "list[File]") -> None:
    room_bytes = dict(_ROOM_BYTES)
    paths: list[str] = []
    directories: set[str] = set()
    for path, size, _ in files:
        place = _place_of(path)
        _check_against(paths, path)
        paths.append(path)
        if place == "ota" and not size:
            raise BundleSizeError("%s of 0 bytes; an image of MicroPython is not empty" % path)
        cost = size if place == "ota" else _slot_blocks(path, size, directories) * limits.FLASH_BLOCK_BYTES
        if cost > room_bytes[place]:
            raise BundleSizeError("%s of %d bytes takes %d; %d are left" % (path, size, cost, room_bytes[place]))
        room_bytes[place] -= cost


def _check_against(paths: list[str], path: str) -> None:
    """Raise BundlePathError if `path` is one of `paths`, or one of the two would be the other's directory."""
    for other in paths:
        if path == other:
            raise BundlePathError("path %r is stated twice" % path)
        if path.startswith(other + "/") or other.startswith(path + "/"):
            raise BundlePathError("paths %r and %r; one cannot be file and directory" % (other, path))


def _slot_blocks(path: str, size: int, directories: set[str]) -> int:
    """Return the blocks of a file in a slot and of those of its directories that are not yet in `directories`."""
    block_bytes = limits.FLASH_BLOCK_BYTES
    blocks = max(1, -(-(size - _POINTER_BYTES) // (block_bytes - _POINTER_BYTES)))
    end = path.find("/")
    while end >= 0:
        if path[:end] not in directories:
            directories.add(path[:end])
            blocks += _DIRECTORY_BLOCKS
        end = path.find("/", end + 1)
    return blocks


def _place_of(path: str) -> str:
    """Return the first segment of `path`, "slot" or "ota", once the whole of it is known to be harmless."""
    segments = path.split("/")
    if len(path) > limits.BUNDLE_PATH_CHARS or len(segments) < 2 or segments[0] not in _ROOM_BYTES:
        raise BundlePathError("path %r; slot/ or ota/, up to %d characters" % (path, limits.BUNDLE_PATH_CHARS))
    for segment in segments:
        if segment in ("", ".", "..") or any(char not in _PLAIN for char in segment):
            raise BundlePathError("segment %r of path %r" % (segment, path))
    if segments[0] == "ota" and path != OTA_PATH:
        raise BundlePathError("path %r; in ota/ only %r" % (path, OTA_PATH))
    return segments[0]
