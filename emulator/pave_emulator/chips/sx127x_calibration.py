"""SX1276: image and RSSI calibration of the receiver, RegImageCal of the FSK/OOK page (DS_SX1276-7-8-9, 4.2.3.8).

Theory of operation. Power-on and reset calibrate at 434 MHz, before the chip is ready. After that the firmware does, in
standby with its own frequency set: ImageCalStart, then ImageCalRunning is 1 for some 10 ms. The chip measures its
temperature while its synthesizer runs; TempChange says that it has moved by more than TempThreshold since the last
calibration. With AutoImageCalOn the chip then calibrates by itself, which is modelled as taking no time.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.chips.lora_deadlines import Deadlines
from pave_emulator.chips.sx127x_registers import check

IMAGE_CAL = 0x3B
AUTO, START, RUNNING, CHANGED, MONITOR_OFF = 0x80, 0x40, 0x20, 0x08, 0x01
KEPT = 0x87  # the bits that hold what was written: AutoImageCalOn, TempThreshold, TempMonitorOff
RESET_VALUE = AUTO | 0x02  # with a threshold of 10 C
TAKES_S = 10e-3
DEADLINE = "image_calibration"


class ImageCalibration:
    """Behind one register. `temperature_c` is of the die, at a second of the clock."""

    def __init__(self, deadlines: Deadlines, temperature_c: Callable[[float], float]) -> None:
        self._deadlines = deadlines
        self._temperature_c = temperature_c
        self.reset(0.0)

    def reset(self, now_s: float) -> None:
        """Power-on, or NRESET: calibrated at this temperature."""
        self._value = RESET_VALUE
        self._former_c = self._measured_c = self._temperature_c(now_s)

    @property
    def running(self) -> bool:
        """Whether it calibrates at this moment."""
        return DEADLINE in self._deadlines

    def synthesizer_runs(self, now_s: float) -> None:
        """The chip has left sleep and standby, and measures its temperature."""
        if self._value & MONITOR_OFF:
            return
        self._measured_c = self._temperature_c(now_s)
        if self._value & AUTO and self._changed():
            self._former_c = self._measured_c

    def read(self) -> int:
        """RegImageCal; ImageCalStart always reads 0."""
        return self._value | (RUNNING if self.running else 0) | (CHANGED if self._changed() else 0)

    def write(self, value: int, in_standby: bool, now_s: float) -> None:
        """RegImageCal. Raise ChipFault for a start outside standby, which does nothing."""
        self._value = value & KEPT
        if not value & START:
            return
        check(in_standby, f"RegImageCal {value:#04x}: ImageCalStart takes effect in standby only (4.2.3.8)")
        self._deadlines.set(DEADLINE, now_s + TAKES_S, self._calibrated)

    def _calibrated(self, at_s: float) -> None:
        self._former_c = self._measured_c = self._temperature_c(at_s)

    def _changed(self) -> bool:
        threshold_c = 5 * ((self._value >> 1 & 3) + 1)
        return abs(self._measured_c - self._former_c) > threshold_c
