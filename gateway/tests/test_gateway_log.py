"""Lines that the network can cause are limited, say how many were left out, and forge no others."""

import io
import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from pave_gateway import log
from pave_gateway.core import limits
from pave_gateway.log import LimitedLog, LineFormatter


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


def written(act: Callable[[logging.Logger], None]) -> list[str]:
    """Return the lines that `configure` would have written of what `log` does with a logger."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.Logger("pave_gateway.test")
    logger.addHandler(handler)
    act(logger)
    return stream.getvalue().splitlines()


FORGED = "2026-11-23 12:00:00,000 ERROR pave_gateway: all is lost"


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_name_from_outside_cannot_begin_a_line_of_its_own(separator):
    name = f"a{separator}{FORGED}.pave"
    (line,) = written(lambda logger: logger.warning("%s: refused", name))
    assert separator not in line
    assert line.endswith(f"{FORGED}.pave: refused")


def test_what_a_terminal_would_carry_out_is_written_as_an_escape_and_words_as_they_are():
    said = "\x1b[2J\x00\u202eGare de Bercy\u00a0: L’été, 2 €\ud800\ufeff"
    (line,) = written(lambda logger: logger.warning("%s", said))
    assert line.endswith(
        r"WARNING pave_gateway.test: \x1b[2J\x00\u202eGare de Bercy" "\u00a0: L’été, 2 €" r"\ud800\ufeff"
    )


def test_the_words_of_an_exception_cannot_begin_a_line_of_their_own():
    def fail(logger: logging.Logger) -> None:
        try:
            raise ValueError(f"\n{FORGED}\x1b[2J")
        except ValueError:
            logger.exception("unexpected")

    first, *below = written(fail)
    assert first.endswith("ERROR pave_gateway.test: unexpected")
    assert any(FORGED in line for line in below)
    assert all(line.startswith("    ") and "\x1b" not in line for line in below)


def test_the_log_of_the_gateway_is_written_so():
    program = "import logging; from pave_gateway import log; log.configure(); logging.warning('a\\nb')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[0].endswith(r"a\nb")


def test_what_is_tried_again_is_said_once_in_an_interval(caplog):
    clock = Clock()
    logger = logging.getLogger("pave_gateway.test")
    with log.repeats_left_out(clock, 60.0):
        for second in range(0, 121, 2):
            clock.now_s = second
            logger.warning("no room")
            if second == 4:
                logger.warning("something else")
    logger.warning("no room")
    assert lines(caplog) == ["no room", "something else", "no room", "no room", "no room"]
