"""Semtech UDP: what a packet forwarder sends and understands, over bytes and over sockets."""

import asyncio
import base64
import json
from dataclasses import replace

import pytest
from lora_bench import LOSS_DB, SF7, Bench

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.propagation import PathLoss
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.air.txpk import GpsFix, Shape, TxpkError, parse_txpk
from pave_emulator.clock import VirtualClock, WallClock
from pave_emulator.trace import Trace
from pave_emulator.virtual_loop import VirtualLoop

EUI = bytes.fromhex("aa555a0000000001")
EPOCH_S = 1_396_000_000.0  # 2014-03-28 09:46:40 UTC
PAYLOAD = b"\x80\x01\x02\x03\x04\xff"


class Gateway:
    """A forwarder and its concentrator on a bench."""

    def __init__(self, **options):
        self.bench = Bench()
        self.clock = self.bench.clock
        self.radio = Concentrator(self.bench.air, "gw", (0, 0, 10))
        self.forwarder = PacketForwarder(EUI, self.radio, self.bench.trace, 1, EPOCH_S, **options)
        self.radio.on_uplink = self.forwarder.uplink
        self.radio.start(0.0)
        self.forwarder.start(0.0)

    def hear(self, when_s=1.0, payload=PAYLOAD, power_dbm=-20.0, modulation=SF7):
        self.bench.at(when_s, self.bench.sender(f"a{when_s}"), payload, power_dbm, modulation)
        self.clock.run_until(when_s + 2)

    def push(self, now_s):
        """The JSON of the one PUSH_DATA due."""
        (up,) = [o for o in self.forwarder.poll(now_s) if o.upstream]
        assert up.data[0:1] + up.data[3:12] == b"\x02\x00" + EUI
        return up.data[12:].decode()

    def pull_resp(self, token=b"\x12\x34", **fields):
        """The answer to a PULL_RESP; None when there is none."""
        txpk = {
            "imme": False,
            "tmst": round(self.clock.now_s() * 1e6) + 1_000_000,
            "freq": 868.1,
            "rfch": 0,
            "powe": 14,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "ipol": True,
            "size": 4,
            "data": base64.b64encode(b"down").decode(),
        }
        txpk = {key: value for key, value in (txpk | fields).items() if value is not None}
        body = json.dumps({"txpk": txpk}).encode()
        answers = self.forwarder.receive(b"\x02" + token + b"\x03" + body, self.clock.now_s())
        if not answers:
            return None
        (answer,) = answers
        assert answer.data[:12] == b"\x02" + token + b"\x05" + EUI
        assert not answer.upstream
        return answer.data[12:].decode()


def test_an_uplink_is_printed_as_sx1302_hal_does():
    gateway = Gateway()
    gateway.hear()
    assert gateway.push(3.0) == (
        '{"rxpk":[{"jver":1,"tmst":1036096,"chan":0,"rfch":1,"freq":868.100000,"mid": 8,"stat":1,"modu":"LORA",'
        '"datr":"SF7BW125","codr":"4/5","rssis":-120,"lsnr":-3.0,"foff":0,"rssi":-115,"size":6,"data":"gAECAwT/"}]}'
    )


def test_an_uplink_is_printed_as_the_sx1301_forwarder_does_with_gps():
    gateway = Gateway(shape=Shape.SX1301, gps=GpsFix(48.83986, 2.38123, 35))
    gateway.hear()
    assert gateway.push(3.0) == (
        '{"rxpk":[{"tmst":1036096,"time":"2014-03-28T09:46:41.036096Z","tmms":1080035219036,"chan":0,"rfch":1,'
        '"freq":868.100000,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","lsnr":-3.0,"rssi":-115,"size":6,'
        '"data":"gAECAwT/"}]}'
    )


