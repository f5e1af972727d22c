"""Readings that come twice in other words, and readings that were rebuilt from another and come after all."""

from dataclasses import replace
from pathlib import Path

import pytest
from gateway_support import BAY, TAXI, row

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Conflicted
from pave_gateway.core.rows import CursorRow, ReadingRow, StoredReading
from pave_gateway.store import backup, meta
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_gateway.store.retention import DAY_MS, Policy
from pave_wire import event
from pave_wire.model import Reading, class_of

REPEATED = Committed(())
NOW_MS = 1_800_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def reading(seq: int, device: str = BAY, **values: object) -> ReadingRow:
    return replace(row(device, seq, read_ms=NOW_MS), values=values, reading_class=class_of(values))


def real(seq: int, lasted: int = 5400) -> ReadingRow:
    return reading(seq, occupied=True, reason="field", confidence=0.96, lasted=lasted)


def guess(seq: int) -> ReadingRow:
    """Return what the wire rebuilds for `seq` from the readings around it."""
    before, after = (
        Reading(BAY, 1, seq - 1, 0, {"occupied": False, "reason": "boot"}),
        Reading(BAY, 1, seq + 1, 0, {"occupied": False, "reason": "field", "lasted": 60}),
    )
    rebuilt = event.rebuild_previous(before, after)
    assert rebuilt is not None
    return reading(seq, **rebuilt.values)


def killed(journal: Journal) -> Journal:
    """Open the journal again; nobody has closed it."""
    journal._db.close()
    journal._lock.close()
    return Journal(journal.path)


def logged(path: Path) -> list[tuple[int, ReadingRow]]:
    return [(item.position, item.row) for batch in JournalReader(path).all() for item in batch]


def history(path: Path) -> list[ReadingRow]:
    return [item.row for item in JournalReader(path).history(BAY, 999)]


# In other words


def test_a_reading_that_came_as_an_event_and_comes_again_as_senml_is_a_repetition(path):
    exact = reading(7, occupied=True, reason="field", confidence=0.97, lasted=5403)
    coarse = replace(exact, values=event.decode(event.encode(Reading(BAY, 1, 7, 0, exact.values), False)).values)
    assert coarse.values != exact.values
    for number, (first, second) in enumerate([(coarse, exact), (exact, coarse)]):
        journal = Journal(path.with_name(f"{number}.sqlite"))
        assert len(journal.write([[first]])[0].stored) == 1
        assert journal.write([[second], [first], [second, first]]) == [REPEATED] * 3
        assert killed(journal).write([[second]]) == [REPEATED]


@pytest.mark.parametrize(
    "other",
    [
        {"occupied": True, "reason": "field", "confidence": 0.96, "lasted": 5420},
        {"occupied": False, "reason": "field", "confidence": 0.96, "lasted": 5400},
        {"occupied": 1, "reason": "field", "confidence": 0.96, "lasted": 5400},
        {"occupied": True, "reason": "field", "confidence": 0.96, "lasted": 5400, "field": 2e-5},
    ],
)
def test_a_reading_with_other_values_than_an_event_can_blur_is_a_contradiction(path, other):
    journal = Journal(path)
    journal.write([[real(7)]])
    assert journal.write([[reading(7, **other)]]) == [Conflicted(f"{BAY}:1:7")]
    assert journal.write([[real(8), reading(8, **other)]]) == [Conflicted(f"{BAY}:1:8")]


# Rebuilt


def test_the_real_reading_takes_the_place_of_the_guess_under_a_new_position(path):
    journal = Journal(path)
    journal.write([[guess(2), real(3)]])
    assert journal.write([[real(2)]]) == [Committed((StoredReading(3, real(2)),))]
    assert logged(path) == [(1, guess(2)), (2, real(3)), (3, real(2))]  # a sink behind any of them delivers it
    assert history(path) == [real(2), real(3)]
    assert journal.write([[real(2)], [guess(2)], [guess(2), real(2)]]) == [REPEATED] * 3
    assert journal.write([[real(2, lasted=1)]]) == [Conflicted(f"{BAY}:1:2")]


def test_a_guess_after_the_real_reading_or_another_guess_is_a_repetition(path):
    journal = Journal(path)
    journal.write([[real(2)]])
    other = reading(4, blind=True, reason=event.REBUILT)
    assert journal.write([[guess(2)]]) == [REPEATED]
    assert len(journal.write([[guess(4)]])[0].stored) == 1
    assert journal.write([[other]]) == [REPEATED]
    assert [item for _, item in logged(path)] == [real(2), guess(4)]


def test_within_a_group_and_within_a_transaction_the_real_reading_counts(path):
    journal = Journal(path)
    outcomes = journal.write([[guess(2), real(2)], [real(4), guess(4)], [guess(6)], [real(6)], [guess(6)], [real(6)]])
    assert [len(outcome.stored) for outcome in outcomes] == [1, 1, 1, 1, 0, 0]
    assert logged(path) == [(1, real(2)), (2, real(4)), (3, guess(6)), (4, real(6))]
    assert history(path) == [real(6), real(4), real(2)]


