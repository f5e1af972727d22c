"""LittleFS v2 images as MicroPython on the ESP32 would have made them.

The parameters are those of `VfsLfs2` (MicroPython 1.27 to 1.29: extmod/vfs_lfs.c and vfs_lfsx.c; `esp32.Partition` has
blocks of one flash sector): readsize, progsize and lookahead 32, cache 4 * 32, 100 block cycles, disk version 2.1.
`block_count` must equal the partition's: a file system that thinks it is smaller or larger does not mount.
"""

from collections.abc import Mapping
from typing import IO

from littlefs import LittleFS, LittleFSError, UserContext

from pave_tools.errors import ImageError

BLOCK_BYTES = 4096
_DISK_VERSION = 0x0002_0001


def build_littlefs(files: Mapping[str, bytes], size_bytes: int) -> bytes:
    """Return the image of a partition of `size_bytes` holding `files` (absolute path -> content).

    The same files give the same bytes, whatever the order of the mapping; no times are recorded.
    Raises `ImageError` for a path that is not absolute, or when the files do not fit.
    """
    buffer = bytearray(b"\xff") * size_bytes
    filesystem = _open(buffer)
    filesystem.format()
    filesystem.mount()
    try:
        for path in sorted(files):
            _write_file(filesystem, path, files[path])
    except LittleFSError as error:
        total_bytes = sum(len(content) for content in files.values())
        raise ImageError(
            f"{len(files)} files of {total_bytes} bytes in a partition of {size_bytes}: {error}"
        ) from error
    filesystem.unmount()
    return bytes(buffer)


def read_littlefs(image: bytes) -> dict[str, bytes]:
    """Return every file of an image by absolute path; raises `ImageError` when it is no LittleFS of that size."""
    filesystem = _open(bytearray(image))
    try:
        filesystem.mount()
        paths = [f"{folder.rstrip('/')}/{name}" for folder, _, names in filesystem.walk("/") for name in names]
        return {path: _read_file(filesystem, path) for path in paths}
    except LittleFSError as error:
        raise ImageError(f"no LittleFS of {len(image)} bytes here: {error}") from error


def _open(buffer: bytearray) -> LittleFS:
    return LittleFS(
        UserContext(buffer=buffer),
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=len(buffer) // BLOCK_BYTES,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        block_cycles=100,
        disk_version=_DISK_VERSION,
    )


def _write_file(filesystem: LittleFS, path: str, content: bytes) -> None:
    if not path.startswith("/") or path.endswith("/"):
        raise ImageError(f"{path!r} is not an absolute path of a file on the device")
    folder = path.rpartition("/")[0]
    if folder:
        filesystem.makedirs(folder, exist_ok=True)
    file: IO[bytes] = filesystem.open(path, "wb")
    with file:
        file.write(content)


def _read_file(filesystem: LittleFS, path: str) -> bytes:
    file: IO[bytes] = filesystem.open(path, "rb")
    with file:
        return file.read()
