"""OSCORE replay windows in the journal: under new keys, through kills and failing disks; never one too new."""

from dataclasses import replace
from pathlib import Path

import pytest
from gateway_support import BAY, KIOSK, TAXI, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Conflicted, Outdated
from pave_gateway.core.registry_rows import ActRow, ForgetReplayRow
from pave_gateway.core.rows import ReadingRow, ReplayRow
from pave_gateway.store.devices import Window, accepted
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_wire.oscore_context import FRESH_WINDOW

PROVED = 0xFFFFFFFF  # the mask of a window that begins with a request proved to be fresh


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def counted(counter: int, seq: int, device: str = BAY) -> ReadingRow:
    """Return a reading that the request with this Partial IV brought."""
    return replace(row(device, seq=seq), counter=counter)


def after_kill(journal: Journal) -> Journal:
    journal._db.close()
    journal._lock.close()
    return Journal(journal.path)


def windows(path: Path) -> dict[str, Window]:
    return JournalReader(path).replay_windows()[0]


def fail(journal: Journal, groups: list[list[object]]) -> None:
    """Have the disk refuse a transaction."""
    journal._db.set_commit_hook(lambda: True)  # turns COMMIT into ROLLBACK
    with pytest.raises(JournalError):
        journal.write(groups)
    journal._db.set_commit_hook(None)
    journal.is_stale = False  # the memory alone has to be right


def in_memory(journal: Journal, device: str) -> Window:
    known = journal._devices.get(device)
    return None if known is None else known.window


def test_new_keys_make_the_window_unknown_in_their_own_transaction(path):
    journal = Journal(path)
    journal.write([[counted(5, 1), ReplayRow(BAY, 5, PROVED)], [counted(6, 2), ReplayRow(BAY, 6, PROVED)]])
    journal.write([[ActRow(1, 0, "ana", "provision", BAY), ForgetReplayRow(BAY)]])
    assert windows(path) == {BAY: None}
    journal = after_kill(journal)
    assert (windows(path), in_memory(journal, BAY)) == ({BAY: None}, None)
    journal.close()
    journal = Journal(path)
    assert windows(path) == {BAY: None}


def test_no_counter_counts_until_a_window_is_stored_and_then_only_those_behind_it(path):
    journal = Journal(path)
    journal.write([[counted(900, 1), ReplayRow(BAY, 900, PROVED)], [ForgetReplayRow(BAY)], [counted(901, 2)]])
    journal = after_kill(journal)
    assert windows(path) == {BAY: None}
    journal.write([[counted(3, 3), ReplayRow(BAY, 3, PROVED)], [counted(5, 4), ReplayRow(BAY, *_after(5, 3))]])
    journal = after_kill(journal)
    assert windows(path) == {BAY: _after(5, 3)} == {BAY: (5, 0xFFFFFFFD)}


def _after(counter: int, proved: int) -> tuple[int, int]:
    return accepted((proved, PROVED), counter)


def test_in_one_transaction_and_in_one_group_the_order_of_the_rows_counts(path):
    journal = Journal(path)
    old = [counted(700, 1), ReplayRow(BAY, 700, PROVED)]
    journal.write([old, [ForgetReplayRow(BAY)], [counted(2, 2), ReplayRow(BAY, 2, PROVED)]])
    assert windows(path) == {BAY: (2, PROVED)} == windows(after_kill(journal).path)
    other = Journal(path.with_name("2.sqlite"))
    other.write([[*old, ForgetReplayRow(BAY)], [ForgetReplayRow(KIOSK), counted(9, 3, KIOSK), ReplayRow(KIOSK, 9, 1)]])
    assert windows(other.path) == {BAY: None, KIOSK: (9, 1)} == windows(after_kill(other).path)


