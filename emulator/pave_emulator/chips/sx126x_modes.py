"""SX1262: operating modes, what they draw and what they cost in time (DS.SX1261-2.W.APP rev 2.1, chapters 8 and 9).

Theory of operation. A command that changes the mode takes the switching time of 8.3.1, BUSY high, plus the start of
the TCXO when the clock was off; what the mode is for begins when it is reached. Everything that will happen by itself
is a deadline.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.lora_antenna import Antenna
from pave_emulator.chips.lora_deadlines import Deadlines
from pave_emulator.chips.sx126x_config import Config, Refused, check

BUFFER_BYTES = 256
NOBODY_DBM = (-127.5, 0.0)
TIMERS = ("arrive", "tx_end", "tx_timeout", "rx_timeout", "symbol_timeout", "cad_end", "duty")


class Modes:
    """Sleep, standby, synthesis and calibration. Commands that cannot be executed now raise Refused."""

    def __init__(self, antenna: Antenna, tcxo: bool) -> None:
        self._antenna = antenna
        self._tcxo = tcxo
        self.deadlines = Deadlines()
        self.cold_start(0.0)

    def cold_start(self, now_s: float) -> None:
        """Power-on, NRESET or the end of a cold sleep: every default, and a calibration that needs the clock."""
        self._antenna.silence(now_s)
        self.deadlines.clear()
        self.config = Config()
        self.buffer = bytearray(BUFFER_BYTES)
        self.mode = t.STDBY_RC
        self.warm = self._rtc = False
        self.irq = 0
        self.errors = t.XOSC_START_ERR if self._tcxo else 0
        self.status = t.STATUS_REFUSED  # what chips answer until their first command
        self.stats = [0, 0, 0]  # received, CRC errors, header errors
        self.received = (0, 0)  # length, start in the buffer
        self.signal_dbm = NOBODY_DBM  # RSSI and SNR of the last packet
        self.busy_until_s = now_s + t.COLD_START_S
        self.calibrated = not self._tcxo
        self._write_pointer = 0
        self._timeout_s = 0.0
        self._continuous = self._cad_heard = False
        self._duty: tuple[float, float] | None = None
        self._hears = Modulation(0, 12, 125_000)

    def busy(self, now_s: float) -> bool:
        """Level of BUSY: high while a command is processed, and asleep."""
        return self.mode == t.SLEEP or now_s < self.busy_until_s

    def state(self) -> str:
        """Power state, a key of STATES_UA."""
        regulator = "" if self.config.dcdc else "-ldo"
        if self.mode == t.SLEEP:
            return ("sleep-warm-rtc" if self._rtc else "sleep-warm") if self.warm else "sleep-cold"
        if self.mode == t.TX and self.config.pa_max_dbm is not None:
            return t.tx_state(self.config.pa_max_dbm, self.config.power_dbm())
        if self.mode == t.RX:
            boosted = self.config.registers[t.RX_GAIN] == t.RX_GAIN_BOOSTED
            return f"rx{'-boosted' if boosted else ''}{regulator}"
        return {t.STDBY_RC: "stdby-rc", t.STDBY_XOSC: "stdby-xosc"}.get(self.mode, f"fs{regulator}")

    def clear_irqs(self, bits: int) -> None:
        """13.3.4."""
        self.irq &= ~bits

    def clear_errors(self) -> None:
        """13.6.2: all of them."""
        self.errors = 0

    # Modes

    def sleep(self, setting: int) -> None:
        """13.1.1: from standby only; a cold sleep forgets everything, any sleep the data buffer."""
        check(not setting & ~0x05, f"SetSleep {setting:#04x} sets reserved bits (table 13-2)")
        check(not setting & 0x01, f"SetSleep {setting:#04x}: wake-up by the RTC is not modelled (table 13-2)")
        if self.mode not in (t.STDBY_RC, t.STDBY_XOSC):
            raise Refused(f"SX1262: SetSleep in {t.MODE_NAMES[self.mode]}, only from standby (13.1.1)")
        self.deadlines.clear()
        self.warm = bool(setting & 0x04)
        self._fall_asleep()

    def wake(self, now_s: float) -> None:
        """NSS has fallen (8.2.2)."""
        self.deadlines.clear()
        if not self.warm:
            self.cold_start(now_s)
            return
        self._duty = None
        self._rtc = False
        self.config.forget_in_warm_sleep()
        self.mode, self.irq = t.STDBY_RC, 0
        self.busy_until_s = now_s + t.WARM_START_S

    def standby(self, setting: int, now_s: float) -> None:
        """13.1.2."""
        check(setting <= 1, f"SetStandby {setting:#04x} (table 13-4)")
        if setting:
            self._require_clock()
        self._enter(t.STDBY_XOSC if setting else t.STDBY_RC, now_s)

    def frequency_synthesis(self, now_s: float) -> None:
        """13.1.3, SetFs."""
        self.config.to_receive()
        self._require_clock()
        self._enter(t.FS, now_s)

    def calibrate(self, blocks: int, now_s: float) -> None:
        """13.1.12; bit 7 is not used by any block."""
        self._require_standby_rc("Calibrate")
        self._require_clock()
        if blocks & 0x7C == 0x7C:
            self.calibrated = True
        if blocks & 0x40:
            self.config.image_hz = t.DEFAULT_IMAGE_HZ
        self.busy_until_s = now_s + t.CALIBRATION_S + (self.config.tcxo_s or 0.0)

    def calibrate_image(self, first: int, last: int, now_s: float) -> None:
        """13.1.13; a band in steps of 4 MHz."""
        check(first <= last, f"CalibrateImage {first:#04x} to {last:#04x} ends before it starts (13.1.13)")
        self._require_standby_rc("CalibrateImage")
        self._require_clock()
        self.config.image_hz = (first * t.IMAGE_STEP_HZ, last * t.IMAGE_STEP_HZ)
        self.busy_until_s = now_s + t.CALIBRATION_S + (self.config.tcxo_s or 0.0)

    def use_tcxo(self, parameters: bytes) -> None:
        """13.3.6, SetDIO3AsTcxoCtrl."""
        self._require_standby_rc("SetDIO3AsTcxoCtrl")
        self.config.set_dio3_tcxo(parameters)

    def stop_rtc(self) -> None:
        """Register 0x0902 written 0: the workaround of 15.3."""
        self.deadlines.cancel("stray_timeout")

    # Parts of the above

    def _enter(self, mode: int, now_s: float, then: Callable[[float], None] | None = None) -> None:
        self._settle(self.mode, now_s)
        took_s = t.SWITCH_S.get((self.mode, mode), t.COMMAND_S)
        if self.mode == t.STDBY_RC and mode != t.STDBY_RC:
            took_s += self.config.tcxo_s or 0.0
            self.mode = t.STDBY_XOSC
        self.busy_until_s = now_s + took_s

        def arrive(at_s: float) -> None:
            self.mode = mode
            if then is not None:
                then(at_s)

        self.deadlines.set("arrive", self.busy_until_s, arrive)

    def _settle(self, mode: int, now_s: float) -> None:
        self._antenna.silence(now_s)
        self.deadlines.cancel(*TIMERS)
        self._duty = None
        self.mode = mode

    def _fall_asleep(self) -> None:
        self.mode = t.SLEEP
        self.buffer = bytearray(BUFFER_BYTES)

    def _interrupt(self, bits: int) -> None:
        self.irq |= bits & self.config.irq_mask

    def _require_standby_rc(self, command: str) -> None:
        if self.mode != t.STDBY_RC:
            raise Refused(f"SX1262: {command} in {t.MODE_NAMES[self.mode]}, only in STDBY_RC (chapter 13)")

    def _require_clock(self) -> None:
        """The 32 MHz clock starts if what clocks this board is what was configured."""
        if self._tcxo and self.config.tcxo_s is None:
            self.errors |= t.XOSC_START_ERR
            raise Refused("SX1262: XOSC_START_ERR, this board has a TCXO and DIO3 does not supply it (13.3.6)")
        if not self._tcxo and self.config.tcxo_s is not None:
            self.errors |= t.XOSC_START_ERR
            raise Refused("SX1262: XOSC_START_ERR, DIO3 supplies a TCXO that this board does not have (13.3.6)")
