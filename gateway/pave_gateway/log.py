"""One line per event. Lines that the network can cause at will are limited, so no sender can fill the disk.

What stands in a line may come from outside: names of files, devices' words, topics. Written as they are, a newline in
one would forge the next line, and a terminal would carry out others. So `LineFormatter`, through which all lines go,
writes what cannot be printed as an escape.
"""

import logging
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from pave_gateway.core import limits

_T = TypeVar("_T")

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_BELOW = "    "  # before the further lines of a traceback: a line of the log begins with its date
_SPACE = "Zs"  # Unicode's spaces that do nothing else, such as U+00A0


def printable(text: str) -> str:
    r"""Return `text` with each character that cannot be printed as an escape: control characters, line separators,
    those that turn the direction of writing, halves of surrogates. A newline becomes `\n`, U+202E `\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == _SPACE:
        return character
    return character.encode("unicode_escape").decode("ascii")


class LineFormatter(logging.Formatter):
    """Writes an event as one line, and a traceback below it in lines that cannot be taken for others."""

    def __init__(self) -> None:
        """As `configure` needs it."""
        super().__init__(_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return the traceback."""
        return _below(super().formatException(ei))  # pyright: ignore[reportArgumentType]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return a stack that was asked for."""
        return _below(super().formatStack(stack_info))


def _below(text: str) -> str:
    return "\n".join(_BELOW + printable(line) for line in text.split("\n"))


class LimitedLog:
    """At most one line per cause in an interval; the next line says how many were left out."""

    def __init__(
        self, logger: logging.Logger, monotonic: Callable[[], float], interval_s: float = limits.LOG_INTERVAL_S
    ) -> None:
        """`monotonic` returns seconds."""
        self._logger = logger
        self._monotonic = monotonic
        self._interval_s = interval_s
        self._causes: dict[str, tuple[float, int]] = {}  # cause: when its last line was, lines left out since

    def warning(self, cause: str, message: str, exc_info: bool = False) -> None:
        """Log `message`, unless `cause` (a source address, a sink) had its line already.

        `exc_info`: with the traceback of the exception that is being handled.
        """
        now_s = self._monotonic()
        last_s, left_out = self._causes.get(cause, (float("-inf"), 0))
        if now_s - last_s < self._interval_s:
            self._causes[cause] = (last_s, left_out + 1)
            return
        _remember(self._causes, cause, (now_s, 0))
        more = f" ({left_out} more like it not logged)" if left_out else ""
        self._logger.warning("%s%s", message, more, exc_info=exc_info)


class _Repeats(logging.Filter):
    """Lets a line pass once in an interval."""

    def __init__(self, monotonic: Callable[[], float], interval_s: float) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._interval_s = interval_s
        self._said: dict[str, float] = {}  # line: when

    def filter(self, record: logging.LogRecord) -> bool:
        line, now_s = record.getMessage(), self._monotonic()
        if now_s - self._said.get(line, float("-inf")) < self._interval_s:
            return False
        _remember(self._said, line, now_s)
        return True


def _remember(known: dict[str, _T], key: str, value: _T) -> None:
    known.pop(key, None)
    if len(known) >= limits.LOG_CAUSES:
        known.pop(next(iter(known)))
    known[key] = value


@contextmanager
def repeats_left_out(monotonic: Callable[[], float], interval_s: float) -> Generator[None]:
    """Until it ends, write a line that repeats another word by word only once in `interval_s`; for what is tried again.

    `monotonic` returns seconds.
    """
    filters = [(handler, _Repeats(monotonic, interval_s)) for handler in logging.getLogger().handlers]
    for handler, repeats in filters:
        handler.addFilter(repeats)
    try:
        yield
    finally:
        for handler, repeats in filters:
            handler.removeFilter(repeats)


def configure(level: int = logging.INFO) -> None:
    """Send the gateway's log to standard error, a line each; libraries speak only from WARNING up."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("pave_gateway").setLevel(level)
    logging.getLogger("coap-server").setLevel(logging.ERROR)  # it logs every malformed datagram
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # paho logs each broken connection; the sink says it once
