"""LIS2MDL against the sequences of DS12144 and AN5069, without a VM."""

import struct

import pytest

from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.lis2mdl import Lis2mdl

UT_PER_LSB = 0.15


class Field:
    """A field that tests change."""

    def __init__(self) -> None:
        self.ut = (15.0, -30.0, 45.0)

    def __call__(self, _now_s: float) -> tuple[float, float, float]:
        return self.ut


@pytest.fixture
def field() -> Field:
    return Field()


@pytest.fixture
def chip(field: Field) -> Lis2mdl:
    return Lis2mdl(Environment(field, temperature_c=lambda _now_s: 20.0))


def set_registers(chip: Lis2mdl, first: int, *values: int, now_s: float = 0.0) -> None:
    chip.write(bytes([first | 0x80, *values]), now_s)


def get(chip: Lis2mdl, first: int, size: int = 1, now_s: float = 0.0) -> bytes:
    chip.write(bytes([first | 0x80]), now_s)
    return chip.read(size, now_s)


def xyz(chip: Lis2mdl, now_s: float) -> tuple[int, ...]:
    return struct.unpack("<3h", get(chip, 0x68, 6, now_s))


def test_registers_have_their_defaults_at_power_on(chip):
    assert get(chip, 0x4F) == b"\x40"
    assert get(chip, 0x60, 4) == b"\x03\x00\x00\xe0"
    assert get(chip, 0x45, 6) == bytes(6)


def test_the_sub_address_counts_up_and_wraps_within_the_outputs(chip):
    chip.write(b"\x60", 0.0)
    assert chip.read(3, 0.0) == b"\x03\x00\x00"
    set_registers(chip, 0x60, 0x01)
    x, y, z, again = struct.unpack("<4h", get(chip, 0x68, 8, 0.02))
    assert (x, y, z, again) == (100, -200, 300, 100)


def test_idle_measures_nothing_and_continuous_mode_measures_at_the_data_rate(chip, field):
    assert get(chip, 0x67, now_s=10.0) == b"\x00"
    set_registers(chip, 0x60, 0x00, now_s=10.0)
    assert get(chip, 0x67, now_s=10.005) == b"\x00"
    assert get(chip, 0x67, now_s=10.01) == b"\x0f"
    assert xyz(chip, 10.02) == (100, -200, 300)
    assert get(chip, 0x67, now_s=10.03) == b"\x00"
    field.ut = (0.0, 0.0, 0.0)
    assert xyz(chip, 10.1) == (100, -200, 300)
    assert xyz(chip, 10.12) == (0, 0, 0)


def test_data_that_nobody_read_set_the_overrun_bits(chip):
    set_registers(chip, 0x60, 0x0C)
    assert get(chip, 0x67, now_s=1.0) == b"\xff"


def test_single_mode_measures_once_and_goes_idle(chip):
    set_registers(chip, 0x60, 0x01)
    assert xyz(chip, 0.02) == (100, -200, 300)
    assert get(chip, 0x60, now_s=0.02) == b"\x03"
    assert get(chip, 0x67, now_s=5.0) == b"\x00"


def test_hard_iron_offsets_are_subtracted(chip):
    set_registers(chip, 0x45, *struct.pack("<3h", 100, -200, 310))
    set_registers(chip, 0x60, 0x00)
    assert xyz(chip, 0.02) == (0, 0, -10)


def test_block_data_update_keeps_the_bytes_of_one_sample_together(chip, field):
    set_registers(chip, 0x60, 0x00)
    set_registers(chip, 0x62, 0x10)
    low = get(chip, 0x68, now_s=0.05)
    field.ut = (-15.0, 0.0, 0.0)
    high = get(chip, 0x69, now_s=0.15)
    assert struct.unpack("<h", low + high) == (100,)
    assert xyz(chip, 0.16)[0] == -100


