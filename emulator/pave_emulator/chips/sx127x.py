"""SX1276, LoRa transceiver (Semtech DS_SX1276-7-8-9 rev 7), behind its SPI registers, DIO0 to DIO5 and NRESET.

Theory of operation. A transaction is an address, bit 7 for a write, and bytes; the address counts up, except at the
FIFO. RegOpMode starts everything: the mode is reached after the start of oscillator and synthesizer (table 7),
then the air sends or listens, and what it answers sets flags of RegIrqFlags, which DIO pins show. Not modelled, and
faulting: the FSK/OOK page but for the calibration of the receiver (`sx127x_calibration`), frequency hopping,
continuous transmission and AGC registers.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from pave_emulator.chips import sx127x_tables as t
from pave_emulator.chips.chip import ChipFault, Environment, SpiChip
from pave_emulator.chips.lora_antenna import Antenna
from pave_emulator.chips.sx127x_calibration import IMAGE_CAL, ImageCalibration
from pave_emulator.chips.sx127x_modem import FIFO_BYTES, Modem
from pave_emulator.chips.sx127x_registers import check

LONG_RANGE, ACCESS_SHARED, LOW_FREQUENCY = 0x80, 0x40, 0x08


class Sx1276(SpiChip):
    """The chip on its board; FSK standby after power-on, as the datasheet has it."""

    PINS: ClassVar[tuple[str, ...]] = tuple(t.DIO_SIGNALS)
    INPUTS: ClassVar[tuple[str, ...]] = ("reset",)
    STATES_UA: ClassVar[dict[str, float]] = t.STATES_UA

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.modem = Modem(Antenna(environment.radio), self._told)
        self._calibration = ImageCalibration(self.modem.deadlines, environment.temperature_c)
        self._powered = self._in_reset = False
        self._now_s = self._ready_s = 0.0
        self._op_mode = 0x09
        self._address: int | None = None
        self._writes = False

    # Supply and pins

    def power_on(self, now_s: float) -> None:
        """10 ms until the chip answers (7.2.1)."""
        self._powered = True
        self._start(now_s, t.POWER_ON_S)

    def power_off(self, now_s: float) -> None:
        """Whatever was being sent breaks off."""
        self.modem.reset(now_s)
        self._powered = False
        self._update()

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """NRESET, active low for 100 us; 5 ms until the chip answers (7.2.2)."""
        self.advance(now_s)
        if not level:
            if not self._in_reset:
                self.modem.deadlines.set("reset", now_s + t.RESET_LOW_S, self._reset)
            return
        too_short = "reset" in self.modem.deadlines
        self.modem.deadlines.cancel("reset")
        if self._in_reset:
            self._in_reset = False
            self._start(now_s, t.RESET_READY_S)
        check(not too_short, "NRESET was low for less than 100 us, no reset (7.2.2)")

    def _reset(self, at_s: float) -> None:
        self._in_reset = True
        self._start(at_s, 0.0)

    def _start(self, now_s: float, takes_s: float) -> None:
        self.modem.reset(now_s)
        self._calibration.reset(now_s)
        self._op_mode = LOW_FREQUENCY | t.STDBY
        self._ready_s = now_s + takes_s
        self._update()

    def pin_level(self, name: str) -> int | None:
        """DIOs as RegDioMapping1 and 2 have them (table 18)."""
        if not self._powered or self._in_reset:
            return None
        register, shift, flags = t.DIO_SIGNALS[name]
        mapping = self.modem.registers[register] >> shift & 3
        if name == "dio5" and mapping == 0:
            return int(self.modem.settled())
        if mapping < len(flags):
            return int(bool(self.modem.irq & flags[mapping]))
        return int(name == "dio4" and self.modem.settled() and self.modem.mode > t.STDBY)

    # Time

    def advance(self, now_s: float) -> None:
        """Transitions, ends of packets and timeouts up to `now_s`."""
        if self._powered:
            self.modem.deadlines.run(now_s)
        self._now_s = now_s
        self._update()

    def next_event_s(self) -> float | None:
        """The next transition, end of a packet or timeout."""
        return self.modem.deadlines.next_s() if self._powered else None

    # SPI

    def selected(self, now_s: float) -> None:
        """NSS falls."""
        self.advance(now_s)
        self._address = None

    def exchange(self, data: bytes, now_s: float) -> bytes:
        """Address, then register contents."""
        self.advance(now_s)
        if not self._powered or self._in_reset:
            return bytes(len(data))
        if now_s < self._ready_s:
            raise ChipFault(f"SX1276: SPI {(self._ready_s - now_s) * 1e3:.1f} ms before the chip is ready (7.2)")
        returned = bytearray()
        try:
            for byte in data:
                returned.append(self._one(byte, now_s))
        finally:
            self._update()
        return bytes(returned)

    def _one(self, byte: int, now_s: float) -> int:
        if self._address is None:
            self._address, self._writes = byte & 0x7F, bool(byte & 0x80)
            return 0
        address = self._address
        if address != t.FIFO:
            self._address = (address + 1) & 0x7F
        if not self._writes:
            return self._read(address, now_s)
        self._write(address, byte, now_s)
        return 0

    def _read(self, address: int, now_s: float) -> int:
        modem = self.modem
        if address == t.OP_MODE:
            return self._op_mode & ~7 | modem.mode
        if address == t.VERSION:
            return t.VERSION_VALUE
        if address == IMAGE_CAL and not self._long_range:
            check(modem.mode != t.SLEEP, "RegImageCal cannot be read in sleep (4.2.3.8)")
            return self._calibration.read()
        self._require_page(address)
        if address == t.FIFO:
            return modem.fifo[self._fifo_pointer()]
        if address == t.RSSI_WIDEBAND:
            measured = modem.rssi_register(now_s)
            return hashlib.blake2b(f"{now_s:.6f}:{measured}".encode(), digest_size=1).digest()[0]
        if address in t.READ_ONLY or address == t.IRQ_FLAGS:
            return modem.status_register(address, now_s)
        check(address in modem.registers.values, f"register {address:#04x} is reserved or not modelled (table 41)")
        return modem.registers[address]

    def _write(self, address: int, value: int, now_s: float) -> None:
        if address == t.OP_MODE:
            self._write_op_mode(value, now_s)
            return
        if address == IMAGE_CAL and not self._long_range:
            self._calibration.write(value, self.modem.mode == t.STDBY and self.modem.settled(), now_s)
            return
        self._require_page(address)
        if address == t.FIFO:
            self.modem.fifo[self._fifo_pointer()] = value
        elif address == t.IRQ_FLAGS:
            self.modem.irq &= ~value
        else:
            self.modem.registers.write(address, value)

    def _write_op_mode(self, value: int, now_s: float) -> None:
        check(not value & ACCESS_SHARED, f"RegOpMode {value:#04x}: AccessSharedReg is not modelled (6.4)")
        modem = self.modem
        switched = (value ^ self._op_mode) & LONG_RANGE
        asleep = modem.mode == t.SLEEP
        if switched and asleep:
            self._op_mode ^= LONG_RANGE
        self._op_mode = self._op_mode & ~LOW_FREQUENCY | value & LOW_FREQUENCY
        mode = value & 7
        calibrates = self._calibration.running
        if mode > t.STDBY:
            self._calibration.synthesizer_runs(now_s)
        check(self._long_range or mode <= t.STDBY, f"RegOpMode {value:#04x}: FSK/OOK is not modelled (4.2)")
        modem.enter(mode, now_s)
        check(not switched or asleep, f"RegOpMode {value:#04x}: LongRangeMode changes in sleep only, ignored (6.4)")
        check(not calibrates, f"RegOpMode {value:#04x} while the image calibration runs (4.2.3.8)")

    @property
    def _long_range(self) -> bool:
        return bool(self._op_mode & LONG_RANGE)

    def _fifo_pointer(self) -> int:
        """RegFifoAddrPtr, which counts up with each access. Raise ChipFault in sleep."""
        registers = self.modem.registers
        check(self.modem.mode != t.SLEEP, "the FIFO cannot be accessed in sleep (4.1.2.3)")
        pointer = registers[t.FIFO_ADDR_PTR]
        registers[t.FIFO_ADDR_PTR] = (pointer + 1) % FIFO_BYTES
        return pointer

    def _require_page(self, address: int) -> None:
        common = address in t.COMMON_DEFAULTS
        check(
            common or self._long_range,
            f"register {address:#04x} of the FSK/OOK page is not modelled: LongRangeMode first (4.2)",
        )

    # Parts of the above

    def _told(self) -> None:
        """The air has told the modem something."""
        self._update()
        self.changed()

    def _update(self) -> None:
        if not self._powered:
            self.state = "off"
        else:
            self.state = "reset" if self._in_reset else "fs" if self._calibration.running else self.modem.state()
