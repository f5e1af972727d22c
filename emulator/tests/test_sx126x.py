"""SX1262 against its datasheet, without a VM: sequences of 14.2 and 14.3, BUSY, sleep, timeouts, interrupts."""

import pytest
from radio_bench import Antenna, Clock, Host

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.sx126x import Sx1262

FREQUENCY = round(868_100_000 * (1 << 25) / 32_000_000).to_bytes(4, "big")
ALL = (0x03, 0xFF)
SF7_125 = (7, 0x04, 0x01, 0x00)
SYMBOL_S = 128 / 125_000
SET_TCXO = (0x97, 0x02, 0x00, 0x01, 0x40)  # 1.8 V, 320 * 15.625 us = 5 ms


class Bench:
    """One chip with its antenna and host; `configure` is 14.2 and 14.3 without the last step."""

    def __init__(self, start: bool = True, radio: bool = True, **options: bool) -> None:
        self.clock = Clock()
        self.antenna = Antenna(self.clock)
        self.chip = Sx1262(Environment(radio=self.antenna if radio else None), **options)
        self.host = Host(self.chip, self.clock)
        self.send = self.host.send
        if start:
            self.configure()

    def configure(self) -> None:
        self.send(0x80, 0x00)  # SetStandby
        self.send(0x96, 0x01)  # SetRegulatorMode DC-DC
        self.send(0x8A, 0x01)  # SetPacketType LoRa
        self.send(0x98, 0xD7, 0xDB)  # CalibrateImage 863-870
        self.send(0x86, *FREQUENCY)
        self.send(0x95, 0x02, 0x02, 0x00, 0x01)  # SetPaConfig for +14 dBm
        self.send(0x8E, 22, 0x04)
        self.send(0x8F, 0x00, 0x80)
        self.send(0x8B, *SF7_125)
        self.packet(10)
        self.send(0x08, *ALL, *ALL, 0, 0, 0, 0)
        self.send(0x0D, 0x07, 0x40, 0x34, 0x44)  # public sync word

    def packet(self, size: int, implicit: int = 0, inverted: int = 0) -> None:
        self.send(0x8C, 0, 8, implicit, size, 1, inverted)

    def irq(self) -> int:
        return int.from_bytes(self.send(0x12, 0, 0, 0)[2:], "big")

    def clear(self) -> None:
        self.send(0x02, *ALL)

    def mode(self) -> int:
        return self.host.transfer(0xC0, 0)[1] >> 4 & 7

    def register(self, address: int) -> int:
        return self.send(0x1D, address >> 8, address & 0xFF, 0, 0)[4]

    def receive(self, payload: bytes = b"downlink") -> None:
        """Somebody sends what this receiver is tuned to, now."""
        assert self.antenna.tuned is not None
        sender = Antenna(self.clock, [self.antenna])
        sender.transmit(self.antenna.tuned, payload, 14.0, self.clock.now_s)

    @property
    def busy(self) -> bool:
        return bool(self.chip.pin_level("busy"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def busy_us(bench: Bench, *command: int) -> float:
    """How long BUSY is high after this command."""
    bench.send(*command)
    began_s = bench.clock.now_s
    while bench.busy:
        at_s = bench.chip.next_event_s()
        assert at_s is not None
        bench.clock.run_until(at_s)
    return (bench.clock.now_s - began_s) * 1e6


# Time on air (6.1.4), as The Things Network's calculator has it


@pytest.mark.parametrize(
    ("modulation", "size", "expected_ms"),
    [
        ((7, 0x04, 1, 0), 235, 368.896),
        ((9, 0x04, 1, 0), 51, 328.704),
        ((10, 0x04, 1, 0), 24, 370.688),
        ((12, 0x04, 1, 1), 24, 1482.752),
        ((12, 0x04, 1, 1), 51, 2465.792),
    ],
)
def test_without_a_radio_a_packet_still_takes_its_time_on_air(modulation, size, expected_ms):
    bench = Bench(radio=False)
    bench.send(0x8B, *modulation)
    bench.packet(size)
    busy_us(bench, 0x83, 0, 0, 0)
    began_s, end_s = bench.clock.now_s, bench.chip.next_event_s()
    assert end_s is not None
    assert (end_s - began_s) * 1e3 == pytest.approx(expected_ms, abs=1e-6)
    bench.clock.run_until(end_s)
    assert bench.irq() == t.TX_DONE


# Transmission (14.2)


def test_a_packet_is_sent_with_what_was_configured(bench):
    bench.send(0x0E, 0x00, *b"ten bytes!")
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.0416)
    assert bench.mode() == t.STDBY_RC
    packet = bench.antenna.sent[0]
    assert packet.payload == b"ten bytes!"
    assert packet.power_dbm == 14
    assert packet.modulation == Modulation(868_100_000, 7, 125_000, sync_word=0x34)
    assert bench.irq() == t.TX_DONE
    assert bench.chip.pin_level("dio1") == 1
    bench.clear()
    assert bench.chip.pin_level("dio1") == 0


def test_tx_done_comes_a_time_on_air_after_busy_falls(bench):
    assert busy_us(bench, 0x83, 0, 0, 0) == pytest.approx(126, abs=1)
    assert bench.chip.state == "tx-14dbm"
    end_s = bench.chip.next_event_s()
    assert end_s == pytest.approx(bench.clock.now_s + 0.041216)


def test_the_buffer_is_sent_from_its_base_address_and_wraps(bench):
    bench.send(0x8F, 0xFC, 0x00)
    bench.send(0x0E, 0xFC, *b"abcdefgh")
    bench.packet(8)
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.antenna.sent[0].payload == b"abcdefgh"
    assert bench.send(0x1E, 0x00, 0, 0, 0)[3:] == b"ef"


def test_a_tx_timeout_breaks_off_the_packet(bench):
    bench.send(0x83, 0x00, 0x02, 0x80)  # 640 * 15.625 us = 10 ms
    bench.clock.sleep(0.0103)
    assert bench.irq() == t.TIMEOUT
    assert (bench.antenna.aborted, bench.mode()) == (1, t.STDBY_RC)


def test_standby_in_mid_air_breaks_off_the_packet(bench):
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.01)
    bench.send(0x80, 0)
    bench.clock.sleep(0.1)
    assert (bench.antenna.aborted, bench.irq()) == (1, 0)


