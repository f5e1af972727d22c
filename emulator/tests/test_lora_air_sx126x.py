"""An SX1262, driven by its commands, talks to a concentrator over the air and hears its answer."""

from dataclasses import replace

import pytest
from lora_bench import LOSS_DB, SF7
from radio_bench import Clock, Host

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.jit_queue import Kind, TxPacket
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.propagation import PathLoss
from pave_emulator.chips.chip import Environment
from pave_emulator.chips.sx126x import Sx1262
from pave_emulator.trace import Trace

FREQUENCY = round(868_100_000 * (1 << 25) / 32_000_000).to_bytes(4, "big")
TX_DONE, RX_DONE, TIMEOUT = 0x0001, 0x0002, 0x0200


class AirClock:
    """The transceivers' test clock as the air wants it."""

    def __init__(self, clock):
        self._clock = clock

    def now_s(self):
        return self._clock.now_s

    def call_at(self, when_s, callback):
        self._clock.ether.append((when_s, lambda _now_s: callback()))


class Link:
    def __init__(self):
        self.clock = Clock()
        air = LoraAir(AirClock(self.clock), 1, Trace(), PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0))
        self.gateway = Concentrator(air, "gw", (0, 0, 10))
        self.uplinks = []
        self.gateway.on_uplink = self.uplinks.append
        self.gateway.start(0.0)
        chip = Sx1262(Environment(radio=air.radio("device", (0, 0, 0))))
        self.host = Host(chip, self.clock)
        self.send = self.host.send
        self.send(0x80, 0x00)  # SetStandby
        self.send(0x8A, 0x01)  # LoRa
        self.send(0x98, 0xD7, 0xDB)  # CalibrateImage 863-870
        self.send(0x86, *FREQUENCY)
        self.send(0x95, 0x02, 0x02, 0x00, 0x01)  # SetPaConfig for +14 dBm
        self.send(0x8E, 22, 0x04)
        self.send(0x8F, 0x00, 0x80)
        self.send(0x8B, 7, 0x04, 0x01, 0x00)  # SF7, 125 kHz, 4/5
        self.send(0x08, 0x03, 0xFF, 0x03, 0xFF, 0, 0, 0, 0)
        self.send(0x0D, 0x07, 0x40, 0x34, 0x44)  # public sync word

    def packet(self, size, inverted):
        self.send(0x8C, 0, 8, 0, size, 1, inverted)
        self.send(0x0D, 0x07, 0x36, 0x09 if inverted else 0x0D)  # section 15.4

    def irq(self):
        return int.from_bytes(self.send(0x12, 0, 0, 0)[2:], "big")

    def uplink(self, payload):
        self.packet(len(payload), 0)
        self.send(0x0E, 0x00, *payload)
        self.send(0x83, 0, 0, 0)  # SetTx
        self.clock.sleep(0.1)

    def window(self, opens_s, symbols):
        """Listen from `opens_s` on, for so many symbols of preamble."""
        self.send(0x02, 0x03, 0xFF)
        self.packet(255, 1)
        self.send(0xA0, symbols)  # SetLoRaSymbNumTimeout
        self.clock.run_until(opens_s)
        self.send(0x82, 0, 0, 0)  # SetRx, single
        self.clock.sleep(0.3)


@pytest.fixture
def link():
    return Link()


def test_what_the_chip_sends_the_gateway_receives(link):
    link.uplink(b"\x40uplink")
    assert link.irq() & TX_DONE
    (uplink,) = link.uplinks
    assert uplink.reception.payload == b"\x40uplink"
    assert uplink.reception.signal_dbm == pytest.approx(14 - LOSS_DB)


def answer(link, opens_ms):
    """An uplink, the gateway's answer one second after it, a window of 8 symbols from there on."""
    link.uplink(b"\x40up")
    tmst = link.uplinks[0].tmst + 1_000_000
    downlink = TxPacket(tmst, replace(SF7, inverted_iq=True), b"\x60down", 14)
    assert not link.gateway.submit(downlink, Kind.CLASS_A, link.clock.now_s).error
    link.window(tmst / 1e6 + opens_ms / 1000, 8)


@pytest.mark.parametrize("opens_ms", [-2.5, 0, 2.5])
def test_the_chip_hears_the_answer_in_its_window(link, opens_ms):
    answer(link, opens_ms)
    assert link.irq() & (RX_DONE | TIMEOUT) == RX_DONE
    size, start = link.send(0x13, 0, 0, 0)[2:]
    assert link.send(0x1E, start, 0, *bytes(size))[3:] == b"\x60down"
    rssi, snr, _ = link.send(0x14, 0, 0, 0, 0)[2:]
    assert -rssi / 2 == pytest.approx(14 - LOSS_DB, abs=0.5)
    assert snr / 4 == 13


@pytest.mark.parametrize("opens_ms", [-12, -4, 4])
def test_a_window_beside_the_preamble_times_out(link, opens_ms):
    answer(link, opens_ms)
    assert link.irq() & (RX_DONE | TIMEOUT) == TIMEOUT
