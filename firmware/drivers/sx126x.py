"""Semtech SX1262 transceiver on SPI (datasheet DS.SX1261-2.W.APP rev 2.1), its LoRa modem only.

    radio = SX1262(spi, nss=Pin(10, Pin.OUT, value=1), busy=Pin(15), reset=Pin(14, Pin.OUT, value=1), tcxo_mv=1800)
    radio.start()
    radio.configure(868_100_000, sf=9, power_dbm=14)
    radio.start_send(b"hello")
    while radio.poll() == BUSY:
        time.sleep_ms(5)
    radio.prepare_receive(symbols=20)
    radio.start_receive()
    ... poll() until it is not BUSY; RECEIVED: radio.read(), then radio.rssi_dbm and radio.snr_db
    radio.sleep()

Nothing here waits but for the chip's BUSY line: who sends or listens polls. No interrupt line is needed; DIO1 is high
while `poll` has something else to say than BUSY.

Section numbers are the datasheet's. Of its known limitations (15) those of transmission (15.1, 15.2) and of inverted IQ
(15.4) are seen to; 15.3 does not occur without an implicit header.
"""

import time

from micropython import const

BUSY, SENT, RECEIVED, TIMED_OUT, DAMAGED = 0, 1, 2, 3, 4  # what `poll` says

_SET_SLEEP = const(0x84)
_SET_STANDBY = const(0x80)
_SET_TX = const(0x83)
_SET_RX = const(0x82)
_SET_REGULATOR_MODE = const(0x96)
_CALIBRATE = const(0x89)
_CALIBRATE_IMAGE = const(0x98)
_SET_PA_CONFIG = const(0x95)
_WRITE_REGISTER = const(0x0D)
_READ_REGISTER = const(0x1D)
_WRITE_BUFFER = const(0x0E)
_READ_BUFFER = const(0x1E)
_SET_DIO_IRQ = const(0x08)
_GET_IRQ = const(0x12)
_CLEAR_IRQ = const(0x02)
_SET_DIO2_RF_SWITCH = const(0x9D)
_SET_DIO3_TCXO = const(0x97)
_SET_FREQUENCY = const(0x86)
_SET_PACKET_TYPE = const(0x8A)
_SET_TX_PARAMS = const(0x8E)
_SET_MODULATION = const(0x8B)
_SET_PACKET = const(0x8C)
_SET_BUFFER_BASE = const(0x8F)
_SET_SYMBOL_TIMEOUT = const(0xA0)
_GET_RX_BUFFER = const(0x13)
_GET_PACKET_STATUS = const(0x14)
_GET_ERRORS = const(0x17)
_CLEAR_ERRORS = const(0x07)

_IQ_POLARITY = const(0x0736)  # 15.4
_SYNC_WORD = const(0x0740)
_TX_MODULATION = const(0x0889)  # 15.1
_TX_CLAMP = const(0x08D8)  # 15.2
_OCP = const(0x08E7)  # in steps of 2.5 mA

_IRQ_TX_DONE = const(0x0001)
_IRQ_RX_DONE = const(0x0002)
_IRQ_CRC_ERROR = const(0x0040)
_IRQ_TIMEOUT = const(0x0200)
_IRQS = const(0x0243)

_SLEEP_COLD = const(0x00)
_SLEEP_WARM = const(0x04)
_BUSY_MAX_MS = const(200)  # calibrating with a slow TCXO is the longest of all
_OCP_140_MA = const(0x38)

_BANDWIDTHS = {62_500: 3, 125_000: 4, 250_000: 5, 500_000: 6}  # table 13-48
_TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)  # table 13-35
_IMAGE_BANDS = (  # table 9-2: first MHz, last MHz, the two bytes of CalibrateImage
    (430, 440, 0x6B, 0x6F),
    (470, 510, 0x75, 0x81),
    (779, 787, 0xC1, 0xC5),
    (863, 870, 0xD7, 0xDB),
    (902, 928, 0xE1, 0xE9),
)
# Table 13-21: at most so many dBm with paDutyCycle and hpMax; SetTxParams says 22 for that, and less for less, to -9.
_PA = ((14, 2, 2), (17, 2, 3), (20, 3, 5), (22, 4, 7))
_ERRORS = ("RC64K_CALIB", "RC13M_CALIB", "PLL_CALIB", "ADC_CALIB", "IMG_CALIB", "XOSC_START", "PLL_LOCK", "", "PA_RAMP")


