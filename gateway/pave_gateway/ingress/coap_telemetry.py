"""`POST /r`: from an authentic request to the journal, and back to the device once it is there.

The replay window that admitted a report goes to disk in the transaction of its readings; then comes the bare 2.04.
Where a reading was in the log before, its device has not heard us, perhaps since it knows another name of its gateway:
the 2.04 then says ours (see `coap_outbox`). What is refused is answered once its window is on disk by itself.

    2.04 stored             4.00 not CBOR, SenML or readings     4.03 another device's, or of none of this site
    4.09 identity in use    4.13 more than a block, or no room   4.15 not application/senml+cbor
    5.03 not stored; Max-Age says when to return

Errors carry RFC 9290 problem details. When the disk takes nothing there is no answer under OSCORE, not even 5.03: the
window could not be stored either. The device sends again, and what it sends is new.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pave_gateway.core import limits
from pave_gateway.core.committer import Row
from pave_gateway.core.ingest import Accepted, Ingest, Refusal, Verdict
from pave_gateway.core.instant import Now
from pave_gateway.ingress.coap_counters import CoapCounters, Drops
from pave_gateway.ingress.coap_exchanges import Incoming
from pave_gateway.ingress.coap_outbox import Outbox
from pave_gateway.ingress.coap_pack import usual
from pave_gateway.ingress.oscore_gate import Gate
from pave_wire import coap, model
from pave_wire.coap import Message
from pave_wire.errors import WireError

USUAL = b"\x02\xb1r\x11\x70\xff"
"""POST, Uri-Path "r", Content-Format 112, payload: what the plaintext of nearly every request begins with."""

_ANSWERS = {
    Refusal.UNKNOWN_DEVICE: (coap.FORBIDDEN, "Unknown device"),
    Refusal.FOREIGN_VALUE: (coap.BAD_REQUEST, "Not this place's"),
    Refusal.BUSY: (coap.SERVICE_UNAVAILABLE, "Too busy"),
    Refusal.NOT_STORED: (coap.SERVICE_UNAVAILABLE, "Not stored"),
    Refusal.FULL: (coap.TOO_LARGE, "No room"),  # a device gives up what is refused with it alone
    Refusal.CONFLICT: (coap.CONFLICT, "Conflict"),  # RFC 8132, 2.3.2
}
_SENML_CBOR = coap.uint(model.CONTENT_FORMAT_SENML_CBOR)


class Telemetry:
    """Takes reports."""

    def __init__(
        self,
        ingest: Ingest,
        gate: Gate,
        outbox: Outbox,
        now: Callable[[], Now],
        counters: CoapCounters,
        drops: Drops,
    ) -> None:
        """`now` returns the site's time."""
        self._offer = ingest.offer
        self._gate = gate
        self._outbox = outbox
        self._now = now
        self._counters = counters
        self._drops = drops

    def take(self, request: Incoming, payload: bytes) -> None:
        """Take the SenML pack of a request."""
        context = request.context
        readings = None if context is None else usual(payload, context.device)
        if readings is None:
            try:
                readings = model.unpack_readings(payload)
            except WireError as error:
                self._refuse(request, coap.BAD_REQUEST, type(error).__name__, str(error))
                return
        if context is None or request.exchange is None:
            self._offer(readings, self._now(), partial(self._decided, request, None))
            return
        if readings[0].device != context.device:
            detail = f"readings of {readings[0].device} from {context.device}; a device sends its own"
            self._refuse(request, coap.FORBIDDEN, "Another device's", detail)
            return
        rows = self._gate.admission(context)
        # A window that began with this request is stored as it is: later ones are derived from it.
        counter = request.exchange.number if context.window_stored else None
        self._offer(readings, self._now(), partial(self._decided, request, rows), rows, counter)

    def take_unusual(self, request: Incoming, message: Message) -> None:
        """Take a request to /r whose options are not the usual ones."""
        found = message.option(coap.CONTENT_FORMAT)
        if message.option(coap.BLOCK1) is not None or len(message.payload) > limits.PACK_BYTES:
            detail = f"a pack has at most {limits.PACK_BYTES} bytes; send fewer readings at once"
            self._refuse(request, coap.TOO_LARGE, "Too large", detail)
        elif found != _SENML_CBOR:
            shown = None if found is None else int.from_bytes(found, "big")
            detail = f"content-format {shown}; send {model.CONTENT_FORMAT_SENML_CBOR} (senml+cbor)"
            self._refuse(request, coap.UNSUPPORTED_FORMAT, "Wrong content-format", detail)
        else:
            self.take(request, message.payload)

    def _decided(self, request: Incoming, rows: Sequence[Row] | None, verdict: Verdict) -> None:
        if self._gate.lapsed(request):
            return
        if isinstance(verdict, Accepted):
            if request.context is not None and rows is not None:
                self._gate.admitted(request.context, rows)
            self._counters.accepted += 1
            if verdict.repeated:
                self._counters.repeated += 1
                self._gate.with_number(request.context, partial(self._answer_repeated, request))
            else:
                self._outbox.accept(request)
        elif verdict.why is Refusal.REPLAYED:  # of what goes along here, that can only be a SenderRow
            self._gate.outdated(request)
        else:
            code, title = _ANSWERS[verdict.why]
            self._refuse(request, code, title, verdict.detail)

    def _answer_repeated(self, request: Incoming) -> None:
        self._outbox.answer(request, Message(coap.ACK, coap.CHANGED, 0))

    def _refuse(self, request: Incoming, code: int, title: str, detail: str) -> None:
        self._drops.refused(request.address, title, detail)
        self._gate.store(request, partial(self._answer_refused, request, code, title, detail))

    def _answer_refused(self, request: Incoming, code: int, title: str, detail: str) -> None:
        self._counters.refuse(coap.code_text(code))
        self._outbox.answer(request, problem(code, title, detail))


def problem(code: int, title: str, detail: str) -> Message:
    """Return a response with RFC 9290 problem details."""
    options = [(coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_PROBLEM))]
    if code == coap.SERVICE_UNAVAILABLE:
        options.append((coap.MAX_AGE, coap.uint(limits.RETRY_AFTER_S)))
    if code == coap.TOO_LARGE:
        options.append((coap.SIZE1, coap.uint(limits.PACK_BYTES)))
    return Message(coap.ACK, code, 0, b"", options, model.problem(title, detail[: limits.PROBLEM_CHARS]))
