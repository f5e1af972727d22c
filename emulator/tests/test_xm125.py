"""XM125 against the sequences of Acconeer's I2C Distance Detector User Guide (a121-v1.12.0)."""

import math
from dataclasses import replace

import pytest

from pave_emulator.chips import xm125_plan as plan
from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.environment import Echo
from pave_emulator.chips.xm125 import Xm125

OK_AFTER_APPLY, OK_AFTER_CALIBRATION = 0xFF, 0x3FF  # the mask of the guide's example, 5.2
BUSY = 1 << 31
COMMAND = 0x0100


class Host:
    """A host with a clock of its own that follows the guide; the world before the radar can be changed."""

    def __init__(self, wake_up: bool = True) -> None:
        self.echoes: tuple[Echo, ...] = ()
        self.temperature_c = 20.0
        self.chip = Xm125(
            Environment(echoes=lambda _now_s: self.echoes, temperature_c=lambda _now_s: self.temperature_c)
        )
        self.now_s = 0.0
        self.chip.power_on(0.0)
        self.wake_up(wake_up)

    def wake_up(self, level: bool) -> None:
        self.chip.set_input("wake_up", int(level), self.now_s)

    def wait_for_int(self, level: int) -> float:
        """Seconds until MCU_INT has the level."""
        start_s = self.now_s
        while self.chip.pin_level("mcu_int") != level:
            self.now_s = self.chip.next_event_s()
            self.chip.advance(self.now_s)
        return self.now_s - start_s

    def write(self, address: int, *values: int) -> None:
        data = b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in values)
        self.chip.write(address.to_bytes(2, "big") + data, self.now_s)

    def read(self, address: int) -> int:
        self.chip.write(address.to_bytes(2, "big"), self.now_s)
        return int.from_bytes(self.chip.read(4, self.now_s), "big")

    def command(self, code: int) -> float:
        """Write it and poll the busy bit each 0.1 ms; seconds it took."""
        self.write(COMMAND, code)
        start_s = self.now_s
        assert self.read(0x0003) & BUSY
        while self.read(0x0003) & BUSY:
            self.now_s += 1e-4
        return self.now_s - start_s

    def peaks(self) -> list[tuple[int, float]]:
        """Distance in mm and strength in dB of each peak."""
        count = self.read(0x0010) & 0x0F
        strengths = (self.read(0x001B + i) for i in range(count))
        signed = (value - (value >> 31 << 32) for value in strengths)
        return [(self.read(0x0011 + i), strength / 1000) for i, strength in enumerate(signed)]


@pytest.fixture
def host() -> Host:
    host = Host()
    host.wait_for_int(1)
    return host


def measured(host: Host, *echoes: tuple[float, float], **registers: int) -> list[tuple[int, float]]:
    """Peaks of one measurement after configuring by hexadecimal register names, e.g. r40=1000."""
    for name, value in registers.items():
        host.write(int(name[1:], 16), value)
    host.command(1)
    host.echoes = tuple(Echo(distance_m, strength_db) for distance_m, strength_db in echoes)
    host.command(2)
    return host.peaks()


def test_setup_and_measure(host):
    """2.3.3, with the values of the example in 5.2."""
    assert host.read(0x0003) & ~0x7 == 0
    host.write(0x0040, 1000)
    host.write(0x0041, 5000)
    host.command(1)
    assert host.read(0x0003) == OK_AFTER_CALIBRATION
    host.echoes = (Echo(0.5, 30.0), Echo(1.234, 12.5), Echo(5.5, 40.0))
    host.command(2)
    assert host.read(0x0010) == 20 << 16 | 1
    assert host.peaks() == [(1234, 12.5)]
    assert host.read(0x0002) == 1
    host.command(2)
    assert host.read(0x0002) == 2


def test_configuration_and_calibration_separately(host):
    """2.4.1."""
    host.command(3)
    assert host.read(0x0003) == OK_AFTER_APPLY
    with pytest.raises(ChipFault, match="before calibration"):
        host.write(COMMAND, 2)
    host.command(4)
    assert host.read(0x0003) == OK_AFTER_CALIBRATION
    host.command(2)


def test_a_change_of_temperature_needs_a_new_calibration(host):
    """2.4.2."""
    assert len(measured(host, (1.0, 10.0))) == 1
    host.temperature_c = -20.0
    host.command(2)
    assert host.read(0x0010) == (-20 & 0xFFFF) << 16 | 0x200
    host.command(5)
    host.command(2)
    assert host.read(0x0010) == (-20 & 0xFFFF) << 16 | 1


