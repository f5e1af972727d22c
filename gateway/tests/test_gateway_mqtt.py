"""The MQTT sink against brokers by other hands, read by mosquitto_sub: never by code of ours."""

import asyncio
import contextlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_support import (
    BAY,
    binary,
    coap_client,
    config_in,
    free_port,
    mqtt_sink,
    reading,
    row,
    running,
    stats,
    stop_process,
    until,
    wait_for_port,
)
from outgoing_support import NEW, TRUE_MS, Town
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from pave_gateway.assembly.machine import Machine
from pave_gateway.config import Config
from pave_gateway.core import limits
from pave_gateway.core.instant import Dated, Quality, iso_utc
from pave_gateway.core.outgoing import Outgoing
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.sinks.engine import SinkEngine
from pave_gateway.sinks.mqtt import MqttSink
from pave_gateway.sinks.sink import Delivered, Rejected, Retry
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader
from pave_wire import model


def sink_with(port: int = 1, version: str = "5", topic: str = "pave/{site}/{kind}/{place}") -> MqttSink:
    return MqttSink("lab", "127.0.0.1", port, version, topic)


def told(item: ReadingRow) -> Outgoing:
    """Return what is told of a reading, with the times of the log."""
    return told_of(StoredReading(1, item))


def told_of(stored: StoredReading) -> Outgoing:
    dated = Dated(stored.row.received_ms, stored.row.read_ms, Quality.SYNCHRONIZED)
    return Outgoing(stored.position, stored.row, dated, f"at-{stored.row.device}", "delivery", True)


def test_the_message_of_a_reading_has_its_identity_its_place_its_times_and_its_values():
    item = ReadingRow(BAY, 1, 42, "presence", 9000, 8500, {"occupied": True, "reason": "field"}, synchronized=False)
    dated = Dated(1795414323620, 1795414323120, Quality.CORRECTED)
    topic, payload = sink_with().message(Outgoing(7, item, dated, "lab-l-01", "delivery", True))
    assert topic == "pave/lab/delivery/lab-l-01"
    assert json.loads(payload) == {
        "id": f"{BAY}:1:42",
        "device": BAY,
        "epoch": 1,
        "seq": 42,
        "site": "lab",
        "kind": "delivery",
        "place": "lab-l-01",
        "time": "2026-11-23T06:12:03.120Z",
        "received": "2026-11-23T06:12:03.620Z",
        "clock": "corrected",
        "class": "presence",
        "values": {"occupied": True, "reason": "field"},
    }


def test_a_topic_may_be_made_of_all_that_a_reading_belongs_to():
    item = Outgoing(7, row(), Dated(0, 0, Quality.SYNCHRONIZED), "lab-l-09", "removed", False)
    topic, _ = sink_with(topic="{site}/{kind}/{place}/{device}/{class}").message(item)
    assert topic == f"lab/removed/lab-l-09/{BAY}/presence"


async def test_a_broker_that_is_not_there_is_a_retry_that_names_it():
    port = free_port()
    verdicts = await sink_with(port).deliver([told(row())])
    assert isinstance(verdicts[0], Retry)
    assert f"127.0.0.1:{port}" in verdicts[0].reason


