"""The Things Stack's side played by mosquitto (QoS 0) and by a stub of its storage: what is missed is fetched."""

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gateway_support import free_port, until
from lora_ingress_support import Disk, Mosquitto, Publisher
from lorawan_support import START_MS, eui, event_of, hello_of

from pave_gateway.config_lora_ingress import ThingsStackConfig
from pave_gateway.core import limits
from pave_gateway.findings import Severity
from pave_gateway.ingress import things_stack_doctor
from pave_gateway.ingress.mqtt_connection import BrokerSettings
from pave_gateway.ingress.things_stack_ingress import ThingsStackIngress
from pave_gateway.ingress.things_stack_storage import Storage, StorageError

pytestmark = pytest.mark.server
UID, KEY = "app1@lab", "NNSXS.SECRET"
DEVICES = [eui(0x100 + number) for number in range(8)]
A = DEVICES[0]


class StorageStub:
    """Stands for the storage integration: keeps uplinks, answers as documented, fails when told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.kept: list[tuple[str, str, bytes]] = []  # (received_at, device id, line)
        self.asked: list[dict[str, str]] = []
        self.refusals: list[tuple[int, str]] = []  # (status, header) of the next answers
        self.noise: list[bytes] = []  # lines among the others
        self.packages = ["storage-integration"]

    async def __aenter__(self) -> "StorageStub":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, header, body = self._answer(head)
            writer.write(f"HTTP/1.1 {status} X\r\n{header}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    def _answer(self, head: str) -> tuple[int, str, bytes]:
        url = urlsplit(head.split(" ")[1])
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append({"path": url.path, **query})
        if f"authorization: bearer {KEY.lower()}" not in head.lower():
            return 401, "", b""
        if self.refusals:
            status, header = self.refusals.pop(0)
            return status, header, b""
        if url.path.endswith("/packages/associations"):
            return 200, "", json.dumps({"defaults": [{"package_name": name} for name in self.packages]}).encode()
        device_id = url.path.split("/devices/")[1].split("/")[0] if "/devices/" in url.path else None
        wanted = [kept for kept in self.kept if kept[0] > query["after"] and device_id in (None, kept[1])]
        lines = [line for _, _, line in sorted(wanted)[: int(query["limit"])]]
        return 200, "", b"\n".join([*lines, *self.noise, b""])


class ThingsStackSide:
    """Publishes uplinks as The Things Stack does, and keeps them in the storage. `published = False` loses them."""

    def __init__(self, broker: Mosquitto, storage: StorageStub) -> None:
        self.broker = Publisher(broker.port, "v3/+/devices/+/down/+")
        self.storage = storage
        self.published = self.is_kept = True
        self._fcnt = {device: itertools.count() for device in DEVICES}
        self._seq = {device: itertools.count() for device in DEVICES}
        self._ms = itertools.count(START_MS + int(time.monotonic() * 1000), 5)
        self.sent: list[tuple[str, int, int]] = []

    def up(self, device: str, port: int, data: bytes) -> None:
        received_at = datetime.fromtimestamp(next(self._ms) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        uplink: dict[str, Any] = {
            "session_key_id": "AXA50tHUGUucuzS/bCGMNw==",
            "f_port": port,
            "f_cnt": next(self._fcnt[device]),
            "frm_payload": base64.b64encode(data).decode(),
            "rx_metadata": [{"gateway_ids": {"gateway_id": "gtw1"}, "rssi": -90, "snr": 7.5}],
            "settings": {
                "data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 9}},
                "frequency": "868100000",
            },
            "received_at": received_at,
        }
        uplink = {name: value for name, value in uplink.items() if value != 0}
        ids = {"device_id": f"bay-{device[-4:]}", "dev_eui": device.upper()}
        message = {"end_device_ids": ids, "received_at": received_at, "uplink_message": uplink}
        if self.is_kept:
            line = json.dumps({"result": message}).encode()
            self.storage.kept.append((received_at, ids["device_id"], line))
        if self.published:
            self.broker.publish(f"v3/{UID}/devices/{ids['device_id']}/up", json.dumps(message).encode(), 0)

    def hello(self, *devices: str) -> None:
        for device in devices:
            self.up(device, 3, hello_of())

    def event(self, device: str, oldest: bool = True) -> None:
        seq = next(self._seq[device])
        self.sent.append((device, 1, seq))
        self.up(device, 1, event_of(device, seq, occupied=bool(seq % 2), oldest=oldest))

    def told(self, device: str, event: str, **body: Any) -> None:
        ids = {"device_id": f"bay-{device[-4:]}", "dev_eui": device.upper()}
        message = {"end_device_ids": ids, f"downlink_{event}": body}
        self.broker.publish(f"v3/{UID}/devices/{ids['device_id']}/down/{event}", json.dumps(message).encode(), 0)

    @property
    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (push or replace, downlink) of each."""
        found = [(topic.rpartition("/")[2], json.loads(payload)) for topic, payload in list(self.broker.received)]
        return [(kind, body["downlinks"][0]) for kind, body in found if kind in ("push", "replace")]


