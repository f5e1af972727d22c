"""Frames that another's network server passes on: which are new, in whatever order and however often they come."""

import random

import apsw
import pytest

from pave_gateway.core import limits
from pave_gateway.core.external_frames import ExternalRow, ExternalState, Standing, of_text
from pave_gateway.store import external_tables

NEW, LATE, KNOWN = Standing.NEW, Standing.LATE, Standing.KNOWN


def after(*fcnts: int, session: str = "a") -> ExternalState:
    state = ExternalState().joined(session, "the join of a test")
    for fcnt in fcnts:
        state = state.took(session, fcnt, 0)
    return state


def test_counters_that_rise_are_new_gaps_included() -> None:
    assert ExternalState().standing("a", 0) is NEW
    state = after(0, 1, 5)
    assert [state.standing("a", fcnt) for fcnt in (0, 1, 5, 2, 3, 4, 6, 900)] == [KNOWN] * 3 + [LATE] * 3 + [NEW] * 2
    assert (state.missed("a", 9), state.gaps) == (3, (2, 3, 4))


def test_before_the_first_frame_of_all_nothing_is_missed() -> None:
    state = ExternalState()
    assert state.missed("a", 500) == 0
    state = state.took("a", 500, 0)
    assert state.gaps == () and state.standing("a", 499) is KNOWN and state.missed("a", 503) == 2


def test_a_late_frame_is_taken_once() -> None:
    state = after(0, 5, 3)
    assert state.highest == 5 and state.gaps == (1, 2, 4)
    assert (state.standing("a", 3), state.standing("a", 4)) == (KNOWN, LATE)


def test_what_is_older_than_the_window_counts_as_known() -> None:
    state = after(0, limits.EXTERNAL_WINDOW)
    assert state.standing("a", 0) is KNOWN and state.standing("a", 1) is LATE
    assert state.seen < 1 << 63 and len(state.gaps) == limits.EXTERNAL_WINDOW - 1
    assert after(7, 1_000_000).seen == 1


def test_a_new_name_begins_a_session_and_the_old_one_is_over() -> None:
    state = after(0, 1, 2)
    assert state.standing("b", 0) is NEW and state.begins("b") and not state.begins("a")
    state = state.took("b", 0, 0)
    assert (state.highest, state.earlier) == (0, ("a",))
    assert state.standing("a", 99) is KNOWN


def test_a_join_begins_a_session_before_its_first_frame() -> None:
    state = after(0, 1, 2).joined("b", "join-1")
    assert state.is_join_known("join-1") and state.highest == -1
    assert state.standing("b", 0) is NEW and state.standing("a", 3) is KNOWN


def test_a_join_that_comes_behind_the_first_frames_of_its_session_forgets_none() -> None:
    state = after(5).took("b", 0, 0).took("b", 1, 0).joined("b", "join-1")
    assert state.standing("b", 1) is KNOWN and state.highest == 1


def test_the_same_address_after_another_join_is_another_session() -> None:
    state = after(0, 1).joined("a", "join-1").joined("a", "join-2")
    assert state.highest == -1 and state.standing("a", 0) is NEW and state.earlier == ()


def test_an_address_that_comes_back_is_believed_with_its_join() -> None:
    state = after(0, 1).joined("a", "join-1").took("b", 0, 0)
    assert state.standing("a", 0) is KNOWN
    state = state.joined("b", "join-2").joined("a", "join-3")
    assert state.standing("a", 0) is NEW and state.earlier == ("b",)


def test_what_is_remembered_is_bounded() -> None:
    state = ExternalState()
    for number in range(50):
        state = state.joined(f"{number:08x}", f"join-{number}").took(f"{number:08x}", 1 << 31, 1_795_000_000_000)
    assert len(state.earlier) == len(state.joins) == limits.EXTERNAL_REMEMBERED and len(state.text()) < 200


def test_the_window_agrees_with_a_set_whatever_comes() -> None:
    source = random.Random(9)
    for _ in range(300):
        state, taken = ExternalState().joined("a", "join-1"), set[int]()
        for _ in range(60):
            fcnt = max(0, state.highest + source.randrange(-70, 12))
            expected = NEW if fcnt > state.highest else KNOWN if fcnt in taken else LATE
            if state.highest - fcnt >= limits.EXTERNAL_WINDOW:
                expected = KNOWN
            assert state.standing("a", fcnt) is expected
            if expected is not KNOWN:
                state = state.took("a", fcnt, 0)
                taken.add(fcnt)
            assert set(state.gaps).isdisjoint(taken) and of_text(state.text()) == state


def database() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    db.execute(external_tables.SCHEMA)
    return db


def swap(db: apsw.Connection, expected: ExternalState | None, state: ExternalState) -> str | None:
    row = ExternalRow("24a160fffe000100", expected.text() if expected else "", state.text())
    return external_tables.WRITERS[ExternalRow](db, row)


def test_a_state_on_disk_is_swapped_only_for_the_one_that_was_found() -> None:
    db = database()
    one, two, three = after(0), after(0, 1), after(0, 1, 2)
    assert swap(db, None, one) is None
    assert swap(db, one, two) is None
    refusal = swap(db, one, three)
    assert refusal is not None and "was taken before" in refusal
    assert external_tables.read_external(db) == {"24a160fffe000100": two.text()}
    assert swap(db, two, three) is None


def test_a_swap_whose_commit_was_reported_as_failed_and_was_not_succeeds_again() -> None:
    db = database()
    one, two = after(0), after(0, 1)
    for expected, state in ((None, one), (None, one), (one, two), (one, two)):
        assert swap(db, expected, state) is None
    assert swap(db, None, after(0, 1, 2)) is not None  # a device that has a state is none without


@pytest.mark.parametrize("expected", [None, after(4)])
def test_a_swap_on_a_device_without_a_state_needs_to_expect_none(expected: ExternalState | None) -> None:
    assert (swap(database(), expected, after(0)) is None) == (expected is None)
