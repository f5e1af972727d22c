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


def test_the_baseline_follows_drift_only_while_the_bay_is_empty():
    detector = commissioned()
    for step in range(60):
        verdict = settle(detector, (EMPTY[0] + step, EMPTY[1], EMPTY[2]))
        assert not verdict.occupied
    drifted = detector.baseline
    settle(detector, CAR)
    assert detector.baseline == drifted


def test_a_lost_baseline_is_not_learned_from_a_parked_car():
    detector = Detector(baseline=EMPTY)
    assert settle(detector, CAR).occupied


def test_the_deviation_is_given_in_tesla():
    detector = Detector(baseline=(0, 0, 0))
    verdict = settle(detector, (100, 0, 0))
    assert abs(verdict.deviation_t - 15e-6) < 1e-6