@contextlib.contextmanager
def brokers(folder: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder)
    try:
        yield broker
    finally:
        broker.stop()


@contextlib.asynccontextmanager
async def gateway(folder: Path, port: int, storage: StorageStub) -> AsyncIterator[tuple[Disk, ThingsStackIngress]]:
    disk = Disk(folder / "journal.sqlite", DEVICES)
    ingress = ThingsStackIngress(settings(port), UID, storage_at(storage), disk.behind(DEVICES))
    disk.restore(ingress)
    ingress.start()
    try:
        await until(lambda: ingress.subscriber.status.connected)
        yield disk, ingress
    finally:
        await ingress.close()
        await disk.close()


def settings(port: int) -> BrokerSettings:
    return BrokerSettings("127.0.0.1", port, "3.1.1", "pave-lab", qos=0, username=UID, password=KEY)


def storage_at(stub: StorageStub, key: str = KEY) -> Storage:
    return Storage(f"http://127.0.0.1:{stub.port}", "app1", key)


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[Mosquitto, StorageStub, ThingsStackSide]]:
    async with StorageStub() as stub:
        with brokers(folder) as broker:
            side = ThingsStackSide(broker, stub)
            try:
                yield broker, stub, side
            finally:
                side.broker.stop()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFILL_AFTER_S", (0.05, 0.2, 0.4))
    monkeypatch.setattr(limits, "REFILL_SPACING_MS", 20)
    monkeypatch.setattr(limits, "REFILL_RETRY_FIRST_MS", 50)
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)


async def test_readings_are_stored_and_acknowledged_through_the_things_stack(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side), gateway(tmp_path, broker.port, stub) as (disk, ingress):
        side.hello(A)
        await until(lambda: len(side.commands) == 1)
        side.event(A)
        await until(lambda: len(side.commands) == 2)
        (first, welcome), (second, acknowledgement) = side.commands
        assert (first, welcome["f_port"]) == ("replace", 9)  # whatever an earlier run left in the queue
        assert (second, acknowledgement["f_port"], acknowledgement["frm_payload"]) == ("push", 6, "AQAA")
        side.told(A, "sent", correlation_ids=["as:downlink:01", welcome["correlation_ids"][0]])
        await until(lambda: ingress.downlinks.counters.sent == 1)
        side.event(A)
        await until(lambda: len(side.commands) == 3)
        assert side.commands[2][0] == "replace" and side.commands[2][1]["frm_payload"] == "AQAB"
        assert disk.stored == side.sent and stub.asked == []


async def test_what_was_published_while_the_gateway_was_away_is_fetched_when_it_returns(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side):
        async with gateway(tmp_path, broker.port, stub) as (disk, _):
            side.hello(*DEVICES)
            side.event(A)
            await until(lambda: disk.stored == side.sent)
        for number in range(200):
            side.event(DEVICES[number % len(DEVICES)])
        async with gateway(tmp_path, broker.port, stub) as (disk, ingress):
            await until(lambda: sorted(disk.stored) == sorted(side.sent))
            assert len(stub.asked) == 1 and stub.asked[0]["path"].endswith(
                "/applications/app1/packages/storage/uplink_message"
            )
            assert ingress.counters.refilled >= 200 and ingress.uplinks.counters.known >= 8
            side.event(A)
            await until(lambda: len(disk.stored) == len(side.sent))
            assert len(set(disk.stored)) == len(disk.stored)


async def test_a_gap_is_refilled_while_the_newer_frame_is_long_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side), gateway(tmp_path, broker.port, stub) as (disk, ingress):
        side.hello(A)
        side.event(A)
        await until(lambda: disk.stored == side.sent)
        side.published = False
        side.event(A)
        side.event(A)
        side.published = True
        side.event(A, oldest=False)
        await until(lambda: side.sent[3] in disk.stored)
        assert side.sent[1] not in disk.stored and stub.asked == []
        await until(lambda: sorted(disk.stored) == side.sent)
        assert "/devices/bay-0100/" in stub.asked[0]["path"]
        await until(lambda: ingress.refill.waiting == 0)
        assert ingress.uplinks.counters.late == 2 and ingress.uplinks.state(A).gaps == ()


