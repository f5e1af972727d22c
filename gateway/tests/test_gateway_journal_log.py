"""What the journal knows without an index: which readings it has, chains, replay windows; through restarts, too."""

import random
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from gateway_support import BAY, KIOSK, TAXI, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Committed, Conflicted, Outdated
from pave_gateway.core.rows import (
    CursorRow,
    DeadLetterRow,
    DiscardRow,
    ReadingRow,
    RedrivenRow,
    RedriveRow,
    ReplayRow,
    SenderRow,
)  # fmt: skip
from pave_gateway.store import meta, snapshots
from pave_gateway.store.devices import Device, accepted, packed_mask, unpacked_mask
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_wire.oscore_context import FRESH_WINDOW, Context

CLASSES = ("alarm", "presence", "health", "diagnostics")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def counted(counter: int, seq: int = 0, device: str = BAY) -> ReadingRow:
    """Return a reading that the request with this Partial IV brought."""
    return replace(row(device, seq=seq or counter), counter=counter)


def window_after(*counters: int) -> tuple[int, int]:
    context = Context(b"secret", b"", b"\x01", b"\x02", 0, FRESH_WINDOW)
    for counter in counters:
        context.accept(counter)
    assert context.window is not None
    return context.window


def identities(path: Path) -> list[str]:
    return [item.row.identity for batch in JournalReader(path).all() for item in batch]


class Model:
    """What a journal of readings must do, written as plainly as can be."""

    def __init__(self) -> None:
        self.values: dict[str, bool] = {}

    def write(self, group: list[ReadingRow]) -> type:
        values = dict(self.values)
        for item in group:
            occupied = bool(item.values["occupied"])
            if values.setdefault(item.identity, occupied) != occupied:
                return Conflicted
        self.values = values
        return Committed


READINGS = st.builds(
    lambda device, epoch, seq, occupied, kind: replace(row(device, seq, epoch, occupied), reading_class=kind),
    st.sampled_from([BAY, TAXI]),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 3, 5, 900, 1023, 1024, 1025, 1026, 2500]),  # around the edge of what is remembered
    st.sampled_from([True, True, True, False]),
    st.just("presence"),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(st.lists(READINGS, min_size=1, max_size=4), min_size=1, max_size=14),
    events=st.lists(st.sampled_from(["write", "write", "restart", "killed", "full"]), min_size=14, max_size=14),
)
def test_whatever_arrives_in_whatever_order_is_in_the_log_once_through_restarts_and_full_disks(
    tmp_path_factory, groups, events
):
    path = tmp_path_factory.mktemp("model") / "journal.sqlite"
    journal, model = Journal(path), Model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SNAPSHOT_READINGS", 5)
        patch.setattr(limits, "SNAPSHOT_DEVICES", 1)
        for group, event in zip(groups, events, strict=False):
            if event in ("restart", "killed"):
                journal._db.close() if event == "killed" else journal.close()
                journal._lock.close()
                journal = Journal(path)
            if event == "full":
                fail_once(journal, group)
            assert type(journal.write([group])[0]) is model.write(group)
    assert sorted(identities(path)) == sorted(model.values)
    journal.close()


def fail_once(journal: Journal, group: list[ReadingRow]) -> None:
    journal._db.set_commit_hook(lambda: True)  # turns COMMIT into ROLLBACK
    before = journal._log.position
    try:
        journal.write([group])
    except JournalError:
        assert journal._log.position == before
    journal._db.set_commit_hook(None)
    journal.is_stale = False  # the memory alone has to be right


def test_a_repetition_is_known_after_a_restart_without_reading_the_whole_log(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 50)
    monkeypatch.setattr(limits, "SNAPSHOT_DEVICES", 3)
    devices = [f"24a160fffe{number:06x}" for number in range(20)]
    journal = Journal(path)
    for seq in range(20):
        for device in devices:
            journal.write([[row(device, seq)]])
    base = meta.number(journal._db, "snapshot")
    assert 300 <= base < 400
    journal._db.close()
    journal._lock.close()
    journal = Journal(path)
    assert [journal.write([[row(device, seq)]])[0] for device in devices for seq in range(20)] == [Committed(())] * 400
    assert JournalReader(path).last_position() == 400


def test_a_snapshot_that_was_cut_short_leaves_the_one_before_in_force(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 40)
    monkeypatch.setattr(limits, "SNAPSHOT_DEVICES", 1)
    devices = [f"24a160fffe{number:06x}" for number in range(20)]
    journal = Journal(path)
    journal.write([[row(device, 1) for device in devices]])
    journal.write([[row(device, 2) for device in devices]])
    assert meta.number(journal._db, "snapshot") == 0  # the round has just begun
    journal._db.close()
    journal._lock.close()
    journal = Journal(path)
    assert journal.write([[row(device, seq)] for device in devices for seq in (1, 2)]) == [Committed(())] * 40


