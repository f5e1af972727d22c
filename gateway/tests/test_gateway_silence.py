"""Who has fallen silent, and that a gateway which was away blames nobody."""

import random

import pytest

from pave_gateway.core import limits
from pave_gateway.core.silence import Change, Hearing, Silence, state_at

HOUR_MS = 3_600_000
LATE_MS = HOUR_MS * limits.SILENCE_LATE_PERCENT // 100 + limits.SILENCE_GRACE_MS
SILENT_MS = HOUR_MS * limits.SILENCE_SILENT_PERCENT // 100 + limits.SILENCE_GRACE_MS


def run(silence: Silence, from_ms: int, to_ms: int) -> list[Change]:
    """Call it when it asks to be called, from one instant to another."""
    changes, at_ms = silence.handle_timeout(from_ms), from_ms
    while (at_ms := max(at_ms + 1, silence.next_timeout())) <= to_ms:
        changes += silence.handle_timeout(at_ms)
    return changes + silence.handle_timeout(to_ms)


@pytest.fixture
def one() -> Silence:
    silence = Silence(0)
    silence.expect("d", 3600)
    return silence


def test_a_device_that_was_never_heard_is_not_silent(one):
    assert run(one, 0, 10 * HOUR_MS) == []
    assert one.state_of("d") is Hearing.NEVER
    assert one.counts() == {Hearing.NEVER: 1, Hearing.OK: 0, Hearing.LATE: 0, Hearing.SILENT: 0}


def test_a_device_becomes_late_then_silent_once_each_and_is_well_again_when_heard(one):
    assert one.heard("d", 1000) == Change("d", Hearing.NEVER, Hearing.OK, 1000)
    assert run(one, 1000, 20 * HOUR_MS) == [
        Change("d", Hearing.OK, Hearing.LATE, 1000 + LATE_MS),
        Change("d", Hearing.LATE, Hearing.SILENT, 1000 + SILENT_MS),
    ]
    assert one.heard("d", 20 * HOUR_MS) == Change("d", Hearing.SILENT, Hearing.OK, 20 * HOUR_MS)
    assert one.heard("d", 21 * HOUR_MS) is None
    assert one.heard_ms("d") == 21 * HOUR_MS


def test_a_device_that_speaks_in_time_is_never_late(one):
    for hour in range(48):
        one.heard("d", hour * HOUR_MS)
        assert run(one, hour * HOUR_MS, (hour + 1) * HOUR_MS + 1) == []


def test_another_interval_counts_from_now_on(one):
    one.heard("d", 0)
    one.expect("d", 60)
    changes = run(one, 0, HOUR_MS)
    assert [change.after for change in changes] == [Hearing.LATE, Hearing.SILENT]
    assert changes[0].monotonic_ms == 69_000 + limits.SILENCE_GRACE_MS
    one.heard("d", HOUR_MS)
    one.expect("d", 86_400)
    assert run(one, HOUR_MS, 25 * HOUR_MS) == []


def test_a_gateway_that_just_started_gives_every_device_its_whole_time():
    silence = Silence(5 * HOUR_MS)
    for number in range(100):
        silence.expect(str(number), 3600)
        silence.restore(str(number), Hearing.LATE if number % 2 else Hearing.OK)
    assert run(silence, 5 * HOUR_MS, 5 * HOUR_MS + LATE_MS - 1) == []
    assert len(run(silence, 5 * HOUR_MS + LATE_MS - 1, 5 * HOUR_MS + LATE_MS)) == 100


def test_a_device_that_was_silent_before_the_gateway_stopped_stays_so_without_a_second_alarm():
    silence = Silence(0)
    silence.expect("d", 3600)
    silence.restore("d", Hearing.SILENT)
    assert run(silence, 0, 10 * HOUR_MS) == []
    assert silence.state_of("d") is Hearing.SILENT


@pytest.mark.parametrize(
    ("heard_ms", "state"), [(None, Hearing.NEVER), (HOUR_MS, Hearing.OK), (HOUR_MS - SILENT_MS, Hearing.SILENT)]
)
def test_how_it_stood_when_the_gateway_stopped_follows_from_the_log(heard_ms, state):
    assert state_at(heard_ms, HOUR_MS, 3600) is state


@pytest.mark.parametrize("away_ms", [limits.SILENCE_GAP_MS + 1, 3 * HOUR_MS, 100 * HOUR_MS])
def test_a_gateway_that_was_suspended_blames_nobody_for_what_it_did_not_hear(away_ms):
    silence = Silence(0)
    for number in range(1000):
        silence.expect(str(number), 3600)
        silence.heard(str(number), number)
    assert run(silence, 0, HOUR_MS) == []
    back_ms = HOUR_MS + away_ms
    assert run(silence, back_ms, back_ms + LATE_MS - 1) == []
    assert len(run(silence, back_ms + LATE_MS - 1, back_ms + LATE_MS + 1000)) == 1000


def test_the_storm_is_seen_if_the_gap_is_not(monkeypatch):
    monkeypatch.setattr(limits, "SILENCE_GAP_MS", 1000 * HOUR_MS)
    silence = Silence(0)
    for number in range(10):
        silence.expect(str(number), 3600)
        silence.heard(str(number), 0)
    assert len(silence.handle_timeout(3 * HOUR_MS)) == 10


def test_it_asks_to_be_called_often_enough_to_notice_that_it_was_away(one):
    assert one.next_timeout() == limits.SILENCE_LOOK_MS < limits.SILENCE_GAP_MS
    one.expect("d", 10)
    one.heard("d", 0)
    one.handle_timeout(60_000)
    assert one.next_timeout() == 71_500


def test_a_device_that_left_is_forgotten_and_strangers_are_left_alone(one):
    one.heard("d", 0)
    one.forget("d")
    assert run(one, 0, 10 * HOUR_MS) == [] and one.heard("d", HOUR_MS) is None
    one.expect("d", 3600)
    assert one.state_of("d") is Hearing.NEVER


@pytest.mark.parametrize("seed", range(10))
def test_it_says_what_a_count_from_scratch_says(seed):
    dice = random.Random(seed)
    silence, heard_ms = Silence(0), {}
    names = [str(number) for number in range(30)]
    interval_s = {name: dice.randint(60, 7200) for name in names}
    for name in names:
        silence.expect(name, interval_s[name])
    for at_ms in range(0, 12 * HOUR_MS, limits.SILENCE_LOOK_MS):
        for name in dice.sample(names, 1):
            if dice.random() < 0.7:
                heard_ms[name] = at_ms
                silence.heard(name, at_ms)
        silence.handle_timeout(at_ms)
        for name, last_ms in heard_ms.items():
            age_ms, whole_ms = at_ms - last_ms, interval_s[name] * 1000
            late = age_ms >= whole_ms * limits.SILENCE_LATE_PERCENT // 100 + limits.SILENCE_GRACE_MS
            silent = age_ms >= whole_ms * limits.SILENCE_SILENT_PERCENT // 100 + limits.SILENCE_GRACE_MS
            expected = Hearing.SILENT if silent else Hearing.LATE if late else Hearing.OK
            assert silence.state_of(name) is expected


def test_hearing_of_devices_makes_the_heap_no_larger(one):
    for at_ms in range(10_000):
        one.heard("d", at_ms)
        one.expect("d", 3600)
    assert len(one._heap) == 1
