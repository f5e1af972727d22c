from checks import raised
from dice import Dice

from pave_wire import event, limits, model
from pave_wire.errors import EventError

DEVICE = "24a160fffe000101"
LEFT = {"occupied": False, "reason": "field", "confidence": 0.96, "lasted": 5400}


def reading(seq=42, age_s=3, epoch=1, **values):
    return model.Reading(DEVICE, epoch, seq, age_s, values or LEFT)


def through(sent, oldest=True):
    """What a gateway that knows the numbers in full reads."""
    got = event.decode(event.encode(sent, oldest))
    assert got.oldest is oldest and got.epoch_low == sent.epoch & 255 and got.seq_low == sent.seq & 65535
    return got.reading(sent.device, sent.epoch, sent.seq)


def test_the_bytes_of_an_event_are_those_of_the_table():
    data = event.encode(reading(seq=0x123456, epoch=0x0203), True)
    # 00 00 0001 | 01 1 11000 | epoch 03 | seq 3456 | age 3 = 00000000011, lasted 5400 = shift 3, 675: 100 0 1010 0011
    assert data == bytes((0x01, 0x78, 0x03, 0x34, 0x56, 0x00, 0x60 | 3 * 512 + 675 >> 8, (3 * 512 + 675) & 255))


def test_a_presence_event_fits_a_lorawan_frame_of_24_bytes():
    assert len(event.encode(reading(), True)) == event.BYTES <= limits.EVENT_BYTES


def test_every_state_reason_and_confidence_survives():
    for values in (
        {"occupied": True, "reason": "boot"},
        {"occupied": False, "reason": "heartbeat", "confidence": 0},
        {"occupied": True, "reason": "radar", "confidence": 1, "lasted": 0},
        {"blind": True, "reason": "field", "lasted": 60, "ended": "vacant"},
        {"blind": True, "reason": "command"},
        {"occupied": True, "reason": "field", "lasted": 7, "ended": "blind"},
        {"occupied": False, "reason": "tilt", "confidence": 0.48, "lasted": 1023},
    ):
        got = through(reading(**values), False)
        confidence = values.get("confidence")
        if confidence is not None:
            assert abs(got.values.pop("confidence") - values.pop("confidence")) < 1e-6
        assert got.values == values, (got.values, values)


def test_the_opposite_of_the_state_need_not_be_stated():
    got = through(reading(occupied=True, reason="field", lasted=9, ended="vacant"))
    assert got.values == {"occupied": True, "reason": "field", "lasted": 9}


def test_a_confidence_is_off_by_two_hundredths_at_most():
    for hundredths in range(101):
        got = through(reading(occupied=True, reason="field", confidence=hundredths / 100))
        assert abs(got.values["confidence"] - hundredths / 100) < 0.0201


def test_ages_and_lengths_are_exact_at_first_and_then_within_the_stated_share():
    for bits in (event.AGE_MANTISSA_BITS, event.LASTED_MANTISSA_BITS):
        end = event.from_scale(-1, bits)
        assert end == ((2 << bits) - 1) << 14
        dice = Dice(bits)
        for n in range(5000):
            value = min(end, n if n < 3000 else dice.below(1 << 5 + n % 22))
            code = event.to_scale(value, bits)
            assert code < 16 << bits
            error = abs(event.from_scale(code, bits) - value)
            assert error == 0 if value < 2 << bits else error * (2 << bits) <= value, (value, error)
        assert "beyond" in str(raised(EventError, event.to_scale, end + (end >> bits), bits))


def test_every_code_of_a_scale_stands_for_one_number_and_they_ascend():
    for bits in (event.AGE_MANTISSA_BITS, event.LASTED_MANTISSA_BITS):
        last = -1
        for code in range(16 << bits):
            value = event.from_scale(code, bits)
            assert value > last and event.to_scale(value, bits) == code
            last = value


def test_every_byte_string_is_an_event_that_encodes_to_itself_or_is_refused_by_name():
    dice = Dice(7)
    read = 0
    for _ in range(3000):
        data = bytes([dice.below(256) & (0x3F if at == 0 else 0xFF) for at in range(8)])
        try:
            got = event.decode(data)
        except EventError:
            continue
        read += 1
        again = got.reading(DEVICE, got.epoch_low, got.seq_low)
        assert event.encode(again, got.oldest) == data, data
    assert 100 < read < 3000