def test_packets_of_one_fetch_go_together_and_bad_ones_stay():
    gateway = Gateway()
    other = replace(SF7, frequency_hz=868_300_000)
    gateway.bench.at(1.0, gateway.bench.sender("b"), b"b" * 6, -20, other)
    gateway.bench.at(1.0, gateway.bench.sender("c"), b"c" * 6, -20, replace(SF7, frequency_hz=868_500_000, crc=False))
    gateway.hear()
    assert gateway.forwarder.next_event_s() == 0.0  # the first PULL_DATA
    sent = json.loads(gateway.push(3.0))
    assert sorted(p["chan"] for p in sent["rxpk"]) == [0, 1]
    assert all("time" not in p for p in sent["rxpk"])


def test_a_packet_goes_up_at_the_next_fetch():
    gateway = Gateway()
    gateway.forwarder.poll(0.0)
    gateway.hear()
    assert gateway.forwarder.next_event_s() == pytest.approx(1.04)  # it ended at 1.036096


def test_pull_data_goes_out_at_once_and_every_ten_seconds():
    gateway = Gateway()
    sent = []
    for _ in range(3):
        now_s = gateway.forwarder.next_event_s()
        sent += [(now_s, o.upstream, o.data[3], o.data[4:]) for o in gateway.forwarder.poll(now_s)]
    assert sent == [(s, False, 2, EUI) for s in (0.0, 10.0, 20.0)]


def test_the_status_report_counts_since_the_last_one():
    gateway = Gateway()
    gateway.hear(1.0)
    gateway.hear(4.0, modulation=replace(SF7, crc=False))
    header = gateway.forwarder.poll(6.0)[1].data
    gateway.forwarder.receive(b"\x02" + header[1:3] + b"\x01", 6.05)
    assert gateway.pull_resp() == ""
    gateway.clock.run_until(30.0)
    assert gateway.push(30.0) == (
        '{"stat":{"time":"2014-03-28 09:47:10 GMT","rxnb":2,"rxok":1,"rxfw":1,"ackr":100.0,"dwnb":1,"txnb":1,'
        '"temp":25.0}}'
    )
    assert gateway.push(60.0) == (
        '{"stat":{"time":"2014-03-28 09:47:40 GMT","rxnb":0,"rxok":0,"rxfw":0,"ackr":0.0,"dwnb":0,"txnb":0,'
        '"temp":25.0}}'
    )


def test_an_acknowledgement_after_100_ms_does_not_count():
    gateway = Gateway(shape=Shape.SX1301, gps=GpsFix(48.83986, 2.38123, 35))
    gateway.hear()
    header = gateway.forwarder.poll(3.0)[1].data
    gateway.forwarder.receive(b"\x02" + header[1:3] + b"\x01", 3.2)
    assert gateway.push(30.0) == (
        '{"stat":{"time":"2014-03-28 09:47:10 GMT","lati":48.83986,"long":2.38123,"alti":35,"rxnb":1,"rxok":1,"rxfw":1,'
        '"ackr":0.0,"dwnb":0,"txnb":0}}'
    )


def test_a_downlink_that_is_accepted_is_acknowledged_without_a_body_and_sent():
    gateway = Gateway()
    ear = gateway.bench.ear(modulation=replace(SF7, inverted_iq=True))
    assert gateway.pull_resp() == ""
    gateway.clock.run_until(2)
    assert ear.packets == [(b"down", True)]
    sent = next(r for r in gateway.bench.records if r.fields.get("what") == "tx")
    assert (sent.t_us, sent.fields["power_dbm"], sent.fields["crc"]) == (1_000_000, 14, True)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"tmst": 40_000}, {"error": "TOO_LATE"}),
        ({"tmst": 600_000_000}, {"error": "TOO_EARLY"}),
        ({"freq": 915.0}, {"error": "TX_FREQ"}),
        ({"tmst": None, "tmms": 1_080_035_300_000}, {"error": "GPS_UNLOCKED"}),
        ({"powe": 30}, {"warn": "TX_POWER", "value": 27}),
    ],
)
def test_a_downlink_that_is_refused_says_why(fields, body):
    assert json.loads(Gateway().pull_resp(**fields)) == {"txpk_ack": body}


