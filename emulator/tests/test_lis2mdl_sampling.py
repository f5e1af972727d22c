"""LIS2MDL: when it samples, what that costs, self-test, reboot; and samples that nobody needs are not computed."""

import math
import random
import struct

import pytest

from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.lis2mdl import Lis2mdl

TURN_ON_S = 0.0094
NOISE_BOUND_UT = 1.8  # six sigma


def set_registers(chip: Lis2mdl, first: int, *values: int, now_s: float = 0.0) -> None:
    chip.write(bytes([first | 0x80, *values]), now_s)


def get(chip: Lis2mdl, first: int, size: int = 1, now_s: float = 0.0) -> bytes:
    chip.write(bytes([first | 0x80]), now_s)
    return chip.read(size, now_s)


class Street:
    """A noisy field with an event: known to be quiet before and after. Remembers every instant that was asked for."""

    def __init__(self, arrives_s: float = math.inf, settles_s: float = math.inf, quiet: bool = True) -> None:
        self.asked_s: list[float] = []
        self._arrives_s, self._settles_s, self._quiet = arrives_s, settles_s, quiet

    def field_ut(self, now_s: float) -> tuple[float, float, float]:
        self.asked_s.append(now_s)
        noise = random.Random(f"street:{now_s:.6f}")
        moved = min(1.0, max(0.0, (now_s - self._arrives_s) / (self._settles_s - self._arrives_s)))
        moved = 0.0 if math.isnan(moved) else moved
        base = (15.0, -30.0, 45.0 + 20.0 * moved)
        return tuple(axis + noise.gauss(0.0, 0.3) for axis in base)

    def stays_until_s(self, now_s: float, low_ut: tuple[float, ...], high_ut: tuple[float, ...]) -> float:
        base = (15.0, -30.0, 45.0 if now_s < self._arrives_s else 65.0)
        room_ut = min(min(at - low, high - at) for at, low, high in zip(base, low_ut, high_ut, strict=True))
        if not self._quiet or self._arrives_s <= now_s < self._settles_s or room_ut < NOISE_BOUND_UT:
            return now_s
        return self._arrives_s if now_s < self._arrives_s else math.inf


def armed(street: Street) -> Lis2mdl:
    """Latched interrupt at a change of 4 uT, 10 Hz, low power."""
    chip = Lis2mdl(Environment(street.field_ut, street.stays_until_s))
    chip.power_on(0.0)
    set_registers(chip, 0x45, *struct.pack("<3h", 100, -200, 300))
    set_registers(chip, 0x61, 0x08)
    set_registers(chip, 0x65, 27, 0)
    set_registers(chip, 0x63, 0xE7)
    set_registers(chip, 0x62, 0x40)
    set_registers(chip, 0x60, 0x90)
    return chip


def run(chip: Lis2mdl, until_s: float) -> list[tuple[float, int]]:
    """Edges of the pin."""
    edges = [(0.0, chip.pin_level("int"))]
    while (when := chip.next_event_s()) is not None and when <= until_s:
        chip.advance(when)
        if chip.pin_level("int") != edges[-1][1]:
            edges.append((when, chip.pin_level("int")))
    return edges


def test_a_quiet_quarter_of_an_hour_costs_one_sample_and_the_edge_is_where_it_would_have_been():
    jumping, computing = (Street(900.05, 901.5, quiet) for quiet in (True, False))
    edges = run(armed(jumping), 1000.0)
    assert edges == run(armed(computing), 1000.0)
    assert len(edges) == 2
    assert len([at_s for at_s in jumping.asked_s if at_s < 900.0]) == 1
    assert len(jumping.asked_s) < 20  # the edge, and one window beyond it
    assert len(computing.asked_s) > 9000
    assert set(jumping.asked_s) <= set(computing.asked_s)