class RadioError(OSError):
    """The chip does not answer, or not as an SX1262 does; the message says what, and what to check."""


class SX1262:
    """The transceiver.

    Args:
        spi: machine.SPI or alike, mode 0, at most 16 MHz, for this chip alone while it is used.
        nss, busy, reset: machine.Pin or alike; nss and reset outputs that are high. reset may be None.
        tcxo_mv: voltage at DIO3 for a TCXO, one of 1600 to 3300; 0: a crystal.
        tcxo_us: how long the TCXO takes to start.
        dio2_rf_switch: DIO2 switches the antenna to the transmitter.

    Attributes:
        rssi_dbm, snr_db: of the packet that was read last, integers.
        rx_start_us: from `start_receive` until the receiver listens.
        min_power_dbm, max_power_dbm: at the antenna pin.
    """

    min_power_dbm = -17
    max_power_dbm = 22

    def __init__(self, spi, nss, busy, reset=None, tcxo_mv=0, tcxo_us=5000, dio2_rf_switch=True):
        if tcxo_mv and tcxo_mv not in _TCXO_MV:
            raise ValueError("TCXO of %d mV; one of %s" % (tcxo_mv, _TCXO_MV))
        self._spi = spi
        self._nss = nss
        self._busy = busy
        self._reset = reset
        self._tcxo_mv = tcxo_mv
        self._tcxo_us = tcxo_us if tcxo_mv else 0
        self._dio2_rf_switch = dio2_rf_switch
        self._preamble_symbols = 8
        self._iq_polarity = 0x0D  # out of reset
        self._asleep = None  # or how it was sent to sleep
        self._band = None
        self.rssi_dbm = self.snr_db = 0
        self.rx_start_us = self._tcxo_us + 500  # table 8-2: 340 us out of warm sleep, 83 us from STDBY_RC

    def start(self):
        """Reset, calibrate, and leave the chip in standby.

        Raises:
            RadioError: no SX1262 answers, or its oscillator or a calibration fails.
        """
        if self._reset is not None:
            self._reset(0)
            time.sleep_us(150)  # 8.1: 100 us
            self._reset(1)
            self._asleep = None
        elif self._asleep is not None:
            self._wake()
        self._band = None
        self._command(_SET_STANDBY, 0)
        if self._tcxo_mv:
            steps = self._tcxo_us * 64 // 1000 + 1  # of 15.625 us
            self._command(
                _SET_DIO3_TCXO, _TCXO_MV.index(self._tcxo_mv), steps >> 16 & 255, steps >> 8 & 255, steps & 255
            )
        self._command(_CLEAR_ERRORS, 0, 0)  # with a TCXO the start out of reset found no oscillator (13.3.6)
        self._command(_CALIBRATE, 0x7F)
        self._command(_SET_REGULATOR_MODE, 1)  # DC-DC
        self._command(_SET_DIO2_RF_SWITCH, int(self._dio2_rf_switch))
        self._command(_SET_PACKET_TYPE, 1)  # LoRa
        self._command(_SET_BUFFER_BASE, 0, 0)
        self._command(_SET_DIO_IRQ, _IRQS >> 8, _IRQS & 255, _IRQS >> 8, _IRQS & 255, 0, 0, 0, 0)
        self._set_bits(_TX_CLAMP, 0x1E, 0x1E)
        self._check()

    def configure(
        self, frequency_hz, sf, bandwidth_hz=125_000, power_dbm=14, coding_rate=1, preamble_symbols=8, sync_word=0x34
    ):
        """Set channel, modulation and power, in standby.

        Args:
            frequency_hz: of the carrier.
            sf: spreading factor.
            bandwidth_hz: 62,500 to 500,000.
            power_dbm: at the antenna pin, -17 to 22; for sending.
            coding_rate: 1 to 4 for 4/5 to 4/8.
            preamble_symbols: without the 4.25 of the sync word.
            sync_word: 0x34 is LoRaWAN's, 0x12 that of private networks.

        Raises:
            ValueError: what the chip cannot do.
        """
        if bandwidth_hz not in _BANDWIDTHS or not 5 <= sf <= 12 or not 1 <= coding_rate <= 4:
            raise ValueError("SF%d, %d Hz, coding rate %d" % (sf, bandwidth_hz, coding_rate))
        self.standby()
        self._calibrate_image(frequency_hz // 1_000_000)
        steps = (frequency_hz << 25) // 32_000_000
        self._command(_SET_FREQUENCY, steps >> 24, steps >> 16 & 255, steps >> 8 & 255, steps & 255)
        slow = int((1 << sf) * 1000 >= 16 * bandwidth_hz)  # 6.1.1.4: from symbols of 16.38 ms on
        self._command(_SET_MODULATION, sf, _BANDWIDTHS[bandwidth_hz], coding_rate, slow)
        self._set_bits(_TX_MODULATION, 0x04, 0 if bandwidth_hz == 500_000 else 0x04)
        self._set_power(power_dbm)
        self._write(_SYNC_WORD, sync_word & 0xF0 | 0x04, (sync_word & 0x0F) << 4 | 0x04)
        self._preamble_symbols = preamble_symbols

    def start_send(self, data, inverted_iq=False):
        """Send `data` (1 to 255 bytes), with explicit header and CRC. `poll` says SENT when it is out.

        Raises:
            ValueError: no bytes, or more than a packet holds.
        """
        if not 0 < len(data) <= 255:
            raise ValueError("packet of %d bytes; 1 to 255" % len(data))
        self._transfer(bytes((_WRITE_BUFFER, 0)) + data)
        self._set_packet(len(data), True, inverted_iq)
        self._command(_CLEAR_IRQ, 0x03, 0xFF)
        self._command(_SET_TX, 0, 0, 0)

    def prepare_receive(self, symbols, inverted_iq=False):
        """Say how long `start_receive` is to wait for a preamble: 1 to 248 symbols, rounded up where it must."""
        if not 0 < symbols <= 248:
            raise ValueError("%d symbols; 1 to 248" % symbols)
        # The modem keeps a mantissa of five bits: to 62 in steps of 2, beyond in steps of 8.
        symbols = symbols + 1 & ~1 if symbols <= 62 else symbols + 7 & ~7
        self._set_packet(255, False, inverted_iq)
        self._command(_SET_SYMBOL_TIMEOUT, symbols)
        self._command(_CLEAR_IRQ, 0x03, 0xFF)

    def start_receive(self):
        """Listen for one packet, from `rx_start_us` from now, also out of `sleep(warm=True)`.

        `poll` says RECEIVED, TIMED_OUT or DAMAGED.
        """
        if self._asleep is not None:
            self.standby()
            self._write(_IQ_POLARITY, self._iq_polarity)  # of what warm sleep keeps, 9.3 does not name it
        self._command(_SET_RX, 0, 0, 0)

    def poll(self):
        """Return BUSY, SENT, RECEIVED, TIMED_OUT (no preamble came) or DAMAGED (CRC)."""
        high, low = self._ask(_GET_IRQ, 2)
        irq = high << 8 | low
        if irq & _IRQ_RX_DONE:
            return DAMAGED if irq & _IRQ_CRC_ERROR else RECEIVED
        if irq & _IRQ_TX_DONE:
            return SENT
        return TIMED_OUT if irq & _IRQ_TIMEOUT else BUSY

    def read(self):
        """Return the packet received (bytes), and keep its levels."""
        size, start = self._ask(_GET_RX_BUFFER, 2)
        rssi, snr, _ = self._ask(_GET_PACKET_STATUS, 3)
        self.rssi_dbm = -(rssi // 2)
        self.snr_db = (snr - 256 if snr > 127 else snr) // 4
        return bytes(self._exchange(bytearray((_READ_BUFFER, start, 0)) + bytes(size))[3:])

    def standby(self):
        """End what it does, and wake it from `sleep(warm=True)`; 0.6 mA.

        Raises:
            RadioError: it was in cold sleep, which forgets all: `start` it.
        """
        if self._asleep == _SLEEP_COLD:
            raise RadioError("the SX1262 sleeps and has forgotten its settings; call start() first")
        if self._asleep is not None:
            self._wake()
        self._command(_SET_STANDBY, 0)

    def sleep(self, warm=False):
        """Sleep at 160 nA; with `warm` settings are kept, at 600 nA. Keep nss and reset high until it is to wake."""
        if self._asleep is not None and not warm:
            self._wake()
        if self._asleep is None:
            self._command(_SET_STANDBY, 0)  # 13.1.1: it falls asleep out of standby alone
            self._asleep = _SLEEP_WARM if warm else _SLEEP_COLD
            self._transfer(bytes((_SET_SLEEP, self._asleep)))
            time.sleep_us(500)  # 13.1.1: it does not listen while it falls asleep

    def _set_packet(self, size, crc, inverted_iq):
        preamble = self._preamble_symbols
        self._command(_SET_PACKET, preamble >> 8, preamble & 255, 0, size, int(crc), int(inverted_iq))
        self._iq_polarity = self._read(_IQ_POLARITY, 1)[0] & ~0x04 & 255 | (0 if inverted_iq else 0x04)
        self._write(_IQ_POLARITY, self._iq_polarity)

    def _set_power(self, power_dbm):
        if not self.min_power_dbm <= power_dbm <= self.max_power_dbm:
            raise ValueError("%d dBm; %d to %d" % (power_dbm, self.min_power_dbm, self.max_power_dbm))
        for most_dbm, duty_cycle, hp_max in _PA:
            if power_dbm <= most_dbm:
                self._command(_SET_PA_CONFIG, duty_cycle, hp_max, 0, 1)
                self._write(_OCP, _OCP_140_MA)  # 13.1.14: SetPaConfig puts it to its default
                self._command(_SET_TX_PARAMS, 22 - most_dbm + power_dbm & 255, 0x04)  # ramp of 200 us
                return

    def _calibrate_image(self, mhz):
        for band in _IMAGE_BANDS:
            if band[0] <= mhz <= band[1]:
                if band is not self._band:
                    self._command(_CALIBRATE_IMAGE, band[2], band[3])
                    self._band = band
                return
        raise ValueError("%d MHz is in none of the bands of table 9-2" % mhz)

    def _check(self):
        """Raise RadioError unless a chip is there, and well."""
        self._write(_SYNC_WORD, 0x34, 0x44)
        found = self._read(_SYNC_WORD, 2)
        if found != b"\x34\x44":
            raise RadioError("0x3444 written, %r read: no SX1262 answers; check SPI, NSS and supply" % found)
        high, low = self._ask(_GET_ERRORS, 2)
        errors = high << 8 | low
        if errors:
            names = [name for bit, name in enumerate(_ERRORS) if errors >> bit & 1]
            raise RadioError("SX1262 errors %s; check the oscillator and tcxo_mv" % ", ".join(names))

    def _set_bits(self, register, mask, value):
        self._write(register, self._read(register, 1)[0] & ~mask & 255 | value)

    def _write(self, register, *values):
        self._transfer(bytes((_WRITE_REGISTER, register >> 8, register & 255)) + bytes(values))

    def _read(self, register, count):
        out = bytearray((_READ_REGISTER, register >> 8, register & 255, 0)) + bytes(count)
        return bytes(self._exchange(out)[4:])

    def _ask(self, opcode, count):
        return self._exchange(bytearray((opcode, 0)) + bytes(count))[2:]

    def _command(self, *octets):
        self._transfer(bytes(octets))

    def _transfer(self, data):
        self._wait()
        self._nss(0)
        self._spi.write(data)
        self._nss(1)

    def _exchange(self, data):
        self._wait()
        self._nss(0)
        self._spi.write_readinto(data, data)
        self._nss(1)
        return data

    def _wake(self):
        """8.2.2: NSS low wakes it; BUSY falls when it is in standby."""
        self._asleep = None
        self._nss(0)
        time.sleep_us(100)
        try:
            self._wait()
        finally:
            self._nss(1)

    def _wait(self):
        """8.3.1: BUSY is high while it is not ready for a command."""
        began_ms = time.ticks_ms()
        while self._busy():
            if time.ticks_diff(time.ticks_ms(), began_ms) > _BUSY_MAX_MS:
                self._nss(1)
                raise RadioError("BUSY of the SX1262 is high for %d ms; check supply, reset and TCXO" % _BUSY_MAX_MS)
            time.sleep_us(20)
