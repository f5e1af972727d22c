"""A device's serial port, complete: RFC 2217 in front, behind it the ROM loader or the firmware's console."""

from __future__ import annotations

from pave_emulator.clock import Clock
from pave_emulator.device import Device
from pave_emulator.device_spec import DEEPSLEEP_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET
from pave_emulator.flash.partitions import PartitionError
from pave_emulator.serial.line import SerialLine
from pave_emulator.serial.port import Rfc2217Port
from pave_emulator.serial.rom_chips import CHIPS, DEEP_SLEEP, POWER_ON, SOFTWARE, WATCHDOG
from pave_emulator.serial.rom_loader import RomLoader
from pave_emulator.serial.terminal import Terminal

RESETS = {PWRON_RESET: POWER_ON, WDT_RESET: WATCHDOG, DEEPSLEEP_RESET: DEEP_SLEEP}


class DevicePort:
    """Give a device a serial port. Make it before the device is powered, at wall clock; then `await start()`."""

    def __init__(self, device: Device, clock: Clock, host: str = "127.0.0.1", port: int = 0) -> None:
        """TCP port 0 takes a free one."""
        self._device = device
        self._terminal = device.terminal = Terminal(clock)
        chip = CHIPS[device.board.mcu.lower().replace("-", "")]
        loader = RomLoader(chip, device.flash, device.spec.mac, device.console.say)
        self.line = SerialLine(self, loader, clock)
        self.server = Rfc2217Port(self.line, host, port)
        self._terminal.heard = self.line.chip_sends
        device.console.tap = self._terminal.printed
        self._resetting = False
        device.on_boot = self._booted

    async def start(self) -> str:
        """Listen; return the URL that esptool and mpremote take."""
        await self.server.start()
        return self.server.url

    async def stop(self) -> None:
        """Stop listening."""
        await self.server.stop()

    # What the line resets and feeds

    def hold(self) -> None:
        """EN is low."""
        self._device.hold_in_reset()

    def reset(self, download: bool) -> None:
        """EN has risen."""
        if download:
            return
        self._resetting = True  # the line has printed the banner
        try:
            self._device.release_reset()
        except PartitionError as error:
            self._device.console.say(f"nothing to boot: {error}")
        self._resetting = False

    def feed(self, data: bytes) -> None:
        """What is typed."""
        self._terminal.feed(data)

    def _booted(self, cause: int) -> None:
        """The device boots: after all resets but a soft one the ROM prints its banner."""
        if cause != SOFT_RESET and not self._resetting:
            self.line.booted(RESETS.get(cause, SOFTWARE))