def arm(chip: Lis2mdl, control: int, threshold: int = 50, on_offset: bool = True) -> None:
    """Hard-iron offsets at the present field, interrupt on the pin."""
    set_registers(chip, 0x45, *struct.pack("<3h", 100, -200, 300))
    set_registers(chip, 0x65, threshold & 255, threshold >> 8)
    set_registers(chip, 0x61, 0x08 if on_offset else 0)
    set_registers(chip, 0x63, control)
    set_registers(chip, 0x62, 0x40)
    set_registers(chip, 0x60, 0x00)


def test_a_latched_interrupt_rises_on_a_change_of_field_and_falls_when_the_source_is_read(chip, field):
    arm(chip, 0xE7)
    chip.advance(0.5)
    assert chip.pin_level("int") == 0
    field.ut = (15.0, -30.0 - 51 * UT_PER_LSB, 45.0)
    assert chip.next_event_s() is not None
    chip.advance(chip.next_event_s())
    assert chip.pin_level("int") == 1
    assert chip.next_event_s() is None  # latched: nothing moves the pin before it is read
    field.ut = (15.0, -30.0, 45.0)
    chip.advance(2.0)
    assert chip.pin_level("int") == 1
    assert get(chip, 0x64, now_s=2.0) == b"\x09"  # negative threshold on Y, INT
    assert chip.pin_level("int") == 0


def test_a_pulsed_interrupt_follows_the_field(chip, field):
    arm(chip, 0xE5)
    field.ut = (50.0, -30.0, 45.0)
    chip.advance(0.2)
    assert chip.pin_level("int") == 1
    field.ut = (15.0, -30.0, 45.0)
    chip.advance(0.5)
    assert chip.pin_level("int") == 0


def test_polarity_and_axis_enables_count(chip, field):
    arm(chip, 0x41)  # Y only, active low
    field.ut = (99.0, -30.0, 99.0)
    chip.advance(0.2)
    assert chip.pin_level("int") == 1
    field.ut = (15.0, 0.0, 45.0)
    chip.advance(0.5)
    assert chip.pin_level("int") == 0


def test_without_int_on_dataoff_the_threshold_sees_the_raw_field(chip):
    arm(chip, 0xE7, on_offset=False)
    chip.advance(0.2)
    assert chip.pin_level("int") == 1


def test_the_pin_is_high_impedance_until_it_is_configured(chip):
    assert chip.pin_level("int") is None


def test_data_ready_on_the_pin_rises_with_data_and_falls_when_they_are_read(chip):
    set_registers(chip, 0x62, 0x01)
    set_registers(chip, 0x60, 0x01)
    assert chip.pin_level("int") == 0
    chip.advance(0.02)
    assert chip.pin_level("int") == 1
    xyz(chip, 0.03)
    assert chip.pin_level("int") == 0


def test_soft_reset_restores_the_defaults(chip):
    set_registers(chip, 0x45, 1, 2, 3)
    set_registers(chip, 0x60, 0x20)
    assert get(chip, 0x45, 3) == bytes(3)
    assert get(chip, 0x60) == b"\x03"


def test_temperature_is_eight_lsb_per_degree_from_25_and_measured_with_the_field(chip):
    assert struct.unpack("<h", get(chip, 0x6E, 2)) == (0,)
    set_registers(chip, 0x60, 0x01)
    assert struct.unpack("<h", get(chip, 0x6E, 2, 0.02)) == (-40,)


@pytest.mark.parametrize(
    "write", [b"\x00\x01", b"\x4b\x00", b"\x50\x00", b"\x4f\x40", b"\x68\x00", b"\x61\x80", b"\x62\x04", b"\x61\x10"]
)
def test_what_the_datasheet_forbids_or_the_model_lacks_faults(chip, write):
    with pytest.raises(ChipFault):
        chip.write(write, 0.0)


def test_reading_a_reserved_register_faults(chip):
    with pytest.raises(ChipFault, match="0x70"):
        get(chip, 0x6F, 2)
