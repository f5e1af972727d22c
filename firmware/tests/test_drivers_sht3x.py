from checks import raised
from driver_bus import Wire

from drivers import sht3x
from drivers.sht3x import SHT3x, crc8


def on(*script):
    bus = Wire(0x44, *script)
    return SHT3x(bus), bus


def word(value):
    data = bytes((value >> 8, value & 0xFF))
    return data + bytes((crc8(data),))


def test_the_checksum_is_the_datasheets():
    assert crc8(b"\xbe\xef") == 0x92  # table 20


def test_a_word_as_the_datasheet_protects_it_is_taken_and_with_any_bit_wrong_refused():
    data = b"\xbe\xef\x92"
    climate, _ = on((None, data + data))
    # 4.13: -45 + 175 * 48879 / 65535, and 100 * 48879 / 65535
    assert climate.poll() == (85_523, 74_585)
    for bit in range(48):
        wrong = bytearray(data + data)
        wrong[bit // 8] ^= 1 << bit % 8
        climate, _ = on((None, bytes(wrong)))
        error = raised(OSError, climate.poll)
        assert error.errno == 5 and "CRC" in str(error) and "0x44" in str(error)


def test_a_single_shot_is_started_without_clock_stretching_by_repeatability():
    climate, bus = on((b"\x24\x00", None), (b"\x24\x0b", None), (b"\x24\x16", None))  # table 9
    climate.start()
    climate.start(sht3x.MEDIUM)
    climate.start(sht3x.LOW)
    bus.finish()


def test_it_does_not_acknowledge_while_it_measures_and_that_is_no_error():
    climate, bus = on(
        (b"\x24\x00", None), (None, OSError(19)), (None, OSError(19)), (None, word(0x6666) + word(0x8000))
    )
    climate.start()
    assert climate.poll() is None
    assert climate.poll() is None
    assert climate.poll() == (25_000, 50_001)
    bus.finish()


def test_the_ends_of_the_range():
    climate, _ = on((None, word(0) + word(0)), (None, word(0xFFFF) + word(0xFFFF)))
    assert climate.poll() == (-45_000, 0)
    assert climate.poll() == (130_000, 100_000)


def test_an_absent_sensor_is_named_with_its_address_and_what_to_do():
    climate, _ = on((b"\x24\x00", OSError(19)), (b"\xf3\x2d", None), (None, OSError(19)))
    for call in (climate.start, climate.read_status):
        error = raised(OSError, call)
        assert error.errno == 19 and "SHT3x at 0x44" in str(error) and "check" in str(error)


def test_a_bus_that_is_held_is_an_error_even_while_it_measures():
    climate, _ = on((None, OSError(116)))
    assert raised(OSError, climate.poll).errno == 116


def test_periodic_measuring_has_a_command_for_each_period_and_repeatability():
    climate, bus = on((b"\x20\x32", None), (b"\x21\x26", None), (b"\x27\x2a", None), (b"\x2b\x32", None))  # table 10
    climate.start_periodic(2000)
    climate.start_periodic(1000, sht3x.MEDIUM)
    climate.start_periodic(100, sht3x.LOW)
    climate.start_accelerated()
    bus.finish()
    assert "300" in str(raised(ValueError, climate.start_periodic, 300))


def test_periodic_results_are_fetched_and_ended_with_a_break():
    climate, bus = on(
        (b"\xe0\x00", None), (None, OSError(19)), (b"\xe0\x00", None), (None, word(0x6666) * 2), (b"\x30\x93", None)
    )
    climate.fetch()
    assert climate.poll() is None
    climate.fetch()
    assert climate.poll() == (25_000, 40_000)
    climate.stop_periodic()
    bus.finish()


def test_heater_status_and_reset_are_their_commands():
    climate, bus = on(
        (b"\x30\x6d", None), (b"\xf3\x2d", None), (None, word(0x2010)),
        (b"\x30\x41", None), (b"\x30\x66", None), (b"\x30\xa2", None),
    )  # fmt: skip
    climate.set_heater(True)
    assert climate.read_status() == sht3x.HEATER_ON | sht3x.WAS_RESET
    climate.clear_status()
    climate.set_heater(False)
    climate.soft_reset()
    bus.finish()


def test_the_status_has_its_checksum_too():
    climate, _ = on((b"\xf3\x2d", None), (None, b"\x80\x10\x00"))
    assert raised(OSError, climate.read_status).errno == 5


def test_an_alert_limit_goes_as_seven_bits_of_humidity_and_nine_of_temperature():
    # The default of the high alert, 60 degrees and 80 %, is CD33.
    climate, bus = on((b"\x61\x1d" + word(0xCD33), None), (b"\xe1\x1f", None), (None, word(0xCD33)))
    climate.write_limit(sht3x.HIGH_SET, 60_000, 80_000)
    celsius, humidity = climate.read_limit(sht3x.HIGH_SET)
    assert 59_600 < celsius <= 60_000 and 79_000 < humidity <= 80_000
    bus.finish()


def test_each_alert_limit_has_its_commands():
    for limit, write, read in (
        (1, b"\x61\x16", b"\xe1\x14"),
        (2, b"\x61\x0b", b"\xe1\x09"),
        (3, b"\x61\x00", b"\xe1\x02"),
    ):
        climate, bus = on((write + word(0), None), (read, None), (None, word(0)))
        climate.write_limit(limit, -45_000, 0)
        assert climate.read_limit(limit) == (-45_000, 0)
        bus.finish()


def test_a_limit_outside_of_the_range_is_refused():
    climate, _ = on()
    assert "130001" in str(raised(ValueError, climate.write_limit, 0, 130_001, 0))
    assert "100001" in str(raised(ValueError, climate.write_limit, 0, 0, 100_001))
