"""SX1262 against its datasheet: BUSY, sleep and wake-up, clocks and calibration, reset, registers, what it refuses."""

import pytest
from test_sx126x import FREQUENCY, SET_TCXO, Bench, busy_us

from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.chip import ChipFault


@pytest.fixture
def bench() -> Bench:
    return Bench()


# BUSY (8.3)


def test_after_power_on_busy_falls_when_the_cold_start_is_over():
    bench = Bench(start=False)
    bench.clock.sleep(3.4e-3)
    assert bench.busy
    bench.clock.sleep(0.2e-3)
    assert not bench.busy
    assert bench.mode() == t.STDBY_RC


@pytest.mark.parametrize(
    ("before", "command", "expected_us"),
    [
        ((), (0x80, 1), 31),
        ((), (0xC1,), 50),
        ((), (0x82, 0, 0, 0), 83),
        ((), (0x83, 0, 0, 0), 126),
        ((0x80, 1), (0xC1,), 40),
        ((0x80, 1), (0x82, 0, 0, 0), 62),
        ((0x80, 1), (0x83, 0, 0, 0), 105),
        ((0xC1,), (0x82, 0, 0, 0), 41),
        ((0xC1,), (0x83, 0, 0, 0), 76),
        ((0x82, 0, 0, 0), (0xC1,), 15),
        ((0x82, 0, 0, 0), (0x83, 0, 0, 0), 92),
    ],
)
def test_busy_lasts_the_switching_times_of_8_3_1(bench, before, command, expected_us):
    if before:
        bench.send(*before)
    assert busy_us(bench, *command) == pytest.approx(expected_us, abs=0.5)


def test_a_command_while_busy_is_ignored_and_faults(bench):
    bench.send(0x83, 0, 0, 0)
    assert bench.busy
    assert bench.host.transfer(0x80, 0x00) == b"\0\0"
    assert "BUSY" in bench.host.faults[-1]
    bench.clock.sleep(0.01)
    assert bench.mode() == t.TX


# Sleep (9.3, 13.1.1)


def test_a_warm_sleep_keeps_the_configuration_and_wakes_in_340_us(bench):
    bench.send(0x0E, 0, *b"buffered")
    bench.send(0x84, 0x04)
    bench.clock.sleep(1.0)
    assert (bench.chip.state, bench.busy, bench.chip.next_event_s()) == ("sleep-warm", True, None)
    bench.host.transfer(0xC0, 0)
    bench.clock.sleep(337e-6)
    assert bench.busy
    bench.clock.sleep(2e-6)
    assert not bench.busy
    assert bench.send(0x1E, 0, 0, *bytes(8))[3:] == bytes(8)  # the buffer is lost
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.antenna.sent[0].modulation.sync_word == 0x34


def test_a_cold_sleep_forgets_everything_and_wakes_in_3500_us(bench):
    bench.send(0x84, 0x00)
    assert bench.chip.state == "sleep-cold"
    bench.host.transfer(0xC0, 0)
    bench.clock.sleep(3.49e-3)
    assert bench.busy
    bench.clock.sleep(0.02e-3)
    assert bench.register(0x0740) == 0x14
    with pytest.raises(ChipFault, match="SetPacketType"):
        bench.send(0x83, 0, 0, 0)


def test_rx_gain_survives_a_warm_sleep_only_on_the_retention_list(bench):
    """9.6."""
    for listed, expected in ((False, 0x94), (True, 0x96)):
        bench.send(0x0D, 0x08, 0xAC, 0x96)
        if listed:
            bench.send(0x0D, 0x02, 0x9F, 0x01, 0x08, 0xAC)
        bench.send(0x84, 0x04)
        bench.host.transfer(0xC0, 0)
        assert bench.register(0x08AC) == expected


