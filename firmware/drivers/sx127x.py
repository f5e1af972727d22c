"""Semtech SX1276 transceiver on SPI (datasheet SX1276/77/78/79 rev 7), its LoRa modem only, above 779 MHz.

    radio = SX1276(spi, nss=Pin(10, Pin.OUT, value=1), reset=Pin(14, Pin.OUT, value=1))
    radio.start()
    radio.configure(868_100_000, sf=9, power_dbm=14)
    radio.start_send(b"hello")
    while radio.poll() == BUSY:
        time.sleep_ms(5)
    radio.prepare_receive(symbols=20)
    radio.start_receive()
    ... poll() until it is not BUSY; RECEIVED: radio.read(), then radio.rssi_dbm and radio.snr_db
    radio.sleep()

Nothing here waits but for the chip's own start and calibration: who sends or listens polls. No interrupt line is
needed. The interface is that of `sx126x.SX1262`.

Section numbers are the datasheet's; "errata" is the SX1276/77/78 errata note rev 1.1.
"""

import time

from micropython import const

BUSY, SENT, RECEIVED, TIMED_OUT, DAMAGED = 0, 1, 2, 3, 4  # what `poll` says

_FIFO = const(0x00)
_OP_MODE = const(0x01)
_FRF_MSB = const(0x06)
_PA_CONFIG = const(0x09)
_OCP = const(0x0B)
_LNA = const(0x0C)
_FIFO_ADDR = const(0x0D)
_FIFO_TX_BASE = const(0x0E)
_FIFO_RX_CURRENT = const(0x10)
_IRQ_MASK = const(0x11)
_IRQ_FLAGS = const(0x12)
_RX_BYTES = const(0x13)
_PACKET_SNR = const(0x19)  # and RSSI after it
_MODEM_CONFIG_1 = const(0x1D)
_MODEM_CONFIG_2 = const(0x1E)
_SYMBOL_TIMEOUT = const(0x1F)
_PREAMBLE_MSB = const(0x20)
_PAYLOAD_BYTES = const(0x22)
_MAX_PAYLOAD_BYTES = const(0x23)
_MODEM_CONFIG_3 = const(0x26)
_IF_FREQUENCY_2 = const(0x2F)  # errata 2.3
_IF_FREQUENCY_1 = const(0x30)
_DETECT_OPTIMIZE = const(0x31)
_INVERT_IQ = const(0x33)
_HIGH_BANDWIDTH_1 = const(0x36)  # errata 2.1
_DETECTION_THRESHOLD = const(0x37)
_SYNC_WORD = const(0x39)
_HIGH_BANDWIDTH_2 = const(0x3A)  # errata 2.1
_INVERT_IQ_2 = const(0x3B)
_IMAGE_CALIBRATION = const(0x3B)  # the same address in FSK mode
_VERSION = const(0x42)
_TCXO = const(0x4B)
_PA_DAC = const(0x4D)

_SLEEP = const(0)
_STANDBY = const(1)
_TRANSMIT = const(3)
_RECEIVE_SINGLE = const(6)
_LORA = const(0x80)

_IRQ_RX_TIMEOUT = const(0x80)
_IRQ_RX_DONE = const(0x40)
_IRQ_CRC_ERROR = const(0x20)
_IRQ_TX_DONE = const(0x08)

_CHIP_VERSION = const(0x12)
_LNA_BOOST = const(0x23)  # highest gain, boosted in the high band
_AGC = const(0x04)
_CRC = const(0x04)
_OCP_140_MA = const(0x31)
_PA_DAC_DEFAULT = const(0x84)
_PA_DAC_20_DBM = const(0x87)
_RSSI_OFFSET_DBM = const(-157)  # 5.5.5, high frequency port
_CALIBRATION_MAX_MS = const(50)

_BANDWIDTHS = {125_000: 7, 250_000: 8, 500_000: 9}


class RadioError(OSError):
    """The chip does not answer, or not as an SX1276 does; the message says what, and what to check."""


