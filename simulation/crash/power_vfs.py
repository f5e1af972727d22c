"""A disk that loses power: what it holds afterwards is what was synced, and whatever else it pleases.

`RecordingVfs` lies under SQLite and notes every write, truncation, sync and deletion of the journal and its write-ahead
log; -shm is shared memory and dies with the machine. It can be full for a while, too. `Disk.image` then gives what a
power cut at any of these operations can leave: of the writes that were not synced each may be there, may be missing, or
be torn, sector by sector and once within one. Bytes outside a write are left alone (https://sqlite.org/psow.html).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset; a truncation has no bytes and its offset is the size."""

    file: str
    offset: int
    data: bytes
    truncates: bool = False


@dataclass(frozen=True, slots=True)
class Sync:
    """All that was written to the file is on the disk when this returns."""

    file: str


@dataclass(frozen=True, slots=True)
class Delete:
    """The file is gone; unless its folder was synced it may be there again after a power cut."""

    file: str
    folder_synced: bool


Operation = Write | Sync | Delete


class RecordingVfs(apsw.VFS):
    """Passes everything on, and notes it in `operations`. Files are named by their suffix: "", "-wal", "-journal"."""

    def __init__(self, journal: Path) -> None:
        self.name = f"recording{next(_numbers)}"
        self.operations: list[Operation] = []
        self.room: int | None = None  # writes until the disk is full; None: there is no end
        self._journal = str(journal)
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open one of SQLite's files."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        suffix = path.removeprefix(self._journal) if path and path.startswith(self._journal) else None
        return apsw.VFSFile("", name, flags) if suffix is None else _RecordingFile(self, suffix, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete one of SQLite's files."""
        super().xDelete(filename, syncdir)
        self.operations.append(Delete(filename.removeprefix(self._journal), bool(syncdir)))


class _RecordingFile(apsw.VFSFile):
    def __init__(self, vfs: RecordingVfs, suffix: str, name: Any, flags: list[int]) -> None:
        self._vfs = vfs
        self._operations = vfs.operations
        self._suffix = suffix
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._vfs.room is not None:
            if self._vfs.room == 0:
                raise apsw.FullError("no room")
            self._vfs.room -= 1
        self._operations.append(Write(self._suffix, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._operations.append(Write(self._suffix, newsize, b"", truncates=True))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._operations.append(Sync(self._suffix))


@dataclass
class Disk:
    """What is certainly on the disk, by file, and what may be."""

    synced: dict[str, bytes] = field(default_factory=dict)
    pending: dict[str, list[Write | Delete]] = field(default_factory=dict)

    def run(self, operations: Sequence[Operation]) -> None:
        """Take operations, in their order."""
        for operation in operations:
            if isinstance(operation, Sync):
                content = self.synced.get(operation.file, b"")
                for write in self.pending.pop(operation.file, ()):
                    content = _after(content, write)
                self.synced[operation.file] = content
            elif isinstance(operation, Delete) and operation.folder_synced:
                self.synced.pop(operation.file, None)
                self.pending.pop(operation.file, None)
            else:
                self.pending.setdefault(operation.file, []).append(operation)

    def image(self, source: random.Random, keep: float) -> dict[str, bytes]:
        """Return the files after a power cut; `keep` is how likely a write is there that was not synced.

        0 keeps none and 1 keeps all; in between some are torn.
        """
        files: dict[str, bytes] = {}
        for file in sorted(self.synced.keys() | self.pending.keys()):
            content = self.synced.get(file, b"")
            for write in self.pending.get(file, ()):
                for piece in _survivors(write, source, keep):
                    content = _after(content, piece)
            if content or file in self.synced:
                files[file] = content
        return files


def _survivors(write: Write | Delete, source: random.Random, keep: float) -> list[Write | Delete]:
    """Return what is left of a write that was not synced."""
    if keep in (0.0, 1.0) or isinstance(write, Delete) or write.truncates or source.random() < 0.5:
        return [write] if source.random() < keep else []
    pieces = [piece for piece in _sectors(write) if source.random() < keep]
    if pieces and source.random() < 0.5:  # one sector is cut where the power went
        at = source.randrange(len(pieces))
        cut = source.randrange(len(pieces[at].data))
        pieces[at] = Write(write.file, pieces[at].offset, pieces[at].data[:cut])
    return [*pieces]


def _sectors(write: Write) -> list[Write]:
    first = -write.offset % SECTOR_BYTES
    cuts = [0, *range(first or SECTOR_BYTES, len(write.data), SECTOR_BYTES), len(write.data)]
    return [
        Write(write.file, write.offset + start, write.data[start:end])
        for start, end in itertools.pairwise(cuts)
        if end > start
    ]


def _after(content: bytes, write: Write | Delete) -> bytes:
    if isinstance(write, Delete):
        return b""
    if write.truncates:
        return content[: write.offset].ljust(write.offset, b"\0")
    start, end = write.offset, write.offset + len(write.data)
    return content[:start].ljust(start, b"\0") + write.data + content[end:]
