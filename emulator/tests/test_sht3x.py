"""SHT3x against the tables and sequences of Sensirion's datasheet, version 7."""

import pytest

from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.sht3x import Sht3x
from pave_emulator.chips.sht3x_commands import crc8

ON_S = 1.0  # well after power-up


@pytest.fixture
def chip() -> Sht3x:
    """A climate that tells the time: a degree and a percent more each second."""
    chip = Sht3x(Environment(temperature_c=lambda now_s: 20.0 + now_s, humidity_pct=lambda now_s: 40.0 + now_s))
    chip.power_on(0.0)
    return chip


def command(chip: Sht3x, code: int, now_s: float) -> None:
    chip.write(code.to_bytes(2, "big"), now_s)


def climate(data: bytes) -> tuple[float, float]:
    """Conversion of 4.13, both checksums checked."""
    assert len(data) == 6
    assert (crc8(data[0:2]), crc8(data[3:5])) == (data[2], data[5])
    return -45 + 175 * int.from_bytes(data[0:2], "big") / 65535, 100 * int.from_bytes(data[3:5], "big") / 65535


def status(chip: Sht3x, now_s: float) -> int:
    command(chip, 0xF32D, now_s)
    data = chip.read(3, now_s + 0.001)
    assert crc8(data[:2]) == data[2]
    return int.from_bytes(data[:2], "big")


def test_the_checksum_is_that_of_table_20():
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize(
    ("code", "longest_s"), [(0x2416, 0.004), (0x240B, 0.006), (0x2400, 0.015)], ids=["low", "medium", "high"]
)
def test_a_single_shot_is_nacked_until_it_is_done_and_read_once(chip, code, longest_s):
    command(chip, code, ON_S)
    with pytest.raises(ChipFault, match="before the measurement ends"):
        chip.read(6, ON_S + longest_s - 0.0002)
    temperature_c, humidity_pct = climate(chip.read(6, ON_S + longest_s + 0.0002))
    assert temperature_c == pytest.approx(20 + ON_S + longest_s, abs=0.003)
    assert humidity_pct == pytest.approx(40 + ON_S + longest_s, abs=0.001)
    with pytest.raises(ChipFault, match="nothing to answer"):
        chip.read(6, ON_S + 1)


@pytest.mark.parametrize(("code", "longest_s"), [(0x2C10, 0.004), (0x2C0D, 0.006), (0x2C06, 0.015)])
def test_with_clock_stretching_the_read_is_held_until_it_is_done(chip, code, longest_s):
    command(chip, code, ON_S)
    temperature_c, _ = climate(chip.read(6, ON_S + 0.001))
    assert chip.stretched_s == pytest.approx(longest_s - 0.001)
    assert temperature_c == pytest.approx(20 + ON_S + longest_s, abs=0.003)


def test_a_measurement_is_not_disturbed_but_broken_off(chip):
    command(chip, 0x2400, ON_S)
    with pytest.raises(ChipFault, match="while it measures"):
        command(chip, 0x2400, ON_S + 0.002)
    command(chip, 0x3093, ON_S + 0.004)
    with pytest.raises(ChipFault, match="nothing to answer"):
        chip.read(6, ON_S + 1)


PERIODIC = [
    (mps, code)
    for mps, codes in {
        0.5: (0x202F, 0x2024, 0x2032),
        1: (0x212D, 0x2126, 0x2130),
        2: (0x222B, 0x2220, 0x2236),
        4: (0x2329, 0x2322, 0x2334, 0x2B32),
        10: (0x272A, 0x2721, 0x2737),
    }.items()
    for code in codes
]


@pytest.mark.parametrize(("mps", "code"), PERIODIC, ids=[f"{code:04x}" for _, code in PERIODIC])
def test_periodic_mode_has_one_new_result_a_period(chip, mps, code):
    command(chip, code, ON_S)
    command(chip, 0xE000, ON_S + 0.002)
    with pytest.raises(ChipFault, match="no new data"):
        chip.read(6, ON_S + 0.003)
    for index in (0, 1, 5):
        now_s = ON_S + index / mps + 0.02
        command(chip, 0xE000, now_s)
        measured_s = climate(chip.read(6, now_s + 0.001))[0] - 20
        assert ON_S + index / mps - 0.002 < measured_s < now_s
    command(chip, 0xE000, now_s + 0.01)
    with pytest.raises(ChipFault, match="no new data"):
        chip.read(6, now_s + 0.011)


