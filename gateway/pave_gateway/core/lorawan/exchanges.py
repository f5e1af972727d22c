"""An uplink's receive windows, and what is sent in them.

An exchange is ready when its frame is on disk *and* its copies are in. Then one frame goes out, put together for the
window that it gets: the first message of the queue that fits, MAC commands beside it, or MAC commands and whatever can
still be acknowledged, where something must be sent (an answer to a MAC command, a request, an ACK, an ADRACKReq). If
nothing is there yet, the exchange stays open until its second window closes, and a message queued meanwhile goes out.

Every frame takes a downlink counter that was reserved on disk, a frame that no window took in the end included: it may
have been on air.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_gateway.core.lorawan import mac
from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.downlinks import DownlinkQueue, Message, Priority, Queued
from pave_gateway.core.lorawan.mac import Command
from pave_gateway.core.lorawan.ports import Keyring
from pave_gateway.core.lorawan.radio import Reception
from pave_gateway.core.lorawan.sessions import LoraSession
from pave_gateway.core.lorawan.transmitter import Opportunity, Slot, Transmitter, Window
from pave_wire import lorawan, mac_commands, region
from pave_wire.limits import LORAWAN_FOPTS_BYTES
from pave_wire.lorawan import ACK, ADR, PENDING, Frame

_FRAME_BYTES = 12  # MHDR, FHDR without FOpts, MIC
_HOUR_MS = 3_600_000
_DEV_STATUS: Command = (mac_commands.DEV_STATUS, {})


@dataclass(slots=True, eq=False)
class Exchange:
    """One uplink and its windows.

    Attributes:
        session: Whose.
        frame: The uplink.
        reception: Its copies.
        queue: What waits for the device.
        ready: Called with the time when frame and copies are there, to make up what follows.
        answers: To its MAC commands.
        requests: MAC requests to make now.
        status_wanted: DevStatusReq may ride along.
        must_send: Something goes out even without a message.
        committed: The frame is on disk, or is to be refused.
        opportunity: Its windows, once the copies are in.
        used: A frame is on its way.
    """

    session: LoraSession
    frame: Frame
    reception: Reception
    queue: DownlinkQueue
    ready: Callable[[int], None]
    answers: list[Command] = field(default_factory=list[Command])
    requests: list[Command] = field(default_factory=list[Command])
    status_wanted: bool = False
    must_send: bool = False
    committed: bool = False
    opportunity: Opportunity | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Content:
    item: Queued | None
    message: Message | None
    commands: list[Command]
    fopts: bytes
    more: bool

    @property
    def phy_bytes(self) -> int:
        return _FRAME_BYTES + len(self.fopts) + (1 + len(self.message.data) if self.message else 0)


class Answerer:
    """Sends what exchanges have room for."""

    def __init__(
        self,
        transmitter: Transmitter,
        keyring: Keyring,
        counters: LorawanCounters,
        acknowledgement: Callable[[str], Message | None],
        on_air: Callable[[int], None],
    ) -> None:
        """`acknowledgement(device)` fills a frame that goes out anyway; `on_air(now_ms)` hears when one was sent."""
        self._transmitter = transmitter
        self._keyring = keyring
        self._counters = counters
        self._acknowledgement = acknowledgement
        self._on_air = on_air

    def answer(self, exchange: Exchange, now_ms: int) -> None:
        """Send what there is, if the exchange is ready."""
        session, opportunity = exchange.session, exchange.opportunity
        if exchange.used or not exchange.committed or opportunity is None or not session.in_use or session.ended:
            return
        contents: dict[int, _Content | None] = {
            window.number: self._content(exchange, window, now_ms) for window in opportunity.windows
        }
        if not any(contents.values()):
            return
        slot = None
        if session.fcnt_down < session.reserved:
            slot = self._transmitter.choose(opportunity, lambda window: _size(contents[window.number]), now_ms)
        content = contents[slot.window.number] if slot else None
        if slot is None or content is None:
            self._counters.no_window += 1
            return
        self._send(exchange, opportunity, slot, content, now_ms)

    def _send(self, exchange: Exchange, opportunity: Opportunity, slot: Slot, content: _Content, now_ms: int) -> None:
        session, item, message = exchange.session, content.item, content.message
        exchange.used = True
        if item is not None:
            exchange.queue.take(item)
            item.tries += 1
        mac.note_sent(session.mac, content.commands, exchange.frame.fcnt)
        if any(cid == mac_commands.DEV_STATUS for cid, _ in content.commands):
            session.mac.status_due_ms = now_ms + _HOUR_MS
        phy = self._encode(exchange, content)
        session.fcnt_down += 1
        session.answered = message

        def ended(on_air: bool, ended_ms: int) -> None:
            if on_air:
                self._sent(exchange, item)
                self._on_air(ended_ms)
            else:
                self._again(exchange, opportunity, content, phy, ended, ended_ms)

        self._transmitter.send(slot, opportunity, phy, ended)

    def _again(
        self,
        exchange: Exchange,
        opportunity: Opportunity,
        content: _Content,
        phy: bytes,
        ended: Callable[[bool, int], None],
        now_ms: int,
    ) -> None:
        """Send the same bytes where they still may go, or let the message wait for the next uplink."""

        def size(window: Window) -> int | None:
            return len(phy) if len(phy) - _FRAME_BYTES - 1 <= region.max_payload_bytes(window.data_rate) else None

        slot = None if exchange.session.ended else self._transmitter.choose(opportunity, size, now_ms)
        if slot is not None:
            self._transmitter.send(slot, opportunity, phy, ended)
        else:
            self._counters.no_window += 1
            if content.item is not None:
                exchange.queue.put_back(content.item)

    def _sent(self, exchange: Exchange, item: Queued | None) -> None:
        if item is None:
            return
        if item.message.confirmed and exchange.session.ended:
            exchange.queue.put_back(item)
        elif item.message.confirmed:
            exchange.session.unconfirmed = item
        else:
            exchange.queue.sent(item)

    def _encode(self, exchange: Exchange, content: _Content) -> bytes:
        session, message = exchange.session, content.message
        flags = exchange.frame.flags & ADR
        flags |= ACK if exchange.frame.confirmed else 0
        flags |= PENDING if content.more else 0
        return lorawan.encode_downlink(
            session.keys(self._keyring),
            session.fcnt_down,
            message.port if message else None,
            message.data if message else b"",
            content.fopts,
            flags,
            bool(message and message.confirmed),
        )

    def _content(self, exchange: Exchange, window: Window, now_ms: int) -> _Content | None:
        """Return what goes out in `window`, or None for nothing."""
        room = region.max_payload_bytes(window.data_rate)
        waiting = exchange.queue.waiting(now_ms)
        pressing = [*exchange.answers, *exchange.requests]
        commands = [*pressing, _DEV_STATUS] if exchange.status_wanted else pressing
        pressing_bytes = len(mac.fitting(pressing, LORAWAN_FOPTS_BYTES)[1])
        for item in waiting:
            spare = room - len(item.message.data)
            waits_for_mac = item.message.priority > Priority.ACKNOWLEDGEMENT and pressing_bytes > spare
            if spare >= 0 and not waits_for_mac:
                taken, fopts = mac.fitting(commands, min(LORAWAN_FOPTS_BYTES, spare))
                return _Content(item, item.message, taken, fopts, len(waiting) > 1)
        if not exchange.must_send and not pressing:
            return None
        taken, fopts = mac.fitting(commands, LORAWAN_FOPTS_BYTES)
        message = self._acknowledgement(exchange.session.device)
        if message is not None and len(message.data) + len(fopts) > room:
            message = None
        return _Content(None, message, taken, fopts, bool(waiting))


def _size(content: _Content | None) -> int | None:
    return None if content is None else content.phy_bytes
