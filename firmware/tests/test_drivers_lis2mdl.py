import struct

from checks import raised
from driver_bus import Wire

from drivers.lis2mdl import LIS2MDL
from drivers.lis2mdl_service import CONTINUOUS, SINGLE, LIS2MDLService, SelfTest, X, Z, passed

# Sub-addresses have their MSb set, which asks for auto-increment (DS12144, 6.1.1).
WHO_AM_I, CFG_A, CFG_B, CFG_C, INT_CTRL = b"\xcf", b"\xe0", b"\xe1", b"\xe2", b"\xe3"
INT_SOURCE, THRESHOLD, STATUS, OUT, TEMPERATURE, OFFSETS = b"\xe4", b"\xe5", b"\xe7", b"\xe8", b"\xee", b"\xc5"


def on(*script, made=LIS2MDL):
    bus = Wire(0x1E, *script)
    return made(bus), bus


def xyz(*counts):
    return struct.pack("<3h", *counts)


def test_start_measures_continuously_and_lets_the_interrupt_see_corrected_data():
    chip, bus = on((WHO_AM_I, b"\x40"), (CFG_A + b"\x90\x0b\x50", None))
    chip.start()
    bus.finish()


def test_without_offset_cancellation_one_bit_is_another_when_it_is_started_and_when_it_is_looked_at():
    bus = Wire(
        0x1E, (WHO_AM_I, b"\x40"), (CFG_A + b"\x90\x09\x50", None), (CFG_A, b"\x90\x09\x50"), (CFG_A, b"\x90\x0b\x50")
    )
    chip = LIS2MDL(bus, cancels_offset=False)
    chip.start()
    assert chip.is_started()
    assert not chip.is_started(), "as an application of before has left it: it is started anew"


def test_another_chip_at_the_address_is_named():
    chip, _ = on((WHO_AM_I, b"\x33"))
    error = raised(OSError, chip.start)
    assert error.errno == 5 and "0x33" in str(error) and "0x1e" in str(error)


def test_an_absent_chip_is_named_with_its_address_and_what_to_do():
    chip, _ = on((WHO_AM_I, OSError(19)))
    error = raised(OSError, chip.start)
    assert error.errno == 19
    assert "LIS2MDL at 0x1e" in str(error) and "check" in str(error)


def test_a_bus_that_is_held_is_told_from_an_absent_chip():
    chip, _ = on((INT_CTRL + b"\xe6", OSError(116)))
    error = raised(OSError, chip.arm, (0, 0, 0), 27)
    assert error.errno == 116 and "LIS2MDL" in str(error)


def test_a_chip_that_lost_its_registers_is_noticed():
    chip, _ = on((CFG_A, b"\x90\x0b\x50"), (CFG_A, b"\x03\x00\x00"))
    assert chip.is_started()
    assert not chip.is_started()


def test_the_field_is_the_output_with_the_offsets_added_back():
    chip, _ = on((OUT, xyz(-10, 20, 300)), (OFFSETS, xyz(140, 4, -286)))
    assert chip.read_field() == (130, 24, 14)


def test_a_sample_is_the_field_and_the_temperature_in_whole_degrees():
    for raw, celsius in ((0, 25), (7, 25), (8, 26), (-1, 24), (-8 * 40, -15)):
        chip, bus = on((OUT, struct.pack("<4h", -10, 20, 300, raw)), (OFFSETS, xyz(140, 4, -286)))
        assert chip.read_sample() == ((130, 24, 14), celsius)
        bus.finish()


def test_disarming_turns_the_interrupt_off_and_lets_its_latch_go():
    chip, bus = on((INT_CTRL + b"\xe6", None), (INT_SOURCE, b"\x81"))
    chip.disarm()
    bus.finish()


def test_arming_writes_offsets_and_threshold_while_the_interrupt_is_off():
    chip, bus = on(
        (INT_CTRL + b"\xe6", None),
        (OFFSETS + xyz(140, 4, -286), None),
        (THRESHOLD + b"\x1b\x00", None),
        (INT_CTRL + b"\xe7", None),
        (INT_SOURCE, b"\x00"),
    )
    chip.arm((140, 4, -286), 27)
    bus.finish()


def test_a_field_beyond_the_offset_registers_does_not_turn_its_sign():
    chip, bus = on(
        (INT_CTRL + b"\xe6", None),
        (OFFSETS + xyz(32767, -32767, 0), None),
        (THRESHOLD + b"\x1b\x00", None),
        (INT_CTRL + b"\xe7", None),
        (INT_SOURCE, b"\x00"),
    )
    chip.arm((32768, -60000, 0), 27)
    bus.finish()


def test_the_source_says_which_axis_has_moved_and_which_way():
    chip, _ = on((INT_SOURCE, b"\x41"))  # Y above
    assert chip.read_source() == 0x41


def test_a_single_measurement_cancels_its_offset_with_both_bits_and_starts_after_the_last_sample_is_gone():
    chip, bus = on(
        (CFG_B + b"\x12\x10", None),
        (CFG_A + b"\x83", None),
        (OUT, xyz(1, 2, 3)),
        (CFG_A + b"\x81", None),
        made=LIS2MDLService,
    )
    chip.configure(SINGLE, low_power=False)
    bus.finish()


