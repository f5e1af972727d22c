"""The network server behind its UDP socket: the emulator's concentrator, forwarders by other hands, and load."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from lora_ingress_support import UdpSite
from lorawan_support import Device, event_of, hello_of
from semtech_vectors import packet, push

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.propagation import PathLoss
from pave_emulator.air.radio import Modulation
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.air.txpk import Shape
from pave_emulator.clock import VirtualClock
from pave_emulator.trace import Trace
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.ingress import semtech_udp as wire

EUI = "00000000000000a1"
SF7 = Modulation(868_100_000, 7, 125_000)
LOSS_DB = 100.0


class Mast:
    """The emulator's concentrator with its forwarder, and a device's antenna, on one air."""

    def __init__(self, clock: Any, address: Any, shape: Shape = Shape.SX1302, **backhaul: float) -> None:
        self.clock = clock
        self.trace = Trace(hashed=True)
        air = LoraAir(clock, 1, self.trace, PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0))
        radio = Concentrator(air, "gw", (0, 0, 10), tmst_at_start=(1 << 32) - 3_000_000)  # it wraps after three seconds
        forwarder = PacketForwarder(bytes.fromhex(EUI), radio, self.trace, 1, 1_795_000_000.0, shape)
        self.link = GatewayLink(forwarder, "gw", clock, Backhaul(address, **backhaul), self.trace, 1)
        radio.on_uplink = self.link.uplink
        radio.start(clock.now_s())
        self.antenna = air.radio("device", (0, 0, 0))
        self.antenna.attach(self)
        self.heard: list[bytes] = []

    def preamble_detected(self, now_s: float) -> None: ...
    def header_received(self, now_s: float, valid: bool) -> None: ...
    def packet_received(self, payload: bytes, crc_ok: bool, rssi_dbm: float, snr_db: float, now_s: float) -> None:
        self.heard.append(payload)

    async def exchange(self, phy: bytes, delay_s: float = 1.0) -> bytes | None:
        """Send, and listen for a while in the first receive window."""
        self.heard.clear()
        end_s = self.antenna.transmit(SF7, phy, 14, self.clock.now_s())
        await asyncio.sleep(end_s + delay_s - 0.005 - self.clock.now_s())
        self.antenna.listen(replace(SF7, inverted_iq=True), self.clock.now_s())
        await asyncio.sleep(0.15)
        self.antenna.stop_listening(self.clock.now_s())
        return self.heard[0] if self.heard else None


async def day_of_a_device(clock: Any, shape: Shape, events: int) -> tuple[UdpSite, list[int], str]:
    """Let a device join, say hello and report; return the site, the floors it was acknowledged, and the trace."""
    site = UdpSite(allowed=frozenset((EUI,)))
    mast = Mast(clock, await site.open(), shape)
    await mast.link.open()
    await asyncio.sleep(0.2)
    device: Device = site.devices[0]
    accept = await mast.exchange(device.join_request(), 5.0)
    assert accept is not None
    device.join(accept)
    floors: list[int] = []
    hello = await mast.exchange(device.uplink(3, hello_of()))
    assert hello is not None and device.hear(hello).port == 9
    for seq in range(events):
        answer = await mast.exchange(device.uplink(1, event_of(device.eui, seq, occupied=bool(seq % 2))))
        if answer is not None:
            frame = device.hear(answer)
            assert frame.port == 6
            floors.append(int.from_bytes(frame.payload[1:], "big"))
        await asyncio.sleep(20)
    mast.link.close()
    site.udp.close()
    return site, floors, mast.trace.digest()


def virtually(shape: Shape = Shape.SX1302, events: int = 6) -> tuple[UdpSite, list[int], str]:
    async def run() -> Any:
        return await day_of_a_device(VirtualClock(asyncio.get_running_loop()), shape, events)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("shape", list(Shape))
def test_a_device_joins_reports_and_is_acknowledged_through_the_emulators_concentrator(shape: Shape) -> None:
    site, floors, _ = virtually(shape)
    assert floors == [0, 1, 2, 3, 4, 5]
    assert sorted(seq for _, _, seq in site.store.readings) == [0, 1, 2, 3, 4, 5]
    counters = site.udp.front.counters
    assert counters.tx_acks == counters.downlinks == 8  # Join-Accept, welcome, six acknowledgements
    assert sum(counters.dropped.values()) == 0 and counters.pulls >= 12
    peer = site.udp.front.peers.find(EUI)
    assert peer is not None and peer.way is not None and peer.way.proven and peer.stats[-1][1].rxok is not None


def test_one_seed_gives_one_trace_of_datagrams() -> None:
    assert virtually(events=3)[2] == virtually(events=3)[2]


class Forwarder(asyncio.DatagramProtocol):
    """A forwarder's socket in the test's hands."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait(data)

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.received.get(), 5)


async def connected(address: tuple[str, int]) -> Forwarder:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(Forwarder, remote_addr=address)
    return protocol


