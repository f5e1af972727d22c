from presence_bay import CAR, EMPTY, FLOOR, Bay, plus

from app import presence_baseline as baseline
from app.presence import BLIND, OCCUPIED, VACANT

MAGNET = plus(EMPTY, (1000, 1300, -2000))


def test_a_sensor_that_is_tilted_raises_an_alarm_once_and_works_on():
    bay = Bay()
    tilted = (4, 180, 262)  # the same earth from another side
    (alarm,) = bay.becomes(tilted, ())
    assert alarm.alarm == "tilt" and alarm.reason == "tilt"
    assert bay.wait(7200) == []
    bay.becomes(plus(tilted, (60, 60, 60)), FLOOR)
    bay.becomes(tilted, ())
    assert bay.said == [VACANT, OCCUPIED, VACANT]


def test_a_lorry_beside_or_a_plate_is_no_tilt():
    for more in ((40, -50, 50), (30, 20, 70), (90, 0, 90), (63, 0, -40)):  # the last turns the field, by 13 degrees
        bay = Bay()
        reports = bay.becomes(plus(EMPTY, more), ())
        assert reports == []


def test_a_magnet_is_an_alarm_once_and_no_baseline():
    bay = Bay()
    (alarm,) = bay.becomes(MAGNET, ())
    assert alarm.alarm == "magnet"
    assert bay.wait(3 * baseline.WORKS_S) == []
    assert abs(bay.detector.bx - 8 * EMPTY[0]) < 8
    assert bay.becomes(EMPTY, ()) == []
    (alarm,) = bay.becomes(MAGNET, ())
    assert alarm.alarm == "magnet"


def test_a_magnet_is_told_of_at_once_whatever_is_above_or_on_the_lid_and_at_rest_or_not():
    for peaks, near_edge, moving, state in (
        (FLOOR, False, 0, OCCUPIED),
        ((), False, 0, VACANT),
        (FLOOR, False, 30, OCCUPIED),
        ((), True, 0, BLIND),
        (None, False, 0, BLIND),
    ):
        bay = Bay()
        bay.becomes(CAR, FLOOR)
        bay.moving = moving
        reports = bay.becomes(MAGNET, peaks, near_edge)
        assert [report.alarm for report in reports if report.alarm] == ["magnet"]
        assert bay.detector.said == state
        assert [report.alarm for report in bay.wait(7200) if report.alarm] == []


def test_no_vehicle_above_is_a_magnet_and_with_nothing_above_the_same_field_is_one():
    strongest = plus(EMPTY, (100, 150, 760))  # 168 uT in all, 117 of them of a lorry and the sensor's own steel
    bay = Bay()
    (arrival,) = bay.becomes(strongest, FLOOR)
    assert arrival.state == OCCUPIED and arrival.alarm == ""
    bay.peaks = ()
    departure, alarm = bay.wait(3600)
    assert departure.alarm == "" and alarm.alarm == "magnet"


def test_a_vehicle_that_weakens_a_magnets_field_neither_ends_the_alarm_nor_repeats_it():
    bay = Bay()
    magnet = plus(EMPTY, (0, 0, 700))  # 149 uT
    bay.becomes(magnet, ())
    reports = bay.becomes(plus(magnet, (-50, -50, -100)), FLOOR) + bay.becomes(magnet, ())
    assert [(report.state, report.alarm) for report in reports] == [(OCCUPIED, ""), (VACANT, "")]
    assert bay.becomes(EMPTY, ()) == []
    assert [report.alarm for report in bay.becomes(magnet, ())] == ["magnet"]


def test_a_sensor_that_starts_with_a_magnet_on_it_learns_no_baseline_from_it():
    for peaks in ((), None):
        bay = Bay()
        bay.state, bay.said, bay.field, bay.peaks = None, [], MAGNET, peaks
        bay.wake("power-on")
        assert not bay.detector.known
        bay.becomes(EMPTY, ())
        assert bay.detector.known and abs(bay.detector.bx - 8 * EMPTY[0]) < 8


def test_a_sensor_that_is_tilted_below_a_vehicle_says_so_when_the_vehicle_has_left():
    bay = Bay()
    bay.becomes(CAR, FLOOR)
    assert bay.becomes((40, 330, 200), FLOOR) == []
    departure, alarm = bay.becomes((4, 180, 262), ())
    assert departure.state == VACANT and alarm.alarm == "tilt"


def test_a_magnet_that_turns_a_strong_field_round_is_no_tilt_and_no_baseline():
    bay = Bay()
    bay.state, bay.field = None, (140, 4, 450)  # 71 uT
    bay.wake("power-on")
    (alarm,) = bay.becomes((-140, -4, -850), ())
    assert alarm.alarm == "magnet"
    assert bay.wait(7200) == [] and abs(bay.detector.bx - 8 * 140) < 8
