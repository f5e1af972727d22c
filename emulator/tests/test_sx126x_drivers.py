"""A driver by other hands on our SX1262: LoRaRF (PyPI), written for a Raspberry Pi."""

from typing import Any

import pytest
from radio_bench import Antenna, Clock, Host
from radio_drivers import lorarf, rfm9x

from pave_emulator.chips.chip import Environment
from pave_emulator.chips.sx126x import Sx1262
from pave_emulator.chips.sx127x import Sx1276

RESET, BUSY = 22, 23
TCXO_1V8, TCXO_5_MS = 0x02, 0x0140
PRIVATE, PUBLIC = 0x1424, 0x3444


class Node:
    """An SX1262 with TCXO and RF switch, as on our board, and LoRaRF in charge of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock, sync_word: int) -> None:
        self.antenna = Antenna(clock)
        self.host = Host(Sx1262(Environment(radio=self.antenna), tcxo=True, rf_switch_dio2=True), clock)
        self.driver = lorarf(monkeypatch, self.host, "SX126x", {RESET: "reset", BUSY: "busy"})
        assert self.driver.begin(reset=RESET, busy=BUSY)
        self._configure(self.driver, sync_word)

    @staticmethod
    def _configure(driver: Any, sync_word: int) -> None:
        driver.setDio3TcxoCtrl(TCXO_1V8, TCXO_5_MS)
        driver.setDio2RfSwitch(True)
        driver.setRegulator(driver.REGULATOR_DC_DC)
        driver.setFrequency(868_100_000)
        driver.setTxPower(14)
        driver.setRxGain(driver.RX_GAIN_BOOSTED)
        driver.setLoRaModulation(7, 125_000, 5)
        driver.setLoRaPacket(driver.HEADER_EXPLICIT, 8, 255, True, False)
        driver.setSyncWord(sync_word)

    def transmit(self, payload: bytes) -> None:
        self.driver.beginPacket()
        self.driver.put(payload)
        assert self.driver.endPacket()
        assert self.driver.wait()
        assert self.driver.status() == self.driver.STATUS_TX_DONE


def test_lorarf_transmits(monkeypatch):
    node = Node(monkeypatch, Clock(), PUBLIC)
    node.transmit(b"free bay")
    packet = node.antenna.sent[0]
    assert (packet.payload, packet.power_dbm, packet.modulation.sync_word) == (b"free bay", 14.0, 0x34)
    assert packet.modulation.frequency_hz == pytest.approx(868_100_000, abs=1)
    assert node.driver.transmitTime() == pytest.approx(36.096 + 5, abs=0.3)  # time on air and the start of the TCXO


def test_lorarf_receives(monkeypatch):
    clock = Clock()
    node = Node(monkeypatch, clock, PUBLIC)
    node.antenna.rssi, node.antenna.snr = -104.5, -2.5
    assert node.driver.request()
    clock.sleep(0.01)
    assert node.host.chip.state == "rx-boosted"
    assert node.antenna.tuned is not None
    Antenna(clock, [node.antenna]).transmit(node.antenna.tuned, b"downlink", 14.0, clock.now_s)
    assert node.driver.wait()
    assert node.driver.status() == node.driver.STATUS_RX_DONE
    assert node.driver.get(node.driver.available()) == b"downlink"
    assert (node.driver.packetRssi(), node.driver.snr()) == (-104.5, -2.5)


def test_lorarf_sees_a_timeout_and_a_crc_error(monkeypatch):
    clock = Clock()
    node = Node(monkeypatch, clock, PUBLIC)
    assert node.driver.request(50)
    assert node.driver.wait()
    assert node.driver.status() == node.driver.STATUS_RX_TIMEOUT
    node.antenna.spoil = True
    assert node.driver.request()
    clock.sleep(0.01)
    assert node.antenna.tuned is not None
    Antenna(clock, [node.antenna]).transmit(node.antenna.tuned, b"collision", 14.0, clock.now_s)
    assert node.driver.wait()
    assert node.driver.status() == node.driver.STATUS_CRC_ERR


def test_lorarf_sleeps_warm_and_wakes(monkeypatch):
    node = Node(monkeypatch, Clock(), PUBLIC)
    node.driver.sleep(node.driver.SLEEP_WARM_START)
    assert node.host.chip.state == "sleep-warm"
    node.host.transfer(0xC0, 0)  # its `wake` pulls NSS by a pin
    node.driver.standby()
    node.driver.setRxGain(node.driver.RX_GAIN_BOOSTED)
    node.transmit(b"again")
    assert node.antenna.sent[0].payload == b"again"


def test_what_lorarf_gets_wrong_is_reported_and_nothing_else(monkeypatch):
    """It clears bit 2 of 0x0736 for standard IQ and sets it for inverted: 15.4 the wrong way round."""
    node = Node(monkeypatch, Clock(), PUBLIC)
    node.transmit(b"reported")
    assert len(node.host.faults) == 1
    assert "(15.4)" in node.host.faults[0]


def test_lorarf_on_an_sx1262_and_adafruit_on_an_sx1276_understand_each_other(monkeypatch):
    clock = Clock()
    node = Node(monkeypatch, clock, PRIVATE)
    other = Antenna(clock, [node.antenna])
    node.antenna.others.append(other)
    gateway = rfm9x(monkeypatch, Host(Sx1276(Environment(radio=other)), clock), 868.1)
    gateway.listen()
    clock.sleep(0.01)
    node.transmit(b"\xff\xff\x00\x00uplink")
    assert gateway.receive(timeout=0.1) == b"uplink"
    assert node.driver.request()
    clock.sleep(0.01)
    assert gateway.send(b"downlink")
    assert node.driver.wait()
    assert node.driver.get(node.driver.available()) == b"\xff\xff\x00\x00downlink"
