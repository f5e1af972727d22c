"""The flash, NVS and OTA calls of a VM, and what bootloader and start-up do before it runs.

PowerLost (a cut in the middle of a flash operation) passes through every handler: whoever holds the device cuts its
power. `boot` comes before each start of the VM.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from pave_emulator.flash import nvs
from pave_emulator.flash.esp_error import EspError
from pave_emulator.flash.image import Flash, FlashError, ImageFileError
from pave_emulator.flash.nvs import Nvs
from pave_emulator.flash.nvs_format import NOT_FOUND, NOT_INITIALIZED, NvsError
from pave_emulator.flash.ota import BootChain
from pave_emulator.vm.channel import Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

NVS_LABEL = "nvs"
ENOENT = 2
Result = TypeVar("Result")


class StorageOps:
    """Handlers of FLASH_*, NVS_* and of the OTA calls of esp32.Partition."""

    def __init__(self, flash: Flash, log: Callable[[str], None]) -> None:
        self._flash = flash
        self._log = log
        self._chain = BootChain(flash, log)
        self._nvs: Nvs | None = None
        self._nvs_changes = -1  # Flash.changes when self._nvs was last known to be what the flash holds

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.FLASH_ERASE: lambda address, size, tail: self._flash_op(self._flash.erase, address, size),
            ops.FLASH_PROGRAM: lambda address, tail: self._flash_op(self._flash.program, address, tail),
            ops.NVS_OPEN: lambda tail: bytes([self._nvs_op(lambda nvs: nvs.namespace(tail.decode()))]),
            ops.NVS_GET_I32: lambda space, tail: struct.pack(
                "<i", self._nvs_op(lambda nvs: nvs.get_i32(space, tail.decode()))
            ),
            ops.NVS_SET_I32: lambda space, value, tail: self._nvs_set(
                lambda nvs: nvs.set_i32(space, tail.decode(), value)
            ),
            ops.NVS_GET_BLOB: lambda space, room, tail: self._nvs_op(
                lambda nvs: nvs.get_blob(space, tail.decode(), room)
            ),
            ops.NVS_SET_BLOB: lambda space, key_bytes, tail: self._nvs_set(
                lambda nvs: nvs.set_blob(space, tail[:key_bytes].decode(), tail[key_bytes:])
            ),
            ops.NVS_ERASE: lambda space, tail: self._nvs_set(lambda nvs: nvs.erase_key(space, tail.decode())),
            ops.OTA_SET_BOOT: self.ota_set_boot,
            ops.OTA_NEXT_UPDATE: self.ota_next_update,
            ops.OTA_BOOT_PARTITION: self.ota_boot_partition,
            ops.OTA_MARK_VALID: self.ota_mark_valid,
            ops.NVS_COMMIT: lambda space, tail: b"",  # every write is on flash already, as in ESP-IDF today
        }

    def boot(self, deep_sleep_wake: bool = False) -> str | None:
        """The chip has power and starts: the app the bootloader chose, None when it finds none and resets for ever.

        Then NVS is initialised as MicroPython does. Raise PowerLost where a cut was set.
        """
        try:
            self._flash.power_on()
            app = self._chain.boot(deep_sleep_wake)
        except ImageFileError:  # it has said why
            return None
        if self._nvs_changes != self._flash.changes:
            self._nvs = None
            if app is not None and any(p.label == NVS_LABEL for p in self._flash.partitions):
                self._nvs = self._initialised()
            self._nvs_changes = self._flash.changes
        return app

    # OTA: the calls of esp32.Partition

    def ota_set_boot(self, tail: bytes) -> bytes:
        """Partition.set_boot; tail: label."""
        self._ota(lambda chain: chain.set_boot(tail.decode()))
        return b""

    def ota_next_update(self, tail: bytes) -> bytes:
        """Partition.get_next_update; tail: label; reply tail: label."""
        return self._ota(lambda chain: _label(chain.next_update(tail.decode())))

    def ota_boot_partition(self, tail: bytes) -> bytes:
        """Partition(Partition.BOOT); reply tail: label."""
        return self._ota(lambda chain: _label(chain.boot_partition()))

    def ota_mark_valid(self, tail: bytes) -> bytes:
        """Partition.mark_app_valid_cancel_rollback."""
        self._ota(lambda chain: chain.mark_valid())
        return b""

    def _ota(self, operation: Callable[[BootChain], Result]) -> Result:
        try:
            return operation(self._chain)
        except EspError as error:
            self._log(f"ota: {error}")
            raise OpError(error.status) from error
        except ImageFileError as error:  # it has said why
            raise OpError(ops.ESP_FAIL) from error

    # Flash and NVS

    def _flash_op(self, operation: Callable[..., None], address: int, argument: int | bytes) -> bytes:
        try:
            operation(address, argument)
        except FlashError as error:
            raise OpError(ops.EIO) from error
        return b""

    def _initialised(self) -> Nvs | None:
        """MicroPython does not look whether this works; what then uses NVS fails."""
        try:
            return nvs.initialised(self._flash, self._flash.partition(NVS_LABEL), self._log)
        except (NvsError, FlashError) as error:
            self._log(f"nvs: {error}")
            return None

    def _nvs_op(self, operation: Callable[[Nvs], Result]) -> Result:
        if self._nvs is None:
            raise OpError(NOT_INITIALIZED)
        known = self._nvs_changes == self._flash.changes
        try:
            result = operation(self._nvs)
            if known:
                self._nvs_changes = self._flash.changes
            return result
        except NvsError as error:
            if error.status != NOT_FOUND:  # asking for what is not there is how firmware finds out
                self._log(f"nvs: {error}")
            raise OpError(error.status) from error
        except ImageFileError as error:  # it has said why
            raise OpError(ops.ESP_FAIL) from error

    def _nvs_set(self, operation: Callable[[Nvs], None]) -> bytes:
        self._nvs_op(operation)
        return b""


def _label(label: str | None) -> bytes:
    if label is None:
        raise OpError(ENOENT)
    return label.encode()
