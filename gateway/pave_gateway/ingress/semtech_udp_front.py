"""The server's side of Semtech UDP, sans-I/O: between packet forwarders and the network server.

    datagram -> header -> a concentrator of this site? -> answered at once, whatever it holds
                                                       -> PUSH_DATA: receptions -> `receive_uplink`
                                                       -> PULL_DATA: the way to it -> `concentrator_reached`
                                                       -> TX_ACK -> `transmitted`
    `transmit` -> PULL_RESP over that way, or UNREACHABLE

A forwarder waits 100 ms for its PUSH_ACK, so that leaves before the JSON is looked at. What is no datagram of a
concentrator of this site meets silence, a counter, and at most one line of the log in ten seconds.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pave_gateway.core.lorawan.ports import RandomSource
from pave_gateway.core.lorawan.radio import Downlink, TxResult, Uplink
from pave_gateway.ingress import semtech_udp as wire
from pave_gateway.ingress import semtech_udp_json as words
from pave_gateway.ingress.json_fields import JsonError
from pave_gateway.ingress.semtech_udp_peers import Address, Peer, Peers
from pave_gateway.log import LimitedLog

STRANGER, BODY, STRAY_ACK = "stranger", "body", "stray_ack"
REASONS = (*wire.REASONS, STRANGER, BODY, STRAY_ACK)
_TOKENS = 1 << 16


class Server(Protocol):
    """What is behind it (`core.lorawan.server.NetworkServer`)."""

    def receive_uplink(self, uplink: Uplink, now_ms: int) -> None:
        """Take a frame."""
        ...

    def concentrator_reached(self, gateway_id: str, now_ms: int) -> None:
        """Note that a concentrator asks for frames."""
        ...

    def transmitted(self, token: int, result: TxResult, now_ms: int, power_dbm: int | None = None) -> None:
        """Hear what became of a frame."""
        ...


@dataclass(slots=True)
class SemtechCounters:
    """Datagrams since the start.

    Attributes:
        received: All.
        pushes: PUSH_DATA of this site's concentrators.
        pulls: Their PULL_DATA.
        tx_acks: Their TX_ACK for frames that wait for one.
        frames: Frames taken.
        dropped: Datagrams that came to nothing, by reason.
        left_out: Elements of "rxpk", by reason.
        downlinks: PULL_RESP sent.
        unreachable: Frames for a concentrator without a way to it.
    """

    received: int = 0
    pushes: int = 0
    pulls: int = 0
    tx_acks: int = 0
    frames: int = 0
    dropped: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    left_out: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(words.REASONS, 0)))
    downlinks: int = 0
    unreachable: int = 0


class SemtechUdp:
    """See above.

    Attributes:
        peers: The forwarders.
        counters: What happened.
    """

    def __init__(
        self,
        allowed: frozenset[str] | None,
        monotonic_ms: Callable[[], int],
        source: RandomSource,
        send: Callable[[bytes, Address], None],
        log: LimitedLog,
    ) -> None:
        """Make one; `serve` follows.

        Args:
            allowed: EUI-64 of the site's concentrators as text; None admits any.
            monotonic_ms: The network server's clock.
            source: Draws tokens that cannot be guessed.
            send: Sends a datagram.
            log: For what the network can cause.
        """
        self._monotonic_ms = monotonic_ms
        self._random = source
        self._send = send
        self._log = log
        self._server: Server | None = None
        self.peers = Peers(allowed, monotonic_ms())
        self.counters = SemtechCounters()

    def serve(self, server: Server) -> None:
        """Hand everything to `server` from now on."""
        self._server = server

    def receive(self, data: bytes, address: Address, now_ms: int) -> None:
        """Take a datagram, anybody's."""
        self.counters.received += 1
        try:
            datagram = wire.parse(data)
        except wire.DatagramError as error:
            self.counters.dropped[str(error)] += 1
            return
        peer = self.peers.heard(datagram.gateway_id, now_ms)
        if peer is None or self._server is None:
            self._stranger(datagram.gateway_id, address)
        elif datagram.kind == wire.TX_ACK:
            self._tx_ack(peer, datagram, address, self._server, now_ms)
        else:
            self._send(wire.acknowledgement(datagram), address)
            if datagram.kind == wire.PULL_DATA:
                self._pull(peer, datagram, address, self._server, now_ms)
            else:
                self._push(peer, datagram, self._server, now_ms)

    def transmit(self, downlink: Downlink) -> None:
        """Send a frame on its way to its concentrator."""
        now_ms = self._monotonic_ms()
        peer = self.peers.find(downlink.gateway_id)
        way = peer.open_way(now_ms) if peer is not None else None
        if peer is None or way is None:
            self.counters.unreachable += 1
            if self._server is not None:
                self._server.transmitted(downlink.token, TxResult.UNREACHABLE, now_ms)
            return
        token = self._random.randrange(_TOKENS)
        while self.peers.expects(downlink.gateway_id, token):
            token = (token + 1) % _TOKENS
        self.peers.expect(peer, way, token, downlink.token, now_ms)
        self.counters.downlinks += 1
        self._send(wire.pull_resp(way.version, token, words.txpk(downlink)), way.address)

    def _push(self, peer: Peer, datagram: wire.Datagram, server: Server, now_ms: int) -> None:
        self.counters.pushes += 1
        try:
            found = words.pushed(datagram.body, datagram.gateway_id)
        except JsonError as error:
            self._drop(BODY, f"the PUSH_DATA of concentrator {peer.gateway_id} is of no use: {error}")
            return
        if found.stat is not None:
            peer.stats.append((now_ms, found.stat))
        peer.dropped.update(found.dropped)
        self.counters.left_out.update(found.dropped)
        for uplink in found.uplinks:
            peer.frame_ms, peer.frames = now_ms, peer.frames + 1
            self.counters.frames += 1
            server.receive_uplink(uplink, now_ms)

    def _pull(self, peer: Peer, datagram: wire.Datagram, address: Address, server: Server, now_ms: int) -> None:
        self.counters.pulls += 1
        if peer.asked(address, datagram.version, now_ms):
            server.concentrator_reached(peer.gateway_id, now_ms)
            return
        served = peer.way.address[0] if peer.way is not None else "nowhere"
        self._log.warning(
            "semtech claim",
            f"concentrator {peer.gateway_id} is served at {served} and was claimed from {address[0]}, which got "
            "nothing; let the forwarder reach this gateway over loopback, a LAN or a VPN alone",
        )

    def _tx_ack(self, peer: Peer, datagram: wire.Datagram, address: Address, server: Server, now_ms: int) -> None:
        expected = self.peers.answered(peer.gateway_id, datagram.token, address)
        if expected is None:
            self.counters.dropped[STRAY_ACK] += 1
            return
        self.counters.tx_acks += 1
        try:
            said = words.tx_ack(datagram.body)
        except JsonError as error:
            self._drop(BODY, f"the TX_ACK of concentrator {peer.gateway_id} is of no use: {error}")
            return
        if said.result is not TxResult.OK:
            name = said.error if said.error == said.result.value else "other"
            peer.refused[name] += 1
            self._log.warning(
                f"semtech refusal {peer.gateway_id} {name}",
                f"concentrator {peer.gateway_id} did not take a frame: {said.error}",
            )
        server.transmitted(expected.number, said.result, now_ms, said.power_dbm)

    def _stranger(self, gateway_id: str, address: Address) -> None:
        self._drop(
            STRANGER,
            f"a packet forwarder at {address[0]} calls its concentrator {gateway_id}, which this site does not know; "
            "if it is yours, add that to gateways in [semtech_udp]",
        )

    def _drop(self, reason: str, message: str) -> None:
        self.counters.dropped[reason] += 1
        self._log.warning(f"semtech {reason}", message)