def test_the_command_that_wakes_the_chip_is_lost_and_faults(bench):
    bench.send(0x84, 0x04)
    bench.host.transfer(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.mode() == t.STDBY_RC
    assert not bench.antenna.sent
    assert "asleep" in bench.host.faults[-1]


def test_sleep_is_entered_from_standby_only(bench):
    bench.send(0x82, 0, 0, 0)
    with pytest.raises(ChipFault, match="only from standby"):
        bench.send(0x84, 0x04)
    assert bench.host.transfer(0xC0, 0)[1] == 0  # BUSY: the answer is zeros
    bench.clock.sleep(0.001)
    assert bench.host.transfer(0xC0, 0)[1] == t.RX << 4 | 5 << 1


# Clock and calibration (9.2, 13.3.6)


def test_a_tcxo_that_nobody_supplies_does_not_start():
    bench = Bench(start=False, tcxo=True)
    assert int.from_bytes(bench.send(0x17, 0, 0, 0)[2:], "big") == t.XOSC_START_ERR
    bench.send(0x07, 0, 0)
    assert bench.send(0x17, 0, 0, 0)[2:] == b"\0\0"
    with pytest.raises(ChipFault, match="XOSC_START_ERR"):
        bench.send(0x80, 1)
    assert int.from_bytes(bench.send(0x17, 0, 0, 0)[2:], "big") == t.XOSC_START_ERR
    assert bench.mode() == t.STDBY_RC


def test_a_tcxo_costs_its_delay_each_time_it_starts():
    bench = Bench(start=False, tcxo=True)
    bench.send(*SET_TCXO)
    assert busy_us(bench, 0x89, 0x7F) == pytest.approx(8500, abs=1)
    bench.configure()
    assert busy_us(bench, 0x80, 1) == pytest.approx(5031, abs=1)
    assert busy_us(bench, 0x82, 0, 0, 0) == pytest.approx(62, abs=1)


def test_a_tcxo_without_a_new_calibration_is_reported():
    bench = Bench(start=False, tcxo=True)
    bench.send(*SET_TCXO)
    bench.configure()
    with pytest.raises(ChipFault, match="Calibrate after SetDIO3AsTcxoCtrl"):
        bench.send(0x82, 0, 0, 0)
    assert bench.chip.next_event_s() is not None  # and done


def test_dio3_for_a_tcxo_on_a_board_with_a_crystal_stops_the_clock(bench):
    bench.send(*SET_TCXO)
    with pytest.raises(ChipFault, match="XOSC_START_ERR"):
        bench.send(0xC1)


def test_calibration_is_for_standby_rc(bench):
    assert busy_us(bench, 0x89, 0x7F) == pytest.approx(3500, abs=1)
    bench.send(0x80, 1)
    with pytest.raises(ChipFault, match="only in STDBY_RC"):
        bench.send(0x89, 0x7F)


def test_receiving_outside_of_the_calibrated_band_is_reported(bench):
    bench.send(0x98, 0xE1, 0xE9)  # 902-928
    with pytest.raises(ChipFault, match="image rejection"):
        bench.send(0x82, 0, 0, 0)


# Antenna switch and errata


def test_without_dio2_the_antenna_switch_stays_on_receive():
    bench = Bench(rf_switch_dio2=True)
    with pytest.raises(ChipFault, match="30 dB less"):
        bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    bench.send(0x9D, 1)
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.001)
    assert bench.chip.pin_level("dio2") == 1
    bench.clock.sleep(0.1)
    assert bench.chip.pin_level("dio2") == 0
    assert [packet.power_dbm for packet in bench.antenna.sent] == [-16, 14]


def test_inverted_iq_without_its_workaround_is_reported(bench):
    """15.4."""
    bench.packet(10, inverted=1)
    with pytest.raises(ChipFault, match=r"15\.4"):
        bench.send(0x82, 0, 0, 0)
    bench.send(0x0D, 0x07, 0x36, 0x09)
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    assert bench.antenna.tuned is not None
    assert bench.antenna.tuned.inverted_iq


def test_500_khz_with_bit_2_of_0889_is_reported(bench):
    """15.1."""
    bench.send(0x8B, 7, 0x06, 1, 0)
    bench.send(0x0D, 0x08, 0x89, 0x05)
    with pytest.raises(ChipFault, match=r"15\.1"):
        bench.send(0x83, 0, 0, 0)


def test_more_current_than_the_limit_is_reported(bench):
    bench.send(0x0D, 0x08, 0xE7, 0x10)  # 40 mA
    with pytest.raises(ChipFault, match="current limit, 40 mA"):
        bench.send(0x83, 0, 0, 0)


# Interrupts, reset, supply


def test_a_second_rise_of_nss_does_not_repeat_the_command(bench):
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    bench.host.deselect()
    bench.clock.sleep(0.1)
    assert len(bench.antenna.sent) == 1


def test_interrupts_reach_the_dio_whose_mask_has_them(bench):
    bench.send(0x08, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00)  # TxDone on DIO2, Timeout on DIO3
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert [bench.chip.pin_level(pin) for pin in ("dio1", "dio2", "dio3")] == [0, 1, 0]
    bench.send(0x82, 0, 0, 1)
    bench.clock.sleep(0.1)
    assert [bench.chip.pin_level(pin) for pin in ("dio1", "dio2", "dio3")] == [0, 1, 1]
    bench.send(0x02, 0x00, 0x01)
    assert [bench.chip.pin_level(pin) for pin in ("dio1", "dio2", "dio3")] == [0, 0, 1]


def test_an_interrupt_outside_of_the_mask_is_not_seen(bench):
    bench.send(0x08, 0x02, 0x00, *bytes(6))
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.1)
    assert bench.irq() == 0


