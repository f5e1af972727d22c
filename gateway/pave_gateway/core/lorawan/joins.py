"""Over-the-air activation (TS001-1.0.4, 6.2), as the join server and the network server of a site.

    Join-Request -> known DevEUI and JoinEUI, MIC, DevNonce above the last -> held a second (copies come in, and the
    oldest of many is served first) -> room in a window of 5 or 6 s -> nonces and session on disk -> Join-Accept

A request that is not answered costs nothing: its DevNonce is remembered in memory alone. The session in use stays, and
the offered one takes over with its first uplink.

DevNonce counts under one pair of JoinEUI and AppKey (`roots`): a device that was flashed anew begins at 0. What it
asked for under keys that it has no more is dropped, wherever it is between request and accept. Its row may reach the
disk behind the new keys then; it names its own, so that nobody takes it for theirs.

JoinNonce is DevNonce * 256 plus eight random bits, or one more than the last if that is higher. It rises as the device
wants it, because DevNonce does; and it rises without anything remembered. So a gateway that was replaced, with an old
backup or none, has its devices join again without anyone touching them: a counter of its own would start below what
they have seen. While the nonces are remembered, no pair of nonces is used twice. After they were lost, somebody may
play back a Join-Request of before: the random bits, and the DevAddr drawn anew, make it another session than the one
of then, and no device sends under it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome
from pave_gateway.core.lorawan import parameters
from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.dedup import Dedup
from pave_gateway.core.lorawan.join_gate import JoinGate
from pave_gateway.core.lorawan.ports import Keyring, RandomSource, RootKeys, RootKeyStore
from pave_gateway.core.lorawan.radio import Reception, Uplink
from pave_gateway.core.lorawan.roots import root_of
from pave_gateway.core.lorawan.rows import JoinRow, LoraSessionRow, StoredDevice
from pave_gateway.core.lorawan.sessions import PURPOSE, NoAddressError, Sessions
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_gateway.core.lorawan.timers import Timers
from pave_gateway.core.lorawan.transmitter import Opportunity, Transmitter, Window
from pave_wire import lorawan_join, region
from pave_wire.errors import LorawanError, MicError, ReplayError
from pave_wire.lorawan_join import JOIN_NONCE_MAX, JoinAccept

ACCEPT_BYTES = 33
_NONCE_STEP = 256  # 24 bits of JoinNonce, 16 of DevNonce


@dataclass(slots=True)
class _Nonces:
    root: str = ""
    dev_nonce: int = -1
    join_nonce: int = -1
    offered: bool = False  # a session may be on disk


@dataclass(frozen=True, slots=True)
class _Request:
    device: str
    app_key: bytes
    nonces: _Nonces  # the device's, as long as it has these keys
    dev_nonce: int
    reception: Reception


class JoinServer:
    """Answers Join-Requests of the site's devices."""

    def __init__(
        self,
        settings: LorawanSettings,
        monotonic_ms: Callable[[], int],
        era: Callable[[], int],
        source: RandomSource,
        keyring: Keyring,
        root_keys: RootKeyStore,
        committer: Committer,
        sessions: Sessions,
        dedup: Dedup,
        timers: Timers,
        transmitter: Transmitter,
        counters: LorawanCounters,
        on_air: Callable[[int], None],
    ) -> None:
        """All of them are the network server's; `on_air(now_ms)` hears when a frame was sent."""
        self._settings = settings
        self._monotonic_ms = monotonic_ms
        self._era = era
        self._source = source
        self._keyring = keyring
        self._root_keys = root_keys
        self._committer = committer
        self._sessions = sessions
        self._dedup = dedup
        self._timers = timers
        self._transmitter = transmitter
        self._counters = counters
        self._on_air = on_air
        self._nonces: dict[str, _Nonces] = {}
        self.gate = JoinGate()

    def restore(self, device: StoredDevice) -> None:
        """Take up the nonces of a device as they are on disk."""
        self._nonces[device.device] = _Nonces(device.root, device.dev_nonce, device.join_nonce, bool(device.root))

    def forget(self, device: str) -> bool:
        """Drop what `device` has asked for; its keys are about to change, have changed, or are gone.

        Return whether a session of it may be on disk. One that stays there all the same, as the disk does not take its
        end, is harmless: under the same keys its counters are right, under others `NetworkServer.restore` leaves it.
        """
        self.gate.left(device)
        nonces = self._nonces.get(device)
        if nonces is None:
            return False
        self._nonces[device] = replace(nonces, offered=False)
        return nonces.offered

    def receive(self, uplink: Uplink, now_ms: int) -> None:
        """Take the first copy of a Join-Request."""
        try:
            join_eui, dev_eui = lorawan_join.join_request_euis(uplink.phy)
        except LorawanError:
            self._counters.malformed += 1
            return
        device = dev_eui.hex()
        keys = self._root_keys.lora(device)
        if keys is None or keys.join_eui != join_eui:
            self._counters.foreign += 1
            return
        nonces = self._nonces_under(device, keys)
        try:
            dev_nonce = lorawan_join.decode_join_request(keys.app_key, uplink.phy, nonces.dev_nonce)
        except ReplayError:
            self._counters.joins_replayed += 1
            return
        except MicError:
            self._counters.forged += 1
            return
        reception = self._dedup.add(uplink, now_ms)
        if reception is None:
            self._counters.overflow += 1
            return
        self._counters.join_requests += 1
        nonces.dev_nonce = dev_nonce
        request = _Request(device, keys.app_key, nonces, dev_nonce, reception)
        self.gate.asked(device, now_ms)
        self._timers.at(now_ms + limits.LORAWAN_JOIN_HOLD_MS, lambda due_ms: self._decide(request, due_ms))

    def _decide(self, request: _Request, now_ms: int) -> None:
        request.reception.close(now_ms)
        if self._is_dropped(request):
            return
        opportunity = Opportunity(request.reception, _windows(request.reception), is_join=True)
        nonces = request.nonces
        ahead = self.gate.ahead_of(request.device)
        room = self._transmitter.choose(opportunity, lambda window: ACCEPT_BYTES, now_ms, ahead)
        if room is None or nonces.dev_nonce != request.dev_nonce:
            self._counters.joins_deferred += 1
            return
        drawn = request.dev_nonce * _NONCE_STEP + self._source.randrange(_NONCE_STEP)
        join_nonce = max(nonces.join_nonce + 1, drawn)
        try:
            dev_addr = self._sessions.free_address(self._settings.addresses, self._source)
        except NoAddressError:
            self._counters.joins_deferred += 1
            return
        if join_nonce > JOIN_NONCE_MAX:
            self._counters.joins_exhausted += 1
            return
        self._commit(request, opportunity, join_nonce, dev_addr)

    def _commit(self, request: _Request, opportunity: Opportunity, join_nonce: int, dev_addr: int) -> None:
        settings = self._settings
        accept = JoinAccept(
            join_nonce,
            settings.net_id,
            dev_addr,
            settings.rx1_dr_offset,
            settings.rx2_data_rate,
            settings.rx_delay_s,
            settings.channels_hz,
        )
        keys = lorawan_join.session_of(request.app_key, accept, request.dev_nonce)
        session = LoraSessionRow(
            request.device,
            join_nonce,
            dev_addr,
            self._keyring.seal(request.device, PURPOSE, keys.nwk_skey + keys.app_skey),
            parameters.of_join(settings, request.reception.best.data_rate).text(),
            limits.LORAWAN_FCNT_DOWN_BLOCK,
            self._era(),
        )
        phy = lorawan_join.encode_join_accept(request.app_key, accept)

        def done(outcome: Outcome) -> None:
            if not isinstance(outcome, Committed):
                self._counters.not_stored += 1
                return
            self._nonces[request.device].join_nonce = join_nonce  # also where the request is dropped: it is used
            if not self._is_dropped(request):
                self._sessions.offer(session)
                self._send(request, opportunity, phy, self._monotonic_ms())

        join = JoinRow(request.device, request.nonces.root, request.dev_nonce, join_nonce)
        request.nonces.offered = True
        try:
            self._committer.submit([join, session], done, urgent=True)
        except CommitterBusy:
            self._counters.not_stored += 1

    def _send(self, request: _Request, opportunity: Opportunity, phy: bytes, now_ms: int) -> None:
        slot = self._transmitter.choose(opportunity, lambda window: len(phy), now_ms)
        if slot is None:
            self._counters.joins_deferred += 1
            return

        def ended(on_air: bool, ended_ms: int) -> None:
            if on_air:
                self._on_air(ended_ms)
                self.gate.answered(request.device)
                self._counters.join_accepts += 1
            elif not self._is_dropped(request):
                self._send(request, opportunity, phy, ended_ms)

        self._transmitter.send(slot, opportunity, phy, ended)

    def _nonces_under(self, device: str, keys: RootKeys) -> _Nonces:
        """Return the nonces of `device`; under other keys than before DevNonce counts anew, and JoinNonce goes on."""
        root = root_of(keys)
        nonces = self._nonces.setdefault(device, _Nonces(root))
        if nonces.root != root:
            nonces = self._nonces[device] = replace(nonces, root=root, dev_nonce=-1)
        return nonces

    def _is_dropped(self, request: _Request) -> bool:
        """Return whether the device's keys are others since, or gone; count it if so."""
        keys = self._root_keys.lora(request.device)
        is_current = keys is not None and root_of(keys) == request.nonces.root
        dropped = not is_current or self._nonces[request.device] is not request.nonces
        self._counters.joins_rekeyed += dropped
        return dropped


def _windows(reception: Reception) -> tuple[Window, Window]:
    """RX1 and RX2 of a join: the region's own, as the device knows no other yet."""
    uplink = reception.best
    return (
        Window(1, region.JOIN_ACCEPT_DELAY1_MS, uplink.frequency_hz, region.rx1_data_rate(uplink.data_rate, 0)),
        Window(2, region.JOIN_ACCEPT_DELAY2_MS, region.RX2_FREQUENCY_HZ, region.RX2_DATA_RATE),
    )