def test_only_instants_of_samples_are_asked_for_however_the_chip_is_looked_at():
    street = Street(50.0, 51.0)
    chip = armed(street)
    for step in range(1000):
        chip.advance(step * 0.1)
        if step % 7 == 0:
            get(chip, 0x68, 6, step * 0.1 + 0.03)
    assert all(math.isclose((at - 0.0064) * 10, round((at - 0.0064) * 10), abs_tol=1e-6) for at in street.asked_s)


def test_near_the_threshold_every_sample_is_compared():
    street = Street()
    chip = armed(street)
    set_registers(chip, 0x65, 10, 0)  # 1.5 uT: five sigma of the noise
    run(chip, 10.0)
    assert {round((at_s - 0.0064) * 10) for at_s in street.asked_s} >= set(range(100))


def test_a_change_of_threshold_ends_the_rest():
    street = Street()
    chip = armed(street)
    run(chip, 10.0)
    assert chip.next_event_s() is None
    set_registers(chip, 0x65, 0, 0, now_s=10.0)
    assert chip.next_event_s() == pytest.approx(10.0064)
    assert run(chip, 20.0)[-1][1] == 1


def test_a_latched_interrupt_that_is_read_rises_again_while_the_field_stays_away():
    chip = armed(Street(5.05, 5.06))
    run(chip, 10.0)
    assert chip.pin_level("int") == 1
    get(chip, 0x64, now_s=20.0)
    assert chip.pin_level("int") == 0
    run(chip, 21.0)
    assert chip.pin_level("int") == 1


def test_a_latch_catches_what_nobody_watched():
    """Interrupt enabled but not on the pin: the source register still tells of a car that has gone."""
    chip = Lis2mdl(Environment(lambda now_s: (0.0, -50.0 if 5.0 < now_s < 6.0 else 0.0, 0.0)))
    chip.power_on(0.0)
    set_registers(chip, 0x65, 27, 0)
    set_registers(chip, 0x63, 0xE7)
    set_registers(chip, 0x60, 0x90)
    assert chip.next_event_s() is None
    assert get(chip, 0x64, now_s=100.0) == b"\x09"  # Y negative, INT


@pytest.mark.parametrize(
    ("cfg_a", "cfg_b", "first_s"),
    [
        (0x00, 0x00, 0.0094),
        (0x10, 0x00, 0.0064),
        (0x00, 0x02, 0.0094 + 0.1),
        (0x1C, 0x02, 0.0064 + 0.01),
        (0x01, 0x00, 0.0094),
        (0x01, 0x12, 0.013),
        (0x01, 0x02, 0.0094),
    ],
)
def test_turn_on_time_depends_on_mode_and_offset_cancellation(cfg_a, cfg_b, first_s):
    street = Street()
    chip = Lis2mdl(Environment(street.field_ut))
    chip.power_on(0.0)
    set_registers(chip, 0x61, cfg_b)
    set_registers(chip, 0x60, cfg_a)
    assert get(chip, 0x67, now_s=first_s - 1e-4) == b"\x00"
    assert get(chip, 0x67, now_s=first_s + 1e-4) == b"\x0f"
    assert street.asked_s == [pytest.approx(first_s)]


@pytest.mark.parametrize(
    ("cfg_a", "cfg_b", "state", "ua"),
    [
        (0x00, 0x00, "10hz-hr", 100),
        (0x10, 0x00, "10hz-lp", 25),
        (0x04, 0x02, "20hz-hr-canc", 235),
        (0x1C, 0x02, "100hz-lp-canc", 460),
        (0x03, 0x00, "idle", 1.5),
    ],
)
def test_supply_current_is_that_of_table_10(cfg_a, cfg_b, state, ua):
    chip = Lis2mdl(Environment())
    assert chip.state == "off"
    chip.power_on(0.0)
    set_registers(chip, 0x61, cfg_b)
    set_registers(chip, 0x60, cfg_a)
    assert (chip.state, chip.STATES_UA[chip.state]) == (state, ua)