def test_the_sx1301_forwarder_calls_an_unsupported_power_an_error():
    assert json.loads(Gateway(shape=Shape.SX1301).pull_resp(powe=30)) == {"txpk_ack": {"error": "TX_POWER"}}


def test_two_downlinks_at_once_collide():
    gateway = Gateway()
    assert gateway.pull_resp(b"\x00\x01") == ""
    assert json.loads(gateway.pull_resp(b"\x00\x02")) == {"txpk_ack": {"error": "COLLISION_PACKET"}}


def test_gps_time_is_turned_into_the_counter():
    gateway = Gateway(gps=GpsFix(48.8, 2.4, 35))
    # 2014-03-28 09:46:45 UTC, 5 s after the clock's zero, with the 18 s of leap seconds the forwarder is built for.
    assert gateway.pull_resp(tmst=None, tmms=(1_396_000_005 - 315_964_800 + 18) * 1000) == ""
    gateway.clock.run_until(6)
    assert [r.t_us for r in gateway.bench.records if r.fields.get("what") == "tx"] == [5_000_000]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tmst": None}, "neither imme nor tmst nor tmms"),
        ({"modu": "FSK", "datr": 50000}, "only LORA is modelled"),
        ({"datr": "SF13BW125"}, "SF13BW125"),
        ({"codr": "4/9"}, "4/9"),
        ({"rfch": 1}, "rfch 1"),
        ({"freq": None}, "freq is missing"),
        ({"size": 5}, "size 5"),
        ({"data": "!!"}, "data"),
        ({"freq": "868.1"}, "is not a number"),
        ({"freq": float("nan")}, "is not a number"),
        ({"tmst": float("inf")}, "is not a number"),
        ({"size": True}, "is not a number"),
        ({"prea": 70_000}, "prea 70000"),
    ],
)
def test_what_cannot_be_read_is_dropped_and_traced(fields, what):
    gateway = Gateway()
    assert gateway.pull_resp(**fields) is None
    (fault,) = [r for r in gateway.bench.records if r.kind == "fault"]
    assert what in fault.fields["reason"]


def test_the_examples_of_the_protocol_are_read():
    # PROTOCOL.TXT section 6, first example; its data lacks padding.
    example = (
        b'{"txpk":{"imme":true,"freq":864.123456,"rfch":0,"powe":14,"modu":"LORA","datr":"SF11BW125","codr":"4/6",'
        b'"ipol":false,"size":32,"data":"H3P3N2i9qc4yt7rK7ldqoeCVJGBybzPY5h1Dd7P7p8v"}}'
    )
    txpk = parse_txpk(example)
    assert (txpk.immediate, txpk.power_dbm, len(txpk.payload)) == (True, 14, 32)
    modulation = txpk.modulation
    assert (modulation.frequency_hz, modulation.spreading_factor, modulation.coding_rate) == (864_123_456, 11, 6)
    assert modulation.low_data_rate
    for broken in (b"", b"[]", b'{"txpk":3}', b"\xff", b"[" * 100_000):
        with pytest.raises(TxpkError):
            parse_txpk(broken)


@pytest.mark.parametrize(
    "data", [b"", b"\x02\x00\x00", b"\x01\x00\x00\x03{}", b"\x02\x00\x00\x09", b"\x02\x00\x00\x01"]
)
def test_other_datagrams_are_ignored(data):
    gateway = Gateway()
    assert gateway.forwarder.receive(data, 0.0) == []
    assert not any(r.kind == "fault" for r in gateway.bench.records)