class SX1276:
    """The transceiver.

    Args:
        spi: machine.SPI or alike, mode 0, at most 10 MHz.
        nss, reset: machine.Pin or alike, outputs that are high. reset may be None.
        pa_boost: the antenna is at PA_BOOST (2 to 20 dBm), else at RFO_HF (-4 to 14 dBm).
        tcxo: a clipped-sine oscillator is at XTA instead of a crystal.

    Attributes:
        rssi_dbm, snr_db: of the packet that was read last, integers.
        rx_start_us: from `start_receive` until the receiver listens.
        min_power_dbm, max_power_dbm: at the antenna pin.
    """

    rx_start_us = 350  # table 7: crystal, synthesizer and receiver from standby

    def __init__(self, spi, nss, reset=None, pa_boost=True, tcxo=False):
        self._spi = spi
        self._nss = nss
        self._reset = reset
        self._pa_boost = pa_boost
        self._tcxo = tcxo
        self._calibrated_mhz = None
        self.rssi_dbm = self.snr_db = 0
        self.min_power_dbm, self.max_power_dbm = (2, 20) if pa_boost else (-4, 14)

    def start(self):
        """Reset, and leave the chip in standby as a LoRa modem.

        Raises:
            RadioError: no SX1276 answers.
        """
        if self._reset is not None:
            self._reset(0)
            time.sleep_us(150)  # 7.2.2: 100 us low, then 5 ms
            self._reset(1)
            time.sleep_ms(5)
        version = self._read(_VERSION)
        if version != _CHIP_VERSION:
            raise RadioError("RegVersion is 0x%02x, not the SX1276's 0x12; check SPI, NSS and supply" % version)
        self._write(_OP_MODE, _SLEEP)
        if self._tcxo:
            self._write(_TCXO, self._read(_TCXO) | 0x10)
        self._calibrated_mhz = None

    def configure(
        self, frequency_hz, sf, bandwidth_hz=125_000, power_dbm=14, coding_rate=1, preamble_symbols=8, sync_word=0x34
    ):
        """Set channel, modulation and power, in standby.

        Args:
            frequency_hz: of the carrier.
            sf: spreading factor.
            bandwidth_hz: 125,000, 250,000 or 500,000.
            power_dbm: at the antenna pin; for sending.
            coding_rate: 1 to 4 for 4/5 to 4/8.
            preamble_symbols: without the 4.25 of the sync word.
            sync_word: 0x34 is LoRaWAN's, 0x12 that of private networks.

        Raises:
            ValueError: what the chip cannot do.
        """
        if bandwidth_hz not in _BANDWIDTHS or not 7 <= sf <= 12 or not 1 <= coding_rate <= 4:
            raise ValueError("SF%d, %d Hz, coding rate %d" % (sf, bandwidth_hz, coding_rate))
        if not 779_000_000 <= frequency_hz <= 1_020_000_000:
            raise ValueError("%d Hz; the high frequency port has 779 to 1020 MHz" % frequency_hz)
        steps = (frequency_hz << 19) // 32_000_000
        self._calibrate_image(frequency_hz // 1_000_000, steps)
        self.standby()
        self._set_frequency(steps)
        self._write(_LNA, _LNA_BOOST)
        slow = 0x08 if (1 << sf) * 1000 >= 16 * bandwidth_hz else 0  # 4.1.1.6: from symbols of 16 ms on
        self._write(_MODEM_CONFIG_1, _BANDWIDTHS[bandwidth_hz] << 4 | coding_rate << 1)
        self._write(_MODEM_CONFIG_2, sf << 4 | _CRC)
        self._write(_MODEM_CONFIG_3, slow | _AGC)
        self._write(_DETECTION_THRESHOLD, 0x0A)  # for SF7 to SF12
        self._see_to_errata(bandwidth_hz)
        self._write(_PREAMBLE_MSB, preamble_symbols >> 8, preamble_symbols & 255)
        self._write(_SYNC_WORD, sync_word)
        self._write(_MAX_PAYLOAD_BYTES, 255)
        self._set_power(power_dbm)

    def start_send(self, data, inverted_iq=False):
        """Send `data` (1 to 255 bytes), with explicit header and CRC. `poll` says SENT when it is out.

        Raises:
            ValueError: no bytes, or more than a packet holds.
        """
        if not 0 < len(data) <= 255:
            raise ValueError("packet of %d bytes; 1 to 255" % len(data))
        self._write(_INVERT_IQ, 0x26 if inverted_iq else 0x27)
        self._write(_INVERT_IQ_2, 0x19 if inverted_iq else 0x1D)
        self._write(_MODEM_CONFIG_2, self._read(_MODEM_CONFIG_2) | _CRC)
        self._write(_FIFO_TX_BASE, 0, 0)  # and that of reception
        self._write(_FIFO_ADDR, 0)
        self._write(_PAYLOAD_BYTES, len(data))
        self._transfer(_FIFO | 0x80, data)
        self._clear_irq()
        self._write(_OP_MODE, _LORA | _TRANSMIT)

    def prepare_receive(self, symbols, inverted_iq=False):
        """Say how long `start_receive` is to wait for a preamble: 4 to 1023 symbols."""
        if not 4 <= symbols <= 1023:
            raise ValueError("%d symbols; 4 to 1023" % symbols)
        self._write(_INVERT_IQ, 0x67 if inverted_iq else 0x27)
        self._write(_INVERT_IQ_2, 0x19 if inverted_iq else 0x1D)
        self._write(_MODEM_CONFIG_2, self._read(_MODEM_CONFIG_2) & 0xF0 | symbols >> 8, symbols & 255)
        self._write(_FIFO_TX_BASE, 0, 0)
        self._write(_FIFO_ADDR, 0)
        self._clear_irq()

    def start_receive(self):
        """Listen for one packet, from `rx_start_us` from now, also out of `sleep`.

        `poll` says RECEIVED, TIMED_OUT or DAMAGED.
        """
        self._write(_OP_MODE, _LORA | _RECEIVE_SINGLE)

    def poll(self):
        """Return BUSY, SENT, RECEIVED, TIMED_OUT (no preamble came) or DAMAGED (CRC)."""
        irq = self._read(_IRQ_FLAGS)
        if irq & _IRQ_RX_DONE:
            return DAMAGED if irq & _IRQ_CRC_ERROR else RECEIVED
        if irq & _IRQ_TX_DONE:
            return SENT
        return TIMED_OUT if irq & _IRQ_RX_TIMEOUT else BUSY

    def read(self):
        """Return the packet received (bytes), and keep its levels."""
        size = self._read(_RX_BYTES)
        self._write(_FIFO_ADDR, self._read(_FIFO_RX_CURRENT))
        snr = self._read(_PACKET_SNR)
        rssi = self._read(_PACKET_SNR + 1)
        self.snr_db = (snr - 256 if snr > 127 else snr) // 4
        # 5.5.5: above the noise the slope is put right, below it the SNR says how far below
        self.rssi_dbm = _RSSI_OFFSET_DBM + (rssi * 16 // 15 if self.snr_db >= 0 else rssi + self.snr_db)
        return self._transfer(_FIFO, bytes(size))

    def standby(self):
        """End what it does, and wake it from `sleep`; 1.6 mA."""
        self._write(_OP_MODE, _LORA | _STANDBY)

    def sleep(self, warm=False):
        """Sleep at 0.2 uA; the chip keeps its settings, `warm` or not. Keep nss and reset high until it is to wake."""
        self._write(_OP_MODE, _LORA | _SLEEP)

    def _calibrate_image(self, mhz, steps):
        """2.1.3.8: out of reset image and RSSI are calibrated for 434 MHz; again after 10 MHz. FSK mode does it."""
        if self._calibrated_mhz is not None and abs(mhz - self._calibrated_mhz) < 10:
            return
        self._write(_OP_MODE, _LORA | _SLEEP)
        self._write(_OP_MODE, _SLEEP)
        self._write(_OP_MODE, _STANDBY)
        self._set_frequency(steps)
        self._write(_IMAGE_CALIBRATION, self._read(_IMAGE_CALIBRATION) & 0xBF | 0x40)
        began_ms = time.ticks_ms()
        while self._read(_IMAGE_CALIBRATION) & 0x20:
            if time.ticks_diff(time.ticks_ms(), began_ms) > _CALIBRATION_MAX_MS:
                raise RadioError("image calibration of the SX1276 does not end; check the oscillator")
            time.sleep_ms(1)
        self._write(_OP_MODE, _SLEEP)
        self._write(_OP_MODE, _LORA | _SLEEP)  # 4.1.6: LongRangeMode changes in sleep alone
        self._write(_IRQ_MASK, 0)
        self._calibrated_mhz = mhz

    def _see_to_errata(self, bandwidth_hz):
        """Errata 2.1, sensitivity at 500 kHz, and 2.3, spurious reception at less."""
        wide = bandwidth_hz == 500_000
        self._write(_HIGH_BANDWIDTH_1, 0x02 if wide else 0x03)
        if wide:
            self._write(_HIGH_BANDWIDTH_2, 0x64)
        self._write(_DETECT_OPTIMIZE, 0xC3 if wide else 0x43)
        if not wide:
            self._write(_IF_FREQUENCY_2, 0x40, 0x00)

    def _set_power(self, power_dbm):
        if not self.min_power_dbm <= power_dbm <= self.max_power_dbm:
            raise ValueError("%d dBm; %d to %d" % (power_dbm, self.min_power_dbm, self.max_power_dbm))
        if (
            not self._pa_boost
        ):  # 5.4.2: Pmax is 10.8 + 0.6 * 6 = 14.4 dBm, or 10.8 where less is wanted than that less 15
            self._write(_PA_CONFIG, 0x60 | power_dbm + 1 if power_dbm >= 0 else power_dbm + 4)
            return
        high = power_dbm > 17
        self._write(_PA_DAC, _PA_DAC_20_DBM if high else _PA_DAC_DEFAULT)
        self._write(_OCP, _OCP_140_MA)
        self._write(_PA_CONFIG, 0x80 | power_dbm - (5 if high else 2))

    def _set_frequency(self, steps):
        self._write(_FRF_MSB, steps >> 16, steps >> 8 & 255, steps & 255)

    def _clear_irq(self):
        self._write(_IRQ_FLAGS, 0xFF)

    def _write(self, register, *values):
        self._transfer(register | 0x80, bytes(values))

    def _read(self, register):
        return self._transfer(register, b"\0")[0]

    def _transfer(self, register, data):
        """Move `data` to the register and those after it (the FIFO: to it alone); return what came back."""
        out = bytearray(1 + len(data))
        out[0] = register
        out[1:] = data
        self._nss(0)
        self._spi.write_readinto(out, out)
        self._nss(1)
        return bytes(out[1:])
