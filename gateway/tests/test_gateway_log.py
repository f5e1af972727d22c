"""Lines that the network can cause are limited, and say how many were left out."""

import logging

from pave_gateway.core import limits
from pave_gateway.log import LimitedLog


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_cause_gets_one_line_per_interval_and_the_next_says_what_was_left_out(caplog):
    clock = Clock()
    limited = LimitedLog(logging.getLogger("test"), clock)
    for _ in range(5):
        limited.warning("10.0.0.1", "bad CBOR")
    clock.now_s = limits.LOG_INTERVAL_S
    limited.warning("10.0.0.1", "bad CBOR")
    assert lines(caplog) == ["bad CBOR", "bad CBOR (4 more like it not logged)"]


def test_causes_do_not_silence_each_other(caplog):
    limited = LimitedLog(logging.getLogger("test"), Clock())
    limited.warning("10.0.0.1", "one")
    limited.warning("10.0.0.2", "two")
    assert lines(caplog) == ["one", "two"]


def test_a_flood_of_new_causes_does_not_grow_memory_without_bound(caplog):
    limited = LimitedLog(logging.getLogger("test"), Clock())
    for number in range(limits.LOG_CAUSES + 100):
        limited.warning(f"source {number}", "x")
    assert len(limited._causes) == limits.LOG_CAUSES
