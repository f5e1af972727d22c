from app import commission, limits
from app.commission import Commissioning


def test_the_first_check_that_fails_is_shown_and_every_one_is_told():
    begun = Commissioning(0)
    for check in commission.CHECKS:
        begun.checked(check, {"magnetometer": "no answer", "radar": "application"}.get(check, ""))
    assert begun.pattern() == commission.CHECKING
    begun.all_checked()
    assert begun.pattern() == commission.fault_pattern("magnetometer")
    told = begun.verdict(3600)
    assert told == [{"commission": "magnetometer no answer"}, {"commission": "radar application", "battery": 3.6}]


def test_a_link_that_is_heard_does_not_hide_a_fault():
    begun = Commissioning(0)
    begun.checked("interrupt", "stays low")
    begun.all_checked()
    begun.walked(20, -80, 9)
    assert begun.pattern() == commission.fault_pattern("interrupt")


def test_no_two_things_look_alike():
    patterns = [commission.fault_pattern(check) for check in commission.CHECKS]
    patterns += [commission.CHECKING, commission.JOINING, commission.GOOD, commission.POOR]
    assert len(set(patterns)) == len(patterns)
    for pattern in patterns:
        assert len(pattern) % 2 == 0 and min(pattern) > 0


def test_the_walk_shows_the_test_answered_last_and_tells_the_worst():
    begun = Commissioning(0)
    begun.all_checked()
    assert begun.pattern() == commission.JOINING and begun.walk() == {"commission": "no link"}
    assert begun.verdict(None) == [{"commission": "passed"}]
    begun.walked(commission.POOR_DB, -100, 2)
    assert begun.pattern() == commission.GOOD
    begun.walked(commission.POOR_DB - 1, -118, -9)
    assert begun.pattern() == commission.POOR
    begun.walked(12, -90, 7)
    assert begun.pattern() == commission.GOOD
    begun.unanswered()
    assert begun.pattern() == commission.POOR
    assert begun.walk() == {"commission": "poor link", "margin": 4, "rssi": -118, "snr": -9}


def test_it_ends_by_itself():
    begun = Commissioning(5)
    assert not begun.is_over(4 + 1000 * limits.COMMISSION_WALK_S)
    assert begun.is_over(5 + 1000 * limits.COMMISSION_WALK_S)


def test_an_interrupt_line_has_to_rise_and_to_fall():
    assert commission.polarity_reason(0, 1, 0) == ""
    assert commission.polarity_reason(0, 0, 0) == "stays low"
    assert commission.polarity_reason(1, 1, 1) == "stays high"
    assert commission.polarity_reason(1, 0, 1) == "stays high", "active low"
    assert commission.polarity_reason(0, 1, 1) == "stays high"


def test_a_cell_is_neither_empty_nor_of_another_kind():
    assert [commission.battery_reason(mv) for mv in (3299, 3300, 3670, 3900, 4200)] == ["low", "", "", "", "high"]