def test_in_periodic_mode_only_a_break_leads_elsewhere(chip):
    command(chip, 0x2130, ON_S)
    with pytest.raises(ChipFault, match="periodic mode"):
        command(chip, 0x2400, ON_S + 1)
    command(chip, 0x3093, ON_S + 2)
    command(chip, 0x2400, ON_S + 2.001)
    climate(chip.read(6, ON_S + 2.1))
    with pytest.raises(ChipFault, match="fetch data without periodic"):
        command(chip, 0xE000, ON_S + 3)


def test_the_status_register_after_power_on_is_that_of_table_18_and_can_be_cleared(chip):
    assert status(chip, ON_S) == 0x8010
    command(chip, 0x3041, ON_S + 1)
    assert status(chip, ON_S + 2) == 0x0000
    command(chip, 0x30A2, ON_S + 3)
    assert status(chip, ON_S + 4) == 0x8010


def test_the_heater_shows_in_status_and_current(chip):
    command(chip, 0x306D, ON_S)
    assert status(chip, ON_S + 0.1) & 0x2000
    assert chip.STATES_UA[chip.state] > 3000
    command(chip, 0x3066, ON_S + 0.2)
    assert not status(chip, ON_S + 0.3) & 0x2000
    assert chip.state == "idle"


def test_an_unknown_command_faults_and_is_seen_in_the_status_once(chip):
    with pytest.raises(ChipFault, match="0xabcd"):
        command(chip, 0xABCD, ON_S)
    assert status(chip, ON_S + 1) & 0x0003 == 0x0002
    assert status(chip, ON_S + 2) & 0x0003 == 0x0000


def test_a_written_word_with_a_wrong_checksum_sets_its_status_bit(chip):
    limit = bytes.fromhex("611dcd33")
    with pytest.raises(ChipFault, match="CRC 0x00, not"):
        chip.write(limit + b"\x00", ON_S)
    assert status(chip, ON_S + 1) & 0x0003 == 0x0003
    with pytest.raises(ChipFault, match="alert mode"):
        chip.write(limit + bytes([crc8(limit[2:])]), ON_S + 2)


def test_commands_need_a_millisecond_between_them_and_more_after_power_up_and_reset(chip):
    with pytest.raises(ChipFault, match="too early"):
        Sht3x.power_on(chip, 0.5)
        command(chip, 0x2400, 0.5014)
    command(chip, 0x3066, ON_S)
    with pytest.raises(ChipFault, match="too early"):
        command(chip, 0x3066, ON_S + 0.0009)
    command(chip, 0x30A2, ON_S + 0.002)
    with pytest.raises(ChipFault, match="too early"):
        command(chip, 0x2400, ON_S + 0.0034)
    command(chip, 0x2400, ON_S + 0.0036)


def test_current_flows_for_the_typical_duration(chip):
    command(chip, 0x2400, ON_S)
    assert chip.STATES_UA[chip.state] == 600
    assert chip.next_event_s() == pytest.approx(ON_S + 0.0125)
    chip.advance(chip.next_event_s())
    assert (chip.STATES_UA[chip.state], chip.next_event_s()) == (0.2, None)
    command(chip, 0x2737, ON_S + 1)
    assert chip.STATES_UA[chip.state] == pytest.approx(45 + 555 * 0.125)


@pytest.mark.parametrize(("temperature_c", "raw"), [(-60.0, 0x0000), (-45.0, 0x0000), (130.0, 0xFFFF), (200.0, 0xFFFF)])
def test_values_end_where_the_words_end(temperature_c, raw):
    chip = Sht3x(Environment(temperature_c=lambda _now_s: temperature_c))
    chip.power_on(0.0)
    command(chip, 0x2400, ON_S)
    assert int.from_bytes(chip.read(2, ON_S + 1), "big") == raw