class Server(asyncio.DatagramProtocol):
    """A network server that acknowledges, and answers each uplink with a downlink one second later."""

    def __init__(self):
        self.got = []
        self.acks = []
        self._pull = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.got.append(data[3])
        if data[3] == 2:
            self._pull = addr
            self.transport.sendto(data[:3] + b"\x04", addr)
        elif data[3] == 0:
            self.transport.sendto(data[:3] + b"\x01", addr)
            for packet in json.loads(data[12:]).get("rxpk", ()):
                self._answer(packet)
        elif data[3] == 5:
            self.acks.append(data[12:])

    def _answer(self, packet):
        copied = {key: packet[key] for key in ("freq", "modu", "datr", "codr", "size", "data")}
        txpk = copied | {"tmst": packet["tmst"] + 1_000_000, "rfch": 0, "powe": 14, "ipol": True}
        self.transport.sendto(b"\x02\x00\x07\x03" + json.dumps({"txpk": txpk}).encode(), self._pull)


async def class_a(clock, backhaul=None, seed=1, uplinks=1, port=1700):
    """Devices that send and then listen one second after; how many got an answer, with the server and the trace."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", port))
    address = transport.get_extra_info("sockname")
    trace = Trace(hashed=True)
    air = LoraAir(clock, seed, trace, PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0))
    radio = Concentrator(air, "gw", (0, 0, 10))
    forwarder = PacketForwarder(EUI, radio, trace, seed, EPOCH_S)
    link = GatewayLink(forwarder, "gw", clock, replace(backhaul or Backhaul(address), server=address), trace, seed)
    radio.on_uplink = link.uplink
    radio.start(clock.now_s())
    await link.open()
    await asyncio.sleep(0.1)
    answered = []
    device = air.radio("device", (0, 0, 0))

    class Chip:
        def preamble_detected(self, now_s): ...
        def header_received(self, now_s, valid): ...
        def packet_received(self, payload, crc_ok, rssi_dbm, snr_db, now_s):
            answered.append(payload)

    device.attach(Chip())
    for n in range(uplinks):
        end_s = device.transmit(SF7, bytes([n]) * 4, 14, clock.now_s())
        await asyncio.sleep(end_s + 0.99 - clock.now_s())
        device.listen(replace(SF7, inverted_iq=True), clock.now_s())
        await asyncio.sleep(0.15)
        device.stop_listening(clock.now_s())
    link.close()
    transport.close()
    return answered, server, trace.digest()


def virtually(**options):
    async def run():
        return await class_a(VirtualClock(asyncio.get_running_loop()), **options)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


def test_a_server_on_a_virtual_loop_answers_a_device_in_its_window():
    answered, server, _ = virtually(uplinks=40)
    assert answered == [bytes([n]) * 4 for n in range(40)]
    assert server.acks == [b""] * 40
    assert server.got.count(2) == 5  # PULL_DATA at 0, 10, 20, 30 and 40 s
    assert server.got.count(0) == 41  # and one report


def test_a_slow_backhaul_makes_answers_too_late():
    quick = virtually(backhaul=Backhaul(("", 0), latency_s=0.4))
    slow = virtually(backhaul=Backhaul(("", 0), latency_s=0.5))
    assert quick[0] == [bytes(4)]
    assert slow[0] == []


def test_lost_datagrams_lose_their_packets_and_a_seed_decides_which():
    lossy = Backhaul(("", 0), loss=0.3)
    first = virtually(backhaul=lossy, uplinks=60)
    assert 15 < len(first[0]) < 45  # up and down: 0.7 * 0.7
    again = virtually(backhaul=lossy, uplinks=60)
    assert (again[0], again[2]) == (first[0], first[2])
    assert virtually(backhaul=lossy, uplinks=60, seed=2)[2] != first[2]


async def test_a_server_on_real_sockets_is_served_at_wall_clock():
    answered, server, _ = await class_a(WallClock(), port=0)
    assert answered == [bytes(4)]
    assert server.acks == [b""]


def test_an_eui_has_eight_bytes():
    with pytest.raises(ValueError, match="8 bytes"):
        PacketForwarder(b"\x01", Gateway().radio, Trace(), 1, EPOCH_S)
