"""The coulomb ledger: what is booked where, and that nothing is lost or invented."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pave_emulator.power.ledger import POWER_ON, SLEEP, SPANS_KEPT, Ledger, LedgerError, Snapshot

CAUSES = ("heartbeat", "field", SLEEP)


def charge(snapshot: Snapshot, *names: str) -> float:
    """Charge of the entries that have all these names."""
    return sum(e.charge_c for e in snapshot.entries if set(names) <= {e.consumer, e.state, e.cause, e.rail})


def test_a_current_is_booked_until_the_next_draw():
    ledger = Ledger()
    ledger.draw("mcu", "active", 0.050, 0.0)
    ledger.draw("mcu", "sleep", 8e-6, 2.0)
    snapshot = ledger.snapshot(102.0)
    assert charge(snapshot, "mcu", "active") == pytest.approx(0.1)
    assert charge(snapshot, "mcu", "sleep") == pytest.approx(8e-4)
    assert snapshot.total_c == pytest.approx(0.1008)
    assert snapshot.peak_a == 0.050


def test_a_change_of_cause_splits_what_goes_on_and_spares_what_has_its_own():
    ledger = Ledger()
    ledger.draw("magnetometer", "on", 25e-6, 0.0)
    ledger.draw("radio", "rx", 5e-3, 0.0, cause="receive window")
    ledger.cause(10.0, "heartbeat")
    snapshot = ledger.snapshot(12.0)
    assert charge(snapshot, "magnetometer", POWER_ON) == pytest.approx(250e-6)
    assert charge(snapshot, "magnetometer", "heartbeat") == pytest.approx(50e-6)
    assert charge(snapshot, "radio", "receive window") == pytest.approx(60e-3)
    assert charge(snapshot, "radio", "heartbeat") == 0.0


def test_a_wake_that_turns_out_false_is_moved_with_everything_it_cost():
    ledger = Ledger()
    ledger.cause(0.0, SLEEP)
    ledger.draw("mcu", "sleep", 0.0, 0.0)
    real = ledger.cause(1.0, "field")
    ledger.draw("mcu", "active", 0.1, 1.0)
    ledger.draw("mcu", "sleep", 0.0, 2.0)
    ledger.cause(2.0, SLEEP)
    false = ledger.cause(5.0, "field")
    ledger.draw("mcu", "active", 0.1, 5.0)
    ledger.draw("mcu", "sleep", 0.0, 8.0)
    ledger.cause(8.0, SLEEP)
    ledger.reattribute(false, "field, false")
    snapshot = ledger.snapshot(9.0)
    assert charge(snapshot, "field") == pytest.approx(0.1)
    assert charge(snapshot, "field, false") == pytest.approx(0.3)
    assert snapshot.wakes == {"field": 1, "field, false": 1, POWER_ON: 1, SLEEP: 3}
    assert real != false


def test_the_present_span_can_be_moved_and_goes_on_under_its_new_name():
    ledger = Ledger()
    span = ledger.cause(0.0, "field")
    ledger.draw("mcu", "active", 0.1, 0.0)
    ledger.draw("mcu", "active", 0.1, 1.0)
    ledger.reattribute(span, "field, false")
    snapshot = ledger.snapshot(3.0)
    assert charge(snapshot, "field") == 0.0
    assert charge(snapshot, "field, false") == pytest.approx(0.3)


def test_a_span_that_is_forgotten_cannot_be_moved():
    ledger = Ledger()
    span = ledger.cause(0.0, "field")
    for number in range(SPANS_KEPT):
        ledger.cause(float(number), SLEEP)
    with pytest.raises(LedgerError, match=f"span {span} is not among the last {SPANS_KEPT}"):
        ledger.reattribute(span, "field, false")


def test_counts_and_longest_interval_are_of_uninterrupted_states():
    ledger = Ledger()
    for start_s in (0.0, 10.0, 20.0):
        ledger.draw("leds", "on", 5e-3, start_s)
        ledger.draw("leds", "off", 0.0, start_s + 1.0 + start_s / 10)
    ledger.snapshot(24.0)  # asking in the middle does not end an interval
    on, off = sorted(ledger.snapshot(30.0).entries, key=lambda e: e.state, reverse=True)
    assert (on.intervals, on.longest_s, on.seconds) == (3, 3.0, 6.0)
    assert (off.intervals, off.longest_s) == (3, 9.0)


def test_the_difference_of_two_snapshots_is_what_came_between():
    ledger = Ledger()
    ledger.draw("mcu", "active", 0.1, 0.0)
    first = ledger.snapshot(10.0)
    ledger.cause(12.0, "update")
    later = ledger.snapshot(20.0).since(first)
    assert later.seconds == 10.0
    assert charge(later, POWER_ON) == pytest.approx(0.2)
    assert charge(later, "update") == pytest.approx(0.8)
    assert later.total_c == pytest.approx(1.0)
    assert later.wakes == {POWER_ON: 0, "update": 1}


def test_each_rail_has_its_load_and_listeners_hear_it():
    heard: list[tuple[float, dict[str, float]]] = []
    ledger = Ledger(on_load=lambda now_s, loads: heard.append((now_s, loads)))
    ledger.draw("divider", "on", 1e-6, 0.0, rail="cell")
    ledger.draw("mcu", "active", 0.05, 1.0)
    ledger.draw("radio", "rx", 0.005, 2.0)
    assert heard[-1] == (2.0, {"cell": 1e-6, "3v3": pytest.approx(0.055)})
    assert ledger.load_a("3v3") == pytest.approx(0.055)
    assert ledger.snapshot(3.0).charge_by("rail") == {("3v3",): pytest.approx(0.105), ("cell",): pytest.approx(3e-6)}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (("mcu", "active", 0.1, 0.5), "time went back from 1.0 s to 0.5 s"),
        (("mcu", "active", -0.1, 2.0), "mcu cannot draw -0.1 A"),
        (("mcu", "active", math.nan, 2.0), "mcu cannot draw nan A"),
        (("mcu", "active", 0.1, 2.0, None, "cell"), "mcu is on rail '3v3' and cannot move to 'cell'"),
    ],
)
def test_what_cannot_be_is_refused(draw, message):
    ledger = Ledger()
    ledger.draw("mcu", "sleep", 0.0, 1.0)
    with pytest.raises(LedgerError, match=message):
        ledger.draw(*draw)


STEP = st.tuples(
    st.sampled_from(("draw", "own", "cause", "move", "look")),
    st.sampled_from(("mcu", "radio", "flash")),
    st.sampled_from(("low", "high")),
    st.sampled_from(CAUSES),
    st.floats(0.0, 0.5),
    st.floats(0.0, 1e5),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_the_parts_are_the_total_whatever_happens(steps):
    ledger, now_s, expected, load, spans = Ledger(), 0.0, [], {}, [1]
    for what, consumer, state, cause, amps, pause_s in steps:
        expected += [current * pause_s for current in load.values()]
        now_s += pause_s
        if what in ("draw", "own"):
            ledger.draw(consumer, state, amps, now_s, cause if what == "own" else None)
            load[consumer] = amps
        elif what == "cause":
            spans.append(ledger.cause(now_s, cause))
        elif what == "move":
            ledger.reattribute(spans[len(spans) // 2], cause)
        else:
            ledger.snapshot(now_s)
    snapshot = ledger.snapshot(now_s)
    true_c = math.fsum(expected)
    assert snapshot.total_c == pytest.approx(true_c, rel=1e-9, abs=1e-9)
    for parts in (("consumer",), ("cause",), ("consumer", "state", "cause")):
        assert math.fsum(snapshot.charge_by(*parts).values()) == pytest.approx(true_c, rel=1e-9, abs=1e-9)
    assert sum(snapshot.wakes.values()) == len(spans)


def test_many_small_charges_do_not_wear_the_sum_away():
    ledger = Ledger()
    ledger.draw("mcu", "sleep", 8e-6, 0.0)
    ledger.draw("radio", "sleep", 1e6, 0.0)  # a consumer beside which the other is rounding
    ledger.draw("radio", "off", 0.0, 1e3)
    for number in range(20_000):
        ledger.draw("mcu", "sleep", 8e-6, 1e3 + number * 0.5)
    assert ledger.snapshot(11_000.0).total_c - 1e9 == pytest.approx(8e-6 * 11_000, rel=1e-3)
