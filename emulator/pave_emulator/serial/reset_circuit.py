"""The two transistors between a USB bridge's DTR and RTS and the chip's EN and GPIO0.

Theory of operation. A line that is asserted is at 0 V. RTS alone pulls EN low, DTR alone pulls GPIO0 low, both together
do neither: so a terminal program that asserts both does not hold the chip in reset. The chip samples GPIO0 as EN rises.

    DTR  RTS   EN    GPIO0
    off  off   high  high
    on   on    high  high
    off  on    low   high     reset
    on   off   high  low      download mode, when EN has just risen

esptool's portable sequence goes from reset to download through "both on", and the capacitor on EN must hold it low
meanwhile (14 ms with 10 kOhm and 1 uF: 1.39 RC to the 0.75 VDD of ESP32 datasheet table 12). Over a network the lines
change 50 ms or more apart, which is why Espressif's esp_rfc2217_server plays the sequence again by itself when it sees
its beginning. Here EN stays low for EN_HOLD_S instead, which comes to the same.

Sources: ESP32-DevKitC schematic, auto program truth table; esptool documentation, "Boot Mode Selection", Automatic
Bootloader, and "Remote Serial Ports".
"""

from __future__ import annotations

EN_HOLD_S = 1.0

HOLD, FLASH_BOOT, DOWNLOAD_BOOT = "hold", "flash boot", "download boot"


class ResetCircuit:
    """Lines in, what becomes of the chip out. Times are a clock's seconds."""

    def __init__(self) -> None:
        self.dtr = False
        self.rts = False
        self._in_reset = False
        self._rises_s: float | None = None

    def set(self, dtr: bool, rts: bool, now_s: float) -> str | None:
        """Set both lines (True: asserted). Return HOLD, FLASH_BOOT, DOWNLOAD_BOOT, or None when nothing happens."""
        self.dtr, self.rts = dtr, rts
        if rts and not dtr:
            self._rises_s = None
            if self._in_reset:
                return None
            self._in_reset = True
            return HOLD
        if not self._in_reset:
            return None
        if dtr and rts:
            self._rises_s = now_s + EN_HOLD_S
            return None
        return self._rise()

    def next_event_s(self) -> float | None:
        """When EN rises by itself; None when it will not."""
        return self._rises_s

    def advance(self, now_s: float) -> str | None:
        """Let EN rise if it is due."""
        return self._rise() if self._rises_s is not None and now_s >= self._rises_s else None

    def _rise(self) -> str:
        self._in_reset, self._rises_s = False, None
        return DOWNLOAD_BOOT if self.dtr and not self.rts else FLASH_BOOT
