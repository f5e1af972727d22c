"""A packet forwarder: the gateway's side of Semtech UDP version 2, between a concentrator and a network server.

Theory of operation. Received packets wait for the next fetch (every 10 ms) and go up together as PUSH_DATA, with a
status report when one is due. PULL_DATA goes out every 10 s, so that the server can answer; each PULL_RESP that can
be read is queued in the concentrator and answered with TX_ACK, whose body is empty when all is well. Nothing is sent
twice: what the network loses is lost. `PacketForwarder` takes bytes and the time and returns bytes; `GatewayLink`
puts it on asyncio.

Sources: PROTOCOL.TXT of Lora-net/packet_forwarder 4.0.1, PROTOCOL.md and lora_pkt_fwd.c of sx1302_hal 2.1.0.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator import trace as traces
from pave_emulator.air.concentrator import Concentrator, Uplink
from pave_emulator.air.jit_queue import Kind, TxPacket
from pave_emulator.air.network import Address
from pave_emulator.air.propagation import uniform
from pave_emulator.air.txpk import (
    GPS_EPOCH_UNIX_S,
    GPS_LEAP_S,
    Counters,
    GpsFix,
    Shape,
    Txpk,
    TxpkError,
    parse_txpk,
    rxpk,
    stat,
)
from pave_emulator.clock import Clock, Timer
from pave_emulator.trace import Trace

VERSION = 2
PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)

KEEPALIVE_S = 10.0
STAT_S = 30.0
FETCH_S = 0.010
PUSH_TIMEOUT_S = 0.100
MAX_BATCH = 255
TEMPERATURE_C = 25.0
_HEADER = 12


@dataclass(frozen=True)
class Outgoing:
    """A datagram to send: from the forwarder's upstream socket or its downstream one."""

    upstream: bool
    data: bytes


class PacketForwarder:
    """One gateway's forwarder, without sockets and clock.

    Args:
        eui: the gateway's EUI-64, 8 bytes.
        concentrator: its radio.
        trace: where a PULL_RESP that is dropped becomes a fault.
        seed: of the tokens.
        epoch_unix_s: Unix time at the clock's zero.
        shape: which forwarder's JSON and TX_ACK.
        gps: None while no GPS is locked; then there is neither "time" nor "tmms".
    """

    def __init__(
        self,
        eui: bytes,
        concentrator: Concentrator,
        trace: Trace,
        seed: int,
        epoch_unix_s: float,
        shape: Shape = Shape.SX1302,
        gps: GpsFix | None = None,
    ) -> None:
        if len(eui) != 8:
            raise ValueError(f"a gateway's EUI has 8 bytes, {eui.hex()} has {len(eui)}")
        self.eui, self.shape, self.gps = eui, shape, gps
        self._concentrator, self._trace = concentrator, trace
        self._seed, self._epoch_unix_s = seed, epoch_unix_s
        self._tokens = 0
        self._waiting: list[Uplink] = []
        self._unacknowledged: dict[bytes, float] = {}
        self._keepalive_s, self._stat_s = 0.0, STAT_S
        self._received = self._valid = self._forwarded = 0
        self._pushed = self._acknowledged = self._downlinks = 0
        self._sent_before = concentrator.sent

    def start(self, now_s: float) -> None:
        """Begin: PULL_DATA at once, a first report after STAT_S."""
        self._keepalive_s, self._stat_s = now_s, now_s + STAT_S

    def uplink(self, uplink: Uplink) -> None:
        """From the concentrator. Only packets with a valid CRC are forwarded, as by default."""
        self._received += 1
        if uplink.reception.crc_ok and uplink.reception.transmission.modulation.crc:
            self._valid += 1
            self._waiting.append(uplink)

    def next_event_s(self) -> float:
        """When `poll` has something to send."""
        due_s = min(self._keepalive_s, self._stat_s)
        if self._waiting:
            fetched_s = math.ceil(self._waiting[0].ended_s / FETCH_S - 1e-6) * FETCH_S
            due_s = min(due_s, fetched_s)
        return due_s

    def poll(self, now_s: float) -> list[Outgoing]:
        """What is due."""
        outgoing: list[Outgoing] = []
        if now_s >= self._keepalive_s:
            self._keepalive_s = now_s + KEEPALIVE_S
            outgoing.append(Outgoing(False, self._header(PULL_DATA)))
        report = ""
        if now_s >= self._stat_s:
            self._stat_s = now_s + STAT_S
            report = self._report(now_s)
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        if batch or report:
            outgoing.append(Outgoing(True, self._push(batch, report, now_s)))
        return outgoing

    def receive(self, data: bytes, now_s: float) -> list[Outgoing]:
        """A datagram from the server. What is no datagram of this protocol is ignored, as by the forwarder."""
        if len(data) < 4 or data[0] != VERSION:
            return []
        token = data[1:3]
        if data[3] == PUSH_ACK and token in self._unacknowledged:
            sent_s = self._unacknowledged.pop(token)
            self._acknowledged += now_s - sent_s <= PUSH_TIMEOUT_S
        if data[3] == PULL_RESP:
            return self._pull_resp(token, data[4:], now_s)
        return []

    def _pull_resp(self, token: bytes, body: bytes, now_s: float) -> list[Outgoing]:
        try:
            txpk = parse_txpk(body)
        except TxpkError as error:
            name = self._concentrator.site.name
            self._trace.record(now_s, name, traces.FAULT, what="PULL_RESP", reason=str(error))
            return []
        self._downlinks += 1
        return [Outgoing(False, self._header(TX_ACK, token) + self._submit(txpk, now_s).encode())]

    def _submit(self, txpk: Txpk, now_s: float) -> str:
        count_us, kind = txpk.tmst or 0, Kind.CLASS_C if txpk.immediate else Kind.CLASS_A
        if txpk.tmms is not None:
            if not self.gps:
                return _ack_error("GPS_UNLOCKED")
            at_s = txpk.tmms / 1000 + GPS_EPOCH_UNIX_S - GPS_LEAP_S - self._epoch_unix_s
            count_us, kind = self._concentrator.tmst(at_s), Kind.CLASS_B
        power_dbm = txpk.power_dbm - self._concentrator.site.antenna_gain_dbi
        packet = TxPacket(count_us, txpk.modulation, txpk.payload, power_dbm)
        answer = self._concentrator.submit(packet, kind, now_s)
        if answer.error:
            return _ack_error(answer.error)
        if answer.power_instead_dbm is None:
            return ""
        if self.shape is Shape.SX1301:
            return _ack_error("TX_POWER")
        return f'{{"txpk_ack":{{"warn":"TX_POWER","value":{answer.power_instead_dbm}}}}}'

    def _push(self, batch: list[Uplink], report: str, now_s: float) -> bytes:
        parts: list[str] = []
        if batch:
            packets = [rxpk(u, self.shape, self._epoch_unix_s + u.ended_s if self.gps else None) for u in batch]
            parts.append('"rxpk":[' + ",".join(packets) + "]")
        parts += [report] if report else []
        self._forwarded += len(batch)
        self._pushed += 1
        header = self._header(PUSH_DATA)
        self._unacknowledged = {t: s for t, s in self._unacknowledged.items() if now_s - s <= PUSH_TIMEOUT_S}
        self._unacknowledged[header[1:3]] = now_s
        return header + ("{" + ",".join(parts) + "}").encode()

    def _report(self, now_s: float) -> str:
        acknowledged = 100.0 * self._acknowledged / self._pushed if self._pushed else 0.0
        sent = self._concentrator.sent - self._sent_before
        counters = Counters(self._received, self._valid, self._forwarded, acknowledged, self._downlinks, sent)
        self._received = self._valid = self._forwarded = 0
        self._pushed = self._acknowledged = self._downlinks = 0
        self._sent_before = self._concentrator.sent
        return stat(counters, self.shape, self._epoch_unix_s + now_s, self.gps, TEMPERATURE_C)

    def _header(self, identifier: int, token: bytes | None = None) -> bytes:
        if token is None:
            self._tokens += 1
            token = int(uniform(self._seed, "token", self.eui.hex(), self._tokens) * 65536).to_bytes(2, "big")
        return bytes([VERSION]) + token + bytes([identifier]) + self.eui