def test_a_single_measurement_draws_the_charge_of_one_sample_and_tells_when_it_ends():
    chip = Lis2mdl(Environment())
    chip.power_on(0.0)
    set_registers(chip, 0x60, 0x11, now_s=1.0)
    ends_s = chip.next_event_s()
    assert chip.STATES_UA[chip.state] * (ends_s - 1.0) == pytest.approx(25 / 10)  # uC: 25 uA at 10 Hz
    chip.advance(ends_s)
    assert (chip.state, chip.next_event_s()) == ("idle", None)


def test_the_self_test_of_an5069_passes():
    """Figure of AN5069: 50 samples without, 50 with; the difference is within 15 and 500 mgauss on each axis."""
    chip = Lis2mdl(Environment(Street().field_ut))
    chip.power_on(0.0)
    set_registers(chip, 0x60, 0x8C, 0x02, 0x10)

    def average(start_s: float) -> list[float]:
        samples = []
        for step in range(50):
            now_s = start_s + step * 0.01
            assert get(chip, 0x67, now_s=now_s)[0] & 0x08
            samples.append(struct.unpack("<3h", get(chip, 0x68, 6, now_s)))
        return [sum(axis) / 50 * 1.5 for axis in zip(*samples, strict=True)]

    without = average(0.1)
    set_registers(chip, 0x62, 0x12, now_s=0.7)
    with_it = average(0.8)
    assert all(15 <= abs(b - a) <= 500 for a, b in zip(without, with_it, strict=True))


def test_a_field_beyond_the_range_is_flagged_until_the_source_is_read():
    chip = Lis2mdl(Environment(lambda _now_s: (6000.0, 0.0, 0.0)))
    chip.power_on(0.0)
    set_registers(chip, 0x60, 0x01)
    assert get(chip, 0x68, 2, 0.02) == b"\xff\x7f"
    assert get(chip, 0x64, now_s=0.02)[0] & 0x02
    assert not get(chip, 0x64, now_s=0.02)[0] & 0x02


def test_reboot_takes_20_ms_in_which_the_bit_stays_and_writing_faults():
    chip = Lis2mdl(Environment())
    chip.power_on(0.0)
    set_registers(chip, 0x60, 0x43, now_s=1.0)
    assert get(chip, 0x60, now_s=1.01) == b"\x43"
    with pytest.raises(ChipFault, match="REBOOT"):
        set_registers(chip, 0x60, 0x00, now_s=1.01)
    assert get(chip, 0x60, now_s=1.021) == b"\x03"


def test_data_ready_on_the_pin_comes_with_each_sample_that_was_read_before():
    chip = Lis2mdl(Environment())
    chip.power_on(0.0)
    set_registers(chip, 0x62, 0x01)
    set_registers(chip, 0x60, 0x0C)
    chip.advance(chip.next_event_s())
    assert chip.pin_level("int") == 1
    assert chip.next_event_s() is None  # unread: it stays high
    get(chip, 0x68, 6, now_s=0.012)
    assert chip.pin_level("int") == 0
    assert chip.next_event_s() == pytest.approx(TURN_ON_S + 0.01)


def test_the_bytes_are_swapped_with_ble():
    chip = Lis2mdl(Environment(lambda _now_s: (15.0, 0.0, 0.0)))
    chip.power_on(0.0)
    set_registers(chip, 0x62, 0x08)
    set_registers(chip, 0x60, 0x01)
    assert get(chip, 0x68, 2, 0.02) == b"\x00\x64"


def test_without_i2c_nothing_answers_until_power_on():
    chip = Lis2mdl(Environment())
    chip.power_on(0.0)
    set_registers(chip, 0x62, 0x20)
    with pytest.raises(ChipFault, match="I2C_DIS"):
        chip.write(b"", 1.0)
    chip.power_off(2.0)
    chip.power_on(3.0)
    assert get(chip, 0x4F, now_s=3.0) == b"\x40"
