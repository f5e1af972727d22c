from app import limits
from app.lora_join import HOUR_MS, JoinSchedule

AIRTIMES_US = (1_482_752, 823_296, 370_688, 205_824, 113_152, 61_696)


class Chance:
    """Numbers that are spread, and the same in every run."""

    def __init__(self, seed=1):
        self._state = seed

    def below(self, n):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % n


def attempts(schedule, from_ms, to_ms):
    """Ask in vain; return (when, us) of every attempt."""
    made = []
    now_ms = from_ms
    while True:
        airtime_us = AIRTIMES_US[schedule.data_rate()]
        now_ms = schedule.due_ms(airtime_us, now_ms)
        if now_ms >= to_ms:
            return made
        schedule.sent(airtime_us, now_ms)
        made.append((now_ms, airtime_us))


def test_the_first_attempts_of_many_devices_are_spread():
    first = [JoinSchedule(Chance(seed).below, 0).due_ms(0, 0) for seed in range(1, 200)]
    assert min(first) < 2000 and max(first) > 13_000
    assert max(first) <= limits.LORA_JOIN_SPREAD_S * 1000


def test_the_data_rate_goes_from_fast_to_slow_and_around():
    schedule = JoinSchedule(Chance().below, 0)
    rates = []
    for n in range(8):
        rates.append(schedule.data_rate())
        schedule.sent(0, n)
    assert rates == [5, 4, 3, 2, 1, 0, 5, 4]


def test_a_week_in_vain_keeps_the_budgets_and_goes_on_asking():
    made = attempts(JoinSchedule(Chance().below, 0), 0, 168 * HOUR_MS)

    def spent(first_h, last_h):
        return sum([us for at_ms, us in made if first_h * HOUR_MS <= at_ms < last_h * HOUR_MS])

    assert 0 < spent(0, 1) <= 36_000_000
    assert 0 < spent(1, 11) <= 36_000_000
    for day in range(6):
        assert 0 < spent(11 + 24 * day, 35 + 24 * day) <= 8_700_000
    assert len(made) < 30 * 7


def test_pauses_double_and_are_drawn():
    schedule = JoinSchedule(Chance().below, 0)
    now_ms = schedule.due_ms(1, 0)
    for attempt in range(12):
        schedule.sent(1, now_ms)
        pause_ms = min(limits.LORA_JOIN_PAUSE_MAX_S, limits.LORA_JOIN_PAUSE_S << attempt) * 1000
        due_ms = schedule.due_ms(1, now_ms)
        assert pause_ms // 2 <= due_ms - now_ms < 3 * pause_ms // 2
        now_ms = due_ms


def test_a_schedule_goes_on_after_deep_sleep_and_when_the_clock_begins_again():
    schedule = JoinSchedule(Chance().below, 0)
    made = attempts(schedule, 0, 8 * HOUR_MS)
    now_ms = made[-1][0]
    again = JoinSchedule(Chance().below, now_ms, schedule.state())
    assert again.due_ms(1, now_ms) == schedule.due_ms(1, now_ms) > now_ms
    restarted = JoinSchedule(Chance().below, 500, schedule.state())
    assert restarted.due_ms(1, 500) <= 500 + 2 * limits.LORA_JOIN_PAUSE_MAX_S * 1000
