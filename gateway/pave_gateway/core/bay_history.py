"""How a bay's present state began and the one before ended, as records; made anew from the lists of a snapshot."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pave_gateway.core.instant import Moment

Order = tuple[int, int]  # (epoch, seq)


class Began(NamedTuple):
    """The reading at which the present state began, or was first seen.

    Attributes:
        order: Of that reading.
        moment: When it was read.
        error_ms: How far that may be off, where the reading opened the state; None where it only found it.
        after: The newest reading known of before, with another state: (order, when it was read), or None.
    """

    order: Order
    moment: Moment
    error_ms: int | None
    after: tuple[Order, Moment] | None


class Ended(NamedTuple):
    """The state before.

    Attributes:
        state: What it was.
        began: When, None where it is not known well enough.
        ended: When.
        device_ms: How long it lasted, as the device says; None where it does not.
        is_next: Whether no reading is missing between.
    """

    state: str
    began: Moment | None
    ended: Moment
    device_ms: int | None
    is_next: bool


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a state lasted; `measured_by` is "gateway" or "device"."""

    state: str
    ended_ms: int
    lasted_ms: int
    measured_by: str


def order_from(dumped: list[int]) -> Order:
    """Return an order from its dump; raises what lists and numbers raise where it is none."""
    return dumped[0], dumped[1]


def moment_from(dumped: list[Any] | None) -> Moment | None:
    """Return a moment from its dump; raises what lists and numbers raise where it is none."""
    return None if dumped is None else Moment(*dumped)


def began_from(dumped: list[Any] | None) -> Began | None:
    """Return a beginning from its dump; raises what lists and numbers raise where it is none."""
    if dumped is None:
        return None
    order, moment, error_ms, after = dumped
    return Began(order_from(order), Moment(*moment), error_ms, after and (order_from(after[0]), Moment(*after[1])))


def ended_from(dumped: list[Any] | None) -> Ended | None:
    """Return an end from its dump; raises what lists and numbers raise where it is none."""
    if dumped is None:
        return None
    state, began, ended, device_ms, is_next = dumped
    return Ended(state, moment_from(began), Moment(*ended), device_ms, is_next)
