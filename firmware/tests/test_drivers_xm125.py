import struct

from checks import raised
from driver_bus import Level, Wire

from drivers.xm125 import CLOSEST, FIXED_STRENGTH, PEAKS_MAX, PLANAR, XM125

ALL_OK = 0x3FF  # the ten bits the guide's example compares with (5.2)
BUSY = 0x8000_0000


def on(*script, awake=1):
    bus = Wire(0x52, *script)
    return XM125(bus, Level(), Level(awake)), bus


def register(address, value):
    """A read: address, stop, four bytes (3.2.2)."""
    return (struct.pack(">H", address), None), (None, struct.pack(">I", value))


def status(value):
    return register(0x0003, value)


def command(value):
    return ((struct.pack(">HI", 0x0100, value), None),)


def test_the_guides_examples_of_a_write_and_a_read():
    radar, bus = on((b"\x00\x25\x11\x22\x33\x44", None), (b"\x00\x03", None), (None, b"\x12\x34\x56\x78"))
    radar.write(0x0025, 0x11223344)
    assert radar.read(0x0003) == 0x12345678
    bus.finish()


def test_it_wakes_and_sleeps_by_its_pins_and_is_not_spoken_to_while_it_sleeps():
    wake_up, ready = Level(), Level()
    radar = XM125(Wire(0x52), wake_up, ready)
    radar.wake()
    assert wake_up.levels == [0, 1]
    assert not radar.is_awake()
    for call in (radar.check, radar.poll, radar.start_measurement, radar.read_result, radar.sleep, radar.reset):
        error = raised(OSError, call)
        assert error.errno == 16 and "MCU_INT" in str(error)
    ready.value(1)
    assert radar.is_awake()
    radar.sleep()
    assert wake_up.levels == [0, 1, 0]


def test_an_absent_module_is_named_with_its_address_and_what_to_do():
    radar, _ = on((b"\xff\xff", OSError(19)))
    error = raised(OSError, radar.check)
    assert error.errno == 19 and "XM125 at 0x52" in str(error) and "check" in str(error)


def test_one_that_vanishes_between_address_and_data_is_named_too():
    radar, _ = on((b"\xff\xff", None), (None, OSError(116)))
    error = raised(OSError, radar.check)
    assert error.errno == 116 and "XM125 at 0x52" in str(error)


def test_the_version_is_told_once_it_is_the_distance_detector():
    radar, _ = on(*register(0xFFFF, 1), *register(0x0000, 0x00010C00))
    assert radar.check() == (1, 12, 0)


def test_another_application_is_refused():
    radar, _ = on(*register(0xFFFF, 2))
    error = raised(OSError, radar.check)
    assert error.errno == 5 and "application 2" in str(error)


def test_the_guides_setup_of_one_to_five_metres_is_written_in_one_transaction_with_the_modules_defaults():
    values = (1000, 5000, 0, 1, 15000, 5, 3, 2, 100, 100000, 500, 1, 0)
    radar, bus = on(*status(0), (struct.pack(">H13I", 0x0040, *values), None), *status(0), *command(1))
    radar.configure(start_mm=1000, end_mm=5000)
    radar.start_calibration()
    bus.finish()


def test_every_setting_has_its_register():
    values = (200, 1200, 24, 0, 20000, 3, 4, 1, 50, 200000, 700, 2)
    radar, bus = on(*status(0), (struct.pack(">H12Ii", 0x0040, *(values + (-3000,))), None))
    radar.configure(200, 1200, 24, False, 20000, 3, FIXED_STRENGTH, CLOSEST, 50, 200000, 700, PLANAR, -3000)
    bus.finish()


def test_settings_that_cannot_be_are_refused_by_name():
    radar, _ = on()
    assert "900" in str(raised(ValueError, radar.configure, 900, 900))
    assert "max_profile 6" in str(raised(ValueError, radar.configure, 100, 900, 0, True, 15000, 6))
    wrong = (100, 900, 0, True, 15000, 5, 3, 2, 100, 100000, 1001)
    assert "sensitivity 1001" in str(raised(ValueError, radar.configure, *wrong))