def test_what_an_event_cannot_say_is_refused_and_goes_as_senml():
    for values, word in [
        ({"occupied": True, "reason": "field", "field": 2e-5}, "no field for field"),
        ({"screen-free": 3, "reason": "heartbeat"}, "no field for screen-free"),
        ({"occupied": True, "reason": "moonlight"}, "moonlight"),
        ({"occupied": True}, "None"),
        ({"reason": "field"}, "no state"),
        ({"occupied": 1, "reason": "field"}, "no state"),
        ({"occupied": True, "blind": True, "reason": "field"}, "no state"),
        ({"blind": True, "reason": "field", "lasted": 3}, "cannot have been None"),
        ({"occupied": True, "reason": "field", "lasted": 3, "ended": "occupied"}, "cannot have been"),
        ({"occupied": True, "reason": "field", "lasted": 3, "ended": "asleep"}, "asleep"),
        ({"occupied": True, "reason": "field", "ended": "vacant"}, "without lasted"),
        ({"occupied": True, "reason": "field", "lasted": -1}, "-1"),
        ({"occupied": True, "reason": "field", "lasted": True}, "True"),
        ({"occupied": True, "reason": "field", "lasted": float("nan")}, "nan"),
        ({"occupied": True, "reason": "field", "lasted": 17000000}, "beyond"),
        ({"occupied": True, "reason": "field", "confidence": 1.5}, "1.5"),
        ({"occupied": True, "reason": "field", "confidence": "high"}, "high"),
    ]:
        error = str(raised(EventError, event.encode, reading(**values), True))
        assert word in error, (values, error)
    assert "beyond" in str(raised(EventError, event.encode, reading(age_s=50 * 86400), True))


def test_codes_without_a_meaning_and_other_lengths_and_versions_are_refused():
    good = event.encode(reading(), True)
    assert event.decode(good + b"\x01\x02\x03").values == event.decode(good).values
    for data, word in [
        (good[:7], "7 bytes"),
        (good + bytes(4), "12 bytes"),
        (bytes((good[0] | 0x40,)) + good[1:], "version 1"),
        (bytes((good[0] | 0x30,)) + good[1:], "state 3"),
        (bytes((good[0] | 0x0F,)) + good[1:], "reason 15"),
        (good[:1] + bytes((good[1] | 0xC0,)) + good[2:], "ended 3"),
        (good[:1] + bytes((good[1] & 0xE0 | 26,)) + good[2:], "confidence code 26"),
        (good[:1] + bytes((good[1] & 0x3F,)) + good[2:], "without a state"),
    ]:
        error = str(raised(EventError, event.decode, data))
        assert word in error, (data, error)


def test_low_bits_are_extended_to_the_nearest_number():
    for low, bits, last, full in [
        (0, 16, 0, 0),
        (41, 16, 42, 41),
        (3, 16, 0xFFFE, 0x10003),
        (0xFFFE, 16, 0x10003, 0xFFFE),
        (0xFFFE, 16, 3, 0xFFFE),
        (0x7FFF, 16, 0, 0x7FFF),
        (0x8000, 16, 0, 0x8000),
        (5, 8, 0x01FF, 0x0205),
    ]:
        assert event.extend(low, bits, last) == full, (low, bits, last)


def test_extension_is_right_within_the_stated_span_and_not_beyond():
    dice = Dice(11)
    for _ in range(3000):
        last = dice.below(1 << 24) + 40000
        for ahead in (dice.below(0x7FFF), 0x7FFF, -0x7FFF, -dice.below(0x8000)):  # 0x7FFF ahead: 32,766 were missed
            assert event.extend(last + ahead & 0xFFFF, 16, last) == last + ahead
        assert event.extend(last + 0x8001 & 0xFFFF, 16, last) != last + 0x8001


