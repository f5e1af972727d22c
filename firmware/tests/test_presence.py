from app import presence
from app.presence import Detector

EMPTY = (140, 4, 286)  # Paris, in counts of 150 nT
CAR = (60, 90, 380)


def noise(at):
    """A fixed, noise-like triple within the chip's noise (2 counts rms)."""
    return ((at * 7) % 5 - 2, (at * 11) % 5 - 2, (at * 13) % 5 - 2)


def field(base, at):
    return tuple(b + n for b, n in zip(base, noise(at)))


def settle(detector, base, samples=20):
    """Feed a resting field until the detector has a verdict."""
    for at in range(samples):
        verdict = detector.sample(field(base, at))
        if verdict is not None:
            return verdict
    raise AssertionError("no verdict in %d samples" % samples)


def between(one, other, share):
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other))


def commissioned():
    detector = Detector()
    assert not settle(detector, EMPTY).occupied
    return detector


def test_the_first_settled_field_becomes_the_baseline_of_an_empty_bay():
    detector = Detector()
    verdict = settle(detector, EMPTY)
    assert not verdict.occupied and not verdict.changed
    assert presence.distance(detector.baseline, EMPTY) < 4


def test_an_arrival_is_one_change_and_a_departure_another():
    detector = commissioned()
    arrival = settle(detector, CAR)
    assert arrival.occupied and arrival.changed and arrival.confidence > 0.9
    again = settle(detector, CAR)
    assert again.occupied and not again.changed
    departure = settle(detector, EMPTY)
    assert not departure.occupied and departure.changed


def test_nothing_is_decided_while_the_field_moves():
    detector = commissioned()
    for step in range(1, 12):
        assert detector.sample(between(EMPTY, CAR, step / 12)) is None
    assert settle(detector, CAR).changed


def test_a_field_that_never_rests_is_judged_all_the_same():
    detector = commissioned()
    verdicts = []
    for at in range(presence.RESTLESS_SAMPLES + 1):
        shake = 20 if at % 2 else -20
        verdicts.append(detector.sample((CAR[0] + shake, CAR[1], CAR[2])))
    found = [verdict for verdict in verdicts if verdict is not None]
    assert len(found) == 1 and found[0].occupied


def test_between_the_thresholds_the_earlier_verdict_stands():
    middle = (presence.OCCUPIED_LSB + presence.VACANT_LSB) // 2
    halfway = (EMPTY[0] + middle, EMPTY[1], EMPTY[2])
    detector = commissioned()
    assert not settle(detector, halfway).changed
    detector = commissioned()
    settle(detector, CAR)
    assert not settle(detector, halfway).changed


def test_slow_drift_is_followed_as_the_device_sees_it_and_only_while_the_bay_is_empty():
    """The device looks again when the field has left what it watches by WAKE_LSB on an axis."""
    for sign in (1, -1):
        detector = commissioned()
        watch = detector.baseline
        for step in range(400):
            field_now = (EMPTY[0] + sign * step, EMPTY[1], EMPTY[2] + sign * step)
            if max(abs(f - w) for f, w in zip(field_now, watch)) > presence.WAKE_LSB:
                verdict = settle(detector, field_now)
                assert not verdict.occupied, step
                watch = verdict.watch
    drifted = detector.baseline
    settle(detector, CAR)
    assert detector.baseline == drifted


def test_noise_alone_does_not_move_the_baseline():
    detector = commissioned()
    for start in range(200):
        for at in range(presence.SETTLE_SAMPLES):
            detector.sample(field(EMPTY, start * 3 + at))
    assert max(abs(b - e) for b, e in zip(detector.baseline, EMPTY)) <= 1


def test_no_vehicle_arrives_in_steps_too_small_to_wake_for():
    detector = commissioned()
    near = (EMPTY[0] + 28, EMPTY[1] + 28, EMPTY[2] + 28)
    verdict = settle(detector, near)
    assert not verdict.occupied
    over = tuple(w + presence.OCCUPIED_LSB / 3**0.5 for w in verdict.watch)
    assert max(abs(o - w) for o, w in zip(over, verdict.watch)) > presence.WAKE_LSB
    assert verdict.watch == detector.baseline


def test_an_occupied_bay_is_watched_from_the_field_with_the_vehicle():
    detector = commissioned()
    assert presence.distance(settle(detector, CAR).watch, CAR) < 4


def test_no_baseline_is_learnt_from_a_field_that_moves_or_cannot_be_the_earths():
    for base, shake in ((EMPTY, 20), ((0, 0, 0), 0), ((3000, 0, 0), 0)):
        detector = Detector()
        for at in range(presence.RESTLESS_SAMPLES + 10):
            assert detector.sample((base[0] + (shake if at % 2 else -shake), base[1], base[2])) is None
        assert detector.baseline is None


def test_a_lost_baseline_is_not_learned_from_a_parked_car():
    detector = Detector(baseline=EMPTY)
    assert settle(detector, CAR).occupied


def test_the_deviation_is_given_in_tesla():
    detector = Detector(baseline=(0, 0, 0))
    verdict = settle(detector, (100, 0, 0))
    assert abs(verdict.deviation_t - 15e-6) < 1e-6
