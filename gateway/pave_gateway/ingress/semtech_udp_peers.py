"""The packet forwarders of a site: which there are, where each is reached, what each said of itself.

The protocol has no authentication: who knows an EUI can send as its forwarder. An uplink then still needs a MIC; what
is left is to draw downlinks away, and against that stands this rule:

    A PULL_DATA opens the way to its forwarder. The newest way is the one, with one exception: a way is *proven* once
    a TX_ACK has come over it for a frame that went out over it, under a token drawn at random. While a proven way has
    asked for frames within 25 s, no other takes its place. It is proven no longer after two frames without a TX_ACK.

So who cannot read the traffic takes nothing away from a forwarder that runs. A forwarder that restarts, or whose NAT
gives it another port, waits 25 s at most. Who can read the traffic, or claims a forwarder that is off, gets its
downlinks, which are encrypted and go on air anyway: on loopback, a LAN or a VPN nobody does.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pave_gateway.core import limits
from pave_gateway.ingress.semtech_udp_json import Stat

Address = tuple[Any, ...]  # as asyncio gives it: host, port, and more for IPv6
_TELLS_VERSION = 2  # from which on a forwarder says what became of a frame


@dataclass(slots=True)
class Way:
    """Where a forwarder is reached.

    Attributes:
        address: From which it asked.
        version: Of the protocol.
        asked_ms: When it last did.
        proven: See above.
        unanswered: Frames in a row without a TX_ACK.
    """

    address: Address
    version: int
    asked_ms: int
    proven: bool = False
    unanswered: int = 0


def _stats() -> deque[tuple[int, Stat]]:
    return deque(maxlen=limits.SEMTECH_STATS)


@dataclass(slots=True, eq=False)
class Peer:
    """One forwarder.

    Attributes:
        gateway_id: The EUI-64 of its concentrator.
        first_ms: When it was first heard.
        heard_ms: When it last was, whatever it sent.
        way: To it; None before its first PULL_DATA.
        frame_ms: When it last brought a frame with a good CRC; None for never.
        frames: How many it brought.
        dropped: Elements of "rxpk" that were left out, by reason.
        claims: PULL_DATA from elsewhere that did not take its way.
        downlinks: PULL_RESP sent to it.
        refused: Of these, those it refused, by the error it gave.
        silent: Of these, those without a TX_ACK.
        stats: (when it came, status report), the newest last.
    """

    gateway_id: str
    first_ms: int
    heard_ms: int
    way: Way | None = None
    frame_ms: int | None = None
    frames: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    claims: int = 0
    downlinks: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    silent: int = 0
    stats: deque[tuple[int, Stat]] = field(default_factory=_stats)

    def asked(self, address: Address, version: int, now_ms: int) -> bool:
        """Take a PULL_DATA; return False where another way is kept."""
        way = self.way
        if way is not None and way.address == address:
            way.asked_ms, way.version = now_ms, version
            return True
        if way is not None and way.proven and now_ms - way.asked_ms < limits.SEMTECH_PROVEN_MS:
            self.claims += 1
            return False
        self.way = Way(address, version, now_ms)
        return True

    def open_way(self, now_ms: int) -> Way | None:
        """Return the way to it, None where there is none any more."""
        way = self.way
        return way if way is not None and now_ms - way.asked_ms < limits.SEMTECH_PATH_MS else None

    @property
    def bad_crc_share(self) -> float | None:
        """Share of the packets with a bad CRC, by its status reports; None where those say nothing."""
        told = [(stat.rxnb, stat.rxok) for _, stat in self.stats if stat.rxnb is not None and stat.rxok is not None]
        received = sum(rxnb for rxnb, _ in told)
        return 1 - min(received, sum(rxok for _, rxok in told)) / received if received else None


@dataclass(frozen=True, slots=True)
class Expected:
    """A PULL_RESP that waits for its TX_ACK: `number` as the network server names the frame."""

    number: int
    way: Way
    sent_ms: int


class Peers:
    """All of them, and the frames that wait for their word."""

    def __init__(self, allowed: frozenset[str] | None, now_ms: int) -> None:
        """`allowed` are the EUIs of the site's concentrators; None admits any."""
        self.allowed = allowed
        self.since_ms = now_ms  # from when on they are listened to
        self._known: dict[str, Peer] = {}
        self._expected: dict[tuple[str, int], Expected] = {}

    def __iter__(self) -> Iterator[Peer]:
        """In the order in which they came."""
        return iter(self._known.values())

    def find(self, gateway_id: str) -> Peer | None:
        """Return a forwarder that was heard."""
        return self._known.get(gateway_id)

    def heard(self, gateway_id: str, now_ms: int) -> Peer | None:
        """Note a sign of life; return None for a stranger, and for one more than there may be."""
        peer = self._known.get(gateway_id)
        if peer is None:
            is_stranger = self.allowed is not None and gateway_id not in self.allowed
            if is_stranger or len(self._known) >= limits.LORAWAN_CONCENTRATORS:
                return None
            peer = self._known[gateway_id] = Peer(gateway_id, now_ms, now_ms)
        peer.heard_ms = now_ms
        return peer

    def expects(self, gateway_id: str, token: int) -> bool:
        """Return whether `token` is in use towards a forwarder."""
        return (gateway_id, token) in self._expected

    def expect(self, peer: Peer, way: Way, token: int, number: int, now_ms: int) -> None:
        """Note a PULL_RESP, sent under `token` over `way`."""
        peer.downlinks += 1
        self._give_up(now_ms)
        if way.version >= _TELLS_VERSION and len(self._expected) < limits.SEMTECH_IN_FLIGHT:
            self._expected[peer.gateway_id, token] = Expected(number, way, now_ms)

    def answered(self, gateway_id: str, token: int, address: Address) -> Expected | None:
        """Take a TX_ACK; return what it is of, None for one that nobody waits for or that comes from elsewhere."""
        expected = self._expected.get((gateway_id, token))
        if expected is None or expected.way.address != address:
            return None
        del self._expected[gateway_id, token]
        expected.way.proven, expected.way.unanswered = True, 0
        return expected

    def _give_up(self, now_ms: int) -> None:
        """Wait no longer for what should have come."""
        for (gateway_id, token), expected in list(self._expected.items()):
            if now_ms - expected.sent_ms < limits.SEMTECH_TX_ACK_MS:
                break  # they are in the order in which they were sent
            del self._expected[gateway_id, token]
            self._known[gateway_id].silent += 1
            expected.way.unanswered += 1
            expected.way.proven = expected.way.proven and expected.way.unanswered < limits.SEMTECH_UNANSWERED