@pytest.mark.parametrize(("fallback", "mode"), [(0x20, t.STDBY_RC), (0x30, t.STDBY_XOSC), (0x40, t.FS)])
def test_the_fallback_mode_follows_a_packet(bench, fallback, mode):
    bench.send(0x93, fallback)
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.mode() == mode


@pytest.mark.parametrize(
    ("duty_cycle", "hp_max", "power", "dbm", "milliamperes"),
    [(4, 7, 22, 22, 118), (3, 5, 22, 20, 84), (2, 3, 22, 17, 58), (2, 2, 22, 14, 45), (4, 7, 14, 14, 90)],
)
def test_power_and_current_are_those_of_table_13_21(bench, duty_cycle, hp_max, power, dbm, milliamperes):
    bench.send(0x95, duty_cycle, hp_max, 0, 1)
    bench.send(0x8E, power, 4)
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.001)
    assert bench.antenna.sent[0].power_dbm == dbm
    assert Sx1262.STATES_UA[bench.chip.state] == milliamperes * 1000


# Reception (14.3)


def test_a_packet_is_received_into_the_buffer_with_its_levels(bench):
    bench.antenna.rssi, bench.antenna.snr = -91.5, -3.25
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.receive(b"downlink")
    bench.clock.sleep(0.1)
    assert bench.irq() == t.PREAMBLE_DETECTED | t.HEADER_VALID | t.RX_DONE
    assert bench.send(0x13, 0, 0, 0)[2:] == bytes([8, 0x80])
    assert bench.send(0x1E, 0x80, 0, *bytes(8))[3:] == b"downlink"
    rssi, snr, signal = bench.send(0x14, 0, 0, 0, 0)[2:]
    assert (-rssi / 2, (snr - 256) / 4, -signal / 2) == (-91.5, -3.25, pytest.approx(-94.75, abs=0.25))
    assert bench.send(0x10, *bytes(7))[2:] == bytes([0, 1, 0, 0, 0, 0])
    assert (bench.mode(), bench.antenna.tuned) == (t.STDBY_RC, None)


