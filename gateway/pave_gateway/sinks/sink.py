"""What a back-end is to the gateway: something that takes batches of readings and says of each whether it has it.

A kind of back-end is a `SinkKind`: the keys of its [[sink]] table and what builds it from them. Those of the gateway
are listed in `sinks.kinds`; a package by other hands names its own under the entry point group "pave_gateway.sinks".

The engine promises a sink batches in the order of the log, never two at a time. After a crash or a `Retry` it offers
readings again that the back-end may have taken already; `Outgoing.row.identity` is what tells them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pave_gateway.core.outgoing import Outgoing
from pave_gateway.core.places import Place


@dataclass(frozen=True, slots=True)
class Delivered:
    """The back-end has the row."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The back-end does not have the row, or did not say so; it may take it later.

    `after_s` is how long it asks to be left alone (Retry-After of HTTP), None where it does not say.
    """

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The back-end will never take the row."""

    reason: str


Verdict = Delivered | Retry | Rejected


class Sink(Protocol):
    """A back-end."""

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Send `batch`, wait until the back-end has confirmed, and return one verdict per row. Connects when needed."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know of the gateway.

    Attributes:
        site_id: As in the site file.
        site_name: For people.
        places: {id: bay or kiosk}, as it is now.
        now_ms: The site's time, milliseconds since 1970.
    """

    site_id: str
    site_name: str
    places: Callable[[], Mapping[str, Place]]
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class SinkKind:
    """A kind of back-end.

    Attributes:
        config: Its table of the site file, a subclass of `config_sink.SinkTable`.
        build: Makes the sink from such a table. It connects to nothing and raises nothing but `SinkConfigError`.
    """

    config: type[Any]
    build: Callable[[Any, SinkContext], Sink]


class SinkConfigError(Exception):
    """A sink cannot be built: a secret or certificate that is not there. The message ends in the next step."""
