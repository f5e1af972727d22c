"""SX1276: modes and the LoRa modem behind the registers (DS_SX1276-7-8-9 rev 7, 4.1)."""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx127x_tables as t
from pave_emulator.chips.chip import ChipFault
from pave_emulator.chips.lora_antenna import Antenna
from pave_emulator.chips.lora_deadlines import Deadlines
from pave_emulator.chips.sx127x_registers import Registers, check

FIFO_BYTES = 256
TIMERS = ("arrive", "tx_end", "symbol_timeout", "cad_end")
RECEIVING = (t.RX_CONTINUOUS, t.RX_SINGLE)
MIN_SYMBOL_TIMEOUT = 4
LNA_BOOST_HF = 0x03


class Modem:
    """The chip without its SPI."""

    def __init__(self, antenna: Antenna, changed: Callable[[], None]) -> None:
        self._antenna = antenna
        self._changed = changed
        self.deadlines = Deadlines()
        self._cad_heard = False
        antenna.attach(self)
        self.reset(0.0)

    def reset(self, now_s: float) -> None:
        """Every register at its default, in standby."""
        self._antenna.silence(now_s)
        self.deadlines.clear()
        self.registers = Registers()
        self.fifo = bytearray(FIFO_BYTES)
        self.mode = t.STDBY
        self.irq = 0
        self._status = dict.fromkeys(t.READ_ONLY, 0)
        self._modem_status = t.MODEM_CLEAR
        self._headers = self._packets = 0
        self._write_pointer = 0
        self._hears = Modulation(0, 12, 125_000)

    def settled(self) -> bool:
        """ModeReady: oscillator and synthesizer run as the mode needs."""
        return "arrive" not in self.deadlines

    def state(self) -> str:
        """Power state, a key of STATES_UA."""
        if self.mode == t.SLEEP:
            return "sleep"
        if self.mode == t.STDBY or not self.settled():
            return "stdby"
        if self.mode == t.TX:
            return self.registers.tx_state()
        if self.mode in (t.FSTX, t.FSRX):
            return "fs"
        return "rx" if self.registers[t.LNA] & LNA_BOOST_HF == LNA_BOOST_HF else "rx-noboost"

    def enter(self, mode: int, now_s: float) -> None:
        """A mode written to RegOpMode. Raise ChipFault for what it would do wrong, having begun it."""
        if mode == self.mode:
            return
        woken = self.mode == t.SLEEP
        self._settle(mode, now_s)
        if mode == t.SLEEP:
            self._headers = self._packets = 0
            self.fifo = bytearray(FIFO_BYTES)
            return
        takes_s = (t.OSCILLATOR_S if woken else 0.0) + (t.SYNTHESIZER_S if mode > t.STDBY else 0.0)
        sending = mode in (t.TX, t.FSTX)
        modulation = self.registers.modulation(sending)
        begin: dict[int, Callable[[Modulation, float], None]] = {
            t.TX: self._send,
            t.RX_CONTINUOUS: self._listen,
            t.RX_SINGLE: self._listen,
            t.CAD: self._begin_cad,
        }
        action = begin.get(mode)
        self.deadlines.set("arrive", now_s + takes_s, lambda at_s: action(modulation, at_s) if action else None)
        if action:
            self._warn(mode, modulation)

    def _warn(self, mode: int, modulation: Modulation) -> None:
        warnings = self.registers.warnings(modulation, mode == t.TX)
        if mode == t.RX_SINGLE and self.registers.symbol_timeout < MIN_SYMBOL_TIMEOUT:
            warnings.append(f"a symbol timeout of {self.registers.symbol_timeout}, 4 to 1023 are possible (6.4)")
        if mode == t.TX and not self.registers[t.PAYLOAD_LENGTH]:
            warnings.append("RegPayloadLength 0 is not permitted (6.4)")
        if warnings:
            raise ChipFault(f"SX1276: {'; '.join(warnings)}")

    # Transmission

    def _send(self, modulation: Modulation, at_s: float) -> None:
        start = self.registers[t.FIFO_TX_BASE]
        size = self.registers[t.PAYLOAD_LENGTH]
        payload = bytes(self.fifo[(start + at) % FIFO_BYTES] for at in range(size))
        end_s = self._antenna.transmit(modulation, payload, self.registers.power_dbm(), at_s)
        self.deadlines.set("tx_end", end_s, self._sent)

    def _sent(self, at_s: float) -> None:
        self._antenna.sent()
        self._settle(t.STDBY, at_s)
        self._interrupt(t.TX_DONE)

    # Reception

    def _listen(self, modulation: Modulation, at_s: float) -> None:
        self._hears = modulation
        self._write_pointer = self.registers[t.FIFO_RX_BASE]
        self._modem_status = t.RX_ONGOING
        self._antenna.listen(modulation, at_s)
        if self.mode == t.RX_SINGLE:
            symbols = self.registers.symbol_timeout
            self.deadlines.set("symbol_timeout", at_s + symbols * modulation.symbol_s, self._timed_out)

    def preamble_detected(self, now_s: float) -> None:
        """The air: locked."""
        self.deadlines.run(now_s)
        self._cad_heard = self._antenna.listening
        if self._antenna.listening and self.mode in RECEIVING:
            self.deadlines.cancel("symbol_timeout")
            self._modem_status = t.RX_ONGOING | t.SYNCHRONIZED | t.DETECTED
            self._changed()

    def header_received(self, now_s: float, valid: bool) -> None:
        """The air: only a valid header shows."""
        self.deadlines.run(now_s)
        if self._antenna.listening and self.mode in RECEIVING and valid:
            self._headers += 1
            self._modem_status |= t.HEADER_VALID
            self._interrupt(t.VALID_HEADER)
            self._changed()

    def packet_received(self, payload: bytes, crc_ok: bool, rssi_dbm: float, snr_db: float, now_s: float) -> None:
        """The air: into the FIFO, from the RX base address on; one after the other in continuous mode (4.1.2.3)."""
        self.deadlines.run(now_s)
        if not self._antenna.listening or self.mode not in RECEIVING:
            return
        self._modem_status = t.RX_ONGOING
        if self._hears.explicit_header and len(payload) > self.registers[t.MAX_PAYLOAD_LENGTH]:
            return
        self._status[t.FIFO_RX_CURRENT] = self._write_pointer
        self._status[t.RX_NB_BYTES] = len(payload)
        for value in payload:
            self.fifo[self._write_pointer] = value
            self._write_pointer = (self._write_pointer + 1) % FIFO_BYTES
        self._status[t.PKT_SNR] = round(snr_db * 4) & 0xFF
        self._status[t.PKT_RSSI] = self._coded(rssi_dbm, 15 / 16 if snr_db >= 0 else 1.0)
        self._packets += crc_ok
        if self.mode == t.RX_SINGLE:
            self._settle(t.STDBY, now_s)
        self._interrupt(t.RX_DONE | (0 if crc_ok else t.PAYLOAD_CRC_ERROR))
        self._changed()

    def _timed_out(self, at_s: float) -> None:
        self._settle(t.STDBY, at_s)
        self._interrupt(t.RX_TIMEOUT)

    # Channel activity detection

    def _begin_cad(self, modulation: Modulation, at_s: float) -> None:
        self._antenna.listen(modulation, at_s)
        chips = 1 << modulation.spreading_factor
        heard_s = (chips + 32) / modulation.bandwidth_hz
        processed_s = modulation.spreading_factor * chips / t.CAD_PROCESSING_HZ
        self._cad_heard = self._antenna.active(modulation.frequency_hz, modulation.bandwidth_hz, at_s)

        def end(end_s: float) -> None:
            self._settle(t.STDBY, end_s)
            self._interrupt(t.CAD_DONE | (t.CAD_DETECTED if self._cad_heard else 0))

        self.deadlines.set("cad_end", at_s + heard_s + processed_s, end)

    # Status

    def status_register(self, register: int, now_s: float) -> int:
        """Registers that tell what was received and how the modem is."""
        if register == t.IRQ_FLAGS:
            return self.irq
        if register == t.MODEM_STAT:
            return self._modem_status | (self._hears.coding_rate - 4) << 5
        if register == t.RSSI:
            return self.rssi_register(now_s)
        if register == t.HOP_CHANNEL:
            return 0x40 if self._hears.crc else 0
        if register == t.FIFO_RX_BYTE_ADDR:
            return self._write_pointer
        counts = {t.HEADER_CNT_MSB: self._headers >> 8, t.HEADER_CNT_LSB: self._headers}
        counts |= {t.PACKET_CNT_MSB: self._packets >> 8, t.PACKET_CNT_LSB: self._packets}
        return counts.get(register, self._status.get(register, 0)) & 0xFF

    def rssi_register(self, now_s: float) -> int:
        """RegRssiValue (5.5.5): of the receiver, while it is on."""
        check(self.mode in RECEIVING, f"RSSI read in {t.MODE_NAMES[self.mode]}, the receiver is off (5.5.5)")
        hears = self._hears
        if not self.settled():
            return 0
        return self._coded(self._antenna.rssi_dbm(hears.frequency_hz, hears.bandwidth_hz, now_s), 1.0)

    def _coded(self, level_dbm: float, slope: float) -> int:
        high = self._hears.frequency_hz >= t.HF_PORT_HZ
        offset_dbm = t.RSSI_OFFSET_HF_DBM if high else t.RSSI_OFFSET_LF_DBM
        return max(0, min(255, round((level_dbm - offset_dbm) * slope)))

    # Parts of the above

    def _settle(self, mode: int, now_s: float) -> None:
        self._antenna.silence(now_s)
        self.deadlines.cancel(*TIMERS)
        self.mode = mode
        self._modem_status = t.MODEM_CLEAR

    def _interrupt(self, bits: int) -> None:
        self.irq |= bits & ~self.registers[t.IRQ_FLAGS_MASK]
