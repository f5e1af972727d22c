"""The sink engine with back-ends that fail in every way a back-end can, and clocks that are set late."""

import asyncio
import contextlib
import random

import pytest
from gateway_support import BAY, row
from outgoing_support import MINUTE_MS, NEW, YEARS_10_MS, Town

from pave_gateway.core import limits
from pave_gateway.core.instant import Dated, Quality
from pave_gateway.core.outgoing import Outgoing
from pave_gateway.core.rows import StoredReading
from pave_gateway.sinks.engine import Backoff, SinkEngine
from pave_gateway.sinks.sink import Delivered, Rejected, Retry
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader


class Script:
    """A back-end that answers each delivery by the next function of a list, and then accepts everything."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.received: list[list[int]] = []
        self.closed = False

    async def deliver(self, batch):
        self.received.append([item.row.seq for item in batch])
        answer = self.answers.pop(0) if self.answers else (lambda seq: Delivered())
        return [answer(item.row.seq) for item in batch]

    async def close(self) -> None:
        self.closed = True


def tell(stored: StoredReading) -> Outgoing:
    """Take a reading as the log has it."""
    row = stored.row
    dated = Dated(row.received_ms, row.read_ms, Quality.SYNCHRONIZED)
    return Outgoing(stored.position, row, dated, "b1", "delivery", True)


class Bench:
    """A journal with some rows and an engine whose sleeps are recorded instead of slept."""

    def __init__(self, path, rows: int, sink: Script) -> None:
        self.journal = Journal(path)
        self.reader = JournalReader(path)
        self.append(range(1, rows + 1))
        self.slept_s: list[float] = []
        self.engine = SinkEngine(
            "city", sink, self.reader, InlineCommitter(self.journal), 0, random.Random(1), tell, sleep=self._sleep
        )

    def append(self, seqs) -> None:
        self.journal.write([[row(seq=seq) for seq in seqs]])

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


async def test_the_cursor_on_disk_follows_what_was_accepted(path):
    bench = Bench(path, 3, Script())
    assert await bench.engine.step()
    assert bench.reader.cursor("city") == bench.engine.cursor == 3
    assert not await bench.engine.step()


async def test_nothing_accepted_moves_nothing_and_the_same_rows_come_again(path):
    sink = Script(lambda seq: Retry("down"))
    bench = Bench(path, 3, sink)
    await bench.engine.step()
    assert (bench.reader.cursor("city"), bench.engine.failing, bench.engine.last_error) == (0, True, "down")
    await bench.engine.step()
    assert sink.received == [[1, 2, 3], [1, 2, 3]]
    assert (bench.reader.cursor("city"), bench.engine.failing) == (3, False)


async def test_the_cursor_stops_before_the_first_row_to_retry_so_order_is_kept(path):
    sink = Script(lambda seq: Retry("busy") if seq == 3 else Delivered())
    bench = Bench(path, 5, sink)
    await bench.engine.step()
    assert bench.reader.cursor("city") == 2
    await bench.engine.step()
    assert sink.received[1] == [3, 4, 5]


async def test_a_row_refused_for_good_is_a_dead_letter_and_does_not_block(path):
    bench = Bench(path, 3, Script(lambda seq: Rejected("bad topic") if seq == 2 else Delivered()))
    await bench.engine.step()
    assert (bench.reader.cursor("city"), bench.reader.dead_letters("city")) == (3, 1)


async def test_a_cursor_that_cannot_be_written_is_not_advanced_in_memory_either(path):
    bench = Bench(path, 3, Script())
    bench.journal._db.execute("PRAGMA query_only=1")
    await bench.engine.step()
    assert bench.engine.cursor == 0
    bench.journal._db.execute("PRAGMA query_only=0")
    await bench.engine.step()
    assert bench.engine.cursor == 3


async def test_a_defect_in_a_sink_is_a_failure_to_retry_and_not_the_end_of_it(path):
    def broken(seq):
        raise RuntimeError("a defect")

    bench = Bench(path, 1, Script(broken))
    bench.engine.finish()
    await asyncio.wait_for(bench.engine.run(), 1)
    assert bench.engine.cursor == 1
    assert "a defect" in bench.engine.last_error


async def test_batches_are_bounded(path):
    sink = Script()
    bench = Bench(path, limits.SINK_BATCH_ROWS + 1, sink)
    while await bench.engine.step():
        pass
    assert [len(batch) for batch in sink.received] == [limits.SINK_BATCH_ROWS, 1]


async def test_an_idle_engine_sleeps_until_a_commit_wakes_it(path):
    sink = Script()
    bench = Bench(path, 0, sink)
    task = asyncio.create_task(bench.engine.run())
    await asyncio.sleep(0.01)
    assert sink.received == []
    bench.append([1])
    bench.engine.wake([])
    await asyncio.sleep(0.01)
    assert sink.received == [[1]]
    bench.engine.finish()
    await asyncio.wait_for(task, 1)
    assert sink.closed


def test_back_off_doubles_to_a_ceiling_and_is_spread_by_the_given_random_source():
    backoff = Backoff(random.Random(7))
    delays_s = [backoff.next_s() for _ in range(12)]
    ceilings_s = [min(limits.BACKOFF_MAX_S, limits.BACKOFF_FIRST_S * 2**n) for n in range(12)]
    assert all(c / 2 <= d <= c for d, c in zip(delays_s, ceilings_s, strict=True))
    again = Backoff(random.Random(7))
    assert delays_s == [again.next_s() for _ in range(12)]
    assert len(set(delays_s)) == 12


# Readings that wait for the clock


class City:
    """A back-end that keeps what it was told; `answer` gives a verdict, or does something meanwhile."""

    def __init__(self) -> None:
        self.told: list[Outgoing] = []
        self.batches = 0
        self.answer = lambda: Delivered()

    def seqs(self) -> list[int]:
        return [outgoing.row.seq for outgoing in self.told]

    async def deliver(self, batch):
        self.batches += 1
        verdict = self.answer()
        if verdict == Delivered():
            self.told += batch
        return [verdict] * len(batch)

    async def close(self) -> None:
        pass


class CountingLog:
    """Counts how often it is asked."""

    def __init__(self, log: JournalReader) -> None:
        self._log = log
        self.asked = 0

    def after(self, position: int, max_rows: int) -> list[StoredReading]:
        self.asked += 1
        return self._log.after(position, max_rows)


class Following:
    """An engine that follows a town's log; it sleeps until the test lets time pass."""

    def __init__(self, town: Town, cursor: int = 0) -> None:
        self.town, self.city, self.log = town, City(), CountingLog(town.reader)
        self.slept_s: list[float] = []
        self._over = asyncio.Event()
        self.engine = SinkEngine(
            "city", self.city, self.log, town.committer, cursor, random.Random(1), town.tell, self._sleep
        )
        town.ingest.subscribe(self.engine.wake)
        town.clock.subscribe(self.engine.clock_changed)

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        await self._over.wait()

    async def pass_time(self, for_ms: int) -> None:
        """Let time pass, with the sleep that the engine is in."""
        self.town.run(for_ms)
        over, self._over = self._over, asyncio.Event()
        over.set()
        await settled()


