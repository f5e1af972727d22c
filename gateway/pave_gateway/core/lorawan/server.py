"""The network server of one site.

    receive_uplink -> copy of a known frame?   -> its reception
                   -> Join-Request             -> joins
                   -> data: MIC, FCnt          -> MAC commands -> application -> Ingest, with FcntUpRow: on disk
                                               -> copies are in -> windows     -> exchanges -> Downlink

Sans-I/O: frames, TX_ACKs and the time come in through methods, frames to send go out through `transmit`, what others
should know through `notify`. `now_ms` is the monotonic clock, by which windows and duty cycles are counted; wall-clock
time is only for readings and for what devices are told. After every call that comes in, `next_timeout()` says when
`handle_timeout` is due.

Nothing of a frame counts before it is on disk: neither its counter, nor its MAC answers, nor that its session has
begun. What is not authentic changes a counter and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core.committer import Committer
from pave_gateway.core.lorawan.admission import Admission
from pave_gateway.core.lorawan.application import LorawanApplication
from pave_gateway.core.lorawan.concentrators import Concentrators
from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.dedup import Dedup
from pave_gateway.core.lorawan.downlinks import DownlinkQueues, Fate, Message
from pave_gateway.core.lorawan.exchanges import Answerer
from pave_gateway.core.lorawan.housekeeping import Housekeeping
from pave_gateway.core.lorawan.joins import JoinServer
from pave_gateway.core.lorawan.links import Links
from pave_gateway.core.lorawan.ports import Clock, Keyring, RandomSource, RootKeyStore
from pave_gateway.core.lorawan.radio import Downlink, Reception, TxResult, Uplink
from pave_gateway.core.lorawan.roots import root_of
from pave_gateway.core.lorawan.rows import SessionsEndRow, StoredLorawan
from pave_gateway.core.lorawan.sessions import LoraSession, Sessions
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_gateway.core.lorawan.timers import Timers
from pave_gateway.core.lorawan.transmitter import Transmitter
from pave_gateway.core.lorawan.uplinks import prove
from pave_wire import lorawan
from pave_wire.errors import LorawanError
from pave_wire.lorawan import CONFIRMED_UP, JOIN_REQUEST, UNCONFIRMED_UP


@dataclass(frozen=True, slots=True)
class Joined:
    """A device has sent its first frame under a new session."""

    device: str
    dev_addr: int


@dataclass(frozen=True, slots=True)
class MessageTold:
    """What became of a message that was queued."""

    device: str
    number: int
    fate: Fate


Notice = Joined | MessageTold


class NetworkServer:
    """See above.

    Attributes:
        counters: What happened to frames.
        sessions: Of all devices.
        links: What links are like.
        concentrators: Who is there, and what each sent.
        joins: The join server; its `gate` tells who waits.
    """

    def __init__(
        self,
        settings: LorawanSettings,
        monotonic_ms: Callable[[], int],
        clock: Clock,
        era: Callable[[], int],
        source: RandomSource,
        keyring: Keyring,
        root_keys: RootKeyStore,
        committer: Committer,
        application: LorawanApplication,
        transmit: Callable[[Downlink], None],
        notify: Callable[[Notice], None],
    ) -> None:
        """Make one; `restore` follows.

        Args:
            settings: Of the site.
            monotonic_ms: The clock of every `now_ms` here: milliseconds that only pass.
            clock: The site's time, for what is told to devices and put into the log.
            era: Of the journal, see `LoraSessionRow`.
            source: Draws addresses and nonces.
            keyring: Seals session keys.
            root_keys: The devices that may join.
            committer: Of the journal.
            application: Takes the payloads.
            transmit: Sends a frame on its way to its concentrator.
            notify: Hears of devices and messages.
        """
        self._settings = settings
        self._keyring = keyring
        self._root_keys = root_keys
        self._era = era
        self._application = application
        self._notify = notify
        self.counters = LorawanCounters()
        self.sessions = Sessions()
        self.links = Links()
        self.concentrators = Concentrators(settings)
        self._timers = Timers()
        self._dedup = Dedup(_second_window_ms(settings))
        self._queues = DownlinkQueues(lambda device, number, fate: notify(MessageTold(device, number, fate)))
        self._housekeeping = Housekeeping(committer, self.concentrators, self.links, self._timers)
        self._transmitter = Transmitter(
            self.concentrators, self._timers, self.counters, transmit, settings.join_share, settings.lead_ms
        )
        self._answerer = Answerer(
            self._transmitter, keyring, self.counters, application.acknowledgement, self._housekeeping.frame_was_sent
        )
        self._admission = Admission(
            settings, monotonic_ms, clock, self.sessions, self.links, self._queues, application, self._answerer,
            self.counters, self._session_started,
        )  # fmt: skip
        self.joins = JoinServer(
            settings, monotonic_ms, era, source, keyring, root_keys, committer, self.sessions, self._dedup,
            self._timers, self._transmitter, self.counters, self._housekeeping.frame_was_sent,
        )  # fmt: skip

    def restore(self, stored: StoredLorawan, now_ms: int) -> None:
        """Take up what is on disk.

        Sessions of a backup are left: their counters have gone on since. Sessions under other root keys than the
        device's end: whoever was to end them was killed first, or its rows did not reach the disk.
        """
        by_device = {device.device: device for device in stored.devices}
        self._application.restore(stored.devices)
        self.links.restore({device.device: device.link for device in stored.devices})
        self.concentrators.restore(stored.airtime, now_ms)
        for device in stored.devices:
            self.joins.restore(device)
        era = self._era()
        outlived: dict[str, None] = {}
        for row in stored.sessions:
            device, keys = by_device.get(row.device), self._root_keys.lora(row.device)
            if device is None or keys is None:
                continue
            if device.root != root_of(keys):
                outlived[row.device] = None
            elif row.era == era:
                self.sessions.restore(device, row)
        if outlived:
            self._housekeeping.write([SessionsEndRow(device) for device in outlived])

    def receive_uplink(self, uplink: Uplink, now_ms: int) -> None:
        """Take a frame that a concentrator heard; its bytes may be anybody's."""
        self.counters.copies += 1
        if not uplink.is_possible:
            self.counters.malformed += 1
            return
        if not self.concentrators.heard(uplink.gateway_id, now_ms):
            return
        reception = self._dedup.find(uplink, now_ms)
        if reception is not None:
            self._copy(reception, uplink, now_ms)
            return
        try:
            kind = lorawan.frame_type(uplink.phy)
        except LorawanError:
            self.counters.malformed += 1
            return
        if kind == JOIN_REQUEST:
            self.joins.receive(uplink, now_ms)
        elif kind in (UNCONFIRMED_UP, CONFIRMED_UP):
            self._data(uplink, now_ms)
        else:
            self.counters.not_ours += 1

    def concentrator_reached(self, gateway_id: str, now_ms: int) -> None:
        """Note a PULL_DATA: `transmit` can send to this concentrator."""
        self.concentrators.reached(gateway_id, now_ms)

    def concentrator_lost(self, gateway_id: str) -> None:
        """Note that nothing can be sent to this concentrator until its next PULL_DATA."""
        self.concentrators.lost(gateway_id)

    def transmitted(self, token: int, result: TxResult, now_ms: int, power_dbm: int | None = None) -> None:
        """Take a TX_ACK for the `Downlink` with this token; `power_dbm` where it says what power it can use."""
        self._transmitter.transmitted(token, result, now_ms, power_dbm)

    def enqueue(self, device: str, message: Message, now_ms: int) -> int:
        """Queue a message for `device`; return the number under which `MessageTold` speaks of it.

        Raises:
            QueueFull: too much waits for it already.
        """
        number = self._queues.add(device, message)
        exchange = self._admission.of(device)
        if exchange is not None:
            self._answerer.answer(exchange, now_ms)
        return number

    def cancel(self, device: str, number: int) -> bool:
        """Take a message back; return False when it has been sent or never was."""
        queue = self._queues.of(device)
        item = queue.find(number)
        if item is not None:
            queue.drop([item])
        return item is not None

    def forget(self, device: str) -> None:
        """End the sessions of a device whose root keys are about to change, have changed, or are gone.

        Called before the new keys go to the disk, it has the end of the sessions there first: what was admitted under
        the old ones and is written behind it is out of date (`FcntUpRow`). Called again when the new keys are in
        effect, it ends what the device began in between. JoinNonce goes on; so does DevNonce, under the same keys.
        """
        self._admission.forget(device)
        if self.joins.forget(device):
            self._housekeeping.write([SessionsEndRow(device)])

    def next_timeout(self) -> int | None:
        """Return when `handle_timeout` is due, in monotonic ms; None for not at all."""
        return self._timers.next_ms

    def handle_timeout(self, now_ms: int) -> None:
        """Do what is due."""
        self._timers.run(now_ms)

    def close(self) -> None:
        """Hand to the disk what it does not have yet; to be called before the committer is closed."""
        self._housekeeping.close()

    def _copy(self, reception: Reception, uplink: Uplink, now_ms: int) -> None:
        if reception.closed:
            self.counters.late_copies += 1
            return
        reception.add(uplink, now_ms)
        if reception.when_closed is not None and len(reception.copies) >= self.concentrators.alive(now_ms):
            reception.close(now_ms)

    def _data(self, uplink: Uplink, now_ms: int) -> None:
        proven = prove(uplink.phy, self.sessions, self._keyring, self.counters)
        if proven is None:
            return
        reception = self._dedup.add(uplink, now_ms)
        if reception is None:
            self.counters.overflow += 1
            return
        if proven.frame is None:
            exchange = self._admission.repeated(proven.session, reception)
        else:
            exchange = self._admission.admit(proven.session, proven.frame, reception)
            self._housekeeping.link_changed(now_ms)
        if exchange is None:
            return
        if self.concentrators.alive(now_ms) <= 1:
            reception.close(now_ms)
        else:
            self._timers.at(now_ms + self._settings.dedup_ms, reception.close)
        windows_ms = 1000 * (proven.session.parameters.rx_delay_s + 1)
        self._timers.at(now_ms + windows_ms, lambda due_ms: self._admission.end(exchange))

    def _session_started(self, session: LoraSession) -> None:
        self._notify(Joined(session.device, session.dev_addr))


def _second_window_ms(settings: LorawanSettings) -> int:
    return 1000 * (settings.rx_delay_s + 1)