def test_status_tells_of_data_and_of_a_sent_packet(bench):
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.receive()
    bench.clock.sleep(0.1)
    assert bench.host.transfer(0xC0, 0)[1] == t.STDBY_RC << 4 | 2 << 1
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.host.transfer(0xC0, 0)[1] == t.STDBY_RC << 4 | 6 << 1


def test_a_spoiled_packet_raises_crc_error_too(bench):
    bench.antenna.spoil = True
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.receive()
    bench.clock.sleep(0.1)
    assert bench.irq() & (t.RX_DONE | t.CRC_ERR) == t.RX_DONE | t.CRC_ERR
    assert bench.send(0x10, *bytes(7))[2:] == bytes([0, 1, 0, 1, 0, 0])
    bench.send(0x00, *bytes(6))
    assert bench.send(0x10, *bytes(7))[2:] == bytes(6)


def test_a_bad_header_is_counted_and_the_receiver_goes_on(bench):
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.antenna.tell("header_received", bench.clock.now_s, False)
    assert bench.irq() == t.HEADER_ERR
    assert bench.mode() == t.RX


def test_continuous_reception_writes_one_packet_after_the_other(bench):
    bench.send(0x82, 0xFF, 0xFF, 0xFF)
    for payload, start in ((b"first", 0x80), (b"second", 0x85)):
        bench.clock.sleep(0.001)
        bench.receive(payload)
        bench.clock.sleep(0.1)
        assert bench.send(0x13, 0, 0, 0)[2:] == bytes([len(payload), start])
    assert bench.mode() == t.RX


def test_an_rx_window_without_a_packet_times_out(bench):
    bench.send(0x82, 0x00, 0x07, 0x80)  # 30 ms
    bench.clock.sleep(0.0299)
    assert bench.mode() == t.RX
    bench.clock.sleep(0.0003)
    assert (bench.irq(), bench.mode(), bench.antenna.tuned) == (t.TIMEOUT, t.STDBY_RC, None)


def test_a_header_stops_the_timeout_and_a_preamble_only_if_told_so(bench):
    timeout = (0x00, 0x04, 0x00)  # 16 ms; the preamble is over after 12.5 ms, the header after 20.7 ms
    bench.send(0x82, *timeout)
    bench.clock.sleep(0.0002)
    bench.receive()
    bench.clock.sleep(0.1)
    assert bench.irq() == t.PREAMBLE_DETECTED | t.TIMEOUT
    bench.clear()
    bench.send(0x9F, 1)
    bench.send(0x82, *timeout)
    bench.clock.sleep(0.0002)
    bench.receive()
    bench.clock.sleep(0.1)
    assert bench.irq() == t.PREAMBLE_DETECTED | t.HEADER_VALID | t.RX_DONE


def test_the_symbol_timeout_ends_a_window_that_hears_nothing(bench):
    bench.send(0xA0, 8)
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(83e-6 + 7.9 * SYMBOL_S)
    assert bench.mode() == t.RX
    bench.clock.sleep(0.2 * SYMBOL_S)
    assert bench.irq() == t.TIMEOUT
    assert bench.register(0x0706) == 4 << 3  # twice 4 symbols