def test_what_replaced_what_is_known_after_a_kill_and_a_stop(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 3)
    journal = Journal(path)
    journal.write([[guess(2)], [real(3)], [guess(5)]])
    journal = killed(journal)
    assert len(journal.write([[real(2)]])[0].stored) == 1
    journal = killed(journal)
    assert journal.write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]
    assert journal.write([[real(2, lasted=9)]]) == [Conflicted(f"{BAY}:1:2")]
    journal.close()
    journal = Journal(path)
    assert len(journal.write([[real(5)]])[0].stored) == 1
    assert killed(journal).write([[real(2)], [guess(5)], [real(5)]]) == [REPEATED] * 3
    assert history(path) == [real(5), real(2), real(3)]


def test_a_guess_below_what_is_remembered_of_a_device_is_replaced_too(path, monkeypatch):
    journal = Journal(path)
    journal.write([[guess(2)], [real(2000)]])
    assert len(journal.write([[real(2)]])[0].stored) == 1
    assert killed(journal).write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]


def test_a_replacement_that_the_disk_refuses_leaves_the_guess_in_force(path):
    journal = Journal(path)
    journal.write([[guess(2)]])
    journal._db.set_commit_hook(lambda: True)  # turns COMMIT into ROLLBACK
    with pytest.raises(JournalError):
        journal.write([[real(2)]])
    journal._db.set_commit_hook(None)
    journal.is_stale = False  # the memory alone has to be right
    assert history(path) == [guess(2)]
    assert journal.write([[real(2)]]) == [Committed((StoredReading(2, real(2)),))]
    assert history(path) == [real(2)]


def test_a_group_that_is_refused_replaces_nothing(path):
    journal = Journal(path)
    journal.write([[guess(2), real(3)]])
    assert type(journal.write([[real(2), real(3, lasted=1)]])[0]) is Conflicted
    assert (history(path), len(logged(path))) == ([real(3), guess(2)], 2)


def test_a_backup_knows_what_was_replaced(path):
    journal = Journal(path)
    journal.write([[guess(2)], [real(2)]])
    backup.backup(path, path.with_name("b.sqlite"))
    restored = Journal(path.with_name("b.sqlite"))
    assert restored.write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]
    assert history(path.with_name("b.sqlite")) == [real(2)]


# Salvage


def salvaged(journal: Journal, lost: str = "") -> Journal:
    """Have the journal salvaged; rows `lost` (a condition) cannot be read."""
    db = journal._db
    db.execute("INSERT INTO reading SELECT 999, 77, 1, 1, 1, 5, 5, 1, NULL, 0, x'a0', 0")  # of no device: damage
    if lost:
        db.execute(f"DELETE FROM reading WHERE {lost}")
    journal.report_damage("a test says so")
    journal.tend(None)
    assert "salvaged" in journal.health.damaged
    return journal


def test_a_salvage_knows_what_was_replaced(path):
    journal = Journal(path)
    journal.write([[guess(2), real(3)], [real(2)]])
    journal._db.execute("UPDATE reading SET replaced = 0")  # as on a page that is older than the others
    journal = salvaged(journal)
    assert history(path) == [real(2), real(3)]
    assert journal.write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]
    assert type(journal.write([[real(2, lasted=1)]])[0]) is Conflicted


def test_a_guess_counts_again_where_a_salvage_did_not_find_the_real_reading(path):
    journal = Journal(path)
    journal.write([[guess(2), real(3)], [real(2)]])
    journal = salvaged(journal, lost="position = 3")
    assert history(path) == [real(3), guess(2)]
    assert len(journal.write([[real(2)]])[0].stored) == 1
    assert history(path) == [real(2), real(3)]


def test_a_body_that_is_found_damaged_by_a_repetition_ends_in_a_salvage(path):
    journal = Journal(path)
    journal.write([[real(2)], [real(3)]])
    journal._db.execute("UPDATE reading SET body = x'ff' WHERE seq = 2")
    with pytest.raises(JournalError, match="damaged"):
        journal.write([[real(2)]])
    assert len(journal.write([[real(2)]])[0].stored) == 1
    assert history(path) == [real(2), real(3)]


# Retention


def test_what_replaced_what_is_right_while_both_leave_the_log(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 1)
    monkeypatch.setattr(limits, "BAYS_LOG_READINGS", 0)
    monkeypatch.setattr(limits, "RETENTION_PIECE", 1)
    policy = Policy({"alarm": 9, "presence": 9, "health": 9, "diagnostics": 9}, sinks=("city",))
    journal = Journal(path, policy)
    journal.write([[guess(2), real(3)], [real(2)], [reading(9, TAXI, occupied=True)], [CursorRow("city", 99)]])
    journal.tend(NOW_MS)
    seen: list[list[ReadingRow]] = []
    for hour in range(24 * 12):
        now_ms = NOW_MS + hour * DAY_MS // 24
        while journal.tend(now_ms):
            pass
        journal.write([[reading(10 + hour, TAXI, occupied=True)]])
        if not seen or seen[-1] != history(path):
            seen.append(history(path))
        assert journal.write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]
    assert (seen[0], seen[-1]) == ([real(2), real(3)], [])
    assert all(guess(2) not in found for found in seen)
    assert meta.number(journal._db, "removed") >= 3


def test_a_guess_whose_real_reading_left_before_it_is_no_guess_any_more(path):
    journal = Journal(path)
    journal.write([[guess(2)], [real(2)]])
    journal._db.execute("DELETE FROM reading WHERE position = 2")  # as retention does, class by class
    journal = killed(journal)
    assert journal.write([[real(2)], [guess(2)]]) == [REPEATED, REPEATED]
    assert history(path) == []