def _ack_error(error: str) -> str:
    return f'{{"txpk_ack":{{"error":"{error}"}}}}'


@dataclass(frozen=True)
class Backhaul:
    """A gateway's way to its server. `latency_s` each way; `loss` is the probability that a datagram gets lost."""

    server: Address
    latency_s: float = 0.0
    loss: float = 0.0


class GatewayLink:
    """A forwarder on the running asyncio loop, with two sockets as the real one has. Datagrams are traced."""

    def __init__(
        self, forwarder: PacketForwarder, name: str, clock: Clock, backhaul: Backhaul, trace: Trace, seed: int
    ):
        self._forwarder, self._name, self._clock = forwarder, name, clock
        self._backhaul, self._trace, self._seed = backhaul, trace, seed
        self._transports: list[asyncio.DatagramTransport] = []
        self._timer: Timer | None = None
        self._datagrams = 0

    async def open(self) -> None:
        """Open the sockets and begin."""
        loop = asyncio.get_running_loop()
        for _ in range(2):
            transport, _protocol = await loop.create_datagram_endpoint(
                lambda: _Socket(self._arrived), remote_addr=self._backhaul.server
            )
            self._transports.append(transport)
        self._forwarder.start(self._clock.now_s())
        self._poll()

    def close(self) -> None:
        """Close the sockets."""
        if self._timer:
            self._timer.cancel()
        for transport in self._transports:
            transport.close()
        self._transports = []

    def uplink(self, uplink: Uplink) -> None:
        """From the concentrator."""
        self._forwarder.uplink(uplink)
        self._schedule()

    def _poll(self) -> None:
        for outgoing in self._forwarder.poll(self._clock.now_s()):
            self._send(outgoing)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._clock.call_at(self._forwarder.next_event_s(), self._poll) if self._transports else None

    def _send(self, outgoing: Outgoing) -> None:
        if self._survives("up", outgoing.data):
            self._clock.call_after(self._backhaul.latency_s, lambda: self._sendto(outgoing))

    def _sendto(self, outgoing: Outgoing) -> None:
        if self._transports:
            self._transports[0 if outgoing.upstream else 1].sendto(outgoing.data)

    def _arrived(self, data: bytes) -> None:
        if self._survives("down", data):
            self._clock.call_after(self._backhaul.latency_s, lambda: self._deliver(data))

    def _deliver(self, data: bytes) -> None:
        if not self._transports:
            return
        for outgoing in self._forwarder.receive(data, self._clock.now_s()):
            self._send(outgoing)

    def _survives(self, way: str, data: bytes) -> bool:
        self._datagrams += 1
        lost = uniform(self._seed, "backhaul", self._name, self._datagrams) < self._backhaul.loss
        self._trace.record(self._clock.now_s(), self._name, traces.DATAGRAM, way=way, data=data, lost=lost)
        return not lost


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._arrived(data)
