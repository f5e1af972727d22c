"""SHT3x-DIS, humidity and temperature sensor on I2C (Sensirion datasheet SHT3x-DIS, version 7).

Theory of operation. 16-bit commands; words of data are followed by a CRC-8. A single shot measures once, during which
reads are NACKed, or, with clock stretching, held. Periodic mode measures at a rate; fetch data hands over the newest
result once. Results appear after the longest duration of table 4, as firmware has to wait that long; current flows
for the typical one. Values are the environment's at the end of the measurement; the heater does not warm them.
Not modelled, and faulting: the alert mode's limits (application note), the general call reset, interface reset.
"""

from __future__ import annotations

from typing import ClassVar

from pave_emulator.chips import sht3x_commands as cmd
from pave_emulator.chips.chip import ChipFault, Environment, I2cChip, Nack
from pave_emulator.chips.sht3x_commands import Periodic, SingleShot, crc8

STATUS_DEFAULT = 0x8010  # alert pending, system reset detected (table 18)
STATUS_HEATER, STATUS_COMMAND, STATUS_CRC = 0x2000, 0x0002, 0x0001
STATUS_NEW_DATA = 0x0040  # bits 9:6, reserved in the datasheet; Sensirion's driver (sensirion-i2c-sht3x) waits for them
STATUS_CLEARED = 0x8C10  # what "clear status register" clears: bits 15, 11, 10, 4


