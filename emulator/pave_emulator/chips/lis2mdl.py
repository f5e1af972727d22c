"""LIS2MDL, three-axis magnetometer (ST DS12144; interrupt and hard-iron details AN5069).

Theory of operation. The sensor is sampled at the output data rate in continuous mode, once in single mode, not at all
in idle. A sample goes through the hard-iron offset registers into the output registers; the threshold comparison
takes it before or after them (INT_on_DataOFF). Nothing is computed until `advance` is called, and `next_event_s` is a
time only while a sample could move the INT/DRDY pin. Not modelled, and faulting: reserved registers and bits,
self-test, SPI.
"""

from __future__ import annotations

import struct
from typing import ClassVar

from pave_emulator.chips.chip import ChipFault, Environment, I2cChip

UT_PER_LSB = 0.15  # 1.5 mgauss (table 2)
TEMPERATURE_LSB_PER_C = 8.0
TEMPERATURE_ZERO_C = 25.0
TURN_ON_S = 0.0094  # single measurement, high resolution (table 3)
PERIOD_S = (1 / 10, 1 / 20, 1 / 50, 1 / 100)
INT16_MAX = 32767

OFFSET_X_L, WHO_AM_I = 0x45, 0x4F
CFG_A, CFG_B, CFG_C = 0x60, 0x61, 0x62
INT_CTRL, INT_SOURCE, INT_THS_L, INT_THS_H = 0x63, 0x64, 0x65, 0x66
STATUS, OUTX_L, TEMP_L, TEMP_H = 0x67, 0x68, 0x6E, 0x6F
WHO_AM_I_VALUE = 0x40

CFG_A_REBOOT, CFG_A_SOFT_RST = 0x40, 0x20
CFG_B_INT_ON_DATAOFF = 0x08
CFG_C_INT_ON_PIN, CFG_C_I2C_DIS, CFG_C_BDU, CFG_C_BLE, CFG_C_4WSPI, CFG_C_SELF_TEST, CFG_C_DRDY_ON_PIN = (
    0x40,
    0x20,
    0x10,
    0x08,
    0x04,
    0x02,
    0x01,
)
INT_CTRL_IEA, INT_CTRL_IEL, INT_CTRL_IEN = 0x04, 0x02, 0x01
SOURCE_MROI, SOURCE_INT = 0x02, 0x01

DEFAULTS = {CFG_A: 0x03, CFG_B: 0, CFG_C: 0, INT_CTRL: 0xE0, INT_THS_L: 0, INT_THS_H: 0} | dict.fromkeys(
    range(OFFSET_X_L, OFFSET_X_L + 6), 0
)
RESERVED_BITS = {CFG_B: 0xE0, CFG_C: 0x80, INT_CTRL: 0x18}
READ_ONLY = {WHO_AM_I, INT_SOURCE, *range(STATUS, TEMP_H + 1)}