def test_a_snapshot_that_began_with_a_refused_transaction_is_forgotten(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 4)
    monkeypatch.setattr(limits, "SNAPSHOT_DEVICES", 1)
    journal = Journal(path)
    journal.write([[ReplayRow(KIOSK, *FRESH_WINDOW)], [counted(0, 1, KIOSK)], [row(TAXI, 1)]])
    fail_once(journal, [row(BAY, seq) for seq in (1, 2, 3)])  # its goal would be position 5
    journal.write([[row(TAXI, 2)]])
    journal.write([[counted(1, 2, KIOSK)]])  # position 4
    journal._db.close()
    journal._lock.close()
    journal = Journal(path)
    assert JournalReader(path).replay_windows()[0][KIOSK] == window_after(0, 1)
    known = [[row(TAXI, 1)], [row(TAXI, 2)], [counted(0, 1, KIOSK)], [counted(1, 2, KIOSK)]]
    assert journal.write(known) == [Committed(())] * 4
    assert len(journal.write([[row(BAY, seq) for seq in (1, 2, 3)]])[0].stored) == 3


def test_snapshots_are_the_state_that_reading_the_whole_log_gives(path, monkeypatch):
    monkeypatch.setattr(limits, "SNAPSHOT_READINGS", 30)
    monkeypatch.setattr(limits, "SNAPSHOT_DEVICES", 2)
    source = random.Random(4)
    journal = Journal(path)
    journal.write([[ReplayRow(device, *FRESH_WINDOW) for device in (BAY, TAXI, KIOSK)]])
    for counter in range(300):
        device = source.choice([BAY, TAXI, KIOSK])
        item = replace(
            counted(counter, device=device), epoch=source.randint(1, 3), reading_class=source.choice(CLASSES)
        )
        journal.write([[item]])
    stored = states(journal._db)
    journal._db.execute("UPDATE meta SET value = '0' WHERE key = 'snapshot'")
    journal._db.execute(
        "UPDATE device SET position = 0, epoch = -1, highest = -1, prior_epoch = -1, prior_highest = -1"
    )
    journal._db.execute("UPDATE device SET alarm = 0, presence = 0, health = 0, diagnostics = 0")
    journal._db.execute("UPDATE device SET missing = ?1, prior_missing = ?1", (packed_mask(0),))
    journal._db.execute("UPDATE device SET window_highest = -1, window_seen = 0")
    assert states(journal._db) == stored


def states(db: object) -> list[tuple[object, ...]]:
    return [
        (d.id, d.name, d.epoch, d.highest, d.seen, d.prior, d.heads, d.window) for d in snapshots.load(db)
    ]  # fmt: skip


@given(st.integers(0, (1 << limits.SEQS_REMEMBERED) - 1))
def test_a_mask_survives_its_packing(mask):
    assert unpacked_mask(packed_mask(mask)) == mask


def test_a_device_that_lost_no_reading_has_a_mask_of_no_bytes():
    device = Device(1, BAY, FRESH_WINDOW)
    for seq in range(2000):
        device.add(1, seq, 1, seq + 1, None)
    assert packed_mask(device.seen) == b""


# Replay windows


@given(st.lists(st.integers(0, 80), max_size=60))
def test_the_window_derived_from_the_log_is_the_one_the_wire_keeps(counters):
    context = Context(b"secret", b"", b"\x01", b"\x02", 0, FRESH_WINDOW)
    window = FRESH_WINDOW
    for counter in counters:
        if context.is_new(counter):
            context.accept(counter)
            window = accepted(window, counter)
    assert window == context.window


def test_a_window_that_new_readings_give_costs_no_row(path):
    journal = Journal(path)
    journal.write([[counted(1), ReplayRow(BAY, *window_after(1))]])
    before = journal._db.total_changes()
    for counter in range(2, 50):
        journal.write([[counted(counter), ReplayRow(BAY, *window_after(*range(1, counter + 1)))]])
    assert journal._db.total_changes() - before == 48
    assert JournalReader(path).replay_windows()[0][BAY] == window_after(*range(1, 50))


def test_the_window_of_a_repetition_and_of_a_get_is_stored(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[counted(1), ReplayRow(BAY, *window_after(1))]])
    journal.write([[counted(2, seq=1), ReplayRow(BAY, *window_after(1, 2))]])  # the same reading, in a new message
    assert reader.replay_windows()[0][BAY] == window_after(1, 2)
    journal.write([[ReplayRow(KIOSK, *window_after(7))]])  # has no reading at all
    journal.write([[counted(9), ReplayRow(BAY, *window_after(1, 2, 9))]])
    assert reader.replay_windows()[0] == {BAY: window_after(1, 2, 9), KIOSK: window_after(7)}


