"""The sink engine with back-ends that fail in every way a back-end can."""

import asyncio
import random

import pytest
from gateway_support import row

from pave_gateway.core import limits
from pave_gateway.sinks.engine import Backoff, Delivered, Rejected, Retry, SinkEngine
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader


class Script:
    """A back-end that answers each delivery by the next function of a list, and then accepts everything."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.received: list[list[int]] = []
        self.recalled: list[int] = []
        self.closed = False

    def recall(self, delivered) -> None:
        self.recalled += [item.row.seq for item in delivered]

    async def deliver(self, batch):
        self.received.append([item.row.seq for item in batch])
        answer = self.answers.pop(0) if self.answers else (lambda seq: Delivered())
        return [answer(item.row.seq) for item in batch]

    async def close(self) -> None:
        self.closed = True


class Bench:
    """A journal with some rows and an engine whose sleeps are recorded instead of slept."""

    def __init__(self, path, rows: int, sink: Script) -> None:
        self.journal = Journal(path)
        self.reader = JournalReader(path)
        self.append(range(1, rows + 1))
        self.slept_s: list[float] = []
        self.engine = SinkEngine(
            "city", sink, self.reader, InlineCommitter(self.journal), 0, random.Random(1), sleep=self._sleep
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


async def test_at_the_start_a_sink_hears_of_the_log_up_to_its_cursor_and_no_further(path):
    sink = Script()
    bench = Bench(path, 3, sink)
    bench.engine.cursor = 2
    bench.engine.replay(bench.reader.after(0, 9))
    assert sink.recalled == [1, 2]


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