def test_a_device_that_the_journal_has_never_heard_of_stays_unknown(path):
    journal = Journal(path)
    assert journal.write([[ForgetReplayRow(BAY)]]) == [Committed(())]
    journal.write([[counted(4, 1)]])
    journal = after_kill(journal)
    assert JournalReader(path).replay_windows() == ({BAY: None}, None)
    journal.write([[counted(5, 2), ReplayRow(BAY, 5, PROVED)]])
    assert windows(after_kill(journal).path) == {BAY: (5, PROVED)}


def test_a_window_is_as_it_was_when_the_disk_refuses_the_new_keys(path):
    journal = Journal(path)
    journal.write([[counted(5, 1), ReplayRow(BAY, 5, PROVED)]])
    fail(journal, [[ForgetReplayRow(BAY)], [counted(0, 2), ReplayRow(BAY, 0, PROVED)]])
    assert in_memory(journal, BAY) == (5, PROVED)
    journal.write([[counted(6, 2), ReplayRow(BAY, 6, PROVED)]])  # derived: costs no row
    assert windows(after_kill(journal).path) == {BAY: (6, PROVED)}


def test_a_window_is_as_it_was_when_the_group_of_the_new_keys_is_refused(path):
    journal = Journal(path)
    journal.write([[counted(5, 1), ReplayRow(BAY, 5, PROVED)]])
    stale = [ActRow(9, 0, "ana", "provision", BAY), ForgetReplayRow(BAY)]
    conflicting = [replace(counted(6, 1), values={"occupied": False}), ForgetReplayRow(BAY)]
    assert [type(outcome) for outcome in journal.write([stale, conflicting])] == [Outdated, Conflicted]
    assert windows(after_kill(journal).path) == {BAY: (5, PROVED)}


DEVICES = st.sampled_from([BAY, TAXI, KIOSK])
STEPS = st.lists(st.tuples(st.sampled_from(["reading", "reading", "reading", "get", "forget"]), DEVICES), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    transactions=st.lists(STEPS, min_size=1, max_size=20),
    events=st.lists(st.sampled_from(["", "", "", "kill", "stop", "full"]), min_size=20, max_size=20),
)
def test_whatever_happens_a_window_is_the_one_of_the_present_keys(tmp_path_factory, transactions, events):
    """And a device whose window was stored is never asked to prove anything after a kill."""
    path = tmp_path_factory.mktemp("windows") / "journal.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SNAPSHOT_READINGS", 4)
        patch.setattr(limits, "SNAPSHOT_DEVICES", 1)
        journal, expected, seq, counters = Journal(path), {}, 0, dict.fromkeys((BAY, TAXI, KIOSK), 100)
        for steps, event in zip(transactions, events, strict=False):
            before, groups = dict(expected), []
            for kind, device in steps:
                seq += 1
                counters[device] = 0 if kind == "forget" else counters[device] + 1 + seq % 3
                groups.append(_group(kind, device, seq, counters[device], expected))
            if event == "full" and groups:
                fail(journal, groups)
                expected = before
            else:
                journal.write(groups)
            if event == "kill":
                journal = after_kill(journal)
            elif event == "stop":
                journal.close()
                journal = Journal(path)
            known = windows(path)
            assert {device: known.get(device) for device in expected} == expected
            assert {device: in_memory(journal, device) for device in expected} == expected
        journal.close()


def _group(kind: str, device: str, seq: int, counter: int, expected: dict[str, Window]) -> list[object]:
    """Return what the CoAP front or the registry would write; note the window that the device has then."""
    if kind == "forget":
        expected[device] = None
        return [ForgetReplayRow(device)]
    known = expected.get(device)
    window = (counter, PROVED) if known is None else accepted(known, counter)
    expected[device] = window
    replay = ReplayRow(device, *window)
    return [replay] if kind == "get" else [counted(counter, seq, device), replay]


def test_a_fresh_window_may_be_stored_for_keys_that_nobody_has_used(path):
    journal = Journal(path)
    journal.write([[ReplayRow(BAY, *FRESH_WINDOW)]])
    journal.write([[counted(0, 1), ReplayRow(BAY, 0, 1)]])
    assert windows(after_kill(journal).path) == {BAY: (0, 1)}
