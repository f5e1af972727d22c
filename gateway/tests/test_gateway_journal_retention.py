"""What leaves the log: by age, by class, at the cap; never what is needed, never in silence."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateway_support import BAY, TAXI, row
from pydantic import ValidationError

from pave_gateway.config_journal import JournalConfig
from pave_gateway.core import limits
from pave_gateway.core.bays import BaysMarkRow
from pave_gateway.core.committer import CommitFailed, Committed
from pave_gateway.core.instant import ClockRow
from pave_gateway.core.rows import CursorRow, DeadLetterRow, ReadingRow, ReplayRow
from pave_gateway.store import clock_tables, meta, usage
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.retention import DAY_MS, KEEP_NEWEST, KEEP_OLDEST, REFUSE, Policy
from pave_gateway.store.retention import TTL_DAYS as TTL_DEFAULTS
from pave_gateway.store.usage import HOUR_MS

NOW_MS = 1_800_000_000_000
CLASSES = ("alarm", "presence", "health", "diagnostics")
TTL_DAYS = {"alarm": 40, "presence": 30, "health": 20, "diagnostics": 10}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 1)  # every commit, so nothing is kept for the next start
    monkeypatch.setattr(limits, "RETENTION_PIECE", 7)


class Log:
    """A journal that a site writes: a reading of each class at a time, from two devices."""

    def __init__(self, path: Path, **policy: Any) -> None:
        self.path = path
        self.policy = Policy(**{"ttl_days": TTL_DAYS, **policy})
        self.journal = self.opened()
        self.reader = JournalReader(path)
        self.now_ms = NOW_MS
        self.writes_bays = True
        self._seq = itertools.count()

    def opened(self, **changes: Any) -> Journal:
        """Open the journal, for a test that is about no power cut."""
        journal = Journal(self.path, replace(self.policy, **changes))
        journal._db.execute("PRAGMA synchronous=OFF")
        return journal

    def add(self, *classes: str) -> list[object]:
        """Write a reading for each of `classes`; return what came of them."""
        rows = [
            replace(row(BAY if n % 2 else TAXI, n, read_ms=self.now_ms), reading_class=kind)
            for kind, n in zip(classes, self._seq, strict=False)
        ]
        outcomes: list[object] = [*self.journal.write([[item] for item in rows])]
        position = self.journal._log.position
        if self.writes_bays:
            self.journal.write([[BaysMarkRow(position)]])
        return outcomes

    def pass_days(self, days: float, *classes: str) -> None:
        """Let time pass, six hours at a time, with readings of `classes` each day."""
        for quarter in range(round(days * 4)):
            self.now_ms += 6 * HOUR_MS
            if quarter % 4 == 0:
                self.add(*classes)
            self.tend()

    def tend(self, trusted: bool = True) -> None:
        """Do all that is due."""
        for _ in range(10_000):
            if not self.journal.tend(self.now_ms if trusted else None):
                return
        raise AssertionError("retention does not come to an end")

    def deliver(self, sink: str, position: int) -> None:
        self.journal.write([[CursorRow(sink, position)]])

    def kept(self) -> list[ReadingRow]:
        return [item.row for batch in self.reader.all() for item in batch]

    def days_kept(self) -> dict[str, int]:
        """Return the age of the oldest reading of each class."""
        ages = {item.reading_class: (self.now_ms - item.received_ms) // DAY_MS for item in reversed(self.kept())}
        return {name: ages[name] for name in CLASSES if name in ages}


# Age


def test_each_class_is_kept_for_its_time_to_live(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(60, *CLASSES)
    kept = log.days_kept()
    assert {name: kept[name] - days in (-1, 0, 1) for name, days in TTL_DAYS.items()} == dict.fromkeys(CLASSES, True)
    assert len(log.kept()) == pytest.approx(sum(TTL_DAYS.values()), abs=6)


def test_history_and_dedup_go_on_across_what_has_left(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(60, *CLASSES)
    kept = log.kept()
    for device in (BAY, TAXI):
        history = [item.row for item in log.reader.history(device, 9999)]
        assert history == [item for item in reversed(kept) if item.device == device]
    assert log.journal.write([[item] for item in kept]) == [Committed(())] * len(kept)
    gone = replace(row(TAXI, 0), reading_class="alarm")
    assert log.journal.write([[gone]]) == [Committed(())]  # repeated, though its body can be compared no more


def test_what_a_sink_has_still_to_deliver_stays_whatever_its_age(tmp_path):
    log = Log(tmp_path / "j.sqlite", sinks=("city", "ngsi"))
    log.pass_days(5, *CLASSES)
    log.deliver("city", 9999)
    log.deliver("ngsi", 6)
    log.pass_days(60, "alarm")
    positions = [item.position for batch in log.reader.all() for item in batch]
    assert positions[0] == 7
    log.deliver("ngsi", 9999)
    log.tend()
    assert [item.reading_class for item in log.kept() if item.reading_class != "alarm"] == []


def test_the_cursor_of_a_sink_that_is_configured_no_more_holds_nothing(tmp_path):
    log = Log(tmp_path / "j.sqlite", sinks=("city",))
    log.deliver("old", 0)
    log.deliver("city", 9999)
    log.pass_days(60, *CLASSES)
    assert log.days_kept()["alarm"] <= 41


def test_without_a_trusted_clock_nothing_grows_old(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(2, *CLASSES)
    before = len(log.kept())
    log.now_ms += 3650 * DAY_MS
    log.tend(trusted=False)
    assert len(log.kept()) == before


def test_a_clock_that_is_ten_years_ahead_for_an_hour_costs_a_day_at_most(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(9, *CLASSES)
    log.now_ms += 3650 * DAY_MS
    log.tend()
    log.now_ms -= 3650 * DAY_MS
    log.pass_days(0.5)
    assert min(log.days_kept().values()) >= 8


def test_a_clock_that_stood_back_for_a_while_does_not_make_readings_old(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(5, *CLASSES)
    log.now_ms -= 3650 * DAY_MS
    log.pass_days(0.25, *CLASSES)
    log.now_ms += 3650 * DAY_MS
    log.pass_days(2, *CLASSES)
    assert len(log.kept()) == 4 * (5 + 1 + 2)


def test_the_newest_reading_and_what_a_start_needs_stay(tmp_path, monkeypatch):
    log = Log(tmp_path / "j.sqlite")
    log.add("diagnostics", "diagnostics", "diagnostics")
    log.pass_days(30)
    assert len(log.kept()) == 1
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 10**6)
    base = log.journal._log.position
    for _ in range(5):
        log.add("diagnostics")
    log.pass_days(30)
    assert [item.position for item in log.reader.after(0, 99)] == list(range(base + 1, base + 6))


def test_what_the_bays_need_stays(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.add(*CLASSES * 5)
    log.journal.write([[BaysMarkRow(8)]])
    for _ in range(60 * 4):
        log.now_ms += 6 * HOUR_MS
        log.tend()
    assert [item.position for item in log.reader.after(0, 99)] == list(range(9, 21))


@pytest.mark.parametrize("mark", [None, 5], ids=["never set", "standing still"])
def test_bays_that_nobody_writes_down_keep_the_newest_readings_only(tmp_path, monkeypatch, mark):
    monkeypatch.setattr(limits, "BAYS_LOG_READINGS", 12)
    log = Log(tmp_path / "j.sqlite")
    log.writes_bays = False
    if mark is not None:
        log.journal.write([[BaysMarkRow(mark)]])
    log.add(*["presence"] * 20)
    log.pass_days(35)
    assert [item.position for item in log.reader.after(0, 99)] == list(range(9, 21))
    assert clock_tables.bays_position(log.reader.connection) == (mark or 0)
    log.add(*["presence"] * 12)
    log.tend()
    assert [item.position for item in log.reader.after(0, 99)] == list(range(21, 33))
    log.journal.write([[BaysMarkRow(30)]])
    log.pass_days(35)
    assert [item.position for item in log.reader.after(0, 99)] == [31, 32]


def test_a_cap_is_kept_though_nobody_writes_the_bays_down(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "BAYS_LOG_READINGS", 200)
    log = Log(tmp_path / "j.sqlite", cap_bytes=120_000)
    log.writes_bays = False
    for _ in range(400):
        assert {type(outcome) for outcome in log.add(*["presence"] * 10)} == {Committed}
        log.tend()
    assert usage.used_bytes(log.journal._db) < 120_000
    assert len(log.kept()) >= 200


def test_changes_of_the_clock_leave_with_the_readings_that_they_date(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    for boot in range(60):
        position = log.journal._log.position
        log.journal.write([[ClockRow(position, f"boot {boot}", boot, True)]])
        log.pass_days(1, "presence")
    left = list(clock_tables.clock_changes(log.reader.connection))
    oldest = log.reader.after(0, 1)[0].position
    assert 25 <= len(log.kept()) <= 35
    assert left[0].position < oldest and len(left) <= len(log.kept()) + 4
    assert left[-1].boot == "boot 59"


def test_windows_are_right_after_a_restart_that_finds_their_readings_gone(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    for counter in range(40):
        item = replace(row(BAY, counter), counter=counter, reading_class="diagnostics", received_ms=log.now_ms)
        log.journal.write([[item, ReplayRow(BAY, counter, (2 << min(counter, 31)) - 1)], [BaysMarkRow(counter + 1)]])
    log.pass_days(30)
    assert len(log.kept()) == 1
    log.journal._db.close()
    log.journal._lock.close()
    Journal(log.path).close()
    assert JournalReader(log.path).replay_windows()[0] == {BAY: (39, 2**32 - 1)}


def test_a_restart_continues_where_retention_was(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(25, *CLASSES)
    kept = log.days_kept()
    log.journal.close()
    log.journal = log.opened()
    log.tend()
    assert log.days_kept() == kept
    log.pass_days(35, *CLASSES)
    assert log.days_kept()["alarm"] in (39, 40)


# The cap


def capped(tmp_path: Path, at_cap: str, **policy: Any) -> Log:
    return Log(tmp_path / "j.sqlite", cap_bytes=200_000, at_cap=at_cap, ttl_days=dict.fromkeys(CLASSES, 9999), **policy)


def fill(log: Log, batches: int = 60, classes: tuple[str, ...] = CLASSES) -> list[object]:
    """Write some 70 kB in each ten batches; return the outcomes."""
    outcomes: list[object] = []
    for _ in range(batches):
        outcomes += log.add(*classes * 20)
        log.tend()
    return outcomes


@pytest.mark.parametrize("at_cap", [KEEP_NEWEST, KEEP_OLDEST, REFUSE])
def test_what_every_sink_has_makes_room_whatever_the_policy(tmp_path, at_cap):
    log = capped(tmp_path, at_cap, sinks=("city",))
    log.deliver("city", 10**9)
    outcomes = fill(log, 60)
    assert {type(outcome) for outcome in outcomes} == {Committed}
    assert usage.used_bytes(log.journal._db) < 200_000
    assert len(log.kept()) > 1000
    assert (log.journal.health.lines(), log.reader.usage(log.policy).lost) == ([], {})


def test_at_the_cap_keep_newest_gives_up_the_least_class_and_counts_every_reading(tmp_path, caplog):
    log = capped(tmp_path, KEEP_NEWEST, sinks=("city", "ngsi"))
    log.deliver("ngsi", 10**9)
    outcomes = fill(log, 60)
    assert {type(outcome) for outcome in outcomes} == {Committed}
    kept = log.kept()
    gone = len(outcomes) - len(kept)
    assert gone > 500
    assert log.reader.usage(log.policy).lost == {"city": gone}
    assert sum(item.reading_class == "alarm" for item in kept) == len(outcomes) / 4
    assert not any(item.reading_class == "diagnostics" for item in kept[:-200])
    said = " ".join(log.journal.health.lines())
    assert "removed before every sink has them; repair the sink that lags, or raise the cap" in said
    assert f"{gone} readings that sink city will never get were removed" in said
    assert "removed before every sink has them" in caplog.text


@pytest.mark.parametrize(("at_cap", "final"), [(REFUSE, False), (KEEP_OLDEST, True)])
def test_at_the_cap_new_readings_are_refused_the_least_class_first_and_none_is_lost(tmp_path, at_cap, final, caplog):
    log = capped(tmp_path, at_cap, sinks=("city",))
    outcomes = fill(log, 60)
    refused = [outcome for outcome in outcomes if isinstance(outcome, CommitFailed)]
    assert len(log.kept()) + len(refused) == len(outcomes)
    assert {outcome.final for outcome in refused} == {final}
    counts = [sum(item.reading_class == name for item in log.kept()) for name in CLASSES]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    assert "of presence, health, diagnostics are refused" in refused[-1].reason or "of alarm" in refused[-1].reason
    assert log.reader.usage(log.policy).lost == {}
    assert "are refused" in caplog.text
    assert log.journal.health.full


def test_a_repetition_is_acknowledged_though_new_readings_are_refused(tmp_path):
    log = capped(tmp_path, REFUSE, sinks=("city",))
    fill(log, 60)
    assert log.journal.write([[log.kept()[0]]]) == [Committed(())]
    log.deliver("city", 500)  # its cursor moves, too


def test_ingest_goes_on_when_the_sink_has_caught_up(tmp_path):
    log = capped(tmp_path, REFUSE, sinks=("city",))
    fill(log, 60)
    log.deliver("city", 10**9)
    log.tend()
    assert log.journal.health.lines() == []
    assert {type(outcome) for outcome in fill(log, 15)} == {Committed}


def test_a_dead_letter_survives_the_loss_of_its_reading(tmp_path):
    log = capped(tmp_path, KEEP_NEWEST, sinks=("city",))
    log.add(*CLASSES)
    log.journal.write([[DeadLetterRow("city", position, "no") for position in (1, 2, 3, 4)]])
    fill(log, 100, ("presence", "diagnostics"))
    assert log.reader.after(1, 1)[0].position > 100
    letters = log.reader.dead_letter_page("city", 0, 9)
    assert [letter.reading.reading_class for letter in letters if letter.reading] == list(CLASSES)


def test_a_lower_cap_shrinks_the_file(tmp_path):
    log = capped(tmp_path, REFUSE, sinks=("city",))
    log.deliver("city", 10**9)
    fill(log, 40)
    log.journal.close()
    before = log.path.stat().st_size
    log.journal = log.opened(cap_bytes=75_000)
    log.tend()
    log.journal._db.wal_checkpoint()
    assert log.path.stat().st_size < before * 0.7
    assert log.journal._db.execute("PRAGMA integrity_check").get == "ok"


def test_a_file_that_cannot_give_pages_back_uses_them_again(tmp_path, monkeypatch):
    monkeypatch.setattr("pave_gateway.store.files._INCREMENTAL", 0)
    log = capped(tmp_path, REFUSE, sinks=("city",))
    log.deliver("city", 10**9)
    fill(log, 40)
    log.journal.close()
    size = log.path.stat().st_size
    log.journal = log.opened(cap_bytes=75_000)
    log.tend()
    fill(log, 20)
    assert log.path.stat().st_size <= size


def test_a_piece_is_bounded(tmp_path):
    log = capped(tmp_path, REFUSE)
    log.add(*CLASSES * 750)
    for _ in range(10):
        before = len(log.kept())
        log.journal.tend(log.now_ms)
        assert before - len(log.kept()) <= limits.RETENTION_PIECE


# Usage


def test_usage_tells_the_rate_and_the_hours_of_backlog_that_are_left(tmp_path):
    log = Log(tmp_path / "j.sqlite", cap_bytes=1_000_000, sinks=("city",))
    assert log.reader.usage(log.policy).hours_left is None
    for _ in range(24):
        log.add(*["presence"] * 100)
        log.now_ms += HOUR_MS
        log.tend()
    found = log.reader.usage(log.policy)
    assert (found.stored, found.kept, found.cap_bytes) == (2400, 2400, 1_000_000)
    assert found.readings_per_hour == pytest.approx(100)
    bytes_each = found.used_bytes / 2400
    assert found.hours_left == pytest.approx((1_000_000 / bytes_each - 2400) / 100)
    log.deliver("city", 2400)
    assert log.reader.usage(log.policy).hours_left == pytest.approx(1_000_000 / bytes_each / 100)


def test_what_was_stored_is_counted_across_removals_and_eras(tmp_path):
    log = Log(tmp_path / "j.sqlite")
    log.pass_days(30, *CLASSES)
    meta.begin_era(log.journal._db)
    meta.begin_era(log.journal._db)
    log.journal.close()
    log.journal = log.opened()
    log.add(*CLASSES)
    found = log.reader.usage(log.policy)
    assert (found.stored, found.kept) == (30 * 4 + 4, len(log.kept()))


# The site file


def test_the_site_file_says_what_to_keep():
    config = JournalConfig.model_validate(
        {"path": "j", "disk_cap_mb": 64, "at_cap": KEEP_NEWEST, "ttl_days": {"alarm": 9}}
    )
    policy = config.policy(["city"])
    assert (policy.cap_bytes, policy.at_cap, policy.sinks) == (64_000_000, KEEP_NEWEST, ("city",))
    assert policy.ttl_days == {**TTL_DEFAULTS, "alarm": 9}
    assert JournalConfig.model_validate({"path": "j"}).policy([]) == Policy()


@pytest.mark.parametrize("wrong", [{"at_cap": "hope"}, {"disk_cap_mb": 1}, {"ttl_days": {"gossip": 1}}, {"cap": 1}])
def test_what_the_site_file_cannot_mean_is_refused(wrong):
    with pytest.raises(ValidationError):
        JournalConfig.model_validate({"path": "j", **wrong})
