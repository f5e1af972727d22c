"""The packet forwarder's just-in-time queue: which downlinks a concentrator accepts, and when it is given them.

Source: Semtech sx1302_hal 2.1.0, packet_forwarder/src/jitqueue.c and inc/jitqueue.h. All times are microseconds of the
concentrator's 32-bit counter, so differences are taken modulo 2^32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from pave_emulator.air.airtime import time_on_air_s
from pave_emulator.air.radio import Modulation

START_DELAY_US = 1_500
MARGIN_US = 1_000
JIT_DELAY_US = 40_000
"""So long before its time a packet is given to the concentrator."""
MAX_ADVANCE_US = 4 * 128_000_000
BEACON_GUARD_US = 3_000_000
BEACON_RESERVED_US = 2_120_000
MAX_PACKETS = 32
COUNTER = 1 << 32

TOO_LATE, TOO_EARLY = "TOO_LATE", "TOO_EARLY"
COLLISION_PACKET, COLLISION_BEACON = "COLLISION_PACKET", "COLLISION_BEACON"


class Kind(Enum):
    """What a packet is to the queue: timed by `tmst`, by GPS, at once, or a beacon."""

    CLASS_A = auto()
    CLASS_B = auto()
    CLASS_C = auto()
    BEACON = auto()


@dataclass(frozen=True)
class TxPacket:
    """A packet to send when the counter is at `count_us`; `power_dbm` at the antenna's connector."""

    count_us: int
    modulation: Modulation
    payload: bytes
    power_dbm: float


@dataclass(frozen=True)
class _Node:
    packet: TxPacket
    kind: Kind
    before_us: int
    after_us: int


class JitQueue:
    """Packets accepted and not yet given to the concentrator."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []

    def enqueue(self, packet: TxPacket, kind: Kind, now_us: int) -> TxPacket | str:
        """Accept a packet; return it with the time it goes out (class C gets one here), or an error of TX_ACK."""
        if len(self._nodes) >= MAX_PACKETS:
            return COLLISION_PACKET  # the forwarder answers a full queue so
        node = _node(packet, kind)
        if kind is Kind.CLASS_C:
            node = self._as_soon_as_possible(node, now_us)
        ahead_us = (node.packet.count_us - now_us) % COUNTER
        if ahead_us <= START_DELAY_US + MARGIN_US + JIT_DELAY_US:
            return TOO_LATE
        if kind in (Kind.CLASS_A, Kind.CLASS_B) and ahead_us > MAX_ADVANCE_US:
            return TOO_EARLY  # so is a time that has passed: it is nearly 2^32 us ahead
        for other in self._nodes:
            guard_ignored = other.kind is Kind.BEACON and kind in (Kind.CLASS_A, Kind.CLASS_C)
            if _collide(node, replace(other, before_us=START_DELAY_US) if guard_ignored else other):
                return COLLISION_BEACON if other.kind is Kind.BEACON else COLLISION_PACKET
        self._nodes.append(node)
        self._nodes.sort(key=lambda n: n.packet.count_us)
        return node.packet

    def take(self, packet: TxPacket) -> bool:
        """Give a packet to the concentrator: it no longer collides with others here. False when it is not queued."""
        queued = len(self._nodes)
        self._nodes = [node for node in self._nodes if node.packet is not packet]
        return len(self._nodes) < queued

    def _as_soon_as_possible(self, node: _Node, now_us: int) -> _Node:
        first = _at(node, now_us + 2 * JIT_DELAY_US)
        if not any(_collide(first, other) for other in self._nodes):
            return first
        candidate = first
        for i, other in enumerate(self._nodes):
            gap_us = other.after_us + node.before_us + JIT_DELAY_US + MARGIN_US
            candidate = _at(node, other.packet.count_us + gap_us)
            if i + 1 == len(self._nodes) or not _collide(candidate, self._nodes[i + 1]):
                break
        return candidate


def _node(packet: TxPacket, kind: Kind) -> _Node:
    if kind is Kind.BEACON:
        return _Node(packet, kind, START_DELAY_US + BEACON_GUARD_US + JIT_DELAY_US, BEACON_RESERVED_US)
    airtime_ms = round(time_on_air_s(packet.modulation, len(packet.payload)) * 1000)
    return _Node(packet, kind, START_DELAY_US + JIT_DELAY_US, airtime_ms * 1000)


def _at(node: _Node, count_us: int) -> _Node:
    return replace(node, packet=replace(node.packet, count_us=count_us % COUNTER))


def _collide(one: _Node, other: _Node) -> bool:
    after = (one.packet.count_us - other.packet.count_us) % COUNTER
    before = (other.packet.count_us - one.packet.count_us) % COUNTER
    overlaps_end = after <= one.before_us + other.after_us + MARGIN_US
    return overlaps_end or before <= other.before_us + one.after_us + MARGIN_US