def test_it_sleeps_with_its_calibration_and_measures_on_wake_up(host):
    """2.4.3 and the waveforms of 3.3."""
    host.write(0x0080, 1)
    host.command(1)
    host.wake_up(False)
    host.wait_for_int(0)
    assert host.chip.state == "hibernate"
    host.echoes = (Echo(0.3, 5.0),)
    host.now_s += 1.0
    host.wake_up(True)
    woke_s = host.wait_for_int(1)
    assert woke_s > plan.WAKE_S + plan.PROCESSING_S
    assert host.peaks() == [(300, 5.0)]
    assert host.read(0x0002) == 1


def test_asleep_or_not_yet_ready_nothing_answers(host):
    host.wake_up(False)
    host.wait_for_int(0)
    assert host.chip.state == "sleep"
    for awake in (False, True):
        host.wake_up(awake)
        with pytest.raises(ChipFault, match="MCU_INT is low"):
            host.read(0x0000)
    host.wait_for_int(1)
    assert host.read(0x0000) == 0x00010C00


def test_at_power_on_it_boots_and_sleeps_unless_woken():
    host = Host(wake_up=False)
    assert host.chip.pin_level("mcu_int") == 0
    while host.chip.next_event_s() is not None:
        host.now_s = host.chip.next_event_s()
        host.chip.advance(host.now_s)
    assert host.chip.state == "sleep"


def test_wake_up_low_lets_it_finish_first(host):
    host.command(1)
    host.write(COMMAND, 2)
    host.wake_up(False)
    host.wait_for_int(0)
    host.wake_up(True)
    host.wait_for_int(1)
    assert host.read(0x0002) == 1


def test_reset_module_forgets_the_configuration(host):
    """2.4.5."""
    host.write(0x0040, 500)
    host.command(1)
    host.write(COMMAND, 1381192737)
    assert host.chip.pin_level("mcu_int") == 0
    assert host.wait_for_int(1) == pytest.approx(plan.BOOT_S)
    assert host.read(0x0040) == 250
    assert host.read(0x0003) & 0x3F8 == 0


def test_several_registers_are_written_and_read_at_once(host):
    """3.2.1 and 3.2.2."""
    host.write(0x0040, 400, 2400)
    host.chip.write(b"\x00\x40", host.now_s)
    assert host.chip.read(8, host.now_s) == bytes.fromhex("0000019000000960")


def test_the_registers_have_the_defaults_of_the_guide(host):
    defaults = [250, 3000, 0, 1, 15000, 5, 3, 2, 100, 100000, 500, 1, 0]
    assert [host.read(0x0040 + i) for i in range(len(defaults))] == defaults
    assert host.read(0x0080) == 0
    assert host.read(0xFFFF) == 1


FIVE = ((0.5, -3.0), (0.8, 20.0), (1.5, -30.0), (2.0, 8.0), (2.9, 12.0))


@pytest.mark.parametrize(
    ("registers", "expected_mm"),
    [
        ({}, [800, 2900, 2000, 500]),
        ({"r47": 1}, [500, 800, 2000, 2900]),
        ({"r46": 4, "r4C": 10000}, [800, 2900]),
        ({"r46": 4, "r4C": -40000, "r47": 1}, [500, 800, 1500, 2000, 2900]),
        ({"r40": 700, "r41": 2500}, [800, 2000]),
        ({"r4A": 30}, [800, 2900]),
        ({"r4A": 55}, [800, 2900, 2000, 500]),
        ({"r4A": 55, "r44": 5000}, [800, 500]),
    ],
    ids=[
        "default",
        "closest",
        "fixed strength",
        "weak fixed strength",
        "range",
        "insensitive",
        "less so",
        "less so, low quality",
    ],
)
def test_range_threshold_quality_and_sorting_decide_what_is_a_peak(host, registers, expected_mm):
    assert [distance_mm for distance_mm, _ in measured(host, *FIVE, **registers)] == expected_mm


def test_ten_peaks_at_most(host):
    peaks = measured(host, *((0.3 + 0.1 * i, 30.0 - i) for i in range(14)))
    assert len(peaks) == 10
    assert peaks[9] == (1200, 21.0)
    assert host.read(0x0024) == 21000


def test_an_echo_just_before_the_start_is_flagged(host):
    assert measured(host, (0.98, 20.0), r40=1000) == []
    assert host.read(0x0010) & 0x100


