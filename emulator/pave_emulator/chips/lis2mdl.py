"""LIS2MDL, three-axis magnetometer on I2C (ST DS12144 rev 6; application note AN5069 rev 4).

Theory of operation. The sensor samples at the output data rate in continuous mode, once in single mode, not at all in
idle. The k-th sample lies at start + k * period, whoever looks when. A sample is the environment's field, which carries
the sensor's noise; it passes the hard-iron offset registers into the outputs, and the threshold comparison takes it
before or after them (INT_on_DataOFF). A sample is taken only when it can be seen: the last one when somebody reads,
and the one whose comparison has another outcome, which `lis2mdl_compare` looks for. Whatever changes a register, or
the world (`disturbed`), makes it look again.

Stored without effect on values, as the environment has neither drift nor magnetised sensors: LPF, set pulses
(OFF_CANC, Set_FREQ), COMP_TEMP_EN; they count in turn-on time and current. Not modelled, and faulting: SPI,
reserved registers and bits. The 20 ms of boot at power-on are over before a microcontroller runs and not enforced;
those after REBOOT are.

Two things that the datasheet does not say: sub-addresses count up without bit 7 as well (drivers in the field rely on
it), and a burst wraps from OUTZ_H to OUTX_L (seen on the IIS2MDC, which has the same registers, ST community).
"""

from __future__ import annotations

import struct
from typing import ClassVar

from pave_emulator.chips import lis2mdl_registers as reg
from pave_emulator.chips.chip import ChipFault, Environment, I2cChip
from pave_emulator.chips.lis2mdl_compare import FIRST_WINDOW, LAST_WINDOW, Comparison, clamp, measure
from pave_emulator.chips.lis2mdl_sampling import NEVER_S, SampleTimes

BEYOND = 1 << 62  # an index that no sample has


