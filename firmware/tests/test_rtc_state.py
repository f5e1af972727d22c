from dice import Dice
from fake_board import Rtc, imported, power_on

rtc_state = imported("roles.rtc_state")
VALUE = {"outbox": [1, 2, [[3, 4, {"occupied": True}]]], "fault": ""}


def test_value_crashes_sensing_and_sequence_are_kept_side_by_side():
    power_on()
    assert (
        rtc_state.sensing() == b""
        and rtc_state.load() is None
        and rtc_state.sequence() is None
        and rtc_state.crashes() == 0
    )
    rtc_state.set_sequence(0)
    assert rtc_state.sequence() == 0 and rtc_state.load() is None
    rtc_state.set_crashes(2)
    rtc_state.save(VALUE)
    rtc_state.set_sequence(0xFFFFFFFF)
    assert (rtc_state.load(), rtc_state.crashes(), rtc_state.sequence()) == (VALUE, 2, 0xFFFFFFFF)
    rtc_state.save_sensing(b"abc")
    assert (rtc_state.load(), rtc_state.sensing(), rtc_state.crashes()) == (VALUE, b"abc", 2)
    rtc_state.save(VALUE)
    assert rtc_state.sensing() == b"abc"
    rtc_state.save(VALUE, b"")
    assert rtc_state.sensing() == b""
    rtc_state.set_crashes(999)
    assert (rtc_state.load(), rtc_state.crashes(), rtc_state.sequence()) == (VALUE, 255, 0xFFFFFFFF)


def test_a_bit_that_flips_anywhere_never_makes_another_number_or_value():
    power_on()
    rtc_state.save(VALUE, b"what is sensed")
    rtc_state.set_sequence(4711)
    sound = Rtc.kept
    for bit in range(8 * len(sound)):
        wrong = bytearray(sound)
        wrong[bit >> 3] ^= 1 << (bit & 7)
        Rtc.kept = bytes(wrong)
        lost = (rtc_state.sequence() is None, rtc_state.load() is None, rtc_state.sensing() == b"")
        assert rtc_state.sequence() in (4711, None) and rtc_state.load() in (VALUE, None)
        assert rtc_state.sensing() in (b"what is sensed", b"")
        # The length of what is sensed says where the value begins: both are lost with it, the sequence never with them.
        assert sum(lost) == (0 if bit < 8 else 2 if 13 * 8 <= bit < 15 * 8 else 1), bit
        assert not lost[0] or 5 * 8 <= bit < 13 * 8


def test_what_a_power_on_leaves_there_is_neither():
    dice = Dice(5)
    for size in (0, 1, 5, 12, 13, 14, 40, 2048):
        for content in (bytes(size), b"\xff" * size, dice.bytes(size)):
            Rtc.kept = content
            assert rtc_state.load() is None and rtc_state.sequence() is None


def test_a_state_beyond_rtc_memory_is_refused_and_the_one_before_stays():
    power_on()
    rtc_state.save(VALUE)
    try:
        rtc_state.save({"outbox": ["x" * 60] * 40})
        raise AssertionError("it cannot fit")
    except ValueError as error:
        assert "2048" in str(error)
    assert rtc_state.load() == VALUE
