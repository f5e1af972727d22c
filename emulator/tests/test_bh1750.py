"""BH1750 against ROHM's technical note; and Adafruit's driver, unmodified."""

import adafruit_bh1750
import pytest
from busio_bridge import I2C, BridgeTime, ManualClock

from pave_emulator.chips.bh1750 import Bh1750
from pave_emulator.chips.chip import ChipFault, Environment


class Light:
    """Illuminance that tests change."""

    lux = 1000.0

    def __call__(self, _now_s: float) -> float:
        return self.lux


@pytest.fixture
def light() -> Light:
    return Light()


@pytest.fixture
def chip(light: Light) -> Bh1750:
    chip = Bh1750(Environment(illuminance_lux=light))
    chip.power_on(0.0)
    return chip


def opcodes(chip: Bh1750, now_s: float, *values: int) -> None:
    for value in values:
        chip.write(bytes([value]), now_s)


def counts(chip: Bh1750, now_s: float) -> int:
    return int.from_bytes(chip.read(2, now_s), "big")


@pytest.mark.parametrize(
    ("opcode", "longest_s", "expected"),
    [(0x20, 0.180, 1200), (0x21, 0.180, 2400), (0x23, 0.024, 1200)],
    ids=["H", "H2", "L"],
)
def test_a_one_time_measurement_replaces_the_data_after_its_time(chip, opcode, longest_s, expected):
    opcodes(chip, 1.0, 0x01, opcode)
    assert counts(chip, 1.0 + longest_s - 0.001) == 0
    assert counts(chip, 1.0 + longest_s + 0.001) == expected
    assert chip.state == "power-down"


def test_continuous_mode_goes_on(chip, light):
    opcodes(chip, 1.0, 0x01, 0x10)
    assert counts(chip, 1.2) == 1200
    light.lux = 10.0
    assert counts(chip, 1.3) == 1200
    assert counts(chip, 1.4) == 12
    assert chip.state == "measuring"
    opcodes(chip, 1.5, 0x00)
    light.lux = 500.0
    assert counts(chip, 9.0) == 12


def test_what_is_read_was_measured_at_the_end_of_the_last_measurement():
    chip = Bh1750(Environment(illuminance_lux=lambda now_s: 1000.0 * now_s))
    chip.power_on(0.0)
    opcodes(chip, 1.0, 0x10)
    assert counts(chip, 1.95) == pytest.approx(1.2 * 1000 * (1.0 + 5 * 0.180), abs=1)


def test_the_measurement_time_register_is_set_in_two_steps_and_scales_time_and_counts(chip):
    """The technical note's example: MTreg 138 doubles sensitivity, 01000_100 and 011_01010."""
    opcodes(chip, 1.0, 0b01000_100, 0b011_01010, 0x20)
    assert counts(chip, 1.0 + 0.359) == 0
    assert counts(chip, 1.0 + 0.361) == 2400


@pytest.mark.parametrize(("mtreg", "lux_per_count"), [(31, 1.85), (69, 0.83), (254, 0.23)])
def test_resolution_follows_the_measurement_time_register(chip, light, mtreg, lux_per_count):
    light.lux = 5000.0
    opcodes(chip, 1.0, 0x40 | mtreg >> 5, 0x60 | mtreg & 0x1F, 0x20)
    assert light.lux / counts(chip, 3.0) == pytest.approx(lux_per_count, rel=0.02)


def test_a_forbidden_measurement_time_faults_when_it_is_used(chip):
    opcodes(chip, 1.0, 0x40, 0x60 | 30)
    with pytest.raises(ChipFault, match="MTreg 30"):
        opcodes(chip, 1.0, 0x20)


def test_the_example_of_the_read_format(chip, light):
    """1000_0011 1001_0000 are 28067 lx."""
    light.lux = 28067.0
    opcodes(chip, 1.0, 0x20)
    assert chip.read(2, 2.0) == bytes([0b1000_0011, 0b1001_0000])


def test_counts_saturate(chip, light):
    light.lux = 100_000.0
    opcodes(chip, 1.0, 0x20)
    assert counts(chip, 2.0) == 0xFFFF
    opcodes(chip, 2.0, 0x40, 0x60 | 31, 0x20)  # MTreg 31 reaches 100,000 lx
    assert counts(chip, 3.0) == 53913


def test_low_resolution_steps_by_4_lux(chip, light):
    readings = []
    for lux in (8.0, 9.0, 11.9, 12.0):
        light.lux = lux
        opcodes(chip, lux, 0x23)
        readings.append(counts(chip, lux + 0.03))
    assert readings == [9, 9, 9, 14]


def test_reset_clears_the_data_and_needs_power(chip):
    opcodes(chip, 1.0, 0x20)
    assert counts(chip, 2.0) == 1200
    with pytest.raises(ChipFault, match="power down"):
        opcodes(chip, 2.0, 0x07)
    opcodes(chip, 2.0, 0x01, 0x07)
    assert counts(chip, 2.0) == 0


@pytest.mark.parametrize("data", [b"\x02", b"\x12", b"\x22", b"\x30", b"\x80", b"\x01\x10"])
def test_what_the_instruction_set_does_not_list_faults(chip, data):
    with pytest.raises(ChipFault):
        chip.write(data, 1.0)


def test_current_flows_for_the_typical_time(chip):
    assert chip.STATES_UA[chip.state] == 0.01
    opcodes(chip, 1.0, 0x20)
    assert chip.STATES_UA[chip.state] == 120
    assert chip.next_event_s() == pytest.approx(1.120)
    chip.advance(chip.next_event_s())
    assert (chip.state, chip.next_event_s()) == ("power-down", None)
    assert counts(chip, 1.2) == 1200


def test_adafruits_driver_reads_the_light(chip, light, monkeypatch):
    clock = ManualClock(1.0)
    monkeypatch.setattr(adafruit_bh1750, "sleep", BridgeTime(clock).sleep)
    i2c = I2C({0x23: chip}, clock)
    sensor = adafruit_bh1750.BH1750(i2c)
    for resolution in (adafruit_bh1750.Resolution.HIGH, adafruit_bh1750.Resolution.MID, adafruit_bh1750.Resolution.LOW):
        for lux in (0.0, 44.0, 20_000.0):
            light.lux = lux
            sensor.resolution = resolution
            assert sensor.lux == pytest.approx(lux, abs=1.0)
    assert not i2c.faults