def test_a_window_of_a_refused_group_is_not_stored(path):
    journal = Journal(path)
    journal.write([[counted(1), ReplayRow(BAY, *window_after(1))]])
    other = replace(counted(2, seq=1), values={"occupied": False})
    assert type(journal.write([[other, ReplayRow(BAY, *window_after(1, 2))]])[0]) is Conflicted
    assert JournalReader(path).replay_windows()[0][BAY] == window_after(1)


def test_a_device_never_heard_of_has_to_prove_that_it_is_fresh(path):
    Journal(path).write([[counted(1)]])  # without a window of its own: the journal does not guess
    assert JournalReader(path).replay_windows() == ({BAY: None}, None)


def test_in_a_new_era_every_window_is_lost_until_its_device_has_proved_to_be_fresh(path):
    journal = Journal(path)
    journal.write([[counted(1), ReplayRow(BAY, *window_after(1))], [ReplayRow(KIOSK, 5, 1)]])
    meta.begin_era(journal._db)
    journal.close()
    journal = Journal(path)
    assert JournalReader(path).replay_windows() == ({BAY: None, KIOSK: None}, None)
    journal.write([[counted(2)]])  # without a window of its own: the journal does not guess
    journal.write([[counted(3, device=TAXI), ReplayRow(TAXI, 3, 0xFFFFFFFF)]])
    assert JournalReader(path).replay_windows() == ({BAY: None, KIOSK: None, TAXI: (3, 0xFFFFFFFF)}, None)
    journal.close()
    journal = Journal(path)
    journal.write([[counted(4, device=TAXI)]])
    assert JournalReader(path).replay_windows()[0][TAXI] == (4, 0xFFFFFFFF)


# Sender sequence numbers


def test_a_reservation_moves_forward_and_one_that_goes_back_is_refused_with_its_group(path):
    journal, reader = Journal(path), JournalReader(path)
    assert reader.reservations() == ({}, 0)
    journal.write([[SenderRow(BAY, 100)]])
    assert type(journal.write([[row(), SenderRow(BAY, 99)]])[0]) is Outdated
    assert (reader.reservations(), reader.last_position()) == (({BAY: 100}, 0), 0)
    assert (reader.reservation(BAY), reader.reservation(KIOSK)) == (100, 0)


def test_a_new_era_jumps_every_reservation_also_of_devices_the_file_does_not_know(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[SenderRow(BAY, 100)]])
    meta.begin_era(journal._db)
    assert reader.reservations() == ({BAY: 100 + 2**30}, 2**30)
    assert type(journal.write([[SenderRow(BAY, 500)]])[0]) is Outdated
    journal.write([[SenderRow(BAY, 2**30 + 200)]])
    meta.begin_era(journal._db)
    assert reader.reservations() == ({BAY: 2**31 + 200}, 2**31)
    assert (reader.reservation(BAY), reader.reservation(KIOSK)) == (2**31 + 200, 2**31)


# Groups