def test_a_word_from_the_air_moves_the_pin_and_tells_the_board(bench):
    told: list[int | None] = []
    bench.chip.changed = lambda: told.append(bench.chip.pin_level("dio1"))
    bench.send(0x08, 0x00, 0x02, 0x00, 0x02, 0, 0, 0, 0)
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.receive()
    bench.clock.sleep(0.1)
    assert told == [0, 0, 1]


def test_nreset_is_a_cold_start_and_needs_100_us(bench):
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    bench.host.set_pin("reset", 0)
    bench.clock.sleep(50e-6)
    with pytest.raises(ChipFault, match="100 us"):
        bench.host.set_pin("reset", 1)
    assert bench.mode() == t.RX
    bench.host.set_pin("reset", 0)
    bench.clock.sleep(150e-6)
    assert (bench.chip.state, bench.antenna.tuned, bench.busy) == ("reset", None, True)
    bench.host.set_pin("reset", 1)
    bench.clock.sleep(3.4e-3)
    assert bench.busy
    bench.clock.sleep(0.2e-3)
    assert bench.register(0x0740) == 0x14


def test_without_supply_nothing_is_driven_and_the_packet_is_cut(bench):
    bench.send(0x83, 0, 0, 0)
    bench.clock.sleep(0.01)
    bench.chip.power_off(bench.clock.now_s)
    assert bench.antenna.aborted == 1
    assert (bench.chip.state, bench.chip.pin_level("busy"), bench.chip.next_event_s()) == ("off", None, None)
    assert bench.host.transfer(0xC0, 0) == b"\0\0"


# Registers and parameters


def test_registers_have_the_defaults_of_table_12_1():
    bench = Bench(start=False)
    expected = {0x0736: 0x0D, 0x0740: 0x14, 0x0741: 0x24, 0x0889: 0x01, 0x08AC: 0x94, 0x08D8: 0xC8, 0x08E7: 0x18}
    assert {address: bench.register(address) for address in expected} == expected
    assert bench.send(0x1D, 0x09, 0x11, 0, 0, 0)[4:] == b"\x05\x05"


def test_crystal_trims_can_be_written_in_stdby_xosc(bench):
    with pytest.raises(ChipFault, match="STDBY_XOSC"):
        bench.send(0x0D, 0x09, 0x11, 0x12)
    bench.send(0x80, 1)
    bench.send(0x0D, 0x09, 0x11, 0x12)
    assert bench.register(0x0911) == 0x12


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ((0x8A, 0x00), "packet type 0"),
        ((0x8B, 4, 4, 1, 0), "spreading factor 0x04"),
        ((0x8B, 7, 0x07, 1, 0), "bandwidth 0x07"),
        ((0x8B, 7, 4, 5, 0), "coding rate 0x05"),
        ((0x8C, 0, 0, 0, 10, 1, 0), "preamble of 0"),
        ((0x95, 5, 7, 0, 1), "paDutyCycle"),
        ((0x95, 4, 7, 1, 1), "deviceSel"),
        ((0x95, 1, 1, 0, 1), "table 13-21"),
        ((0x8E, 23, 4), "power 23"),
        ((0x8E, 0xF6, 4), "power -10"),
        ((0x86, 0, 0, 0, 0), "150 to 960 MHz"),
        ((0x84, 0x02), "reserved bits"),
        ((0x84, 0x05), "RTC"),
        ((0x93, 0x10), "fallback"),
        ((0xD1,), "SetTxContinuousWave"),
        ((0xFE, 0), "opcode 0xfe is unknown"),
        ((0x8E, 22), "SetTxParams with 1 parameter"),
        ((0x1D, 0x12, 0x34, 0, 0), "register 0x1234"),
        ((0x0D, 0x06, 0xC0, 1), "GFSK"),
        ((0x0D, 0x08, 0xAC, 0x95), "RX gain"),
    ],
)
def test_what_the_datasheet_does_not_have_faults(bench, command, says):
    with pytest.raises(ChipFault, match=says) as fault:
        bench.send(*command)
    assert "SX1262" in str(fault.value)
    bench.clock.sleep(0.001)
    if command[0] != 0x1D:
        assert bench.host.transfer(0xC0, 0)[1] >> 1 & 7 == 4


def test_without_a_radio_it_hears_noise():
    bench = Bench(radio=False)
    bench.send(0x82, 0xFF, 0xFF, 0xFF)
    assert bench.send(0x15, 0, 0)[2] == pytest.approx(234, abs=1)  # -117 dBm


def test_the_frequency_is_that_of_13_4_1(bench):
    assert FREQUENCY.hex() == "3641999a"
    bench.send(0x86, *FREQUENCY)
    bench.send(0x82, 0, 0, 0)
    bench.clock.sleep(0.001)
    assert bench.antenna.tuned is not None
    assert bench.antenna.tuned.frequency_hz == pytest.approx(868_100_000, abs=1)
