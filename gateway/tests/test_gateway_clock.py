"""The site's timeline, through machines that boot in 1970, jump, and are suspended."""

from itertools import pairwise

import pytest

from pave_gateway.core import limits
from pave_gateway.core.clock import SiteClock, Timeline
from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy
from pave_gateway.core.instant import ClockLog, ClockRow, Dated, Held, Moment, Quality, iso_utc
from pave_gateway.core.rows import ReadingRow, StoredReading

TRUE_MS = 1_795_000_000_000  # when the machine of these tests boots
YEARS_10_MS = 315_600_000_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Site:
    """A gateway on a machine whose clocks the test moves; commits take a while, and can fail."""

    def __init__(self, wall_ms=TRUE_MS, synchronized=True, journal=None, boot="boot-1", monotonic_ms=7_000, slow=False):
        self.wall_ms, self.synchronized, self.monotonic_ms, self.slow = wall_ms, synchronized, monotonic_ms, slow
        self.truth_ms = TRUE_MS
        self.readings, self.rows = journal or ([], [])
        self.log = ClockLog(self.rows)
        self.waiting = []
        self.busy = self.failing = False
        last_ms = max((self.log.corrected_ms(self.received(s)) for s, _ in self.readings), default=0)
        self.timeline = Timeline(boot, self.log, last_ms, monotonic_ms, wall_ms, synchronized)
        self.clock = SiteClock(self.timeline, self.log, self, lambda: len(self.readings))
        self.observe()

    def submit(self, rows, done, urgent=False):
        if self.busy:
            raise CommitterBusy("full")
        self.waiting.append((rows[0], done))
        if not self.slow:
            self.commit()

    def commit(self):
        row, done = self.waiting.pop(0)
        if self.failing:
            done(CommitFailed("disk full"))
            return
        self.rows.append(row)
        done(Committed(()))

    def observe(self):
        self.clock.observe(self.monotonic_ms, self.wall_ms, self.synchronized)

    def run(self, for_ms, step_ms=1000):
        for _ in range(for_ms // step_ms):
            self.monotonic_ms += step_ms
            self.wall_ms += step_ms
            self.truth_ms += step_ms
            self.observe()

    def now(self):
        return self.clock.now(self.monotonic_ms)

    def receive(self, age_ms=0, now=None):
        """A reading arrives; `now` may be a little old. Keep it with the time it was really made."""
        now = now or self.now()
        seq = len(self.readings) + 1
        row = ReadingRow("d", 1, seq, "presence", now.ms, now.ms - age_ms, {}, synchronized=now.synchronized)
        self.readings.append((StoredReading(seq, row), self.truth_ms - age_ms))
        return self.readings[-1][0]

    def received(self, stored):
        return Moment(stored.row.received_ms, stored.position, stored.row.synchronized)

    def errors_ms(self):
        """How far the corrected times of all readings are off."""
        return [
            self.log.corrected_ms(Moment(stored.row.read_ms, stored.position, stored.row.synchronized)) - truth_ms
            for stored, truth_ms in self.readings
        ]


def test_a_machine_that_boots_in_1970_gives_every_reading_its_right_time_once_ntp_has_set_it():
    site = Site(wall_ms=5_000, synchronized=False)
    for _ in range(5):
        site.receive(age_ms=30_000)
        site.run(MINUTE_MS)
    early = [stored for stored, _ in site.readings]
    assert iso_utc(early[0].row.received_ms).startswith("1970-01-01")
    assert {site.log.quality(site.received(stored)) for stored in early} == {Quality.UNSYNCHRONIZED}
    site.wall_ms, site.synchronized = site.truth_ms, True
    site.run(1000)
    late = site.receive()
    assert site.now().synchronized and late.row.received_ms == site.truth_ms
    assert site.errors_ms() == [0] * 6
    assert [site.log.quality(site.received(stored)) for stored in (early[0], late)] == [
        Quality.CORRECTED, Quality.SYNCHRONIZED,
    ]  # fmt: skip


def test_a_clock_that_was_never_set_is_not_believed_even_if_the_kernel_does():
    site = Site(wall_ms=5_000, synchronized=True)
    assert not site.now().synchronized
    site = Site(wall_ms=limits.CLOCK_LATEST_MS, synchronized=True)
    assert not site.now().synchronized


@pytest.mark.parametrize("jump_ms", [YEARS_10_MS, -3 * HOUR_MS, -YEARS_10_MS, 2_000])
def test_a_jump_that_is_taken_back_within_minutes_changes_nothing_but_the_mark(jump_ms):
    site = Site()
    site.receive()
    site.wall_ms += jump_ms
    site.run(4 * MINUTE_MS)
    during = site.receive()
    assert not during.row.synchronized and during.row.received_ms == site.truth_ms
    site.wall_ms -= jump_ms
    site.run(limits.CLOCK_CONFIRM_MS + 1000)
    site.receive()
    assert site.now().synchronized
    assert site.errors_ms() == [0, 0, 0]
    assert [row.offset_ms for row in site.rows] == [TRUE_MS - 7_000] * 3


@pytest.mark.parametrize("jump_ms", [YEARS_10_MS, -3 * HOUR_MS])
def test_a_jump_that_lasts_and_is_taken_back_later_loses_and_reorders_nothing(jump_ms):
    site = Site()
    for offset_ms in (0, jump_ms, -jump_ms):
        site.wall_ms += offset_ms
        for _ in range(20):
            site.run(MINUTE_MS)
            site.receive()
        corrected = [site.log.corrected_ms(site.received(stored)) for stored, _ in site.readings]
        assert corrected == sorted(corrected)
        gaps_ms = {later - earlier for earlier, later in pairwise(corrected)}
        assert gaps_ms == {MINUTE_MS}
    assert len(site.readings) == 60 and site.errors_ms() == [0] * 60


def test_lengths_between_readings_are_exact_and_never_negative_whatever_the_calendar_did():
    site = Site(wall_ms=5_000, synchronized=False)
    moments = []
    for wall_ms in (5_000, TRUE_MS + YEARS_10_MS, TRUE_MS, TRUE_MS - 3 * HOUR_MS):
        site.wall_ms, site.synchronized = wall_ms, wall_ms > 5_000
        site.run(10 * MINUTE_MS)
        moments.append(site.received(site.receive()))
        lengths = [site.log.elapsed_ms(a, b) for a, b in pairwise(moments)]
        assert lengths == [10 * MINUTE_MS] * len(lengths)
        assert site.log.elapsed_ms(moments[-1], moments[0]) == 0


def test_a_clock_that_flaps_writes_at_most_two_rows_in_five_minutes():
    site = Site()
    for _ in range(600):
        site.wall_ms += HOUR_MS
        site.run(1000)
        site.wall_ms -= HOUR_MS
        site.run(1000)
    assert len(site.rows) <= 2 + 2 * 1200_000 // limits.CLOCK_CONFIRM_MS


def test_a_clock_without_synchronization_is_trusted_for_a_day_and_no_longer():
    site = Site()
    site.synchronized = False
    site.run(limits.CLOCK_HOLDOVER_MS, step_ms=MINUTE_MS)
    assert site.now().synchronized
    site.run(2 * MINUTE_MS, step_ms=MINUTE_MS)
    assert not site.now().synchronized
    site.synchronized = True
    site.run(limits.CLOCK_CONFIRM_MS + MINUTE_MS, step_ms=MINUTE_MS)
    assert site.now().synchronized


def test_a_process_that_was_stopped_for_hours_finds_its_timeline_where_it_should_be():
    site = Site()
    for clock in ("monotonic_ms", "wall_ms", "truth_ms"):
        setattr(site, clock, getattr(site, clock) + 5 * HOUR_MS)
    site.observe()
    site.receive()
    assert site.now().synchronized and site.errors_ms() == [0] and len(site.rows) == 1


def test_a_small_difference_is_left_alone():
    site = Site()
    site.wall_ms += limits.CLOCK_STEP_MS - 1
    site.run(MINUTE_MS)
    assert site.now().synchronized and len(site.rows) == 1


def test_a_process_started_again_in_the_same_boot_dates_what_the_one_before_could_not():
    first = Site(wall_ms=5_000, synchronized=False)
    first.receive()
    first.run(MINUTE_MS)
    second = Site(first.wall_ms, False, (first.readings, first.rows), monotonic_ms=first.monotonic_ms)
    second.truth_ms = first.truth_ms
    second.receive()
    second.run(1000)
    second.wall_ms, second.synchronized = second.truth_ms, True
    second.run(1000)
    assert second.errors_ms() == [0, 0]
    assert [row.synchronized for row in second.rows] == [False, True]


def test_a_new_boot_without_a_clock_goes_on_after_the_end_of_the_log():
    first = Site()
    first.run(MINUTE_MS)
    last = first.receive()
    second = Site(5_000, False, (first.readings, first.rows), boot="boot-2", monotonic_ms=3_000)
    second.run(1000)
    assert second.receive().row.received_ms == last.row.received_ms + 1000
    third = Site(5_000, False, (second.readings, second.rows), boot="boot-3", monotonic_ms=3_000)
    third.truth_ms = TRUE_MS + HOUR_MS
    third.receive()
    third.wall_ms, third.synchronized = third.truth_ms, True
    third.run(1000)
    assert [third.log.quality(third.received(stored)) for stored, _ in third.readings] == [
        Quality.SYNCHRONIZED, Quality.UNSYNCHRONIZED, Quality.CORRECTED,
    ]  # fmt: skip
    assert third.errors_ms()[2] == 0


def test_a_new_offset_is_not_used_before_it_is_on_disk_and_is_tried_again_when_that_fails():
    site = Site(wall_ms=5_000, synchronized=False, slow=True)
    site.commit()
    site.wall_ms, site.synchronized, site.failing = site.truth_ms, True, True
    site.run(2000)
    assert not site.now().synchronized and len(site.waiting) == 1
    site.commit()
    site.busy = True
    site.run(1000)
    assert not site.now().synchronized and not site.waiting
    site.busy = site.failing = False
    site.run(1000)
    site.commit()
    assert site.now().synchronized


def test_readings_on_their_way_to_the_disk_while_the_clock_is_set_are_dated_right():
    site = Site(wall_ms=5_000, synchronized=False, slow=True)
    site.commit()
    old = site.now()
    site.wall_ms, site.synchronized = site.truth_ms, True
    site.run(1000)  # the row waits for the disk; the newest reading it knows of is none
    site.truth_ms -= 1000
    site.receive(now=old)
    site.truth_ms += 1000
    site.receive(now=site.now())
    site.commit()
    site.receive(now=site.now())
    assert site.now().synchronized and site.errors_ms() == [0, 0, 0]


def test_a_first_row_that_could_not_be_stored_at_once_still_dates_what_arrived_before_it():
    site = Site(wall_ms=5_000, synchronized=False, slow=True)
    site.failing = True
    site.commit()
    site.receive()
    site.failing = False
    site.run(1000)
    site.commit()
    assert site.rows == [ClockRow(0, "boot-1", 5_000 - 7_000, False)]
    site.wall_ms, site.synchronized = site.truth_ms, True
    site.run(1000)
    site.commit()
    assert site.errors_ms() == [0]


def test_whoever_shows_times_is_told_when_they_have_changed():
    site = Site(wall_ms=5_000, synchronized=False)
    told = []
    site.clock.subscribe(lambda: told.append(site.now().synchronized))
    site.run(1000)
    site.wall_ms, site.synchronized = site.truth_ms, True
    site.run(1000)
    assert told == [True]


def test_a_reading_with_a_doubtful_time_waits_for_the_clock_and_then_goes_out_marked():
    site = Site(wall_ms=5_000, synchronized=False)
    stored = site.receive(age_ms=500)
    assert site.log.dated(stored, site.now()) == Held(limits.UNDATED_HOLD_MS)
    site.run(limits.UNDATED_HOLD_MS - 1000)
    assert site.log.dated(stored, site.now()) == Held(1000)
    site.run(1000)
    assert site.log.dated(stored, site.now()) == Dated(5_000, 4_500, Quality.UNSYNCHRONIZED)
    site.wall_ms, site.synchronized = site.truth_ms, True
    site.run(1000)
    assert site.log.dated(stored, site.now()) == Dated(TRUE_MS, TRUE_MS - 500, Quality.CORRECTED)


def test_a_reading_of_an_earlier_boot_that_never_knew_the_time_waits_for_nothing():
    first = Site(wall_ms=5_000, synchronized=False)
    stored = first.receive()
    second = Site(6_000, False, (first.readings, first.rows), boot="boot-2")
    assert second.log.dated(stored, second.now()) == Dated(5_000, 5_000, Quality.UNSYNCHRONIZED)


def test_a_log_without_a_word_on_its_clock_is_taken_as_it_stands():
    stored = StoredReading(3, ReadingRow("d", 1, 1, "presence", 1000, 900, {}))
    site = Site()
    assert ClockLog().dated(stored, site.now()) == Dated(1000, 900, Quality.SYNCHRONIZED)


def test_the_search_for_wrong_times_sees_a_timeline_that_follows_the_wall_clock():
    site = Site()
    for jump_ms in (0, YEARS_10_MS, -YEARS_10_MS):
        site.wall_ms += jump_ms
        site.run(MINUTE_MS)
        site.receive(now=site.now()._replace(ms=site.wall_ms))
    assert site.errors_ms() == [0, YEARS_10_MS, 0]


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_000_000_007, "2026-11-18T11:06:40.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-268_435_455_000, "1961-06-30T02:35:45.000Z"),
    ],
)
def test_instants_are_written_in_utc_also_before_1970(time_ms, text):
    assert iso_utc(time_ms) == text