class Lis2mdl(I2cChip):
    """The chip behind its I2C registers; `int` is the INT/DRDY pin."""

    PINS: ClassVar[tuple[str, ...]] = ("int",)
    STATES_UA: ClassVar[dict[str, float]] = reg.STATES_UA

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self._reset()

    def power_on(self, now_s: float) -> None:
        """Idle, every register at its default (table 22)."""
        self._reset()
        self.state = "idle"

    def power_off(self, now_s: float) -> None:
        """Everything is lost."""
        self._reset()
        self.state = "off"

    def _reset(self) -> None:
        self._registers = dict(reg.DEFAULTS)
        self._pointer = 0
        self._boot_ends_s = 0.0
        self._times = SampleTimes()
        self._quiet_until_s = 0.0
        self._window = FIRST_WINDOW
        self._sampled_at_s: float | None = None
        self._output = (0, 0, 0)
        self._held: dict[int, tuple[int, int]] = {}  # axis -> (value, byte read first), with BDU
        self._ready = self._overrun = 0  # a bit per axis
        self._source = 0  # threshold bits and MROI
        self._active = False

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """First byte: sub-address, bit 7 for auto-increment (6.1.1); then register contents."""
        self._require_i2c()
        self._window = FIRST_WINDOW
        self.advance(now_s)
        if not data:
            return
        self._pointer = data[0] & 0x7F
        for value in data[1:]:
            self._write_register(self._pointer, value, now_s)
            self._step()

    def read(self, size: int, now_s: float) -> bytes:
        """Registers from the sub-address on."""
        self._require_i2c()
        self.advance(now_s)
        values = bytearray()
        for _ in range(size):
            values.append(self._read_register(self._pointer, now_s))
            self._step()
        return bytes(values)

    def _step(self) -> None:
        self._pointer = reg.OUTX_L if self._pointer == reg.OUTZ_H else self._pointer + 1 & 0x7F

    def _require_i2c(self) -> None:
        if self._registers[reg.CFG_C] & reg.CFG_C_I2C_DIS:
            raise ChipFault("LIS2MDL: I2C_DIS is set, only SPI answers until power-on (DS12144, 8.7)")

    # Registers

    def _write_register(self, register: int, value: int, now_s: float) -> None:
        if register in reg.READ_ONLY:
            raise ChipFault(f"LIS2MDL: write to read-only register {register:#04x} (DS12144, table 22)")
        if register not in reg.DEFAULTS:
            raise ChipFault(f"LIS2MDL: write to reserved register {register:#04x} (DS12144, table 22)")
        if value & reg.RESERVED_BITS.get(register, 0):
            raise ChipFault(f"LIS2MDL: {value:#04x} sets reserved bits of register {register:#04x} (DS12144, 8)")
        if now_s < self._boot_ends_s:
            raise ChipFault(f"LIS2MDL: register {register:#04x} written within 20 ms of REBOOT (AN5069, start-up)")
        if register == reg.CFG_A and value & (reg.CFG_A_SOFT_RST | reg.CFG_A_REBOOT):
            self._restart(value, now_s)
            return
        if register == reg.CFG_B and value & reg.CFG_B_OFF_CANC_ONE_SHOT and not value & reg.CFG_B_OFF_CANC:
            raise ChipFault(f"LIS2MDL: CFG_REG_B {value:#04x}: OFF_CANC_ONE_SHOT needs OFF_CANC (DS12144, 8.6)")
        if register == reg.CFG_C and value & reg.CFG_C_4WSPI:
            raise ChipFault(f"LIS2MDL: CFG_REG_C {value:#04x}: SPI is not modelled (DS12144, 8.7)")
        before, self._registers[register] = self._registers[register], value
        self._quiet_until_s = 0.0
        if register == reg.CFG_A:
            self._set_mode(value, value ^ before, now_s)
        elif register == reg.INT_CTRL and not value & reg.INT_CTRL_IEN:
            self._active = False
        self._update_state()

    def _restart(self, value: int, now_s: float) -> None:
        self._reset()
        if value & reg.CFG_A_REBOOT:
            self._boot_ends_s = now_s + reg.REBOOT_S
        self._update_state()

    def _set_mode(self, value: int, changed: int, now_s: float) -> None:
        mode = value & reg.CFG_A_MD
        if mode >= 2:
            self._times.stop()
            return
        if mode == reg.CONTINUOUS and not changed & ~reg.CFG_A_COMP_TEMP_EN:
            return
        period_s = 1 / self._odr_hz()
        first_s = now_s + (reg.TURN_ON_LP_S if value & reg.CFG_A_LP else reg.TURN_ON_HR_S)
        if self._cancels_offset():
            first_s += period_s if mode == reg.CONTINUOUS else reg.SINGLE_CANCELS_S
        self._times.start(first_s, period_s if mode == reg.CONTINUOUS else NEVER_S)

    def _odr_hz(self) -> int:
        return reg.ODR_HZ[self._registers[reg.CFG_A] >> reg.CFG_A_ODR_SHIFT & 3]

    def _cancels_offset(self) -> bool:
        single = self._registers[reg.CFG_A] & reg.CFG_A_MD == reg.SINGLE
        bit = reg.CFG_B_OFF_CANC_ONE_SHOT if single else reg.CFG_B_OFF_CANC
        return bool(self._registers[reg.CFG_B] & bit)

    def _update_state(self) -> None:
        config = self._registers[reg.CFG_A]
        if config & reg.CFG_A_MD >= 2:
            self.state = "idle"
            return
        rate = "single" if config & reg.CFG_A_MD == reg.SINGLE else f"{self._odr_hz()}hz"
        power = "lp" if config & reg.CFG_A_LP else "hr"
        self.state = f"{rate}-{power}" + ("-canc" if self._cancels_offset() else "")

    def _read_register(self, register: int, now_s: float) -> int:
        if register == reg.CFG_A and now_s < self._boot_ends_s:
            return self._registers[reg.CFG_A] | reg.CFG_A_REBOOT
        if register in self._registers:
            return self._registers[register]
        if register == reg.WHO_AM_I:
            return reg.WHO_AM_I_VALUE
        if register == reg.INT_SOURCE:
            return self._read_source()
        if register == reg.STATUS:
            all_ready = 0x08 if self._ready == 0b111 else 0
            any_overrun = 0x80 if self._overrun else 0
            return any_overrun | self._overrun << 4 | all_ready | self._ready
        if reg.OUTX_L <= register <= reg.OUTZ_H:
            return self._read_output(register - reg.OUTX_L)
        if register in (reg.TEMP_L, reg.TEMP_H):
            return struct.pack("<h", self._temperature())[register - reg.TEMP_L]
        raise ChipFault(f"LIS2MDL: read of reserved register {register:#04x} (DS12144, table 22)")

    def _temperature(self) -> int:
        if self._sampled_at_s is None:
            return 0
        above_c = self._environment.temperature_c(self._sampled_at_s) - reg.TEMPERATURE_ZERO_C
        return round(above_c * reg.TEMPERATURE_LSB_PER_C)

    def _read_output(self, at: int) -> int:
        axis, high = divmod(at, 2)
        value = self._output[axis]
        if self._registers[reg.CFG_C] & reg.CFG_C_BDU:
            value = self._block(axis, high, value)
        if high:
            self._ready &= ~(1 << axis)
            self._overrun &= ~(1 << axis)
        if self._registers[reg.CFG_C] & reg.CFG_C_BLE:
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
        source = self._source | (reg.SOURCE_INT if self._int_signal() else 0)
        self._source &= ~reg.SOURCE_MROI
        if self._registers[reg.INT_CTRL] & reg.INT_CTRL_IEL:
            self._active = False
            self._source = 0
            self._quiet_until_s = 0.0  # the next sample may raise it again
        return source

    # Sampling

    def advance(self, now_s: float) -> None:
        """Take the samples due up to `now_s`, those of them that can be seen."""
        times = self._times
        if now_s < times.next_s:
            return
        if not times.periodic:
            self._sample(times.next_s)
            times.stop()
            self._registers[reg.CFG_A] |= reg.IDLE  # single mode falls back to idle
            self._update_state()
            return
        last = times.last_until(now_s)
        while times.taken <= last:
            index = min(last, self._next_compared()) if self._compares() else last
            if index > times.taken:  # nobody read those skipped
                self._overrun |= self._ready
                self._ready = 0b111
            times.taken = index + 1
            self._sample(times.at_s(index))

    def _next_compared(self) -> int:
        """The next sample whose comparison may have another outcome than the last one's."""
        return BEYOND if self._quiet_until_s == NEVER_S else self._times.first_from(self._quiet_until_s)

    def _compares(self) -> bool:
        control = self._registers[reg.INT_CTRL]
        return bool(control & reg.INT_CTRL_IEN) and not (self._active and control & reg.INT_CTRL_IEL)

    def _sample(self, at_s: float) -> None:
        raw = measure(self._environment.field_ut(at_s), bool(self._registers[reg.CFG_C] & reg.CFG_C_SELF_TEST))
        if max(map(abs, raw)) > reg.INT16_MAX:
            self._source |= reg.SOURCE_MROI  # always enabled (8.9)
        offsets = struct.unpack("<3h", bytes(self._registers[reg.OFFSET_X_L + i] for i in range(6)))
        x, y, z = (clamp(clamp(value) - offset) for value, offset in zip(raw, offsets, strict=True))
        self._output = (x, y, z)
        self._sampled_at_s = at_s
        self._overrun |= self._ready
        self._ready = 0b111
        if self._compares():
            self._compare(raw, at_s)

    def _compare(self, raw: list[int], at_s: float) -> None:
        comparison = Comparison(self._registers)
        source = comparison.outcome(raw)
        self._source = source | self._source & reg.SOURCE_MROI
        self._active = bool(source)
        if self._times.periodic:
            here = self._environment
            self._quiet_until_s = comparison.same_until_s(
                self._times, raw, at_s, self._window, here.field_ut, here.field_stays_until_s
            )
            self._window = min(2 * self._window, LAST_WINDOW)

    # Pin

    def _int_signal(self) -> bool:
        return self._active == bool(self._registers[reg.INT_CTRL] & reg.INT_CTRL_IEA)

    def disturbed(self, now_s: float) -> None:
        """What the environment said of the field's quiet holds no more."""
        self.advance(now_s)
        self._quiet_until_s = min(self._quiet_until_s, now_s)
        self.changed()

    def next_event_s(self) -> float | None:
        """The next sample that could move the pin, or that ends a single measurement."""
        times, config = self._times, self._registers[reg.CFG_C]
        if not times.periodic:
            return None if times.next_s == NEVER_S else times.next_s
        if config & reg.CFG_C_DRDY_ON_PIN and self._ready != 0b111:
            return times.next_s
        if config & reg.CFG_C_INT_ON_PIN and self._compares() and self._quiet_until_s != NEVER_S:
            return times.at_s(self._next_compared())
        return None

    def pin_level(self, name: str) -> int | None:
        """INT/DRDY: push-pull once INT_on_PIN or DRDY_on_PIN is set (8.7)."""
        config = self._registers[reg.CFG_C]
        if not config & (reg.CFG_C_INT_ON_PIN | reg.CFG_C_DRDY_ON_PIN):
            return None
        on_interrupt = config & reg.CFG_C_INT_ON_PIN and self._int_signal()
        on_data = config & reg.CFG_C_DRDY_ON_PIN and self._ready == 0b111
        return int(bool(on_interrupt or on_data))
