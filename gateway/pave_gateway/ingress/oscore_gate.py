"""The order between the disk and a device: what was admitted is stored before it acts, numbers before they are used.

    a request that only reads       ReplayRow [SenderRow] -> committed -> it is answered
    one that was refused            ReplayRow [SenderRow] -> committed -> it is answered
    a message of our own accord               [SenderRow] -> committed -> it is sent; no wait while numbers are left

(Where a request brings readings or a change, its ReplayRow goes to disk with these, in one group: see `coap_telemetry`
and `coap_changes`.) A SenderRow goes along as soon as half of
what was reserved is used, so nobody waits for one but the first message of a boot. When a commit fails the request was
never received: not answered, forgotten, and its Partial IV is free again, so the retransmission is a new try.

A journal that was salvaged while the gateway runs knows less than we do, and so asks for more: it refuses a SenderRow
below the number from which a restart would begin (`store.meta`). Then this context begins there too.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome, Outdated, Row
from pave_gateway.core.oscore_contexts import DeviceContext
from pave_gateway.core.rows import SenderRow
from pave_gateway.ingress.coap_counters import CoapCounters
from pave_gateway.ingress.coap_exchanges import Exchanges, Incoming
from pave_wire.limits import OSCORE_RESERVE

Then = Callable[[], object]
Reservations = Callable[[], tuple[Mapping[str, int], int]]
"""Returns {device: the sender sequence number a restart would begin from}, and that of a device not in it."""

_PLENTY = OSCORE_RESERVE // 2  # sender sequence numbers left: no need to look closer


class Gate:
    """Stores what has to be on disk first."""

    def __init__(
        self, committer: Committer, exchanges: Exchanges, counters: CoapCounters, reservations: Reservations
    ) -> None:
        """`exchanges` forget a request that could not be stored."""
        self._committer = committer
        self._exchanges = exchanges
        self._counters = counters
        self._reservations = reservations

    def admission(self, context: DeviceContext) -> Sequence[Row]:
        """Return the rows that admit the request `context` has just accepted."""
        if context.reserved - context.sequence > _PLENTY:
            return (context.replay_row(),)
        sender = context.sender_row()
        return (context.replay_row(),) if sender is None else (context.replay_row(), sender)

    def admitted(self, context: DeviceContext, rows: Sequence[Row]) -> None:
        """Take note that `admission`'s rows are on disk."""
        context.window_stored = True
        if len(rows) > 1:
            sender = rows[1]
            if isinstance(sender, SenderRow):
                context.reserve(sender.reserved)

    def store(self, request: Incoming, then: Then) -> None:
        """Call `then` once the window that `request` has changed is on disk; never if it cannot be stored."""
        context = request.context
        if context is None:
            then()
            return
        rows = self.admission(context)
        try:
            self._committer.submit(rows, partial(self._stored, request, rows, then), urgent=True)
        except CommitterBusy:
            self.give_up(request)

    def give_up(self, request: Incoming) -> None:
        """Let `request` be as if it had never come."""
        self._counters.not_stored += 1
        self._exchanges.forget(request)
        if request.context is not None and request.exchange is not None:
            request.context.retract(request.exchange.number)

    def outdated(self, request: Incoming) -> None:
        """Give `request` up whose SenderRow was refused, and begin where the journal would have a restart begin."""
        if request.context is not None:
            self._leap(request.context)
        self.give_up(request)

    def with_number(self, context: DeviceContext | None, then: Then) -> None:
        """Call `then` when there is a sender sequence number for one message; never if none can be reserved.

        While there are some, that is at once, and half of them used, more are reserved on the side.
        """
        if context is None or context.sequence < context.reserved:
            then()
            if context is not None and not context.reserving:
                self._renew(context, _nothing)
        else:
            self._renew(context, then)

    def _stored(self, request: Incoming, rows: Sequence[Row], then: Then, outcome: Outcome) -> None:
        if isinstance(outcome, Committed) and request.context is not None:
            self.admitted(request.context, rows)
            then()
        elif isinstance(outcome, Outdated):
            self.outdated(request)
        else:
            self.give_up(request)

    def _leap(self, context: DeviceContext) -> bool:
        reserved, first = self._reservations()
        return context.leap(reserved.get(context.device, first))

    def _renew(self, context: DeviceContext, then: Then) -> None:
        row = context.sender_row()
        if row is None:
            return
        context.reserving = True
        try:
            self._committer.submit([row], partial(self._reserved, context, row, then), urgent=True)
        except CommitterBusy:
            context.reserving = False

    def _reserved(self, context: DeviceContext, row: SenderRow, then: Then, outcome: Outcome) -> None:
        context.reserving = False
        if isinstance(outcome, Committed):
            context.reserve(row.reserved)
            then()
        elif isinstance(outcome, Outdated) and self._leap(context):
            self._renew(context, then)


def _nothing() -> None:
    pass
