"""The flash and NVS calls of a VM."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from pave_emulator.flash.image import Flash, FlashError
from pave_emulator.flash.nvs import NOT_FOUND, Nvs
from pave_emulator.flash.nvs_log import NvsError
from pave_emulator.vm.channel import Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

NVS_LABEL = "nvs"
Result = TypeVar("Result")


class StorageOps:
    """Handlers of FLASH_* and NVS_*. NVS is read from the image again at every boot."""

    def __init__(self, flash: Flash, log: Callable[[str], None]) -> None:
        self._flash = flash
        self._log = log
        self._nvs: Nvs | None = None

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
            ops.NVS_COMMIT: lambda space, tail: b"",  # every write is on flash already, as in ESP-IDF today
        }

    def boot(self) -> None:
        """The chip has reset: what NVS knows is what the flash holds."""
        self._nvs = None

    def _flash_op(self, operation: Callable[..., None], address: int, argument: int | bytes) -> bytes:
        try:
            operation(address, argument)
        except FlashError as error:
            raise OpError(ops.EIO) from error
        return b""

    def _nvs_op(self, operation: Callable[[Nvs], Result]) -> Result:
        try:
            return operation(self._store())
        except NvsError as error:
            if error.status != NOT_FOUND:  # asking for what is not there is how firmware finds out
                self._log(f"nvs: {error}")
            raise OpError(error.status) from error

    def _nvs_set(self, operation: Callable[[Nvs], None]) -> bytes:
        self._nvs_op(operation)
        return b""

    def _store(self) -> Nvs:
        if self._nvs is None:
            entry = self._flash.partition(NVS_LABEL)
            self._nvs = Nvs(self._flash, entry.offset, entry.size)
        return self._nvs
