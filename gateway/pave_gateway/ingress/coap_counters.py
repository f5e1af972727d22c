"""What the CoAP front has done since its start, and the log of what it dropped."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from pave_gateway.core import limits
from pave_gateway.ingress import coap_parse
from pave_gateway.ingress.coap_exchanges import Address
from pave_gateway.log import LimitedLog

UNKNOWN_KID = "unknown_kid"
REPLAY = "replay"
TAG = "tag"
INNER = "inner"
UNEXPECTED = "unexpected"
REASONS = (
    coap_parse.TOO_SHORT,
    coap_parse.TOO_LONG,
    coap_parse.VERSION,
    coap_parse.TOKEN_LENGTH,
    coap_parse.CODE,
    coap_parse.MALFORMED,
    coap_parse.NOT_OSCORE,
    UNKNOWN_KID,
    REPLAY,  # authentic once, or nobody knows: it is refused before its tag is looked at
    TAG,
    INNER,  # authentic, but nothing that a request may be
    UNEXPECTED,  # an ACK, RST or response to nothing that was sent
)


@dataclass(slots=True)
class CoapCounters:
    """Datagrams and exchanges, by what came of them.

    Attributes:
        received: Datagrams.
        accepted: Reports answered 2.04.
        repeated: Of them, those with a reading that was in the log before.
        refused: Reports answered otherwise, by response code.
        requests: Authentic requests other than reports.
        dropped: Datagrams that met silence, by reason.
        retransmissions: Datagrams known already.
        reused_ids: Authentic requests under a message ID that was in use for another.
        moved: Times a device was heard from another address.
        echo: Challenges after a lost replay window.
        empty_acks: Sent before an answer that took long, and for devices' own separate responses.
        not_stored: Requests left unanswered since their replay window could not be stored.
        unsent: Messages not sent: too long, too many on their way, or no sequence number reserved.
        notifications: Sent to observers.
    """

    received: int = 0
    accepted: int = 0
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    requests: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    retransmissions: int = 0
    reused_ids: int = 0
    moved: int = 0
    echo: int = 0
    empty_acks: int = 0
    not_stored: int = 0
    unsent: int = 0
    notifications: int = 0

    def refuse(self, code: str) -> None:
        """Count a report that is answered by this code."""
        self.refused[code] = self.refused.get(code, 0) + 1

    @property
    def answers(self) -> dict[str, int]:
        """Answers to reports, by response code."""
        return {"2.04": self.accepted, **self.refused} if self.accepted else dict(self.refused)


class Drops:
    """Counts what is dropped, and writes a line now and then.

    One source gets a line in LOG_INTERVAL_S, all of them DROP_LINES: with forged addresses every datagram has another.
    """

    def __init__(self, counters: CoapCounters, logger: logging.Logger, monotonic: Callable[[], float]) -> None:
        """`monotonic` returns seconds."""
        self._dropped = counters.dropped
        self._log = LimitedLog(logger, monotonic)
        self._logger = logger
        self._monotonic = monotonic
        self._until_s = float("-inf")
        self._sources: set[str] = set()  # of lines since the interval began
        self._unsaid = 0

    def drop(self, reason: str, address: Address) -> None:
        """Count a datagram from `address`, for one of REASONS."""
        self._dropped[reason] += 1
        if self._may_speak(source := host_of(address)):
            self._log.warning(source, f"coap: dropped a datagram from {source}: {reason.replace('_', ' ')}")

    def refused(self, address: Address, title: str, detail: str) -> None:
        """Write a line about a request that was answered with an error."""
        source = host_of(address)
        if self._may_speak(f"{source} {title}"):
            self._log.warning(f"{source} {title}", f"coap {source}: {title}: {detail}")

    def _may_speak(self, cause: str) -> bool:
        now_s = self._monotonic()
        if now_s >= self._until_s:
            self._begin_interval(now_s)
        if cause in self._sources:
            return False
        if len(self._sources) >= limits.DROP_LINES:
            self._unsaid += 1
            return False
        self._sources.add(cause)
        return True

    def _begin_interval(self, now_s: float) -> None:
        if self._unsaid:
            self._logger.warning("coap: %d more refusals from other sources were not logged", self._unsaid)
        self._until_s = now_s + limits.LOG_INTERVAL_S
        self._sources.clear()
        self._unsaid = 0


def host_of(address: Address) -> str:
    """Return the host of an address as people write it."""
    parts = cast("tuple[object, ...]", address)
    return str(parts[0]).removeprefix("::ffff:")