def test_a_preamble_ends_the_symbol_timeout(bench):
    bench.send(0xA0, 16)  # the preamble and sync word last 12.25 symbols, the packet 40.25
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.0002)
    bench.receive()
    bench.clock.sleep(0.1)
    assert bench.irq() == t.PREAMBLE_DETECTED | t.HEADER_VALID | t.RX_DONE


def test_after_a_packet_without_header_the_timer_runs_on_unless_stopped(bench):
    """15.3, and its workaround."""
    for workaround, expected in ((False, t.TIMEOUT), (True, 0)):
        bench.packet(8, implicit=1)
        bench.send(0x82, 0x00, 0x32, 0x00)  # 200 ms
        bench.clock.sleep(0.001)
        bench.receive(b"implicit")
        bench.clock.sleep(0.1)
        assert bench.irq() & t.RX_DONE
        if workaround:
            bench.send(0x0D, 0x09, 0x02, 0x00)
            bench.send(0x0D, 0x09, 0x44, 0x02)
        bench.clear()
        bench.clock.sleep(0.2)
        assert bench.irq() == expected
        bench.clear()


def test_rssi_is_measured_while_receiving_only(bench):
    bench.antenna.floor = -101.5
    with pytest.raises(ChipFault, match=r"13\.5\.4"):
        bench.send(0x15, 0, 0)
    bench.send(0x82, 0xFF, 0xFF, 0xFF)
    assert bench.send(0x15, 0, 0)[2] == 203
    values = {bench.register(0x0819) for _ in range(16)}
    assert len(values) > 8


# Channel activity and duty cycle


@pytest.mark.parametrize(("floor", "found"), [(-117.0, False), (-90.0, True)])
def test_cad_tells_whether_somebody_sends(bench, floor, found):
    bench.antenna.floor = floor
    bench.send(0x88, 0x02, 24, 10, 0, 0, 0, 0)  # 4 symbols
    bench.send(0xC5)
    bench.clock.sleep(83e-6 + 3.9 * SYMBOL_S)
    assert bench.chip.state == "rx"
    bench.clock.sleep(0.2 * SYMBOL_S)
    assert bench.irq() == t.CAD_DONE | (t.CAD_DETECTED if found else 0)
    assert bench.mode() == t.STDBY_RC


def test_cad_can_go_on_to_receive(bench):
    bench.antenna.floor = -90.0
    bench.send(0x88, 0x01, 24, 10, 1, 0, 0x19, 0)  # 2 symbols, then RX for 100 ms
    bench.send(0xC5)
    bench.clock.sleep(0.003)
    bench.receive()
    bench.clock.sleep(0.05)
    assert bench.irq() == t.CAD_DONE | t.CAD_DETECTED | t.PREAMBLE_DETECTED | t.HEADER_VALID | t.RX_DONE


def test_a_duty_cycle_sleeps_between_windows_and_stays_for_a_packet(bench):
    bench.send(0x94, 0x00, 0x02, 0x80, 0x00, 0x06, 0x40)  # 10 ms RX, 25 ms sleep
    bench.clock.sleep(0.005)
    assert (bench.chip.state, bench.busy) == ("rx", False)
    bench.clock.sleep(0.01)
    assert (bench.chip.state, bench.busy) == ("sleep-warm-rtc", True)
    bench.clock.sleep(0.025)
    assert bench.chip.state == "rx"
    bench.send(0x8F, 0x00, 0x00)
    bench.receive(b"wake up")
    bench.clock.sleep(0.08)
    assert bench.irq() & t.RX_DONE == 0  # its preamble outlived the window


def test_a_duty_cycle_catches_a_packet_whose_preamble_ends_in_a_window(bench):
    bench.send(0x94, 0x00, 0x04, 0x00, 0x00, 0x06, 0x40)  # 16 ms RX
    bench.clock.sleep(0.001)
    bench.receive(b"wake up")
    bench.clock.sleep(0.08)
    assert bench.irq() & t.RX_DONE
    assert bench.mode() == t.STDBY_RC
