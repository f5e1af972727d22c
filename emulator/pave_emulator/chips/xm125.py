"""XM125, radar module with the A121, running the I2C distance detector (Acconeer user guide, a121-v1.12.0).

Theory of operation. Registers have 16-bit addresses and 32-bit values, big-endian. WAKE_UP high wakes the module; once
MCU_INT is high it may be spoken to; WAKE_UP low sends it to sleep when it has finished, and MCU_INT falls. Work (boot,
commands) is a queue of phases, each with a power state, a duration and what it achieves at its end. Sleep keeps
configuration and calibration. Echoes are the environment's at the end of the sweep: those in range that pass the
threshold (`xm125_result`, `xm125_plan`). Mistakes of the host set the flags of Protocol Status and fault; a
configuration that cannot be applied sets its error bits in Detector Status, as the guide says.
Not modelled, and faulting: thresholds by amplitude and by recording, as the environment knows no amplitudes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from pave_emulator.chips import xm125_plan as plan
from pave_emulator.chips import xm125_registers as reg
from pave_emulator.chips.chip import ChipFault, Environment, I2cChip
from pave_emulator.chips.xm125_result import Measurement, Threshold


class Phase(NamedTuple):
    """A piece of work."""

    state: str
    duration_s: float
    done: Callable[[float], None] | None = None


class Xm125(I2cChip):
    """The module; pin I2C_ADDR low is address 0x51, open 0x52, high 0x53 (2.1)."""

    PINS: ClassVar[tuple[str, ...]] = ("mcu_int",)
    INPUTS: ClassVar[tuple[str, ...]] = ("wake_up",)
    STATES_UA: ClassVar[dict[str, float]] = reg.STATES_UA

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self._wake_up = False
        self._forget()

    def power_on(self, now_s: float) -> None:
        """Boot, then be ready or fall asleep, as WAKE_UP says."""
        self._forget()
        self._begin(now_s, Phase("processing", plan.BOOT_S))

    def power_off(self, now_s: float) -> None:
        """Everything is lost."""
        self._forget()
        self.state = "off"

    def _forget(self) -> None:
        self._phases: deque[Phase] = deque()
        self._phase_ends_s = 0.0
        self._ready = False  # level of MCU_INT
        self._settings = {address: setting.default for address, setting in reg.SETTINGS.items()}
        self._status = reg.STATUS_BOOTED
        self._protocol_status = 0
        self._pointer: int | None = None
        self._counter = 0
        self._plan: tuple[plan.Subsweep, ...] = ()
        self._calibrated_at_c = 0.0
        self._measurement = Measurement()

    # Pins

    def pin_level(self, name: str) -> int | None:
        """MCU_INT: high while the module may be spoken to."""
        return None if self.state == "off" else int(self._ready)

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """WAKE_UP (2.3)."""
        self.advance(now_s)
        self._wake_up = bool(level)
        if not self._phases and self.state != "off":
            self._settle(now_s)

    # Work

    def _begin(self, now_s: float, *phases: Phase) -> None:
        self._phases.extend(phases)
        self.state = phases[0].state
        self._phase_ends_s = now_s + phases[0].duration_s

    def advance(self, now_s: float) -> None:
        """Finish the phases that end up to `now_s`."""
        while self._phases and self._phase_ends_s <= now_s:
            at_s = self._phase_ends_s
            done = self._phases.popleft().done
            if done:
                done(at_s)
            if self._phases:
                self.state = self._phases[0].state
                self._phase_ends_s = at_s + self._phases[0].duration_s
            elif self.state not in ("sleep", "hibernate"):
                self._ready = True
                self._settle(at_s)

    def _settle(self, now_s: float) -> None:
        """Nothing to do: be what WAKE_UP says."""
        if self._wake_up and not self._ready:
            self._wake(now_s)
        elif self._wake_up:
            self.state = "ready"
        elif self._ready:
            self._begin(now_s, Phase("ready", plan.FALL_ASLEEP_S, self._asleep))

    def _asleep(self, at_s: float) -> None:
        self._ready = False
        self._pointer = None
        self.state = "hibernate" if self._calibrated() else "sleep"
        if self._wake_up:
            self._wake(at_s)

    def _wake(self, now_s: float) -> None:
        phases = [Phase("processing", plan.WAKE_S)]
        if self._settings[reg.MEASURE_ON_WAKEUP]:
            phases += self._measuring()
        self._begin(now_s, *phases)

    def next_event_s(self) -> float | None:
        """The end of the present phase."""
        return self._phase_ends_s if self._phases else None

    # Bus

    def write(self, data: bytes, now_s: float) -> None:
        """Address, and values for it and the registers behind it (3.2.1)."""
        self._require_ready(now_s)
        if not data:
            return
        if len(data) % 4 != 2:
            raise self._mistake(reg.PACKET_LENGTH_ERROR, f"write of {len(data)} bytes, not 2 + 4 n (3.2.1)")
        address = int.from_bytes(data[:2], "big")
        self._pointer = address if len(data) == 2 else None
        for at in range(2, len(data), 4):
            self._write_register(address, int.from_bytes(data[at : at + 4], "big"), now_s)
            address += 1

    def read(self, size: int, now_s: float) -> bytes:
        """Values of the register addressed and of those behind it (3.2.2)."""
        self._require_ready(now_s)
        if self._pointer is None:
            raise self._mistake(reg.PROTOCOL_STATE_ERROR, "read without a register's address before it (3.2.2)")
        if size % 4:
            raise self._mistake(reg.PACKET_LENGTH_ERROR, f"read of {size} bytes, not 4 n (3.2.2)")
        address, self._pointer = self._pointer, None
        values = (self._read_register(address + i) for i in range(size // 4))
        return b"".join((value & 0xFFFF_FFFF).to_bytes(4, "big") for value in values)

    def _require_ready(self, now_s: float) -> None:
        self.advance(now_s)
        if not self._ready:
            raise ChipFault(f"XM125: spoken to while MCU_INT is low, it is in state {self.state} (2.3)")

    def _mistake(self, flag: int, why: str) -> ChipFault:
        self._protocol_status |= flag
        return ChipFault(f"XM125: {why}")

    def _read_register(self, address: int) -> int:
        if address not in reg.READABLE:
            raise self._mistake(reg.ADDRESS_ERROR, f"read of register {address:#06x}, which cannot be read (6.1)")
        if address in self._settings:
            return self._settings[address]
        if reg.DISTANCE_RESULT <= address < reg.PEAK0_STRENGTH + reg.PEAKS:
            return self._measurement.register(address)
        busy = reg.STATUS_BUSY if self._phases and self._wake_up else 0
        return {
            reg.VERSION: reg.VERSION_VALUE,
            reg.PROTOCOL_STATUS: self._protocol_status,
            reg.MEASURE_COUNTER: self._counter,
            reg.DETECTOR_STATUS: self._status | busy,
            reg.APPLICATION_ID: reg.APPLICATION_DISTANCE_DETECTOR,
        }[address]

    def _write_register(self, address: int, value: int, now_s: float) -> None:
        if address == reg.COMMAND:
            self._command(value, now_s)
            return
        setting = reg.SETTINGS.get(address)
        if setting is None:
            known = address in reg.READABLE
            flag, why = (reg.WRITE_TO_READ_ONLY, "read-only") if known else (reg.ADDRESS_ERROR, "unknown")
            raise self._mistake(flag, f"write to {why} register {address:#06x} (6.1)")
        if setting.valid.start < 0 and value >> 31:
            value -= 1 << 32
        if value not in setting.valid:
            raise self._mistake(
                reg.WRITE_FAILED, f"{value} is not a value of register {address:#06x} ({setting.section})"
            )
        if self._plan and address != reg.MEASURE_ON_WAKEUP:
            raise self._mistake(reg.WRITE_FAILED, f"register {address:#06x} written after the configuration (2.3.3)")
        self._settings[address] = value

    # Commands

    def _command(self, command: int, now_s: float) -> None:
        if command == reg.RESET_MODULE:
            self.power_on(now_s)
            return
        if self._status & reg.STATUS_ERRORS:
            raise self._mistake(reg.WRITE_FAILED, f"command {command} with error bits set, only RESET MODULE (2.3.1)")
        if self._phases:
            raise self._mistake(reg.WRITE_FAILED, f"command {command} while busy (2.3.1)")
        if command in (reg.APPLY_CONFIG_AND_CALIBRATE, reg.APPLY_CONFIGURATION):
            self._apply(command, now_s)
        elif command in (reg.CALIBRATE, reg.RECALIBRATE):
            self._require(bool(self._plan), command, "before the configuration is applied (2.4.1)")
            self._require(command == reg.CALIBRATE or self._calibrated(), command, "before CALIBRATE (2.4.2)")
            self._begin(now_s, *self._calibrating())
        elif command == reg.MEASURE_DISTANCE:
            self._require(self._calibrated(), command, "before calibration (2.3.3)")
            self._begin(now_s, *self._measuring())
        elif command in (reg.ENABLE_UART_LOGS, reg.DISABLE_UART_LOGS, reg.LOG_CONFIGURATION):
            self._begin(now_s, Phase("processing", plan.LOG_S))
        else:
            raise self._mistake(reg.WRITE_FAILED, f"command {command} is unknown (6.2.40)")

    def _require(self, condition: bool, command: int, why: str) -> None:
        if not condition:
            raise self._mistake(reg.WRITE_FAILED, f"command {command} {why}")

    def _calibrated(self) -> bool:
        return bool(self._status & reg.STATUS_CALIBRATED)

    def _apply(self, command: int, now_s: float) -> None:
        self._require(not self._plan, command, "a second time, a new configuration needs RESET MODULE (2.3.3)")
        method = self._settings[reg.THRESHOLD_METHOD]
        if method in (reg.FIXED_AMPLITUDE_METHOD, reg.RECORDED_METHOD):
            raise self._mistake(reg.WRITE_FAILED, f"threshold method {method} is not modelled (6.2.32)")
        detector = self._detector()
        if not 0 <= detector.start_m < detector.end_m <= plan.MAX_RANGE_M:
            self._begin(now_s, Phase("processing", plan.APPLY_S, self._not_applied))
            return
        self._plan = plan.subsweeps(detector)
        calibrating = self._calibrating() if command == reg.APPLY_CONFIG_AND_CALIBRATE else []
        self._begin(now_s, Phase("processing", plan.APPLY_S, self._applied), *calibrating)

    def _detector(self) -> plan.Detector:
        settings = self._settings
        return plan.Detector(
            start_m=settings[reg.START] / 1000,
            end_m=settings[reg.END] / 1000,
            max_step=settings[reg.MAX_STEP_LENGTH],
            close_range=bool(settings[reg.CLOSE_RANGE]),
            quality_db=settings[reg.SIGNAL_QUALITY] / 1000,
            max_profile=settings[reg.MAX_PROFILE],
            planar=settings[reg.REFLECTOR_SHAPE] == reg.PLANAR,
        )

    def _applied(self, _at_s: float) -> None:
        self._status |= reg.STATUS_APPLIED

    def _not_applied(self, _at_s: float) -> None:
        self._status |= reg.STATUS_CONFIG_APPLY_ERROR | reg.STATUS_DETECTOR_ERROR

    def _calibrating(self) -> list[Phase]:
        # Of the sensor, then of the detector: noise and offset (one frame each); near the sensor also a recorded one.
        close = self._plan[0].sweeps > 1
        frames = 2 + (self._settings[reg.NUM_FRAMES_RECORDED] if close else 0)
        frame_s = plan.measuring_s(self._plan)
        return [
            Phase("measuring", plan.SENSOR_CALIBRATION_S + frames * frame_s),
            Phase("processing", frames * plan.processing_s(self._plan), self._calibrate),
        ]

    def _calibrate(self, at_s: float) -> None:
        self._calibrated_at_c = self._environment.temperature_c(at_s)
        self._status |= reg.STATUS_CALIBRATED

    def _measuring(self) -> list[Phase]:
        if not self._calibrated():
            return [Phase("processing", 0.0, self._failed)]
        return [
            Phase("measuring", plan.measuring_s(self._plan), self._measure),
            Phase("processing", plan.processing_s(self._plan)),
        ]

    def _failed(self, _at_s: float) -> None:
        self._measurement = Measurement(flags=reg.RESULT_MEASURE_ERROR)

    def _measure(self, at_s: float) -> None:
        temperature_c = self._environment.temperature_c(at_s)
        needs_calibration = abs(temperature_c - self._calibrated_at_c) > plan.CALIBRATION_VALID_C
        echoes = () if needs_calibration else self._environment.echoes(at_s)
        threshold = Threshold.of(self._settings)
        self._measurement = Measurement.of(echoes, self._plan, threshold, temperature_c)
        if needs_calibration:
            self._measurement.flags |= reg.RESULT_CALIBRATION_NEEDED
        self._counter += 1
