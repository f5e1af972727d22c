"""The analog-to-digital converters: what a pin's voltage reads as.

Theory of operation. The reference differs from chip to chip, 1,000 to 1,200 mV (ESP-IDF Programming Guide for the
ESP32-S3, ADC Calibration Driver), so the raw reading does as well. Calibrated readings undo that, but for the error the
datasheet gives per attenuation (v2.2, table 5-6, "ADC Calibration Results"), which each chip has of its own. Above the
effective range the converter bends towards its full scale, calibrated or not. Noise is some steps of the converter.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.board import Board
from pave_emulator.mcu.hooks import Hooks
from pave_emulator.mcu.pins import Pins
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

STEPS = 4095
RAIL_V = 3.3
REFERENCE_SPREAD = 0.1 / 1.1 / 2  # of the reference, one sigma: 1,000 to 1,200 mV are two
NOISE_STEPS = 2.0
CONVERSION_S = 60e-6  # adc_oneshot_read with its lock and mode switches; an estimate


@dataclass(frozen=True)
class Range:
    """One attenuation: effective range and full scale in V, error of calibrated readings in it in V."""

    effective_v: float
    full_v: float
    error_v: float


RANGES = (  # ATTEN0 to ATTEN3; full scale from ESP-IDF v4.4, ADC Attenuation
    Range(0.850, 0.950, 0.005),
    Range(1.100, 1.250, 0.006),
    Range(1.600, 1.750, 0.010),
    Range(2.900, 3.100, 0.050),
)


class Adc:
    """Both converters of one chip. `sources` has the voltage of what a board file says a pin measures."""

    def __init__(self, board: Board, pins: Pins, hooks: Hooks) -> None:
        self._analogs = {analog.pin: analog for analog in board.analogs.values()}
        self._pins = pins
        self._took = hooks.took
        self.sources: dict[str, Callable[[], float]] = {"cell": hooks.cell_v}
        chip = random.Random(f"{hooks.seed}:adc")
        self._gain = 1.0 + max(-2.0, min(2.0, chip.gauss(0.0, 1.0))) * REFERENCE_SPREAD
        self._error = tuple(chip.uniform(-1.0, 1.0) for _ in RANGES)
        self._noise = chip

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.ADC: self._read}

    def volts(self, number: int) -> float:
        """Voltage of a pin."""
        analog = self._analogs.get(number)
        if analog is None:
            return RAIL_V * self._pins.level(number)
        if analog.switch is not None and not self._pins.level(analog.switch):
            return 0.0
        return self.sources[analog.measures]() * analog.divider

    def _read(self, number: int, attenuation: int, tail: bytes) -> bytes:
        self._took(CONVERSION_S)
        scale = RANGES[attenuation]
        noise_v = self._noise.gauss(0.0, NOISE_STEPS) * scale.full_v / STEPS
        seen_v = _bent(max(0.0, self.volts(number) + noise_v), scale)
        raw = min(STEPS, round(seen_v / scale.full_v * STEPS * self._gain))
        calibrated_v = raw / STEPS / self._gain * scale.full_v + self._error[attenuation] * scale.error_v
        return struct.pack("<HI", raw, round(max(0.0, calibrated_v) * 1000) * 1000)


def _bent(volts: float, scale: Range) -> float:
    """What the converter makes of a voltage: itself in the effective range, above it ever less more."""
    above_v, room_v = volts - scale.effective_v, scale.full_v - scale.effective_v
    if above_v <= 0.0:
        return volts
    return scale.effective_v + room_v * above_v / (above_v + room_v)