@contextlib.asynccontextmanager
async def following(town: Town, cursor: int = 0):
    follow = Following(town, cursor)
    task = asyncio.create_task(follow.engine.run())
    await settled()
    yield follow
    follow.engine.finish()
    await asyncio.wait_for(task, 1)


async def settled() -> None:
    """Return when every task waits."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def early_town(path):
    """A machine that booted in 1970."""
    return Town(path, wall_ms=5_000, synchronized=False)


async def test_readings_of_before_the_clock_was_set_are_told_once_in_order_with_their_right_times(early_town):
    town = early_town
    async with following(town) as follow:
        for seq in range(1, 6):
            town.receive(seq=seq, age_s=20 * seq)
            await settled()
            town.run(MINUTE_MS)
        assert follow.city.told == [] and follow.engine.held
        town.set_clock()
        await settled()
        assert follow.city.seqs() == [1, 2, 3, 4, 5] and not follow.engine.held
        town.receive(seq=6)
        await settled()
    assert follow.city.seqs() == [1, 2, 3, 4, 5, 6]
    assert [town.error_ms(told) for told in follow.city.told] == [0] * 6
    assert [told.dated.quality for told in follow.city.told] == [Quality.CORRECTED] * 5 + [Quality.SYNCHRONIZED]
    assert not follow.engine.failing and town.reader.cursor("city") == 6


async def test_an_engine_that_holds_sleeps_once_and_does_not_look_again_for_what_comes_behind(early_town):
    async with following(early_town) as follow:
        early_town.receive(seq=1)
        await settled()
        asked = follow.log.asked
        for seq in range(2, 50):
            early_town.receive(seq=seq)
            await settled()
        assert follow.log.asked == asked
        assert follow.slept_s == [limits.UNDATED_HOLD_MS / 1000]


async def test_a_hold_that_is_over_tells_what_has_waited_long_enough_and_no_more(early_town):
    town = early_town
    async with following(town) as follow:
        town.receive(seq=1)
        await settled()
        town.run(MINUTE_MS)
        town.receive(seq=2)
        await follow.pass_time(limits.UNDATED_HOLD_MS - MINUTE_MS)
        assert follow.city.seqs() == [1] and follow.engine.held
        assert follow.slept_s == [limits.UNDATED_HOLD_MS / 1000, MINUTE_MS / 1000]
        await follow.pass_time(MINUTE_MS)
        assert follow.city.seqs() == [1, 2]
        assert {told.dated.quality for told in follow.city.told} == {Quality.UNSYNCHRONIZED}
        town.receive(seq=3)
        await settled()
        town.set_clock()
        await settled()
    assert follow.city.seqs() == [1, 2, 3] and town.error_ms(follow.city.told[2]) == 0


async def test_what_is_before_a_held_reading_is_delivered_and_what_is_behind_it_keeps_its_place(path):
    town = Town(path)
    town.receive(seq=1)
    town.receive(seq=2)
    town.set_clock(YEARS_10_MS)  # doubtful until it is confirmed
    town.receive(seq=3)
    async with following(town) as follow:
        assert follow.city.seqs() == [1, 2] and town.reader.cursor("city") == 2
        town.set_clock()
        town.run(limits.CLOCK_CONFIRM_MS - 30_000)
        town.receive(seq=4)
        await settled()
        assert follow.city.seqs() == [1, 2]
        town.run(30_000)
        town.receive(seq=5)
        await settled()
    assert follow.city.seqs() == [1, 2, 3, 4, 5]
    assert [town.error_ms(told) for told in follow.city.told] == [0] * 5


async def test_a_jump_of_ten_years_that_is_believed_and_taken_back_is_told_once_and_in_order(path):
    town = Town(path)
    async with following(town) as follow:
        for off_ms in (0, YEARS_10_MS, 0):
            town.set_clock(off_ms)
            for _ in range(12):
                town.run(MINUTE_MS)
                town.receive(seq=len(town.readings) + 1)
                await settled()
    assert follow.city.seqs() == list(range(1, 37))
    wrong = [told.row.seq for told in follow.city.told if town.error_ms(told)]
    assert wrong == list(range(13, 13 + len(wrong)))  # told while the wrong time was believed: nobody could know
    assert {town.error_ms(told) for told in follow.city.told} == {0, YEARS_10_MS}


async def test_a_back_end_that_was_down_meanwhile_hears_only_right_times(path):
    town = Town(path)
    for off_ms in (0, YEARS_10_MS, 0):
        town.set_clock(off_ms)
        for _ in range(12):
            town.run(MINUTE_MS)
            town.receive(seq=len(town.readings) + 1)
    async with following(town) as follow:
        pass
    assert [town.error_ms(told) for told in follow.city.told] == [0] * 36


async def test_a_clock_that_is_set_while_a_batch_is_under_way_is_not_missed(path):
    town = Town(path)
    town.receive(seq=1)
    town.set_clock(YEARS_10_MS)
    town.receive(seq=2)
    follow = Following(town)

    def confirmed() -> Delivered:
        if follow.city.batches == 1:
            town.set_clock()
            town.run(limits.CLOCK_CONFIRM_MS)
        return Delivered()

    follow.city.answer = confirmed
    task = asyncio.create_task(follow.engine.run())
    await settled()
    assert follow.city.seqs() == [1, 2] and follow.slept_s == []
    follow.engine.finish()
    await asyncio.wait_for(task, 1)


async def test_a_gateway_that_stops_does_not_wait_for_the_clock_and_the_next_one_tells_what_was_held(early_town):
    town = early_town
    async with following(town) as follow:
        town.receive(seq=1)
        await settled()
    assert follow.city.told == [] and town.reader.cursor("city") == 0
    town.run(MINUTE_MS)
    town.boot("boot-1", town.wall_ms, False, town.monotonic_ms)
    async with following(town, town.reader.cursor("city")) as follow:
        assert follow.city.told == [] and follow.slept_s == [limits.UNDATED_HOLD_MS / 1000 - 60]
        town.set_clock()
        await settled()
        assert follow.city.seqs() == [1] and town.error_ms(follow.city.told[0]) == 0


async def test_a_failure_after_a_hold_tells_the_same_readings_again_and_in_order(early_town):
    town = early_town
    async with following(town) as follow:
        town.receive(seq=1)
        town.receive(seq=2)
        follow.city.answer = lambda: Retry("down")
        town.set_clock()
        await settled()
        assert follow.engine.failing
        follow.city.answer = lambda: Delivered()
        await follow.pass_time(1000)
        assert follow.city.seqs() == [1, 2] and not follow.engine.failing


async def test_a_late_reading_of_a_replaced_device_is_delivered_as_history(path):
    town = Town(path)
    async with following(town) as follow:
        town.receive(BAY, seq=900)
        await settled()
        town.stand("b1", NEW)
        town.receive(NEW, seq=1, occupied=False)
        town.receive(BAY, seq=901)
        await settled()
    assert [(told.row.device, told.place_id, told.is_newest_state) for told in follow.city.told] == [
        (BAY, "b1", True), (NEW, "b1", True), (BAY, "b1", False),
    ]  # fmt: skip


async def test_a_reading_that_the_gateway_has_not_been_told_of_waits_for_that(path):
    town = Town(path)
    async with following(town) as follow:
        town.journal.write([[row(seq=1)]])  # on disk; its commit is not known yet
        follow.engine.wake([])
        await settled()
        assert follow.city.told == []
        stored = town.reader.after(0, 9)
        town.bays.apply(stored)
        follow.engine.wake(stored)
        await settled()
        assert follow.city.seqs() == [1]
