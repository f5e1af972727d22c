from app.bay_readings import UNKNOWN, BayReadings
from app.outbox import Outbox


class Report:
    def __init__(self, state, at_ms, alarm="", reason="field"):
        self.state = state
        self.at_ms = at_ms
        self.alarm = alarm
        self.reason = reason
        self.confidence = 0.96
        self.deviation = 80


class Detector:
    """One that says what it is told to, and repeats the last state when asked."""

    def __init__(self, *reports):
        self.reports = list(reports)
        self.state = 0

    def say(self, reason, now_ms):
        self.reports.append(Report(self.state, now_ms, reason=reason))


def made(terse=True, state=None, now_ms=0):
    outbox = Outbox("24a160fffe000101", 5)
    return BayReadings(outbox, terse, 3600, lambda n: n - 1, 150, state, now_ms), outbox


def said(outbox):
    return [(entry[1], entry[2]) for entry in outbox.state()[2]]


def test_the_first_report_is_a_boot_and_each_change_says_how_long_the_state_before_lasted():
    readings, outbox = made()
    readings.take(Detector(Report(0, 1000)), True, 0, 1000)
    readings.take(Detector(Report(1, 61_000)), True, 0, 62_000)
    assert said(outbox) == [
        (1000, {"occupied": False, "reason": "boot", "confidence": 0.96}),
        (61_000, {"occupied": True, "reason": "field", "confidence": 0.96, "lasted": 60}),
    ]


def test_a_change_from_or_to_blind_names_the_state_that_ended():
    readings, outbox = made()
    for state, at_ms in ((1, 0), (2, 5000), (0, 9000)):
        readings.take(Detector(Report(state, at_ms)), True, 0, at_ms)
    blind, free = said(outbox)[1][1], said(outbox)[2][1]
    assert blind["blind"] is True and "occupied" not in blind and blind["ended"] == "occupied"
    assert free["occupied"] is False and free["ended"] == "blind" and free["lasted"] == 4


def test_a_heartbeat_is_due_an_hour_after_the_last_word_and_not_before_the_field_rests():
    readings, outbox = made()
    readings.take(Detector(Report(0, 0)), True, 0, 0)
    due_ms = readings.due_ms
    assert 3600_000 <= due_ms <= 3600_000 * 9 // 8
    readings.take(Detector(), True, 0, due_ms - 1)
    readings.take(Detector(), False, 0, due_ms)
    assert len(outbox) == 1
    readings.take(Detector(), True, 0, due_ms)
    assert said(outbox)[1] == (due_ms, {"occupied": False, "reason": "heartbeat", "confidence": 0.96})
    assert readings.due_ms > due_ms


def test_a_part_that_fails_is_named_once_until_it_has_answered_and_the_other_goes_on():
    readings, outbox = made()
    for faults in (2, 2, 3, 3, 0, 2):
        readings.take(Detector(), False, faults, 0)
    assert [values for _, values in said(outbox)] == [{"fault": "radar"}, {"fault": "magnetometer"}, {"fault": "radar"}]


def test_magnetometer_and_radar_that_both_fail_confirm_nothing():
    readings, outbox = made()
    readings.take(Detector(), True, 3, 0)
    readings.take(Detector(), True, 3, readings.due_ms)
    assert [values for _, values in said(outbox)] == [
        {"fault": "magnetometer"},
        {"fault": "radar"},
    ] and readings.said == UNKNOWN


def test_an_alarm_is_a_reading_of_its_class_and_a_terse_link_leaves_the_field_out():
    for terse in (True, False):
        readings, outbox = made(terse)
        readings.take(Detector(Report(0, 0), Report(0, 10, "tilt")), True, 0, 10)
        values = said(outbox)[1][1]
        assert values["reason"] == "tilt" and "lasted" not in values and ("field" in values) is not terse


def test_what_survives_sleep_goes_on_where_it_was():
    readings, outbox = made()
    readings.take(Detector(Report(1, 5000)), True, 2, 5000)
    again = BayReadings(outbox, True, 3600, lambda n: 0, 150, readings.state(), 6000)
    again.take(Detector(Report(0, 65_000)), True, 2, 65_000)
    assert said(outbox)[-1][1]["lasted"] == 60 and len(outbox) == 3


def test_the_radar_alone_confirms_the_state_while_the_magnetometer_fails():
    readings, outbox = made()
    readings.take(Detector(), True, 1, 0)
    readings.take(Detector(), True, 1, readings.due_ms)
    reasons = [values.get("reason") for _, values in said(outbox)]
    assert reasons == [None, "boot", "heartbeat"]
