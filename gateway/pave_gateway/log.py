"""One line per event. Lines that the network can cause at will are limited, so no sender can fill the disk."""

import logging
from collections.abc import Callable

from pave_gateway.core import limits


class LimitedLog:
    """At most one line per cause in `limits.LOG_INTERVAL_S`; the next line says how many were left out."""

    def __init__(self, logger: logging.Logger, monotonic: Callable[[], float]) -> None:
        """`monotonic` returns seconds."""
        self._logger = logger
        self._monotonic = monotonic
        self._causes: dict[str, tuple[float, int]] = {}  # cause: when its last line was, lines left out since

    def warning(self, cause: str, message: str) -> None:
        """Log `message`, unless `cause` (a source address, a sink) had its line already."""
        now_s = self._monotonic()
        last_s, left_out = self._causes.get(cause, (float("-inf"), 0))
        if now_s - last_s < limits.LOG_INTERVAL_S:
            self._causes[cause] = (last_s, left_out + 1)
            return
        self._remember(cause, now_s)
        self._logger.warning("%s%s", message, f" ({left_out} more like it not logged)" if left_out else "")

    def _remember(self, cause: str, now_s: float) -> None:
        self._causes.pop(cause, None)
        if len(self._causes) >= limits.LOG_CAUSES:
            self._causes.pop(next(iter(self._causes)))
        self._causes[cause] = (now_s, 0)


def configure(level: int = logging.INFO) -> None:
    """Send the gateway's log to standard error, a line each; libraries speak only from WARNING up."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("pave_gateway").setLevel(level)
    logging.getLogger("coap-server").setLevel(logging.ERROR)  # it logs every malformed datagram
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # paho logs each broken connection; the sink says it once