def test_one_lost_event_is_rebuilt_from_the_next():
    dice = Dice(13)
    for _ in range(1000):
        now = 300000
        states = [dice.below(3)]
        for _ in range(2):
            states.append((states[-1] + 1 + dice.below(2)) % 3)
        at = [1000, 1000 + dice.below(100000), 0]
        at[2] = at[1] + dice.below(100000)
        events = []
        for n in (0, 1, 2):
            values = {"reason": "field"}
            if model.STATES[states[n]] == "blind":
                values["blind"] = True
            else:
                values["occupied"] = states[n] == 1
            if n:
                values["lasted"] = at[n] - at[n - 1]
                values["ended"] = model.STATES[states[n - 1]]
            events.append(through(model.Reading(DEVICE, 1, 7 + n, now - at[n], values)))
        lost = events[1]
        rebuilt = event.rebuild_previous(events[0], events[2])
        assert rebuilt is not None and rebuilt.identity == lost.identity
        for name in ("occupied", "blind"):
            assert rebuilt.values.get(name) == lost.values.get(name)
        assert rebuilt.values["reason"] == event.REBUILT
        assert abs(rebuilt.age_s - (now - at[1])) <= (now - at[2]) // 256 + (at[2] - at[1]) // 1024 + 1


def test_nothing_is_rebuilt_where_the_lost_reading_changed_no_state():
    taken = reading(seq=1, occupied=True, reason="field", lasted=60)
    free = reading(seq=3, occupied=False, reason="field", lasted=600)
    assert event.rebuild_previous(taken, free) is None  # what was lost was a heartbeat
    still = reading(seq=3, occupied=True, reason="heartbeat")
    assert event.rebuild_previous(taken, still) is None
    raised(EventError, event.rebuild_previous, taken, reading(seq=2))
    raised(EventError, event.rebuild_previous, taken, reading(seq=3, epoch=2))


def test_a_reading_that_came_as_an_event_is_the_same_when_it_comes_again_as_senml():
    exact = reading(occupied=True, reason="field", confidence=0.97, lasted=5403)
    coarse = through(exact)
    assert abs(coarse.values["confidence"] - 0.96) < 1e-6 and coarse.values["lasted"] == 5400
    for stored, offered in ((coarse, exact), (exact, coarse), (exact, exact), (coarse, coarse)):
        assert event.same_reading(stored, offered)
    stated = reading(occupied=True, reason="field", confidence=0.96, lasted=5400, ended="vacant")
    assert event.same_reading(coarse, stated)  # the opposite of the state need not be stated
    older = reading(occupied=True, reason="field", confidence=0.97, lasted=5403, age_s=90)
    assert event.same_reading(coarse, older)  # each sending has an age of its own


def test_a_used_identity_with_other_values_is_not_the_same_reading():
    stored = through(reading(occupied=True, reason="field", confidence=0.97, lasted=5403))
    for values in (
        {"occupied": False, "reason": "field", "confidence": 0.97, "lasted": 5403},
        {"occupied": True, "reason": "boot", "confidence": 0.97, "lasted": 5403},
        {"occupied": True, "reason": "field", "confidence": 0.91, "lasted": 5403},
        {"occupied": True, "reason": "field", "confidence": 0.97, "lasted": 5420},
        {"occupied": True, "reason": "field", "confidence": 0.97, "lasted": 5403, "field": 2e-5},
        {"screen-free": 3, "reason": "heartbeat"},
    ):
        assert not event.same_reading(stored, reading(**values)), values
    assert event.same_reading(reading(fault="radar"), reading(fault="radar"))
    assert not event.same_reading(reading(fault="radar"), reading(fault="magnetometer"))
    assert not event.same_reading(reading(seq=1), reading(seq=2))
    assert not event.same_reading(reading(epoch=1), reading(epoch=2))


def test_a_rebuilt_reading_differs_from_the_real_one_that_takes_its_place():
    taken = reading(seq=2, occupied=True, reason="field", lasted=60)
    rebuilt = event.rebuild_previous(reading(seq=1, occupied=False, reason="boot"), reading(seq=3))
    assert rebuilt.identity == taken.identity and rebuilt.values["reason"] == event.REBUILT
    assert not event.same_reading(rebuilt, taken)
