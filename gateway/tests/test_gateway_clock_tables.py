"""Clock changes and snapshots of bays in the journal, and the site file's sections on both."""

import apsw
import pytest
from pydantic import ValidationError

from pave_gateway.config_state import ClockConfig, SilenceConfig
from pave_gateway.core.bays import Bays
from pave_gateway.core.instant import ClockLog, ClockRow, Moment
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.store import clock_tables

ROWS = [
    ClockRow(0, "one", 0, False),
    ClockRow(10, "one", 500, True),
    ClockRow(20, "one", 500, False),
    ClockRow(20, "one", 800, True),
    ClockRow(30, "two", 7, False),
    ClockRow(31, "two", 9_000, True),
]


@pytest.fixture
def db():
    connection = apsw.Connection(":memory:")
    connection.execute(clock_tables.SCHEMA)
    return connection


def write(db, *rows) -> None:
    for row in rows:
        assert clock_tables.WRITERS[type(row)](db, row) is None


def test_clock_changes_come_back_in_the_order_they_were_written(db):
    write(db, *ROWS)
    assert list(clock_tables.clock_changes(db)) == ROWS


@pytest.mark.parametrize("oldest", range(1, 45))
def test_what_is_left_after_compaction_dates_all_that_the_log_still_has(db, oldest):
    write(db, *ROWS)
    whole = ClockLog(ROWS)
    clock_tables.forget_clock_changes(db, oldest)
    left = ClockLog(clock_tables.clock_changes(db))
    for position in range(oldest, 45):
        for synchronized in (False, True):
            moment = Moment(100, position, synchronized)
            assert left.corrected_ms(moment) == whole.corrected_ms(moment)
            assert left.quality(moment) == whole.quality(moment)


def test_compaction_leaves_no_more_than_is_needed(db):
    write(db, *ROWS)
    clock_tables.forget_clock_changes(db, 1)
    assert len(list(clock_tables.clock_changes(db))) == len(ROWS)
    clock_tables.forget_clock_changes(db, 1000)
    assert list(clock_tables.clock_changes(db)) == ROWS[-2:]


def test_what_was_written_down_of_bays_comes_back_the_newest_of_each(db):
    places = [Place(f"b{n}", "delivery", "Rue de Bercy", 48.8, 2.3, f"{n:016x}") for n in range(5)]
    bays, position = Bays(places), 0
    assert (list(clock_tables.bays(db)), clock_tables.bays_position(db)) == ([], 0)
    for occupied in (True, False):
        for place in places:
            position += 1
            values = {"occupied": occupied}
            bays.apply([StoredReading(position, ReadingRow(place.device, 1, position, "presence", 5, 5, values))])
        while (change := bays.snapshot_step(most=2)) is not None:
            write(db, *change.rows)
            change.apply()
    assert clock_tables.bays_position(db) == 10
    again = Bays(places)
    again.restore(clock_tables.bays(db), clock_tables.bays_position(db))
    assert again.availability() == {"delivery": (5, 5)} and again.position == 10


def test_the_site_file_says_whether_the_clock_is_trusted_and_how_often_devices_are_expected():
    assert (ClockConfig().trusted, SilenceConfig().presence_s, SilenceConfig(kiosk_s=60).kiosk_s) == (False, 3600, 60)
    for section, fields in ((ClockConfig, {"trust": True}), (SilenceConfig, {"kiosk_s": 5})):
        with pytest.raises(ValidationError):
            section(**fields)