async def test_a_session_of_datagrams_built_by_pamoja_is_served_to_its_satisfaction() -> None:
    gateway = pytest.importorskip("pamoja.gateway", reason="pamoja-gateway 0.2.0 writes and reads the datagrams")
    lora = pytest.importorskip("pamoja.lora", reason="pamoja-lora 0.2.0 has its link settings")
    site = UdpSite(allowed=frozenset((EUI,)))
    address = await site.open()
    up, down = await connected(address), await connected(address)
    device = site.devices[0]

    def push_of(phy: bytes, tmst: int) -> bytes:
        heard = gateway.Rxpk(
            868_300_000, phy, link=lora.link(9, 125_000), rssi_dbm=-101.0, snr_db=5.5, timestamp_us=tmst
        )
        return gateway.encode(gateway.Packet(gateway.PacketKind.PUSH_DATA, 0x1234, gateway=EUI, packets=[heard]))

    down.transport.sendto(gateway.encode(gateway.Packet(gateway.PacketKind.PULL_DATA, 0x77, gateway=EUI)))
    assert (gateway.parse(await down.next()).kind, site.server.concentrators.find(EUI) is not None) == ("PullAck", True)
    up.transport.sendto(push_of(device.join_request(), 0xFFFFFF00))
    acknowledged = gateway.parse(await up.next())
    assert (acknowledged.kind, acknowledged.token) == ("PushAck", 0x1234)
    response = gateway.parse(await down.next())
    txpk = response.transmit
    assert (txpk.frequency_hz, txpk.link.spreading_factor, txpk.link.bandwidth_hz) == (868_300_000, 9, 125_000)
    assert txpk.timestamp_us == (0xFFFFFF00 + 5_000_000) % (1 << 32)  # over the wrap
    assert (txpk.invert_polarity, txpk.without_crc, txpk.immediate, txpk.rf_chain) == (True, True, False, 0)
    device.join(txpk.payload)
    tx_ack = gateway.Packet(gateway.PacketKind.TX_ACK, response.token, gateway=EUI, tx_status=gateway.TxStatus.NONE)
    down.transport.sendto(gateway.encode(tx_ack))
    up.transport.sendto(push_of(device.uplink(3, hello_of()), 7_000_000))
    welcome = gateway.parse(await down.next())
    assert device.hear(welcome.transmit.payload).port == 9 and welcome.transmit.timestamp_us == 8_000_000
    assert site.udp.front.counters.tx_acks == 1 and site.store.groups
    for forwarder in (up, down):
        forwarder.transport.close()
    site.udp.close()


async def test_a_thousand_datagrams_are_acknowledged_within_a_forwarders_patience() -> None:
    site = UdpSite(allowed=frozenset((EUI,)))
    forwarder = await connected(await site.open())
    bodies = [push(packet(tmst=n, data="QAECAwQAAAABAgMEBQYHCAkK")) for n in range(8)]
    sent_s: dict[bytes, float] = {}
    delays_s: list[float] = []

    def heard(data: bytes, addr: Any) -> None:
        assert data[3] == wire.PUSH_ACK
        delays_s.append(time.perf_counter() - sent_s[data[1:3]])

    forwarder.datagram_received = heard  # type: ignore[method-assign]
    begun_s = time.perf_counter()
    for number in range(1_000):
        token = number.to_bytes(2, "big")
        sent_s[token] = time.perf_counter()
        forwarder.transport.sendto(b"\2" + token + b"\0" + bytes.fromhex(EUI) + bodies[number % 8])
        await asyncio.sleep(max(0.0, begun_s + (number + 1) / 1_000 - time.perf_counter()))
    await asyncio.sleep(0.1)
    assert len(delays_s) == 1_000 and site.server.counters.copies == 1_000
    assert sorted(delays_s)[989] < 0.1  # PUSH_TIMEOUT_MS of lora_pkt_fwd.c
    forwarder.transport.close()
    site.udp.close()


async def heard_by_two() -> None:
    """The server's timer ends the wait for copies: nothing comes in that would wake it."""
    site = UdpSite(allowed=frozenset((EUI, "00000000000000a2")))
    address = await site.open()
    mast = Mast(VirtualClock(asyncio.get_running_loop()), address)
    await mast.link.open()
    other = await connected(address)
    other.transport.sendto(b"\2\0\1\2" + bytes.fromhex("00000000000000a2"))
    await other.next()
    device = site.devices[0]
    accept = await mast.exchange(device.join_request(), 5.0)
    assert accept is not None
    device.join(accept)
    welcome = await mast.exchange(device.uplink(3, hello_of()))
    assert welcome is not None and site.server.concentrators.alive(site.udp.monotonic_ms()) == 2
    mast.link.close()
    other.transport.close()
    site.udp.close()


def test_a_frame_that_waits_for_its_copies_is_answered_by_the_clock_alone() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(heard_by_two())