def test_each_option_is_its_bit():
    chip, bus = on(
        (CFG_B + b"\x0d\x50", None), (CFG_A + b"\x9c", None),  # LPF, Set_FREQ, INT_on_DataOFF; INT; LP, 100 Hz
        (CFG_B + b"\x02\x11", None), (CFG_A + b"\x88", None),  # OFF_CANC; DRDY; 50 Hz
        made=LIS2MDLService,
    )  # fmt: skip
    chip.configure(CONTINUOUS, 100, True, True, False, True, True, True, False)
    chip.configure(CONTINUOUS, odr_hz=50, low_power=False, ready_on_pin=True)
    bus.finish()


def test_a_rate_there_is_not_and_two_signals_on_one_pin_are_refused_by_name():
    chip, _ = on(made=LIS2MDLService)
    assert "75" in str(raised(ValueError, chip.configure, CONTINUOUS, 75))
    assert "DRDY" in str(raised(ValueError, chip.configure, CONTINUOUS, 10, True, True, True, False, True, True, True))


def test_a_change_of_mode_leaves_all_else_as_it_is():
    chip, bus = on(
        (CFG_A, b"\x93"), (CFG_A + b"\x90", None),
        (CFG_A, b"\x90"), (CFG_A + b"\x93", None), (OUT, xyz(1, 2, 3)), (CFG_A + b"\x91", None),
        made=LIS2MDLService,
    )  # fmt: skip
    chip.set_mode(CONTINUOUS)
    chip.set_mode(SINGLE)
    bus.finish()


def test_the_output_is_there_in_nanotesla_once_all_axes_have_data():
    chip, _ = on((STATUS, b"\x07"), (STATUS, b"\x0f"), (OUT, xyz(-100, 0, 307)), made=LIS2MDLService)
    assert not chip.is_ready()
    assert chip.is_ready()
    assert chip.read_nanotesla() == (-15_000, 0, 46_050)


def test_temperature_has_eight_counts_a_degree_and_is_25_degrees_at_zero():
    chip, _ = on(
        (TEMPERATURE, b"\x00\x00"), (TEMPERATURE, b"\x08\x00"), (TEMPERATURE, b"\xd8\xfe"), made=LIS2MDLService
    )
    assert [chip.read_millicelsius() for _ in range(3)] == [25_000, 26_000, -12_000]


def test_offsets_are_written_and_read_back_and_one_that_does_not_fit_is_refused():
    chip, _ = on((OFFSETS + xyz(1, -2, 300), None), (OFFSETS, xyz(1, -2, 300)), made=LIS2MDLService)
    chip.write_offsets((1, -2, 300))
    assert chip.read_offsets() == (1, -2, 300)
    assert "40000" in str(raised(ValueError, chip.write_offsets, (0, 40000, 0)))


def test_the_interrupt_has_axes_polarity_and_latch():
    chip, bus = on(
        (INT_CTRL + b"\xa0", None), (THRESHOLD + b"\x00\x80", None), (INT_CTRL + b"\xa1", None), (INT_SOURCE, b"\x00"),
        (INT_CTRL + b"\x06", None), (THRESHOLD + b"\x01\x00", None), (INT_SOURCE, b"\x00"),
        made=LIS2MDLService,
    )  # fmt: skip
    chip.watch(0x8000, X | Z, active_high=False, latched=False)
    chip.watch(1, axes=0)
    bus.finish()
    assert "65536" in str(raised(ValueError, chip.watch, 65536))


def test_a_soft_reset_leaves_it_idle_and_a_reboot_asks_for_no_other_configuration():
    chip, bus = on((CFG_A + b"\x23", None), (CFG_A, b"\x90"), (CFG_A + b"\xd0", None), made=LIS2MDLService)
    chip.soft_reset()
    chip.reboot()
    bus.finish()


def self_test_script(without, with_coil):
    """AN5069: configure; 20 ms and 50 samples; coil on; 60 ms and 50 samples; coil off, idle."""
    script = [(CFG_A + b"\x8c\x02\x10", None)]
    script += [(STATUS, b"\x00"), (STATUS, b"\x0f"), (OUT, xyz(9, 9, 9)), (STATUS, b"\x0f"), (OUT, xyz(9, 9, 9))]
    script += [(STATUS, b"\x0f"), (OUT, without)] * 50 + [(CFG_C + b"\x12", None)]
    script += [(STATUS, b"\x0f"), (OUT, without)] * 6
    return script + [(STATUS, b"\x0f"), (OUT, with_coil)] * 50 + [(CFG_C + b"\x10", None), (CFG_A + b"\x83", None)]


def self_tested(without, with_coil):
    chip, bus = on(*self_test_script(without, with_coil), made=LIS2MDLService)
    test = SelfTest(chip)
    differences = None
    for _ in range(109):
        assert differences is None
        differences = test.poll()
    bus.finish()
    return differences


def test_the_self_test_compares_fifty_samples_with_the_coil_and_without():
    differences = self_tested(xyz(100, -200, 300), xyz(200, -100, 200))
    assert differences == (15_000, 15_000, -15_000)
    assert passed(differences)


def test_an_axis_that_does_not_follow_its_coil_fails_the_self_test():
    assert not passed(self_tested(xyz(0, 0, 0), xyz(100, 9, 100)))
    assert not passed((1_500, 50_000, -50_001))
    assert passed((1_500, 50_000, -50_000))