async def test_a_frame_that_nobody_heard_is_asked_for_three_times_and_no_more(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side), gateway(tmp_path, broker.port, stub) as (disk, ingress):
        side.hello(A)
        side.event(A)
        side.published = side.is_kept = False
        side.event(A)
        side.published = side.is_kept = True
        side.event(A, oldest=False)
        await until(lambda: len(stub.asked) == 3 and ingress.refill.waiting == 0)
        await asyncio.sleep(0.5)
        assert len(stub.asked) == 3 and len(disk.stored) >= 2


async def test_a_storage_that_fails_is_asked_again_until_it_answers(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side):
        async with gateway(tmp_path, broker.port, stub) as (disk, _):
            side.hello(A)
            await until(lambda: len(side.commands) == 1)
        for _ in range(20):
            side.event(A)
        stub.refusals = [(503, ""), (429, "Retry-After: 0\r\n"), (500, "")]
        stub.noise = [b"garbage", b'{"result":{}}', b"  "]
        async with gateway(tmp_path, broker.port, stub) as (disk, ingress):
            await until(lambda: sorted(disk.stored) == side.sent)
            await until(lambda: not ingress.counters.error)
            assert ingress.counters.failures == 3 and ingress.counters.dropped["malformed"] == 2
            assert len(stub.asked) == 4


async def test_more_than_a_page_is_fetched_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFILL_PAGE", 30)
    async with site(tmp_path) as (broker, stub, side):
        async with gateway(tmp_path, broker.port, stub) as (disk, _):
            side.hello(A)
            await until(lambda: len(side.commands) == 1)
        side.published = False
        for _ in range(100):
            side.event(A)
        async with gateway(tmp_path, broker.port, stub) as (disk, _):
            await until(lambda: disk.stored == side.sent)
            assert len(stub.asked) == 4 and len({question["after"] for question in stub.asked}) == 4


async def test_a_gateway_without_a_storage_that_answers_takes_what_comes(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, side):
        stub.refusals = [(404, "")] * 100
        async with gateway(tmp_path, broker.port, stub) as (disk, ingress):
            side.hello(A)
            side.event(A)
            side.published = False
            side.event(A)
            side.published = True
            side.event(A, oldest=False)
            await until(lambda: len(disk.stored) >= 2 and ingress.counters.failures > 1)
            found = things_stack_doctor.findings(ingress)
            (finding,) = [finding for finding in found if finding.severity is Severity.ERROR]
            assert "activate it in the console" in finding.what and KEY not in finding.what


async def test_the_key_is_in_no_error_and_in_no_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as (broker, stub, _):
        wrong = storage_at(stub, "NNSXS.WRONG-KEY")
        with pytest.raises(StorageError) as refused:
            async with contextlib.aclosing(wrong.page(None, "2026-01-01T00:00:00Z")) as lines:
                await anext(lines)
        await wrong.close()
        assert "HTTP 401" in str(refused.value) and "WRONG-KEY" not in str(refused.value)
        assert all("WRONG-KEY" not in value for value in stub.asked[0].values())
        assert KEY not in repr(settings(broker.port)) and "WRONG-KEY" not in caplog.text


async def test_a_line_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFILL_LINE_BYTES", 1_000)
    async with StorageStub() as stub:
        stub.noise = [b"x" * 100_000]
        storage = storage_at(stub)
        with pytest.raises(StorageError, match="more than 1000 bytes"):
            async with contextlib.aclosing(storage.page(None, "2026-01-01T00:00:00Z")) as lines:
                async for _ in lines:
                    pass
        stub.noise = [b'{"error":{"message":"database is away"}}']
        with pytest.raises(StorageError, match="database is away"):
            async with contextlib.aclosing(storage.page(None, "2026-01-01T00:00:00Z")) as lines:
                await anext(lines)
        await storage.close()


async def test_the_doctor_looks_at_server_and_storage(tmp_path: Path) -> None:
    async with site(tmp_path) as (broker, stub, _):
        storage = storage_at(stub)

        async def said() -> list[str]:
            found = await things_stack_doctor.probe(settings(broker.port), UID, storage, START_MS)
            return [f"{finding.severity.value}: {finding.what}" for finding in found]

        assert [line.partition(":")[0] for line in await said()] == ["fine", "fine"]
        stub.packages = []
        assert "not active for the application" in (await said())[1]
        stub.refusals = [(200, ""), (403, "")]
        assert "this key does not show" in (await said())[1]
        stub.refusals = [(403, "")]
        assert (await said())[1].startswith("error") and stub.asked
        await storage.close()


def test_what_the_things_stack_does_not_promise_is_said() -> None:
    config = ThingsStackConfig(host="eu1.cloud.thethings.network", application="app1")
    severities = [finding.severity for finding in things_stack_doctor.promises(config)]
    assert severities == [Severity.WARNING, Severity.ERROR]
    assert len(things_stack_doctor.promises(ThingsStackConfig(host="lora.city.example", application="app1"))) == 1
