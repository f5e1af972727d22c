"""Drivers by other hands on our SX1276: adafruit-circuitpython-rfm9x and LoRaRF (PyPI)."""

import pytest
from radio_bench import Antenna, Clock, Host
from radio_drivers import lorarf, rfm9x

from pave_emulator.chips.chip import Environment
from pave_emulator.chips.sx127x import Sx1276

RESET = 22


def node(clock: Clock) -> tuple[Antenna, Host]:
    antenna = Antenna(clock)
    return antenna, Host(Sx1276(Environment(radio=antenna)), clock)


def test_adafruits_driver_transmits_and_receives_without_a_fault(monkeypatch):
    clock = Clock()
    one_antenna, one_host = node(clock)
    other_antenna, other_host = node(clock)
    one_antenna.others.append(other_antenna)
    one, other = rfm9x(monkeypatch, one_host, 868.1), rfm9x(monkeypatch, other_host, 868.1)
    other_antenna.rssi, other_antenna.snr = -70.0, 10.0
    other.listen()
    clock.sleep(0.001)
    assert one.send(b"hello", destination=7, identifier=3)
    packet = one_antenna.sent[0]
    assert packet.payload == b"\x07\xff\x03\x00hello"
    assert packet.power_dbm == 10  # it says 13 dBm and programs OutputPower 8 on PA_BOOST (5.4.2)
    assert other.receive(timeout=0.5, with_header=True) == b"\x07\xff\x03\x00hello"
    assert other.last_snr == 10.0
    assert other.last_rssi == pytest.approx(-157 + 87 * 15 / 16, abs=0.6)  # it leaves out the 16/15 of 5.5.5
    assert one_host.faults == other_host.faults == []


def test_adafruits_driver_gives_up_when_nobody_sends(monkeypatch):
    clock = Clock()
    antenna, host = node(clock)
    driver = rfm9x(monkeypatch, host, 868.1)
    assert driver.receive(timeout=0.1) is None
    assert antenna.tuned is not None


def test_adafruits_reliable_datagram_is_acknowledged(monkeypatch):
    clock = Clock()
    one_antenna, one_host = node(clock)
    one = rfm9x(monkeypatch, one_host, 868.1)
    one.node, one.destination = 1, 2
    peer = Antenna(clock, [one_antenna])

    def acknowledge(_now_s: float) -> None:
        assert one_antenna.tuned is not None
        peer.transmit(one_antenna.tuned, b"\x01\x02\x01\x80!", 14.0, clock.now_s)

    clock.ether.append((clock.now_s + 0.1, acknowledge))
    assert one.send_with_ack(b"reliable")
    assert len(one_antenna.sent) == 1


def test_lorarf_transmits_and_receives(monkeypatch):
    clock = Clock()
    antenna, host = node(clock)
    driver = lorarf(monkeypatch, host, "SX127x", {RESET: "reset"})
    assert driver.begin(reset=RESET)
    driver.setFrequency(868_100_000)
    driver.setTxPower(14, driver.TX_POWER_RFO)
    driver.setLoRaModulation(9, 125_000, 5)
    driver.setLoRaPacket(driver.HEADER_EXPLICIT, 8, 15, True)
    driver.setSyncWord(0x34)
    driver.beginPacket()
    driver.put(b"uplink")
    driver.endPacket()
    assert driver.wait()
    packet = antenna.sent[0]
    assert (packet.payload, packet.modulation.spreading_factor) == (b"uplink", 9)
    assert packet.power_dbm == pytest.approx(14.4)
    driver.request()
    clock.sleep(0.001)
    assert antenna.tuned is not None
    Antenna(clock, [antenna]).transmit(antenna.tuned, b"downlink", 14.0, clock.now_s)
    assert driver.wait()
    assert driver.get(driver.available()) == b"downlink"


def test_what_lorarf_gets_wrong_is_reported(monkeypatch):
    """It asks for LoRa before sleep, and writes 0 into reserved bits of RegPaDac and RegDetectOptimize."""
    _antenna, host = node(Clock())
    driver = lorarf(monkeypatch, host, "SX127x", {RESET: "reset"})
    assert driver.begin(reset=RESET)
    driver.setSpreadingFactor(9)
    expected = ("changes in sleep only", "0x4d", "0x31")
    assert [word in fault for word, fault in zip(expected, host.faults, strict=True)] == [True, True, True]