class Lis2mdl(I2cChip):
    """The chip behind its I2C registers; `int` is the INT/DRDY pin."""

    PINS: ClassVar[tuple[str, ...]] = ("int",)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self._now_s = 0.0
        self.power_on(0.0)

    def power_on(self, now_s: float) -> None:
        """Idle, every register at its default (table 22)."""
        self._registers = dict(DEFAULTS)
        self._pointer = 0
        self._auto_increment = False
        self._next_sample_s: float | None = None
        self._output = (0, 0, 0)
        self._held: dict[int, tuple[int, int]] = {}  # axis -> (value, byte read first), with BDU
        self._ready = self._overrun = 0  # a bit per axis
        self._source = 0  # threshold bits and MROI
        self._active = False

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """First byte: sub-address, bit 7 for auto-increment (6.1.1); then register contents."""
        self._require_i2c()
        self.advance(now_s)
        if not data:
            return
        self._pointer, self._auto_increment = data[0] & 0x7F, bool(data[0] & 0x80)
        for value in data[1:]:
            self._write_register(self._pointer, value, now_s)
            self._step()

    def read(self, size: int, now_s: float) -> bytes:
        """Registers from the sub-address on, the same one again without auto-increment."""
        self._require_i2c()
        self.advance(now_s)
        values = bytearray()
        for _ in range(size):
            values.append(self._read_register(self._pointer))
            self._step()
        return bytes(values)

    def _step(self) -> None:
        if self._auto_increment:
            self._pointer = self._pointer + 1 & 0x7F

    def _require_i2c(self) -> None:
        if self._registers[CFG_C] & CFG_C_I2C_DIS:
            raise ChipFault("LIS2MDL: I2C_DIS is set, only SPI answers until power-on")

    # Registers

    def _write_register(self, register: int, value: int, now_s: float) -> None:
        if register in READ_ONLY:
            raise ChipFault(f"LIS2MDL: write to read-only register {register:#04x}")
        if register not in DEFAULTS:
            raise ChipFault(f"LIS2MDL: write to reserved register {register:#04x} (DS12144, table 22)")
        if value & RESERVED_BITS.get(register, 0):
            raise ChipFault(f"LIS2MDL: {value:#04x} sets reserved bits of register {register:#04x}")
        if register == CFG_C and value & (CFG_C_SELF_TEST | CFG_C_4WSPI):
            raise ChipFault(f"LIS2MDL: CFG_REG_C {value:#04x}: self-test and SPI are not modelled")
        if register == CFG_A:
            self._configure(value, now_s)
            return
        self._registers[register] = value
        if register == INT_CTRL and not value & INT_CTRL_IEN:
            self._active = False

    def _configure(self, value: int, now_s: float) -> None:
        if value & (CFG_A_SOFT_RST | CFG_A_REBOOT):
            self.power_on(now_s)  # 8.5: both bits clear themselves
            return
        changed = (value ^ self._registers[CFG_A]) & 0x0F
        self._registers[CFG_A] = value
        mode = value & 0x03
        if mode >= 2:
            self._next_sample_s = None
        elif changed or mode == 1 or self._next_sample_s is None:
            self._next_sample_s = now_s + TURN_ON_S

    def _read_register(self, register: int) -> int:
        if register in self._registers:
            return self._registers[register]
        if register == WHO_AM_I:
            return WHO_AM_I_VALUE
        if register == INT_SOURCE:
            return self._read_source()
        if register == STATUS:
            return self._status()
        if OUTX_L <= register < TEMP_L:
            return self._read_output(register - OUTX_L)
        if register in (TEMP_L, TEMP_H):
            raw = round((self._environment.temperature_c(self._now_s) - TEMPERATURE_ZERO_C) * TEMPERATURE_LSB_PER_C)
            return struct.pack("<h", raw)[register - TEMP_L]
        raise ChipFault(f"LIS2MDL: read of reserved register {register:#04x} (DS12144, table 22)")

    def _status(self) -> int:
        all_ready = 0x08 if self._ready == 0b111 else 0
        any_overrun = 0x80 if self._overrun else 0
        return any_overrun | self._overrun << 4 | all_ready | self._ready

    def _read_output(self, at: int) -> int:
        axis, high = divmod(at, 2)
        value = self._output[axis]
        if self._registers[CFG_C] & CFG_C_BDU:
            value = self._block(axis, high, value)
        if high:
            self._ready &= ~(1 << axis)
            self._overrun &= ~(1 << axis)
        if self._registers[CFG_C] & CFG_C_BLE:
            high ^= 1
        return struct.pack("<h", value)[high]

    def _block(self, axis: int, high: int, value: int) -> int:
        """BDU: after one byte of an axis is read, the other byte comes from the same sample."""
        held = self._held.pop(axis, None)
        if held and held[1] != high:
            return held[0]
        self._held[axis] = (value, high)
        return value

    def _read_source(self) -> int:
        source = self._source | (SOURCE_INT if self._int_signal() else 0)
        if self._registers[INT_CTRL] & INT_CTRL_IEL:
            self._active = False
            self._source = 0
        return source

    # Sampling

    def advance(self, now_s: float) -> None:
        """Take the samples due up to `now_s`; of many missed ones only the last two can be seen."""
        self._now_s = now_s
        if self._next_sample_s is None or self._next_sample_s > now_s:
            return
        period_s = PERIOD_S[self._registers[CFG_A] >> 2 & 0x03]
        if self._registers[CFG_A] & 0x03 == 1:
            self._sample(self._next_sample_s)
            self._next_sample_s = None
            self._registers[CFG_A] |= 0x03  # single mode falls back to idle
            return
        missed = int((now_s - self._next_sample_s) / period_s)
        self._next_sample_s += max(0, missed - 1) * period_s
        while self._next_sample_s <= now_s:
            self._sample(self._next_sample_s)
            self._next_sample_s += period_s

    def _sample(self, at_s: float) -> None:
        raw = [round(ut / UT_PER_LSB) for ut in self._environment.field_ut(at_s)]
        overflow = any(abs(value) > INT16_MAX for value in raw)
        measured = [_clamp(value) for value in raw]
        offsets = struct.unpack("<3h", bytes(self._registers[OFFSET_X_L + i] for i in range(6)))
        corrected = [_clamp(value - offset) for value, offset in zip(measured, offsets, strict=True)]
        self._output = (corrected[0], corrected[1], corrected[2])
        self._overrun |= self._ready
        self._ready = 0b111
        if self._registers[INT_CTRL] & INT_CTRL_IEN:
            self._compare(corrected if self._registers[CFG_B] & CFG_B_INT_ON_DATAOFF else measured, overflow)

    def _compare(self, values: list[int], overflow: bool) -> None:
        control = self._registers[INT_CTRL]
        if self._active and control & INT_CTRL_IEL:
            return
        threshold = self._registers[INT_THS_H] << 8 | self._registers[INT_THS_L]
        source = SOURCE_MROI if overflow else 0
        for axis, value in enumerate(values):
            if control & 0x80 >> axis and abs(value) > threshold:
                source |= (0x80 if value > 0 else 0x10) >> axis
        self._source = source
        self._active = bool(source & 0xFC)

    # Pin

    def _int_signal(self) -> bool:
        return self._active == bool(self._registers[INT_CTRL] & INT_CTRL_IEA)

    def _pin_may_change(self) -> bool:
        config, control = self._registers[CFG_C], self._registers[INT_CTRL]
        if config & CFG_C_DRDY_ON_PIN:
            return True
        latched = self._active and control & INT_CTRL_IEL
        return bool(config & CFG_C_INT_ON_PIN and control & INT_CTRL_IEN and not latched)

    def next_event_s(self) -> float | None:
        """The next sample, while it could move the pin."""
        return self._next_sample_s if self._pin_may_change() else None

    def pin_level(self, name: str) -> int | None:
        """INT/DRDY: push-pull once INT_on_PIN or DRDY_on_PIN is set."""
        config = self._registers[CFG_C]
        if not config & (CFG_C_INT_ON_PIN | CFG_C_DRDY_ON_PIN):
            return None
        on_interrupt = config & CFG_C_INT_ON_PIN and self._int_signal()
        on_data = config & CFG_C_DRDY_ON_PIN and self._ready == 0b111
        return int(bool(on_interrupt or on_data))


def _clamp(value: int) -> int:
    return max(-INT16_MAX - 1, min(INT16_MAX, value))
