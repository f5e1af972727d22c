"""SX1262: the LoRa modem, behind the commands (DS.SX1261-2.W.APP rev 2.1, chapters 6, 13.1 and 15).

Theory of operation. A packet is the air's business; the chip asks it to send or to listen, is told what it heard
(`RadioListener`), and keeps the timers: the timeout of SetRx in 15.625 us, the symbols of SetLoRaSymbNumTimeout, the
windows of a duty cycle, the length of a channel activity detection.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.lora_antenna import Antenna
from pave_emulator.chips.sx126x_config import Refused, Reported
from pave_emulator.chips.sx126x_modes import BUFFER_BYTES, Modes
from pave_emulator.chips.sx126x_warnings import rx_warnings, tx_warnings


class Modem(Modes):
    """The chip without its SPI. Commands raise Refused (status 5) or Reported (done, with a warning)."""

    def __init__(self, antenna: Antenna, tcxo: bool, rf_switch_dio2: bool, changed: Callable[[], None]) -> None:
        super().__init__(antenna, tcxo)
        self._rf_switch_dio2 = rf_switch_dio2
        self._changed = changed
        antenna.attach(self)

    def tx(self, timeout: int, now_s: float) -> None:
        """13.1.4; timeout in steps of 15.625 us, 0: none."""
        modulation = self.config.to_send(self._payload_bytes())
        self._require_clock()
        self.deadlines.cancel("stray_timeout")
        self._enter(t.TX, now_s, lambda at_s: self._send(modulation, timeout, at_s))
        self._report(tx_warnings(self.config, self.calibrated, self._rf_switch_dio2))

    def rx(self, timeout: int, now_s: float) -> None:
        """13.1.5; timeout in steps of 15.625 us, 0: none, single packet; FFFFFFh: continuous."""
        modulation = self.config.to_receive()
        self._require_clock()
        self.deadlines.cancel("stray_timeout")
        self._enter(t.RX, now_s, lambda at_s: self._listen(modulation, timeout, at_s))
        self._report(rx_warnings(self.config, self.calibrated))

    def rx_duty_cycle(self, rx_s: float, sleep_s: float, now_s: float) -> None:
        """13.1.7: windows of `rx_s`, with warm sleep between them."""
        modulation = self.config.to_receive()
        self._require_clock()
        self._enter(t.RX, now_s, lambda at_s: self._open_window(modulation, at_s))
        self._duty = (rx_s, sleep_s)
        self._report(rx_warnings(self.config, self.calibrated))

    def cad(self, now_s: float) -> None:
        """13.1.8: listen for some symbols, say whether there was LoRa."""
        modulation = self.config.to_receive()
        self._require_clock()
        self._enter(t.RX, now_s, lambda at_s: self._begin_cad(modulation, at_s))

    # Status

    def reset_stats(self) -> None:
        """13.5.6."""
        self.stats = [0, 0, 0]

    def packet_status(self) -> bytes:
        """13.5.3: RSSI of the channel, SNR, RSSI of the signal once despread."""
        rssi_dbm, snr_db = self.signal_dbm
        signal_dbm = rssi_dbm + min(snr_db, 0.0)
        return bytes([_half_db(rssi_dbm), round(snr_db * 4) & 0xFF, _half_db(signal_dbm)])

    def rssi_now(self, now_s: float) -> bytes:
        """13.5.4: in RX only."""
        if self.mode != t.RX:
            raise Refused(f"SX1262: GetRssiInst in {t.MODE_NAMES[self.mode]}, the receiver is off (13.5.4)")
        hears = self._hears
        return bytes([_half_db(self._antenna.rssi_dbm(hears.frequency_hz, hears.bandwidth_hz, now_s))])

    # Transmission

    def _send(self, modulation: Modulation, timeout: int, at_s: float) -> None:
        start, size = self.config.tx_base, self._payload_bytes()
        payload = bytes(self.buffer[(start + at) % BUFFER_BYTES] for at in range(size))
        power_dbm = float(self.config.power_dbm())
        if self._rf_switch_dio2 and not self.config.dio2_switch:
            power_dbm -= t.NO_RF_SWITCH_DB
        end_s = self._antenna.transmit(modulation, payload, power_dbm, at_s)
        self.deadlines.set("tx_end", end_s, self._sent)
        if timeout:
            self.deadlines.set("tx_timeout", at_s + timeout * t.TICK_S, self._timed_out)

    def _sent(self, at_s: float) -> None:
        self._antenna.sent()
        self._settle(self.config.fallback, at_s)
        self.status = t.STATUS_TX_DONE
        self._interrupt(t.TX_DONE)

    # Reception

    def _listen(self, modulation: Modulation, timeout: int, at_s: float) -> None:
        self._hears = modulation
        self._continuous = timeout == t.RX_CONTINUOUS
        self._write_pointer = self.config.rx_base
        self._antenna.listen(modulation, at_s)
        symbols = self.config.symbol_timeout()
        if symbols and not self._continuous:
            self.deadlines.set("symbol_timeout", at_s + symbols * modulation.symbol_s, self._timed_out)
        if timeout and not self._continuous:
            self._timeout_s = at_s + timeout * t.TICK_S
            self.deadlines.set("rx_timeout", self._timeout_s, self._timed_out)

    def preamble_detected(self, now_s: float) -> None:
        """The air: locked. StopTimerOnPreamble decides what becomes of the timeout (13.1.6)."""
        self.deadlines.run(now_s)
        if not self._antenna.listening:
            return
        self._cad_heard = True
        if "cad_end" in self.deadlines:
            return
        self.deadlines.cancel("symbol_timeout")
        if self.config.stop_on_preamble:
            self.deadlines.cancel("rx_timeout")
        elif self._duty:  # the window is extended so that the packet fits (13.1.7)
            rx_s, sleep_s = self._duty
            self.deadlines.set("rx_timeout", now_s + 2 * rx_s + sleep_s, self._close_window)
        self._interrupt(t.PREAMBLE_DETECTED)
        self._changed()

    def header_received(self, now_s: float, valid: bool) -> None:
        """The air: a valid header stops the timeout."""
        self.deadlines.run(now_s)
        if not self._antenna.listening or "cad_end" in self.deadlines:
            return
        if valid:
            self.deadlines.cancel("rx_timeout")
        else:
            self.stats[2] += 1
        self._interrupt(t.HEADER_VALID if valid else t.HEADER_ERR)
        self._changed()

    def packet_received(self, payload: bytes, crc_ok: bool, rssi_dbm: float, snr_db: float, now_s: float) -> None:
        """The air: into the buffer, from the RX base address on; one after the other in continuous mode (7.2)."""
        self.deadlines.run(now_s)
        if not self._antenna.listening or "cad_end" in self.deadlines:
            return
        self.received = (len(payload), self._write_pointer)
        for value in payload:
            self.buffer[self._write_pointer] = value
            self._write_pointer = (self._write_pointer + 1) % BUFFER_BYTES
        self.signal_dbm = (rssi_dbm, snr_db)
        self.stats[0] += 1
        self.stats[1] += not crc_ok
        if not self._continuous:
            # The RTC runs on after a packet without a header (15.3)
            if not self._hears.explicit_header and "rx_timeout" in self.deadlines and not self._duty:
                self.deadlines.set("stray_timeout", self._timeout_s, self._stray_timeout)
            self._settle(self.config.fallback, now_s)
        self.status = t.STATUS_DATA
        self._interrupt(t.RX_DONE | (0 if crc_ok else t.CRC_ERR))
        self._changed()

    def _timed_out(self, at_s: float) -> None:
        self._settle(t.STDBY_RC, at_s)
        self._interrupt(t.TIMEOUT)

    def _stray_timeout(self, at_s: float) -> None:
        if self.mode == t.RX:
            self._settle(t.STDBY_RC, at_s)
        self._interrupt(t.TIMEOUT)

    # Channel activity detection

    def _begin_cad(self, modulation: Modulation, at_s: float) -> None:
        self._hears = modulation
        self._antenna.listen(modulation, at_s)
        self._cad_heard = self._antenna.active(modulation.frequency_hz, modulation.bandwidth_hz, at_s)
        self.deadlines.set("cad_end", at_s + self.config.cad_symbols * modulation.symbol_s, self._end_cad)

    def _end_cad(self, at_s: float) -> None:
        hears = self._hears
        detected = self._cad_heard or self._antenna.active(hears.frequency_hz, hears.bandwidth_hz, at_s)
        if detected and self.config.cad_to_rx:
            self._listen(hears, self.config.cad_timeout, at_s)
        else:
            self._settle(t.STDBY_RC, at_s)
        self._interrupt(t.CAD_DONE | (t.CAD_DETECTED if detected else 0))

    # Duty cycle

    def _open_window(self, modulation: Modulation, at_s: float) -> None:
        if self._duty is None:
            return
        self.mode, self._rtc = t.RX, False
        self._hears, self._continuous = modulation, False
        self._write_pointer = self.config.rx_base
        self._antenna.listen(modulation, at_s)
        self.deadlines.set("rx_timeout", at_s + self._duty[0], self._close_window)

    def _close_window(self, at_s: float) -> None:
        if self._duty is None:
            return
        self._antenna.silence(at_s)
        self.warm = self._rtc = True
        self._fall_asleep()
        self.deadlines.set("duty", at_s + self._duty[1], self._begin_window)

    def _begin_window(self, at_s: float) -> None:
        self.config.forget_in_warm_sleep()
        hears = self._hears
        start_s = t.WARM_START_S + t.SWITCH_S[t.STDBY_RC, t.RX] + (self.config.tcxo_s or 0.0)
        self.mode, self._rtc = t.STDBY_XOSC, False
        self.busy_until_s = at_s + start_s
        self.deadlines.set("arrive", self.busy_until_s, lambda open_s: self._open_window(hears, open_s))

    # Parts of the above

    def _payload_bytes(self) -> int:
        return self.config.packet[2] if self.config.packet else 0

    def _report(self, warnings: list[str]) -> None:
        if warnings:
            raise Reported(f"SX1262: {'; '.join(warnings)}")


def _half_db(level_dbm: float) -> int:
    """-RSSI/2 dBm as the chip codes it, one byte."""
    return max(0, min(255, round(-2 * level_dbm)))