@pytest.mark.parametrize("limits", [(3000, 3000), (250, 25000)])
def test_a_range_that_cannot_be_measured_sets_error_bits_and_only_a_reset_helps(host, limits):
    host.write(0x0040, *limits)
    host.command(1)
    assert host.read(0x0003) & 0x1080_0000 == 0x1080_0000
    with pytest.raises(ChipFault, match="only RESET MODULE"):
        host.write(COMMAND, 1)
    host.write(COMMAND, 1381192737)
    host.wait_for_int(1)
    host.command(1)


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        (b"\x00\x40\x00", 0x02),
        (b"\x00\x99\x00\x00\x00\x01", 0x04),
        (b"\x00\x45\x00\x00\x00\x06", 0x08),
        (b"\x01\x00\x00\x00\x00\x06", 0x08),
        (b"\x01\x00\x00\x00\x00\x05", 0x08),
        (b"\x00\x03\x00\x00\x00\x01", 0x10),
    ],
    ids=["length", "address", "profile 6", "command 6", "recalibrate first", "read-only"],
)
def test_mistakes_fault_and_set_protocol_status(host, data, flag):
    """6.2.2."""
    with pytest.raises(ChipFault):
        host.chip.write(data, host.now_s)
    assert host.read(0x0001) == flag


def test_a_read_without_an_address_faults(host):
    host.read(0x0000)
    with pytest.raises(ChipFault, match="without a register's address"):
        host.chip.read(4, host.now_s)


def test_busy_takes_no_command_and_applied_no_configuration(host):
    host.write(COMMAND, 1)
    with pytest.raises(ChipFault, match="while busy"):
        host.write(COMMAND, 2)
    with pytest.raises(ChipFault, match="after the configuration"):
        host.write(0x0040, 300)


@pytest.mark.parametrize("method", [1, 2])
def test_thresholds_that_the_model_lacks_fault(host, method):
    host.write(0x0046, method)
    with pytest.raises(ChipFault, match=r"6\.2\.32"):
        host.write(COMMAND, 1)


def test_logs_can_be_asked_for(host):
    for code in (32, 34, 33):
        assert host.command(code) < 0.01  # busy for a moment
        assert host.chip.state == "ready"
        assert not host.read(0x0003) & ~0x3FF  # neither an error nor busy


def test_each_state_has_its_current_and_time_passes_in_the_right_ones(host):
    host.command(1)
    charge_uc, start_s = 0.0, host.now_s
    host.write(COMMAND, 2)
    states = []
    while (when := host.chip.next_event_s()) is not None:
        states.append(host.chip.state)
        charge_uc += host.chip.STATES_UA[host.chip.state] * (when - host.now_s)
        host.now_s = when
        host.chip.advance(when)
    assert states == ["measuring", "processing"]
    assert host.chip.state == "ready"
    assert 0.005 < host.now_s - start_s < 0.05
    assert 100 < charge_uc < 2000


DEFAULT = plan.Detector(0.25, 3.0, 0, True, 15.0, 5, False)


def test_the_range_is_covered_without_a_gap_by_longer_pulses_farther_out():
    parts = plan.subsweeps(DEFAULT)
    assert [part.profile for part in parts] == [1, 3, 5, 5]
    assert [part.start_m for part in parts] == pytest.approx([0.25, 0.56, 1.28, 2.14])
    assert [part.end_m for part in parts] == pytest.approx([0.56, 1.28, 2.14, 3.0])
    assert [part.step for part in parts] == [4, 12, 24, 24]


def test_from_the_sensor_on_leakage_is_cancelled_and_a_short_range_needs_one_pulse():
    close = plan.subsweeps(replace(DEFAULT, start_m=0.05))
    assert [(part.profile, part.sweeps) for part in close[:2]] == [(1, 10), (1, 1)]
    assert close[0].end_m == close[1].start_m == 0.12
    assert [part.profile for part in plan.subsweeps(replace(DEFAULT, end_m=0.5))] == [1]
    assert {part.profile for part in plan.subsweeps(replace(DEFAULT, max_profile=1))} == {1}


@pytest.mark.parametrize("change", [{"end_m": 10.0}, {"quality_db": 25.0}, {"max_step": 1}, {"start_m": 0.05}])
def test_more_range_quality_points_and_closeness_take_longer(change):
    def total_s(detector: plan.Detector) -> float:
        parts = plan.subsweeps(detector)
        return plan.measuring_s(parts) + plan.processing_s(parts)

    assert total_s(replace(DEFAULT, **change)) > 1.1 * total_s(DEFAULT)


def test_a_planar_reflector_needs_less_averaging():
    far = replace(DEFAULT, end_m=10.0)
    generic, planar = (plan.subsweeps(replace(far, planar=shape)) for shape in (False, True))
    assert plan.measuring_s(planar) < 0.3 * plan.measuring_s(generic)


def test_signal_quality_is_what_an_echo_of_0_db_reaches_at_the_end_of_each_subsweep():
    """By the radar equation, up to the rounding of HWAAS and what the tool leaves of the processing gain."""
    parts = plan.subsweeps(replace(DEFAULT, start_m=1.3))
    assert len(parts) == plan.SUBSWEEPS
    for part in parts:
        gain_db = 9 * math.log10(plan._processing_gain(part.profile, part.step))
        assert part.snr_db(0.0, part.end_m) == pytest.approx(15.0 + gain_db, abs=1.0)