class Sht3x(I2cChip):
    """The sensor; ADDR low is address 0x44, high 0x45."""

    STATES_UA: ClassVar[dict[str, float]] = cmd.STATES_UA

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self.stretched_s = 0.0
        """How long the last read held SCL low, s."""
        self._reset(0.0)

    def power_on(self, now_s: float) -> None:
        """Idle after the power-up time (table 4)."""
        self._reset(now_s + cmd.POWER_UP_S)
        self.state = "idle"

    def power_off(self, now_s: float) -> None:
        """Everything is lost."""
        self._reset(now_s)
        self.state = "off"

    def _reset(self, ready_s: float) -> None:
        self._ready_s = ready_s  # no command before
        self._status = STATUS_DEFAULT
        self._single: SingleShot | None = None
        self._periodic: Periodic | None = None
        self._start_s = self._measuring_until_s = 0.0
        self._fetched = -1  # index of the periodic measurement handed over last
        self._answer = b""  # to the next read

    # Commands

    def write(self, data: bytes, now_s: float) -> None:
        """A command, for alert limits with a word and its CRC."""
        self.advance(now_s)
        if not data:
            return
        command = int.from_bytes(data[:2], "big")
        if now_s < self._ready_s:
            raise self._refusal(
                f"command {command:#06x} {1000 * (self._ready_s - now_s):.1f} ms too early (4.2, table 4)"
            )
        if self._single and now_s < self._start_s + self._single.longest_s and command != cmd.BREAK:
            raise self._refusal(f"command {command:#06x} while it measures (4.4)")
        self._ready_s = now_s + cmd.COMMAND_GAP_S
        self._answer, self._single, self._measuring_until_s = b"", None, 0.0
        if command in cmd.ALERT_LIMIT_WRITES:
            raise self._alert_limit(data)
        if len(data) != 2:
            raise self._refusal(f"{data.hex()}: a command has two bytes (4.2)")
        self._execute(command, now_s)
        self._status &= ~(STATUS_COMMAND | STATUS_CRC)
        self._update_state(now_s)

    def _execute(self, command: int, now_s: float) -> None:
        if self._periodic and command not in cmd.IN_PERIODIC_MODE:
            raise self._refusal(f"command {command:#06x} in periodic mode, which a break has to stop first (4.8)")
        if command in cmd.SINGLE_SHOTS:
            self._single, self._start_s = cmd.SINGLE_SHOTS[command], now_s
            self._measuring_until_s = now_s + self._single.typical_s
        elif command in cmd.PERIODICS:
            self._periodic = cmd.PERIODICS[command]
            self._start_s, self._fetched = now_s, -1
        elif command == cmd.FETCH_DATA:
            self._fetch(now_s)
        elif command == cmd.BREAK:
            self._periodic = None
        elif command == cmd.SOFT_RESET:
            self._reset(now_s + cmd.SOFT_RESET_S)
        elif command == cmd.HEATER_ENABLE:
            self._status |= STATUS_HEATER
        elif command == cmd.HEATER_DISABLE:
            self._status &= ~STATUS_HEATER
        elif command == cmd.READ_STATUS:
            self._answer = _words(self._status | (STATUS_NEW_DATA if self._newest(now_s) > self._fetched else 0))
        elif command == cmd.CLEAR_STATUS:
            self._status &= ~STATUS_CLEARED
        else:
            raise self._refusal(f"command {command:#06x} is not modelled (datasheet, section 4)")

    def _newest(self, now_s: float) -> int:
        """Index of the newest result of periodic mode, -1 without one."""
        if not self._periodic:
            return -1
        return int((now_s - self._start_s - self._periodic.longest_s) // self._periodic.period_s)

    def _fetch(self, now_s: float) -> None:
        if not self._periodic:
            raise self._refusal("fetch data without periodic mode (4.6)")
        newest = self._newest(now_s)
        if newest > self._fetched:
            self._fetched = newest
            self._answer = self._measured(self._start_s + newest * self._periodic.period_s + self._periodic.longest_s)

    def _alert_limit(self, data: bytes) -> ChipFault:
        if len(data) == 5 and crc8(data[2:4]) != data[4]:
            self._status |= STATUS_CRC
            return self._refusal(f"{data.hex()}: CRC {data[4]:#04x}, not {crc8(data[2:4]):#04x} (4.11, 4.12)")
        return self._refusal(f"{data.hex()}: the alert mode is not modelled (application note Alert Mode)")

    def _refusal(self, why: str) -> ChipFault:
        self._status |= STATUS_COMMAND
        return ChipFault(f"SHT3x: {why}")

    # Results

    def read(self, size: int, now_s: float) -> bytes:
        """The answer to the last command; a released bus (ones) behind it."""
        self.advance(now_s)
        self.stretched_s = 0.0
        if self._single:
            self._finish_single(now_s)
        if not self._answer:
            raise Nack("SHT3x: read with nothing to answer: no command, read before, or no new data (4.4, 4.6)")
        answer, self._answer = self._answer, b""
        return (answer + b"\xff" * size)[:size]

    def _finish_single(self, now_s: float) -> None:
        assert self._single
        done_s = self._start_s + self._single.longest_s
        if now_s < done_s and not self._single.stretching:
            raise Nack(f"SHT3x: read {1000 * (done_s - now_s):.1f} ms before the measurement ends (4.4, table 4)")
        self.stretched_s = max(0.0, done_s - now_s)
        self._answer = self._measured(done_s)
        self._single = None

    def _measured(self, at_s: float) -> bytes:
        temperature = (self._environment.temperature_c(at_s) + 45) / 175  # 4.13
        humidity = self._environment.humidity_pct(at_s) / 100
        return _words(*(max(0, min(0xFFFF, round(part * 0xFFFF))) for part in (temperature, humidity)))

    # Current

    def advance(self, now_s: float) -> None:
        """End the current of a measurement; its result is computed when it is read."""
        if self.state.startswith("measuring"):
            self._update_state(now_s)

    def _update_state(self, now_s: float) -> None:
        measures = now_s < self._measuring_until_s
        at_rest = self._periodic.state if self._periodic else "idle"
        heated = "-heater" if self._status & STATUS_HEATER else ""
        self.state = ("measuring" if measures else at_rest) + heated

    def next_event_s(self) -> float | None:
        """When a single shot stops drawing current."""
        return self._measuring_until_s if self.state.startswith("measuring") else None


def _words(*words: int) -> bytes:
    parts = (word.to_bytes(2, "big") for word in words)
    return b"".join(part + bytes([crc8(part)]) for part in parts)