def test_no_command_is_written_while_it_is_busy():
    radar, bus = on(*status(BUSY), *status(BUSY), *status(BUSY))
    for call in (radar.start_calibration, radar.start_measurement, radar.configure):
        error = raised(OSError, call)
        assert error.errno == 16 and "busy" in str(error)
    bus.finish()


def test_it_is_done_when_busy_falls():
    radar, _ = on(*status(ALL_OK | BUSY), *status(ALL_OK | BUSY), *status(ALL_OK))
    assert [radar.poll() for _ in range(3)] == [False, False, True]


def test_it_is_configured_once_all_ten_steps_are_ok():
    radar, _ = on(*status(0), *status(0x0FF), *status(ALL_OK), *status(ALL_OK | BUSY))
    assert [radar.is_configured() for _ in range(4)] == [False, False, True, True]


def test_each_error_bit_is_told_by_name_and_only_a_reset_is_still_taken():
    for bit, name in ((16, "RSS register"), (23, "config apply"), (25, "detector calibrate"), (28, "detector failed")):
        radar, bus = on(*status(1 << bit), *status(1 << bit | BUSY), *command(0x52535421))
        for call in (radar.poll, radar.start_measurement):
            error = raised(OSError, call)
            assert error.errno == 5 and name in str(error) and "reset()" in str(error)
        radar.reset()
        bus.finish()


def test_several_errors_are_told_together():
    radar, _ = on(*status(0x0300_0000))
    assert "sensor calibrate, detector calibrate" in str(raised(OSError, radar.poll))


def measured(result, distances=(), strengths=()):
    script = list(register(0x0010, result))
    if distances:
        script += [(b"\x00\x11", None), (None, struct.pack(">%dI" % len(distances), *distances))]
        script += [(b"\x00\x1b", None), (None, struct.pack(">%di" % len(strengths), *strengths))]
    radar, bus = on(*script)
    told = radar.read_result()
    bus.finish()
    return told


def test_a_measurement_has_distances_strengths_and_temperature():
    told = measured(0x0017_0002, (312, 1045), (21_500, -4_200))
    assert told == (False, False, 23, ((312, 21_500), (1045, -4_200)))


def test_no_peak_costs_no_reads_and_frost_has_a_sign():
    assert measured(0xFFF6_0000) == (False, False, -10, ())


def test_near_the_edge_and_calibration_needed_are_told():
    assert measured(0x0014_0100) == (True, False, 20, ())
    assert measured(0x0014_0200) == (False, True, 20, ())


def test_more_peaks_than_there_are_registers_are_not_read():
    distances = tuple(range(100, 100 + PEAKS_MAX))
    assert len(measured(0x0014_000F, distances, distances)[3]) == 10


def test_a_failed_measurement_is_no_empty_bay():
    radar, _ = on(*register(0x0010, 0x0014_0400))
    error = raised(OSError, radar.read_result)
    assert error.errno == 5 and "failed" in str(error)


def test_measuring_recalibrating_and_measuring_on_wake_are_their_commands():
    radar, bus = on(
        *(status(ALL_OK) + command(2)), *(status(ALL_OK) + command(5)),
        (b"\x00\x80\x00\x00\x00\x01", None), (b"\x00\x80\x00\x00\x00\x00", None),
        *register(0x0002, 77),
    )  # fmt: skip
    radar.start_measurement()
    radar.start_recalibration()
    radar.measure_on_wake(True)
    radar.measure_on_wake(False)
    assert radar.read_measure_counter() == 77
    bus.finish()


def test_what_it_found_wrong_with_a_transfer_is_told_by_name():
    radar, _ = on(*register(0x0001, 0x14), *register(0x0001, 0))
    assert radar.read_protocol_errors() == ["register address", "write to read only"]
    assert radar.read_protocol_errors() == []
