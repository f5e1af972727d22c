"""What happened, in order: every datagram, flash operation, pin edge, boot and console line of a run.

Theory of operation. Whoever does something records it, with the clock's time. A trace keeps nothing: it tells its
subscribers (files, plots, the terminal) and folds each record into a SHA-256, so that two runs can be compared by one
line. Records are canonical JSON: sorted keys, no spaces, time in whole microseconds, bytes in hexadecimal. The first
is the header, of kind `run`: seed, scenario, boards and the emulator's version, so the hash is of these too.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

BOOT, SLEEP, RESET, POWER = "boot", "sleep", "reset", "power"
PIN, FLASH, CONSOLE = "pin", "flash", "console"
DATAGRAM, LORA, TRUTH, FAULT = "datagram", "lora", "truth", "fault"
RUN = "run"
KINDS = (RUN, BOOT, SLEEP, RESET, POWER, PIN, FLASH, CONSOLE, DATAGRAM, LORA, TRUTH, FAULT)

FIELDS: dict[str, tuple[str, ...]] = {
    RUN: ("seed", "scenario", "boards", "version"),
    BOOT: ("cause", "wake"),
    SLEEP: ("ms",),
    RESET: ("held",),
    POWER: ("on",),
    PIN: ("pin", "level"),
    FLASH: ("what", "address", "size"),
    CONSOLE: ("line",),
    DATAGRAM: ("way", "data", "lost", "duplicated", "tcp"),
    LORA: (
        "what", "reason", "sender", "frequency_hz", "sf", "bw_hz", "cr", "iq", "sync_word", "crc", "implicit",
        "payload", "power_dbm", "airtime_us", "rssi_dbm", "snr_db", "crc_ok",
    ),
}  # fmt: skip
"""What records of a kind may hold besides the device; of the kinds not here it depends on what happened."""


@dataclass(frozen=True)
class Record:
    """One thing that happened. `device` is "" for the world's own; `fields` hold numbers, texts and bytes."""

    t_us: int
    device: str
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Canonical JSON, without a line end."""
        return json.dumps(
            [self.t_us, self.device, self.kind, self.fields], sort_keys=True, separators=(",", ":"), default=_hex
        )


class Trace:
    """Where records go. With no subscriber and no hashing it costs next to nothing."""

    def __init__(self, hashed: bool = False) -> None:
        self._hash = hashlib.sha256() if hashed else None
        self.subscribers: list[Callable[[Record], None]] = []
        self.records = 0
        self.header: Record | None = None

    def begin(self, **of_run: Any) -> None:
        """What the trace is of; the version comes in by itself. It goes before the first record."""
        version = importlib.metadata.version("pave")
        self.header = Record(0, "", RUN, {**of_run, "version": version})

    def record(self, t_s: float, device: str, kind: str, **fields: Any) -> None:
        """Record what `device` did at `t_s`."""
        if self._hash is None and not self.subscribers:
            return
        self.add(Record(round(t_s * 1e6), device, kind, fields))

    def add(self, record: Record) -> None:
        """Record what the world has done."""
        if not self.records and self.header and record is not self.header:
            self.add(self.header)
        self.records += 1
        if self._hash is not None:
            self._hash.update(record.line().encode() + b"\n")
        for subscriber in self.subscribers:
            subscriber(record)

    def digest(self) -> str:
        """SHA-256 of all records so far, hexadecimal. Raise ValueError when the trace does not hash."""
        if self._hash is None:
            raise ValueError("this trace was made without hashing")
        return self._hash.hexdigest()


def _hex(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return value.hex()
    raise TypeError(f"a trace cannot hold {value!r}")
