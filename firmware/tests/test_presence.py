from presence_bay import CAR, EMPTY, FLOOR, Bay, plus

from app import presence
from app.presence import BLIND, OCCUPIED, VACANT, Detector

BESIDE = plus(EMPTY, (20, -30, 25))  # a lorry in the lane: 6.6 uT
WEAK = plus(EMPTY, (10, 8, -9))  # 2.4 uT


def test_an_empty_bay_is_vacant_from_the_first_look():
    bay = Bay()
    assert bay.said == [VACANT]
    assert bay.detector.watch == EMPTY and bay.detector.threshold == presence.VACANT_LSB


def test_the_first_verdict_is_a_report_whatever_it_is_and_says_boot():
    for peaks, near_edge, state in (((), False, VACANT), (FLOOR, False, OCCUPIED), ((), True, BLIND)):
        bay = Bay()
        bay.state, bay.peaks, bay.near_edge = None, peaks, near_edge
        (first,) = bay.wake("power-on")
        assert first.state == state and first.reason == "boot"


def test_an_arrival_is_one_report_and_a_departure_another():
    bay = Bay()
    (arrival,) = bay.becomes(CAR, FLOOR)
    assert arrival.state == OCCUPIED and arrival.reason == "field" and arrival.confidence > 0.9
    assert abs(arrival.deviation - 150) < 3
    (departure,) = bay.becomes(EMPTY, ())
    assert departure.state == VACANT and departure.deviation < 3


def test_a_change_is_dated_to_when_the_field_came_to_rest():
    bay = Bay()
    begin_ms = bay.now_ms
    (arrival,) = bay.becomes(CAR, FLOOR)
    assert arrival.at_ms == begin_ms + 100


def test_a_field_like_a_vehicles_with_nothing_above_is_no_vehicle():
    bay = Bay()
    assert bay.becomes(BESIDE, ()) == []
    assert bay.detector.watch == BESIDE, "who stays beside does not wake the sensor again"
    assert not bay.is_raised()
    assert bay.becomes(EMPTY, ()) == []


def test_a_vehicle_with_little_steel_is_seen_by_its_floor():
    bay = Bay()
    bay.field, bay.peaks = WEAK, FLOOR
    (arrival,) = bay.wake()
    assert arrival.state == OCCUPIED


def test_a_weak_vehicle_that_leaves_no_change_of_field_is_looked_for_all_the_same():
    bay = Bay()
    bay.field, bay.peaks = plus(EMPTY, (5, 4, 4)), FLOOR
    bay.wake()
    bay.field, bay.peaks = plus(EMPTY, (3, 1, 1)), ()
    (departure,) = bay.wake()
    assert departure.state == VACANT


def test_who_passes_costs_no_look():
    bay = Bay()
    bay.passes(5)
    assert bay.looks == 0 and bay.said == [VACANT]


def test_a_street_that_wakes_the_sensor_for_nothing_raises_the_threshold_and_silence_lowers_it():
    bay = Bay()
    bay.passes(40)
    busy = bay.detector.threshold
    assert busy == presence.BUSY_LSB
    bay.now_ms += presence.CALM_S * 1000 * 5
    bay.passes(1)
    assert busy - 5 <= bay.detector.threshold < busy
    bay.wait(presence.CALM_S * 30)
    bay.wake("timer")
    assert bay.detector.threshold == presence.VACANT_LSB


def test_what_wakes_for_a_vehicle_does_not_raise_the_threshold():
    bay = Bay()
    for _ in range(5):
        bay.becomes(CAR, FLOOR)
        bay.becomes(EMPTY, ())
    assert bay.detector.threshold == presence.VACANT_LSB


def test_no_vehicle_of_ten_microtesla_comes_unnoticed_on_the_busiest_street():
    bay = Bay()
    bay.passes(60, every_s=1)
    least = 10_000 // presence.NT_PER_LSB / 3**0.5
    assert bay.detector.threshold < least