async def test_a_broker_that_accepts_and_says_nothing_is_given_up_and_leaves_no_socket_open(monkeypatch):
    monkeypatch.setattr(limits, "MQTT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = sink_with(silent.getsockname()[1])
        before = open_files()
        for _ in range(3):
            verdicts = await sink.deliver([told(row())])
            assert isinstance(verdicts[0], Retry)
        await asyncio.sleep(0.1)
        assert open_files() <= before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class ScriptedClient:
    """Stands in for the connection: a broker that answers each identity as the script says, and the rest with success.

    A publication is answered only when everything that can be published without an answer has been.
    """

    max_in_flight = 64

    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes
        self.published: list[str] = []
        self.most_in_flight = 0
        self._in_flight = 0

    async def publish_confirmed(self, topic, payload, retain, identity) -> ReasonCode:
        self.published.append(identity)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        await asyncio.sleep(0.01)
        self._in_flight -= 1
        return ReasonCode(PacketTypes.PUBACK, identifier=self._codes.get(identity, 0))

    async def __aexit__(self, *exc) -> None:
        pass


QUOTA_EXCEEDED = 0x97


def scripted(codes: dict[str, int]) -> tuple[MqttSink, ScriptedClient]:
    sink, client = sink_with(), ScriptedClient(codes)
    sink._client = client
    return sink, client


async def test_no_row_is_published_before_an_earlier_one_of_its_topic_that_the_broker_did_not_take():
    sink, client = scripted({f"{BAY}:1:2": QUOTA_EXCEEDED})
    verdicts = await sink.deliver([told(row(seq=seq)) for seq in range(1, 6)])
    assert client.published == [f"{BAY}:1:1", f"{BAY}:1:2"]
    assert [type(verdict) for verdict in verdicts] == [Delivered, Retry, Retry, Retry, Retry]
    assert "0x97" in verdicts[4].reason


async def test_topics_do_not_wait_for_each_other_and_keep_the_order_of_the_log():
    sink, client = scripted({})
    rows = [row(f"{number:016x}", seq=seq) for seq in (1, 2) for number in range(20)]
    verdicts = await sink.deliver([told(item) for item in rows])
    assert verdicts == [Delivered()] * 40
    assert client.most_in_flight == 20
    assert client.published == [item.identity for item in rows]


async def test_in_flight_is_bounded_by_what_the_broker_takes():
    sink, client = scripted({})
    client.max_in_flight = 7
    await sink.deliver([told(row(f"{number:016x}")) for number in range(30)])
    assert client.most_in_flight == 7


async def test_what_is_behind_a_failure_is_not_published_and_what_is_before_it_stays_delivered():
    sink, client = scripted({f"{4:016x}:1:1": QUOTA_EXCEEDED})
    client.max_in_flight = 8
    verdicts = await sink.deliver([told(row(f"{number:016x}")) for number in range(100)])
    assert verdicts[:4] == [Delivered()] * 4
    assert all(isinstance(verdict, Retry) for verdict in [verdicts[4], *verdicts[20:]])
    assert len(client.published) <= 16


async def test_a_row_refused_for_good_does_not_hold_back_its_topic():
    sink, _ = scripted({f"{BAY}:1:1": 0x99})
    verdicts = await sink.deliver([told(row(seq=seq)) for seq in (1, 2)])
    assert [type(verdict) for verdict in verdicts] == [Rejected, Delivered]


@contextlib.asynccontextmanager
async def falls_silent() -> AsyncIterator[int]:
    """Serve the port of a broker that accepts a connection and then never says another word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK of MQTT 3.1.1
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.alone
async def test_a_broker_that_falls_silent_costs_one_time_out_however_long_the_batch_and_fails_at_once(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(limits, "MQTT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(limits, "MQTT_IN_FLIGHT", 8)
    journal = Journal(tmp_path / "journal.sqlite")
    journal.write([[row(f"{number:016x}") for number in range(40)]])
    reader = JournalReader(tmp_path / "journal.sqlite")
    backed_off = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        backed_off.set()
        await asyncio.sleep(3600)

    async with falls_silent() as port:
        sink = sink_with(port, "3.1.1")
        engine = SinkEngine("city", sink, reader, InlineCommitter(journal), 0, random.Random(1), told_of, sleep)
        task = asyncio.create_task(engine.run())
        begun_s = time.monotonic()
        await asyncio.wait_for(backed_off.wait(), 20)
        assert time.monotonic() - begun_s < 3.0  # 40 rows, 8 at a time, would be 5 time-outs
        assert engine.failing
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Mosquitto:
    """A real broker that keeps its state over a restart."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self._binary = binary("mosquitto")
        self.port = free_port()
        self.conf = folder / "mosquitto.conf"
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\n{extra}"
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([self._binary, "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        stop_process(self.process)


class Subscriber:
    """mosquitto_sub with a session that survives a broker's restart; writes a line per message."""

    def __init__(self, folder: Path, port: int, version: str) -> None:
        self._output = (folder / "received.txt").open("w+")
        self._process = subprocess.Popen(
            [binary("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-V", version, "-i", "city", "-c",
             "-q", "1", "-t", "pave/#", "-F", "%t\t%P\t%p"],
            stdout=self._output,
        )  # fmt: skip

    def messages(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return (topic, user properties, payload) of each message so far."""
        lines = Path(self._output.name).read_text().splitlines()
        rows = [line.split("\t") for line in lines if line.endswith("}")]
        return [(topic, properties, json.loads(payload)) for topic, properties, payload in rows]

    def identities(self) -> list[str]:
        return [payload["id"] for _, _, payload in self.messages()]

    def stop(self) -> None:
        stop_process(self._process)
        self._output.close()


@contextlib.contextmanager
def stopping(*parts: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for part in parts:
            part.stop()


def fill_journal(folder: Path, count: int) -> list[str]:
    """Put readings in the journal before the gateway starts, and return their identities."""
    rows = [row(seq=seq, occupied=bool(seq % 2)) for seq in range(1, count + 1)]
    journal = Journal(folder / "journal.sqlite")
    journal.write([rows])
    journal.close()
    return [item.identity for item in rows]


async def subscribed(broker: Any, folder: Path, version: str) -> Subscriber:
    subscriber = Subscriber(folder, broker.port, version)
    await asyncio.sleep(0.3)
    return subscriber


@pytest.mark.server
async def test_readings_arrive_in_order_over_mqtt_5_with_their_identity_as_user_property(tmp_path):
    broker = Mosquitto(tmp_path)
    subscriber = await subscribed(broker, tmp_path, "5")
    with stopping(subscriber, broker):
        config = config_in(tmp_path, mqtt_sink(broker.port))
        async with running(config) as (runtime, gateway), coap_client() as post:
            for seq in range(1, 31):
                await post(gateway.coap, model.pack_readings(BAY, [reading(seq=seq)]))
            await until(lambda: len(subscriber.messages()) >= 30 and runtime.sinks[0].cursor == 30)
            assert (await stats(gateway))["sinks"]["city"]["backlog"] == 0
        messages = subscriber.messages()
    assert [payload["seq"] for _, _, payload in messages] == list(range(1, 31))
    assert {topic for topic, _, _ in messages} == {"pave/lab/delivery/lab-l-01"}
    assert messages[0][1] == f"id:{BAY}:1:1"


async def retained_after(folder: Path, outgoings: list[Outgoing]) -> dict[str, dict[str, Any]]:
    """Deliver to a real broker, then return what one who subscribes later gets, by topic."""
    broker = Mosquitto(folder)
    with stopping(broker):
        sink = sink_with(broker.port)
        verdicts = await sink.deliver(outgoings)
        await sink.close()
        assert verdicts == [Delivered()] * len(outgoings)
        subscriber = await subscribed(broker, folder, "5")
        with stopping(subscriber):
            await until(subscriber.messages)
            return {topic: payload for topic, _, payload in subscriber.messages()}


@pytest.mark.server
async def test_the_newest_state_of_a_bay_is_retained_and_an_older_one_or_none_does_not_replace_it(tmp_path):
    town = Town(tmp_path / "journal.sqlite")
    readings = [town.receive(seq=1), town.receive(seq=4, blind=True), town.receive(seq=3), town.receive(seq=5, load=1)]
    retained = await retained_after(tmp_path, [town.told(stored) for stored in readings])
    assert {topic: payload["id"] for topic, payload in retained.items()} == {"pave/lab/delivery/b1": f"{BAY}:1:4"}
    assert retained["pave/lab/delivery/b1"]["values"] == {"blind": True}


@pytest.mark.server
async def test_a_late_reading_of_a_replaced_device_goes_to_the_topic_of_its_place_and_is_not_retained(tmp_path):
    town = Town(tmp_path / "journal.sqlite")
    first = town.receive(seq=900)
    town.stand("b1", NEW)
    outgoings = [town.told(stored) for stored in (first, town.receive(NEW, seq=1), town.receive(seq=901))]
    assert {sink_with().message(outgoing)[0] for outgoing in outgoings} == {"pave/lab/delivery/b1"}
    retained = await retained_after(tmp_path, outgoings)
    assert {topic: payload["id"] for topic, payload in retained.items()} == {"pave/lab/delivery/b1": f"{NEW}:1:1"}


@pytest.mark.server
async def test_a_gateway_that_boots_in_1970_tells_the_city_of_right_times_only(tmp_path):
    clock = LateClock()
    broker = Mosquitto(tmp_path)
    subscriber = await subscribed(broker, tmp_path, "5")
    with stopping(subscriber, broker):
        config = config_in(tmp_path, mqtt_sink(broker.port))
        async with running(config, machine=clock.machine()) as (runtime, gateway), coap_client() as post:
            posted_ms = []
            for seq in (1, 2, 3, 4):
                begun_ms = clock.true_ms()
                await post(gateway.coap, model.pack_readings(BAY, [reading(seq=seq)]))
                posted_ms.append((begun_ms, clock.true_ms()))
                if seq == 3:
                    await until(lambda: runtime.sinks[0].held)
                    assert subscriber.messages() == []
                    clock.is_set = True
                    await until(lambda: len(subscriber.messages()) == 3)
            await until(lambda: len(subscriber.messages()) == 4)
        payloads = [payload for _, _, payload in subscriber.messages()]
    assert [payload["seq"] for payload in payloads] == [1, 2, 3, 4]
    assert [payload["clock"] for payload in payloads] == ["corrected"] * 3 + ["synchronized"]
    for payload, (begun_ms, answered_ms) in zip(payloads, posted_ms, strict=True):
        assert iso_utc(begun_ms - 5) <= payload["time"] <= iso_utc(answered_ms + 5)


class LateClock:
    """The clocks of a machine that boots in 1970."""

    def __init__(self) -> None:
        self.is_set = False
        self._began_s = time.monotonic()

    def true_ms(self) -> int:
        return TRUE_MS + self._up_ms()

    def _up_ms(self) -> int:
        return int((time.monotonic() - self._began_s) * 1000)

    def machine(self) -> Machine:
        source = random.Random(1)
        return Machine(
            self._up_ms,
            lambda: self.is_set * TRUE_MS + self._up_ms(),
            lambda: self.is_set,
            "boot",
            source.randbytes,
            source,
        )


@pytest.mark.server
async def test_after_a_restart_an_older_state_does_not_replace_the_retained_one_either(tmp_path):
    broker = Mosquitto(tmp_path)
    with stopping(broker):
        config = config_in(tmp_path, mqtt_sink(broker.port))
        await deliver_through_a_new_gateway(config, seq=2)
        await deliver_through_a_new_gateway(config, seq=1)  # late
        subscriber = await subscribed(broker, tmp_path, "5")
        with stopping(subscriber):
            await until(subscriber.messages)
            assert subscriber.identities() == [f"{BAY}:1:2"]


async def deliver_through_a_new_gateway(config: Config, seq: int) -> None:
    async with running(config) as (runtime, gateway), coap_client() as post:
        await post(gateway.coap, model.pack_readings(BAY, [reading(seq=seq)]))
        await until(lambda: runtime.sinks[0].cursor == runtime.gateway.core.reader.last_position() > 0)


@pytest.mark.server
async def test_a_broker_that_restarts_in_the_middle_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(limits, "MQTT_IN_FLIGHT", 4)  # slow enough to be in the middle
    identities = fill_journal(tmp_path, 3000)
    broker = Mosquitto(tmp_path)
    subscriber = await subscribed(broker, tmp_path, "5")
    with stopping(subscriber, broker):
        async with running(config_in(tmp_path, mqtt_sink(broker.port))) as (runtime, _):
            engine = runtime.sinks[0]
            await until(lambda: engine.cursor >= 256)
            broker.stop()
            cut_at = engine.cursor
            await asyncio.sleep(0.2)
            broker.start()
            await until(lambda: engine.cursor == len(identities), 20)
            await until(lambda: set(subscriber.identities()) == set(identities))
        received = subscriber.identities()
    assert cut_at < len(identities)
    assert set(received) == set(identities)
    assert len(received) - len(identities) <= limits.SINK_BATCH_ROWS  # only the batch that was cut comes twice


@pytest.mark.server
async def test_a_gateway_without_a_broker_stores_and_delivers_when_the_broker_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    broker = Mosquitto(tmp_path)
    broker.stop()
    async with running(config_in(tmp_path, mqtt_sink(broker.port))) as (_, gateway), coap_client() as post:
        response = await post(gateway.coap, model.pack_readings(BAY, [reading()]))
        assert str(response.code)[:4] == "2.04"
        await asyncio.sleep(0.1)
        assert (await stats(gateway))["sinks"]["city"]["failing"]
        broker.start()
        subscriber = await subscribed(broker, tmp_path, "5")
        with stopping(subscriber, broker):
            await until(subscriber.messages)
            assert subscriber.identities() == [f"{BAY}:1:1"]


@pytest.mark.server
async def test_a_publish_that_the_broker_refuses_by_reason_code_is_not_delivered(tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n")
    broker = Mosquitto(tmp_path, f"acl_file {acl}\n")
    with stopping(broker):
        sink = sink_with(broker.port)
        verdicts = await sink.deliver([told(row())])
        await sink.close()
    assert isinstance(verdicts[0], Retry | Rejected)
    assert "0x87" in verdicts[0].reason


class Amqtt:
    """The demo's broker, in its own process; MQTT 3.1.1 only."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        config = folder / "amqtt.yaml"
        config.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
        )
        command = [str(Path(sys.executable).parent / "amqtt"), "-c", str(config)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        stop_process(self.process)


@pytest.mark.server
async def test_readings_arrive_over_mqtt_3_1_1_through_amqtt(tmp_path):
    broker = Amqtt(tmp_path)
    identities = fill_journal(tmp_path, 300)
    subscriber = await subscribed(broker, tmp_path, "311")
    with stopping(subscriber, broker):
        async with running(config_in(tmp_path, mqtt_sink(broker.port, "3.1.1"))):
            await until(lambda: len(subscriber.messages()) >= len(identities), 15)
        assert subscriber.identities() == identities


async def test_a_broker_of_the_wrong_version_is_said_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MQTT_TIMEOUT_S", 2.0)
    broker = Amqtt(tmp_path)
    with stopping(broker):
        begun_s = time.monotonic()
        verdicts = await sink_with(broker.port, "5").deliver([told(row())])
    assert isinstance(verdicts[0], Retry)
    assert 'version = "3.1.1"' in verdicts[0].reason, verdicts[0].reason
    assert time.monotonic() - begun_s < 10