def test_what_a_family_refuses_is_undone_with_all_of_its_group_and_nothing_else(path):
    journal, reader = Journal(path), JournalReader(path)
    outcomes = journal.write(
        [
            [row(seq=1)],
            [CursorRow("city", 9), row(seq=2), DiscardRow("city", 4, "ana")],
            [row(seq=3), CursorRow("ngsi", 1)],
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [Committed, Outdated, Committed]
    assert "no dead letter at position 4" in outcomes[1].detail
    assert identities(path) == [f"{BAY}:1:1", f"{BAY}:1:3"]
    assert (reader.cursor("city"), reader.cursor("ngsi")) == (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        object(),
        replace(row(seq=5), reading_class="gossip"),
        replace(row(seq=5), values={"x": object()}),
        DeadLetterRow("city", 1, None),
    ],
)
def test_a_row_that_cannot_be_stored_fails_its_own_group_only(path, wrong):
    journal = Journal(path)
    outcomes = journal.write([[row(seq=1)], [row(seq=2), wrong], [row(seq=3)]])
    assert [type(outcome) for outcome in outcomes] == [Committed, CommitFailed, Committed]
    assert identities(path) == [f"{BAY}:1:1", f"{BAY}:1:3"]


def test_values_that_cannot_be_stored_fail_their_own_group_on_the_short_way_too(path):
    journal = Journal(path)
    window = [ReplayRow(BAY, *window_after(*range(1, counter + 1))) for counter in range(4)]
    wrong = replace(counted(2), values={"x": object()})
    outcomes = journal.write([[counted(1), window[1]], [wrong, window[2]], [counted(2), window[2]]])
    assert [type(outcome) for outcome in outcomes] == [Committed, CommitFailed, Committed]
    assert identities(path) == [f"{BAY}:1:1", f"{BAY}:1:2"]


def test_positions_are_not_given_again_in_a_new_era(path):
    journal = Journal(path)
    journal.write([[row(seq=1), row(seq=2)], [CursorRow("city", 40)]])
    meta.begin_era(journal._db)
    journal.close()
    journal = Journal(path)
    assert journal.write([[row(seq=3)]])[0].stored[0].position == 40 + 2**32 + 1


def test_the_write_ahead_log_does_not_grow_with_the_journal(path, monkeypatch):
    monkeypatch.setattr(limits, "WAL_PAGES", 50)
    journal = Journal(path)
    for seq in range(1200):
        journal.write([[row(seq=seq)]])
        journal.tend(None)
    assert Path(f"{path}-wal").stat().st_size < 80 * 1048


# Readers


def test_the_history_of_a_device_is_its_readings_of_all_classes_newest_first(path):
    source = random.Random(9)
    journal, reader = Journal(path), JournalReader(path)
    expected: list[tuple[str, int]] = []
    for seq in range(400):
        device = source.choice([BAY, TAXI])
        journal.write([[replace(row(device, seq), reading_class=source.choice(CLASSES))]])
        expected.append((device, seq))
        if seq % 50 == 0:
            reader.history(BAY, 3)  # the reader follows in steps
    of_bay = [seq for device, seq in reversed(expected) if device == BAY]
    assert [item.row.seq for item in reader.history(BAY, 1000)] == of_bay
    page = reader.history(BAY, 10)
    assert [item.row.seq for item in page] == of_bay[:10]
    assert [item.row.seq for item in reader.history(BAY, 10, before=page[-1].position)] == of_bay[10:20]
    assert [item.row.seq for item in JournalReader(path).history(BAY, 1000)] == of_bay
    assert reader.history(KIOSK, 10) == []


def test_every_field_of_a_reading_survives(path):
    values = {"occupied": True, "field": 2.4e-05, "reason": "é", "n": -3}
    item = ReadingRow(
        BAY, 4294967295, 4294967295, "alarm", 1_900_000_000_123, 1_800_000_000_001, values, 2**40 - 1, False
    )
    Journal(path).write([[item]])
    assert JournalReader(path).after(0, 9)[0].row == item


def test_a_damaged_body_is_an_error_of_the_journal(path):
    journal = Journal(path)
    journal.write([[row()]])
    journal._db.execute("UPDATE reading SET body = x'ff'")
    with pytest.raises(JournalError, match="damaged"):
        JournalReader(path).after(0, 9)


# Dead letters


def test_a_dead_letter_keeps_its_reading_whatever_becomes_of_the_log(path):
    journal, reader = Journal(path), JournalReader(path)
    item = replace(row(), counter=5, synchronized=False)
    journal.write([[item, row(seq=2)]])
    journal.write([[DeadLetterRow("city", 1, "no such topic"), DeadLetterRow("ngsi", 7, "gone", row(seq=9))]])
    journal._db.execute("DELETE FROM reading")
    letter = reader.dead_letter_page("city", 0, 10)[0]
    assert (letter.position, letter.reason, letter.due, letter.reading) == (1, "no such topic", False, item)
    assert reader.dead_letter_page("ngsi", 0, 10)[0].reading == row(seq=9)


def test_dead_letters_are_read_page_by_page(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[row(seq=seq) for seq in range(1, 8)]])
    journal.write([[DeadLetterRow("city", position, "x") for position in range(1, 8)]])
    first = reader.dead_letter_page("city", 0, 4)
    assert [letter.position for letter in first] == [1, 2, 3, 4]
    assert [letter.position for letter in reader.dead_letter_page("city", first[-1].position, 4)] == [5, 6, 7]
    assert reader.dead_letters("city") == 7


def test_a_dead_letter_is_driven_again_until_it_is_taken_or_given_up(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[row(seq=1), row(seq=2), row(seq=3)]])
    journal.write([[DeadLetterRow("city", position, "x") for position in (1, 2, 3)]])
    journal.write([[RedriveRow("city", 1), RedriveRow("city", 2)]])
    assert [letter.position for letter in reader.due_letters("city", 9)] == [1, 2]
    journal.write([[RedrivenRow("city", 1)], [DeadLetterRow("city", 2, "still no")], [DiscardRow("city", 3, "ana")]])
    assert reader.due_letters("city", 9) == []
    left = reader.dead_letter_page("city", 0, 9)
    assert [(letter.position, letter.reason, letter.reading) for letter in left] == [(2, "still no", row(seq=2))]


def test_the_connection_of_a_reader_cannot_write(path):
    Journal(path)
    with pytest.raises(apsw.ReadOnlyError):
        JournalReader(path).connection.execute("DELETE FROM meta")
