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

While any of this waits for the disk, the device may be removed or be given other keys. Its context is then gone, and
the request ends here: not answered, whatever became of its group, and nothing more of it is stored. A window of the old
keys would otherwise reach the disk behind the change of keys, and be taken for the window of the new ones.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome, Outdated, Row
from pave_gateway.core.oscore_contexts import DeviceContext
from pave_gateway.core.rows import SenderRow
from pave_gateway.ingress.coap_counters import CoapCounters
from pave_gateway.ingress.coap_exchanges import Exchanges, Incoming
from pave_gateway.store.errors import JournalError
from pave_wire.limits import OSCORE_RESERVE

Then = Callable[[], object]
Reservation = Callable[[str], int]
"""Returns the sender sequence number that a restart would begin from with a device; raises JournalError."""

_PLENTY = OSCORE_RESERVE // 2  # sender sequence numbers left: no need to look closer


class Gate:
    """Stores what has to be on disk first."""

    def __init__(
        self, committer: Committer, exchanges: Exchanges, counters: CoapCounters, reservation: Reservation
    ) -> None:
        """`exchanges` forget a request that could not be stored."""
        self._committer = committer
        self._exchanges = exchanges
        self._counters = counters
        self._reservation = reservation

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
        if self.lapsed(request):
            return
        rows = self.admission(context)
        try:
            self._committer.submit(rows, partial(self._stored, request, rows, then), urgent=True)
        except CommitterBusy:
            self.give_up(request)

    def lapsed(self, request: Incoming) -> bool:
        """Say whether the context of `request` is gone; it is then forgotten, and not to be stored or answered."""
        if request.context is None or not request.context.gone:
            return False
        self._exchanges.forget(request)
        return True

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
        """Call `then` when there is a sender sequence number for one message; never if none can be had.

        While there are some, that is at once, and half of them used, more are reserved on the side.
        """
        if context is not None and context.gone:
            return
        if context is None or context.sequence < context.reserved:
            then()
            if context is not None and not context.reserving:
                self._renew(context, _nothing)
        else:
            self._renew(context, then)

    def _stored(self, request: Incoming, rows: Sequence[Row], then: Then, outcome: Outcome) -> None:
        if self.lapsed(request):
            return
        if isinstance(outcome, Committed) and request.context is not None:
            self.admitted(request.context, rows)
            then()
        elif isinstance(outcome, Outdated):
            self.outdated(request)
        else:
            self.give_up(request)

    def _leap(self, context: DeviceContext) -> bool:
        try:
            return context.leap(self._reservation(context.device))
        except JournalError:  # whoever asked is given up, and asks again; the journal tells of its damage itself
            return False

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
        if context.gone:
            return
        if isinstance(outcome, Committed):
            context.reserve(row.reserved)
            then()
        elif isinstance(outcome, Outdated) and self._leap(context):
            self._renew(context, then)


def _nothing() -> None:
    pass
