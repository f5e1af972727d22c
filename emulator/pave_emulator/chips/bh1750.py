"""BH1750FVI, ambient light sensor on I2C (ROHM technical note, rev D, 2011.11).

Theory of operation. One opcode a transmission. A measurement takes its time, scaled by the measurement time register
(MTreg), and then replaces the data register, which every read returns; the register keeps the former value until then.
Firmware has to wait for the longest time of the electrical characteristics, so that is when data appear; current flows
for the typical one. Continuous mode repeats, one-time mode powers down by itself. The reading is the environment's
illuminance at the end of the measurement. Not modelled, and faulting: opcodes that the instruction set does not list.
"""

from __future__ import annotations

from typing import ClassVar

from pave_emulator.chips.chip import ChipFault, Environment, I2cChip

COUNTS_PER_LUX = 1.2  # at MTreg 69: "measurement accuracy", typical
MTREG_DEFAULT, MTREG_MIN, MTREG_MAX = 69, 31, 254
H, H2, L = 0, 1, 3  # low bits of the measurement opcodes
TYPICAL_S = {H: 0.120, H2: 0.120, L: 0.016}
LONGEST_S = {H: 0.180, H2: 0.180, L: 0.024}
L_STEP_LUX = 4.0

POWER_DOWN, POWER_ON, RESET = 0x00, 0x01, 0x07
CONTINUOUS, ONE_TIME = 0x10, 0x20
MTREG_HIGH, MTREG_LOW = 0x40, 0x60


class Bh1750(I2cChip):
    """The sensor; ADDR low is address 0x23, high 0x5C."""

    STATES_UA: ClassVar[dict[str, float]] = {
        "off": 0.0,
        "power-down": 0.01,
        "power-on": 120.0,  # waiting for a command; the datasheet has one figure for all that is not power down
        "measuring": 120.0,
    }

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self._reset()

    def power_on(self, now_s: float) -> None:
        """Power down state, data and MTreg at their initial values."""
        self._reset()
        self.state = "power-down"

    def power_off(self, now_s: float) -> None:
        """Everything is lost."""
        self._reset()
        self.state = "off"

    def _reset(self) -> None:
        self._data = 0
        self._mtreg = MTREG_DEFAULT
        self._mode: int | None = None  # H, H2 or L while a measurement goes on
        self._one_time = False
        self._scale = 1.0  # MTreg of the measurement that goes on, relative to the default
        self._start_s = 0.0
        self._done = 0  # measurements completed since the start

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """One opcode."""
        self.advance(now_s)
        if not data:
            return
        if len(data) > 1:
            raise ChipFault(f"BH1750: {len(data)} bytes in one write, STOP follows every opcode (write format)")
        opcode = data[0]
        if opcode in (POWER_DOWN, POWER_ON):
            self._mode = None
            self.state = "power-on" if opcode else "power-down"
        elif opcode == RESET:
            if self.state == "power-down":
                raise ChipFault("BH1750: 0x07: reset is not acceptable in power down mode (instruction set)")
            self._data = 0
        elif opcode & 0xF8 == MTREG_HIGH:
            self._mtreg = self._mtreg & 0x1F | (opcode & 0x07) << 5
        elif opcode & 0xE0 == MTREG_LOW:
            self._mtreg = self._mtreg & 0xE0 | opcode & 0x1F
        elif opcode & 0xF0 in (CONTINUOUS, ONE_TIME) and opcode & 0x0F in TYPICAL_S:
            self._measure(opcode, now_s)
        else:
            raise ChipFault(f"BH1750: opcode {opcode:#04x} is not in the instruction set")

    def read(self, size: int, now_s: float) -> bytes:
        """The data register, high byte first; a released bus (ones) behind it."""
        self.advance(now_s)
        return (self._data.to_bytes(2, "big") + b"\xff" * size)[:size]

    def _measure(self, opcode: int, now_s: float) -> None:
        # MTreg arrives in two halves, so only the whole that a measurement uses can be judged.
        if not MTREG_MIN <= self._mtreg <= MTREG_MAX:
            raise ChipFault(f"BH1750: MTreg {self._mtreg} is not within 31 to 254 (measurement time adjustment)")
        self._mode = opcode & 0x0F
        self._one_time = opcode & 0xF0 == ONE_TIME
        self._scale = self._mtreg / MTREG_DEFAULT
        self._start_s, self._done = now_s, 0
        self.state = "measuring"

    # Measuring

    def advance(self, now_s: float) -> None:
        """Complete what is due: of several measurements the last one counts."""
        if self._mode is None:
            return
        longest_s = LONGEST_S[self._mode] * self._scale
        if self._one_time and now_s >= self._start_s + TYPICAL_S[self._mode] * self._scale:
            self.state = "power-down"
        completed = int((now_s - self._start_s) / longest_s)
        if completed <= self._done:
            return
        self._done = 1 if self._one_time else completed
        self._data = self._counts(self._mode, self._start_s + self._done * longest_s)
        if self._one_time:
            self._mode = None

    def _counts(self, mode: int, at_s: float) -> int:
        lux = self._environment.illuminance_lux(at_s)
        if mode == L:
            lux = lux // L_STEP_LUX * L_STEP_LUX
        counts = int(lux * COUNTS_PER_LUX * self._scale * (2 if mode == H2 else 1))
        return max(0, min(0xFFFF, counts))

    def next_event_s(self) -> float | None:
        """When a one-time measurement powers down."""
        if self._mode is None or not self._one_time or self.state == "power-down":
            return None
        return self._start_s + TYPICAL_S[self._mode] * self._scale