def test_a_strong_vehicle_is_watched_with_a_share_of_its_field():
    bay = Bay()
    bay.becomes(CAR, FLOOR)
    assert bay.detector.threshold == presence.STANDING_LSB
    bay = Bay()
    bay.field, bay.peaks = WEAK, FLOOR
    bay.wake()
    assert bay.detector.threshold == presence.OCCUPIED_LSB


def test_a_field_that_never_rests_is_judged_by_the_radar_and_then_left_alone():
    bay = Bay()
    bay.moving = 20
    bay.field, bay.peaks = CAR, FLOOR
    (arrival,) = bay.wake()
    assert arrival.state == OCCUPIED
    first_ms = bay.detector.until_ms - bay.now_ms
    assert bay.detector.watch is None and first_ms == presence.HOLD_OFF_S * 1000
    bay.now_ms = bay.detector.until_ms
    bay.wake("timer")
    assert bay.detector.until_ms - bay.now_ms == 2 * first_ms
    for _ in range(8):
        bay.now_ms = bay.detector.until_ms
        bay.wake("timer")
    assert bay.detector.until_ms - bay.now_ms == presence.HOLD_OFF_S * 1000 << presence.HOLD_OFF_DOUBLINGS
    bay.moving = 0
    bay.wake("timer")
    assert bay.detector.watch is not None


def test_a_vehicle_that_was_missed_is_found_by_the_timer():
    bay = Bay()
    bay.field, bay.peaks = plus(EMPTY, (4, 4, 4)), FLOOR
    (found,) = bay.wait(3600)
    assert found.state == OCCUPIED and found.reason == "radar"


def test_a_bay_that_was_left_unnoticed_is_free_again_within_the_hour():
    bay = Bay()
    bay.becomes(CAR, FLOOR)
    bay.peaks = ()
    (found,) = bay.wait(3600)
    assert found.state == VACANT


def test_the_timer_of_another_than_the_detector_asks_no_radar():
    bay = Bay()
    bay.now_ms += 600_000
    bay.wake("timer")
    assert bay.looks == 0


def test_the_state_is_a_flat_tuple_of_small_integers_and_carries_all_that_counts():
    bay = Bay()
    bay.now_ms = 1 << 38  # nine years
    bay.becomes(CAR, FLOOR)
    assert isinstance(bay.state, tuple) and len(bay.state) <= 40
    for value in bay.state:
        assert isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31
    assert Detector(bay.state).state() == bay.state
    (departure,) = bay.becomes(EMPTY, ())
    assert departure.state == VACANT


def test_the_outcome_is_the_same_whichever_way_the_sensor_lies():
    for turn in (lambda x, y, z: (z, x, y), lambda x, y, z: (-y, z, -x), lambda x, y, z: (-x, -y, z)):
        bay = Bay()
        bay.state = None
        bay.field = turn(*EMPTY)
        bay.wake("power-on")
        bay.becomes(turn(*CAR), FLOOR)
        bay.becomes(turn(*BESIDE), ())
        assert bay.said == [VACANT, VACANT, OCCUPIED, VACANT]


def test_a_heartbeat_says_the_state_as_it_stands_and_nothing_before_there_is_one():
    bay = Bay()
    bay.becomes(CAR, FLOOR)
    detector = Detector(bay.state)
    detector.say("heartbeat", bay.now_ms)
    (report,) = detector.reports
    assert report.state == OCCUPIED and report.reason == "heartbeat" and abs(report.deviation - 150) < 3
    detector = Detector()
    detector.say("heartbeat", 0)
    assert detector.reports == []


def test_every_confidence_is_one_of_the_wires_steps():
    bay = Bay()
    reports = bay.becomes(CAR, FLOOR) + bay.becomes(BESIDE, ()) + bay.becomes(plus(CAR, (40, 40, 0)), None)
    bay.becomes(plus(EMPTY, (20, 15, 15)), (), near_edge=True)
    bay.detector.say("heartbeat", 0)
    reports += bay.detector.reports
    assert BLIND in [report.state for report in reports]
    for report in reports:
        assert 0.5 <= report.confidence <= 0.99
        assert round(report.confidence * 100) % 4 == 0
