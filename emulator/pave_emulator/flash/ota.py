"""The boot chain: which app the bootloader starts, and what firmware can do about it.

Theory of operation. `otadata` has two sectors with an entry each: a sequence number, a state and a CRC of the number.
The valid entry with the larger number is active, and its app is slot (number - 1) modulo the number of slots. A new
choice is written to the other sector, so that one is always whole. States, with rollback enabled: `set_boot` writes
NEW; the bootloader makes it PENDING_VERIFY when it starts that app; the app makes it VALID; a start that still finds
PENDING_VERIFY makes it ABORTED and takes the other entry. What cannot be started (no image, wrong checksum or digest)
is passed over: down from the chosen slot to the factory app, then up.

Sources: bootloader_utility.c and esp_ota_ops.c of ESP-IDF v5.5.2; MicroPython 1.29 builds with
CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y and CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP=y
(ports/esp32/boards/sdkconfig.base): a wake-up from deep sleep starts the same app again and looks at nothing.

An image without any app is one made for the emulator alone: its first app partition counts as holding MicroPython.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from pave_emulator.flash import app_image
from pave_emulator.flash.esp_error import FAIL, INVALID_ARG, NOT_FOUND, OTA_VALIDATE_FAILED, EspError
from pave_emulator.flash.image import SECTOR_BYTES, Flash
from pave_emulator.flash.partitions import (
    SUBTYPE_FACTORY,
    SUBTYPE_OTA_0,
    SUBTYPE_OTA_DATA,
    TYPE_APP,
    TYPE_DATA,
    Partition,
)

ENTRY_BYTES = 32
UNSET = 0xFFFFFFFF
MAX_SLOTS = 16
FACTORY = -1  # the bootloader's index of the factory app; slots count from 0


class State(IntEnum):
    """esp_ota_img_states_t."""

    NEW = 0
    PENDING_VERIFY = 1
    VALID = 2
    INVALID = 3
    ABORTED = 4
    UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class OtaEntry:
    """One of the two entries of `otadata`. `state` may be a number that State does not know, in damaged flash."""

    sequence: int
    state: int
    crc: int
    label: bytes = b"\xff" * 20

    @staticmethod
    def new(sequence: int, state: State) -> OtaEntry:
        """With the CRC that belongs to the sequence number."""
        return OtaEntry(sequence, state, _crc(sequence))

    @staticmethod
    def parse(data: bytes) -> OtaEntry:
        """From its 32 bytes."""
        sequence, label, state, crc = struct.unpack("<I20sII", data)
        return OtaEntry(sequence, state, crc, label)

    def pack(self) -> bytes:
        """Its 32 bytes."""
        return struct.pack("<I20sII", self.sequence, self.label, self.state, self.crc)

    @property
    def is_sound(self) -> bool:
        """Written, and the CRC is right."""
        return self.sequence != UNSET and self.crc == _crc(self.sequence)

    @property
    def is_rejected(self) -> bool:
        """Never written, or its app was found not to work (bootloader_common_ota_select_invalid)."""
        return self.sequence == UNSET or self.state in (State.INVALID, State.ABORTED)

    @property
    def is_valid(self) -> bool:
        """May be active."""
        return self.is_sound and not self.is_rejected


def _crc(sequence: int) -> int:
    return zlib.crc32(struct.pack("<I", sequence), 0xFFFFFFFF)


class BootChain:
    """Bootloader and OTA calls of one device. Labels name partitions; `log` gets what the bootloader says."""

    def __init__(self, flash: Flash, log: Callable[[str], None]) -> None:
        self._flash = flash
        self._log = log
        apps = [p for p in flash.partitions if p.type == TYPE_APP]
        self._factory = next((p for p in apps if p.subtype == SUBTYPE_FACTORY), None)
        slots = [p for p in apps if SUBTYPE_OTA_0 <= p.subtype < SUBTYPE_OTA_0 + MAX_SLOTS]
        self._slots = sorted(slots, key=lambda p: p.subtype)
        data = [p for p in flash.partitions if (p.type, p.subtype) == (TYPE_DATA, SUBTYPE_OTA_DATA)]
        self._ota_data = data[0] if data else None

    # The bootloader

    def boot(self, deep_sleep_wake: bool = False) -> str | None:
        """Choose and start an app; its label, or None when there is none to start and the chip resets for ever.

        Writes `otadata` as the bootloader does. Raise PowerLost where a cut was set.
        """
        running = self._flash.running_app()
        if deep_sleep_wake and running is not None:
            return running
        start, initial = self._selected()
        order = [*range(start, FACTORY - 1, -1), *range(start + 1, len(self._slots))]
        chosen = next((index for index in order if self._starts(index)), None)
        if chosen is not None and initial and chosen > FACTORY:
            self._write(0, OtaEntry.new(chosen + 1, State.VALID))
        if chosen is None:
            self._log("boot: No bootable app partitions in the partition table")
        app = None if chosen is None else self._at(chosen)
        self._flash.set_running_app(app.label if app else None)
        return self._flash.running_app()

    def _selected(self) -> tuple[int, bool]:
        """Index to start from, and whether `otadata` is to be given its first entry."""
        if self._ota_data is None:
            return FACTORY, False
        for index, entry in enumerate(self.entries()):
            if entry.state == State.PENDING_VERIFY:
                self._log(f"boot: otadata[{index}] was not confirmed: ABORTED")
                self._write(index, replace(entry, state=State.ABORTED))
        entries = self.entries()
        if all(entry.is_rejected for entry in entries) or not self._slots:
            if self._factory:
                return FACTORY, False
            return 0, not any(entry.is_sound for entry in entries)
        active = _active(entries)
        if active is None:
            return FACTORY, False
        if entries[active].state == State.NEW:
            self._write(active, replace(entries[active], state=State.PENDING_VERIFY))
        return (entries[active].sequence - 1) % len(self._slots), False

    def _starts(self, index: int) -> bool:
        app = self._at(index)
        if app is None:
            return False
        problem = self._problem(app)
        if problem:
            self._log(f"boot: {app.label} is not bootable: {problem}")
        return problem is None

    def _at(self, index: int) -> Partition | None:
        if index == FACTORY:
            return self._factory
        return self._slots[index] if index < len(self._slots) else None

    def _problem(self, partition: Partition) -> str | None:
        """Why the bootloader would not start what is in a partition; None when it would."""
        if self._is_bare() and partition is (self._factory or self._slots[0]):
            return None
        try:
            app_image.verify(lambda offset, size: self._flash.read(partition.offset + offset, size), partition.size)
        except app_image.AppImageError as error:
            return str(error)
        return None

    def _is_bare(self) -> bool:
        apps = [*self._slots, *([self._factory] if self._factory else [])]
        blank = b"\xff" * app_image.HEADER_BYTES
        return bool(apps) and all(self._flash.read(p.offset, len(blank)) == blank for p in apps)

    # What esp32.Partition does

    def set_boot(self, label: str) -> None:
        """esp_ota_set_boot_partition: start this app next time. Raise EspError."""
        partition = self._flash.partition(label)
        problem = self._problem(partition) if partition.type == TYPE_APP else "not an app partition"
        if problem:
            raise EspError(OTA_VALIDATE_FAILED, f"{label}: {problem}")
        if self._ota_data is None:
            raise EspError(NOT_FOUND, "the partition table has no otadata")
        if partition is self._factory:
            self._flash.erase(self._ota_data.offset, self._ota_data.size)
            return
        if partition not in self._slots:
            raise EspError(INVALID_ARG, f"{label} (subtype {partition.subtype:#x}) is no OTA slot")
        self._choose(self._slots.index(partition))

    def _choose(self, slot: int) -> None:
        """Write the smallest sequence number that names the slot and is not below the active one."""
        entries = self.entries()
        active = _active(entries)
        count = len(self._slots)
        if active is None:
            self._write(0, OtaEntry.new(slot + 1, State.NEW))
            return
        remainder = (slot + 1) % count
        rounds = max(0, -(-(entries[active].sequence - remainder) // count))
        sequence = remainder + rounds * count
        self._write(1 - active, OtaEntry.new(sequence, State.NEW))

    def boot_partition(self) -> str | None:
        """esp_ota_get_boot_partition: label of the app that `otadata` names, whether it can be started or not."""
        if self._ota_data is None:
            return None
        entries = self.entries()
        active = None if all(entry.is_rejected for entry in entries) else _active(entries)
        if active is not None and self._slots:
            return self._slots[(entries[active].sequence - 1) % len(self._slots)].label
        default = self._factory or (self._slots[0] if self._slots else None)
        return default.label if default else None

    def next_update(self, label: str) -> str | None:
        """esp_ota_get_next_update_partition: label of the OTA slot after `label`, the first after the last."""
        labels = [slot.label for slot in self._slots]
        if not labels:
            return None
        return labels[(labels.index(label) + 1) % len(labels)] if label in labels else labels[0]

    def mark_valid(self) -> None:
        """esp_ota_mark_app_valid_cancel_rollback: the running app works. Raise EspError."""
        if self._ota_data is None:
            raise EspError(NOT_FOUND, "the partition table has no otadata")
        entries = self.entries()
        active = _active(entries)
        if active is None or not self._slots:
            raise EspError(FAIL, "the running app is the factory app")
        if entries[active].state != State.VALID:
            self._write(active, replace(entries[active], state=State.VALID))

    # otadata

    def entries(self) -> tuple[OtaEntry, OtaEntry]:
        """Both entries of `otadata`. Raise EspError when there is no such partition."""
        if self._ota_data is None:
            raise EspError(NOT_FOUND, "the partition table has no otadata")
        first = self._flash.read(self._ota_data.offset, ENTRY_BYTES)
        second = self._flash.read(self._ota_data.offset + SECTOR_BYTES, ENTRY_BYTES)
        return OtaEntry.parse(first), OtaEntry.parse(second)

    def _write(self, index: int, entry: OtaEntry) -> None:
        assert self._ota_data is not None
        address = self._ota_data.offset + index * SECTOR_BYTES
        self._flash.erase(address)
        self._flash.program(address, entry.pack())


def _active(entries: tuple[OtaEntry, OtaEntry]) -> int | None:
    """Index of the valid entry with the larger sequence number; the first of two equal ones."""
    valid = [index for index, entry in enumerate(entries) if entry.is_valid]
    return max(valid, key=lambda index: (entries[index].sequence, -index), default=None)
