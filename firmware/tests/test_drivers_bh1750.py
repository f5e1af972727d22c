from checks import raised
from driver_bus import Wire

from drivers import bh1750
from drivers.bh1750 import BH1750


def on(*script):
    bus = Wire(0x23, *script)
    return BH1750(bus), bus


def test_the_datasheets_example_is_28067_lux():
    # "High Byte = 1000_0011, Low Byte = 1001_0000": (2^15 + 2^9 + 2^8 + 2^7 + 2^4) / 1.2 = 28067
    light, bus = on((b"\x01", None), (b"\x10", None), (None, b"\x83\x90"))
    light.start(bh1750.CONTINUOUS_HIGH)
    assert light.read_millilux() // 1000 == 28_066  # 28,066.67
    bus.finish()


def test_a_measurement_powers_on_and_sends_the_instruction_of_its_mode():
    modes = (
        (bh1750.CONTINUOUS_HIGH, b"\x10"), (bh1750.CONTINUOUS_HIGH2, b"\x11"), (bh1750.CONTINUOUS_LOW, b"\x13"),
        (bh1750.ONE_TIME_HIGH, b"\x20"), (bh1750.ONE_TIME_HIGH2, b"\x21"), (bh1750.ONE_TIME_LOW, b"\x23"),
    )  # fmt: skip
    for mode, instruction in modes:
        light, bus = on((b"\x01", None), (instruction, None))
        light.start(mode)
        bus.finish()
    light, _ = on()
    assert "0x12" in str(raised(ValueError, light.start, 0x12))


def test_the_datasheets_measurement_times_of_138_and_69():
    # "ex) MTreg = 138: 01000_100, 011_01010"; twice as long, and half the light for a count
    light, bus = on((b"\x44", None), (b"\x6a", None), (b"\x42", None), (b"\x65", None))
    assert light.measure_max_ms() == 181
    light.set_sensitivity(138)
    assert light.measure_max_ms() == 361
    assert light.millilux(1200) == 500_000
    light.set_sensitivity(69)
    assert light.millilux(1200) == 1_000_000
    bus.finish()


def test_the_ends_of_the_measurement_time_are_taken_and_no_more():
    light, bus = on((b"\x40", None), (b"\x7f", None), (b"\x47", None), (b"\x7e", None))
    light.set_sensitivity(31)
    light.set_sensitivity(254)
    bus.finish()
    for wrong in (30, 255):
        assert str(wrong) in str(raised(ValueError, light.set_sensitivity, wrong))


def test_a_count_is_half_a_lux_in_high_resolution_mode_2_only():
    for mode, instruction, millilux in (
        (0x21, b"\x21", 500_000),
        (0x23, b"\x23", 1_000_000),
        (0x20, b"\x20", 1_000_000),
    ):
        light, _ = on((b"\x01", None), (instruction, None), (None, b"\x04\xb0"))
        light.start(mode)
        assert light.read_millilux() == millilux


def test_low_resolution_takes_24_ms_at_most():
    light, _ = on((b"\x01", None), (b"\x23", None))
    light.start(bh1750.ONE_TIME_LOW)
    assert light.measure_max_ms() == 25


def test_full_scale_is_told_as_counts():
    light, _ = on((None, b"\xff\xff"))
    assert light.read_counts() == bh1750.SATURATED


def test_the_result_is_cleared_only_while_powered_on():
    light, bus = on((b"\x01", None), (b"\x07", None), (b"\x00", None))
    light.reset_result()
    light.power_down()
    bus.finish()


def test_an_absent_sensor_is_named_with_its_address_and_what_to_do():
    light, _ = on((b"\x01", OSError(19)), (None, OSError(19)))
    for call in (light.start, light.read_millilux):
        error = raised(OSError, call)
        assert error.errno == 19 and "BH1750 at 0x23" in str(error) and "check" in str(error)


def test_a_bus_that_is_held_is_told_from_an_absent_sensor():
    light, _ = on((None, OSError(116)))
    assert raised(OSError, light.read_counts).errno == 116
