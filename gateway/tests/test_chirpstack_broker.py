"""ChirpStack's events over a real mosquitto into a journal on disk: at least once on the wire, once in the log."""

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chirpstack_site import APPLICATION, DEVICES, ChirpStackSide, ingress_over, settings
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_support import free_port, until
from lora_ingress_support import Disk, Mosquitto

from pave_gateway.core import limits
from pave_gateway.findings import Severity
from pave_gateway.ingress import chirpstack_doctor, mqtt_doctor
from pave_gateway.ingress.chirpstack_ingress import ChirpStackIngress

pytestmark = pytest.mark.server
A, B = DEVICES[:2]


@contextlib.contextmanager
def broker_in(folder: Path, extra: str = "", qos: int = 1) -> Iterator[tuple[Mosquitto, ChirpStackSide]]:
    broker = Mosquitto(folder, extra)
    try:
        side = ChirpStackSide(broker.port, qos)
        try:
            yield broker, side
        finally:
            side.stop()
    finally:
        broker.stop()


@contextlib.asynccontextmanager
async def gateway(folder: Path, port: int, **more: Any) -> AsyncIterator[tuple[Disk, ChirpStackIngress]]:
    disk = Disk(folder / "journal.sqlite", DEVICES)
    ingress = ingress_over(disk, settings(port, **more))
    ingress.start()
    try:
        yield disk, ingress
    finally:
        await ingress.close()
        await disk.close()


async def session_in(folder: Path, port: int, side: ChirpStackSide, *devices: str) -> None:
    """Let a gateway subscribe, greet devices and go away: from now on the broker keeps what comes."""
    async with gateway(folder, port) as (_, ingress):
        await until(lambda: ingress.subscriber.status.connected)
        side.hello(*devices)
        await until(lambda: ingress.uplinks.counters.frames == len(devices))
        await until(lambda: not _unsettled(ingress))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_readings_are_stored_and_acknowledged_through_chirpstack(tmp_path: Path, version: str) -> None:
    with broker_in(tmp_path) as (broker, side):
        async with gateway(tmp_path, broker.port, version=version) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.told(A, "join", deduplicationId="c9dbe358", devAddr="00189440")
            side.hello(A)
            await until(lambda: len(side.commands) == 1)
            side.event(A)
            await until(lambda: len(side.commands) == 2)
            welcome, acknowledgement = side.commands
            assert (welcome["fPort"], acknowledgement["fPort"], acknowledgement["data"]) == (9, 6, "AQAA")
            assert acknowledgement["devEui"] == A and acknowledgement["expiresAt"].endswith("Z")
            assert side.broker.received[1][0] == f"application/{APPLICATION}/device/{A}/command/down"
            side.event(A)
            await until(lambda: ingress.uplinks.counters.frames == 3)
            assert len(side.commands) == 2  # one acknowledgement waits at ChirpStack
            side.told(A, "txack", queueItemId=acknowledgement["id"])
            await until(lambda: len(side.commands) == 3)
            assert side.commands[2]["data"] == "AQAB"
            assert disk.stored == side.sent and ingress.uplinks.counters.joins == 1


async def test_what_comes_while_the_gateway_is_away_is_there_when_it_returns(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        await session_in(tmp_path, broker.port, side, A)
        for _ in range(30):
            side.event(A)
        side.broker.flush()
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: disk.stored == side.sent)
            assert ingress.subscriber.status.session_present is True


def die(folder: Path, port: int, mode: str, kill_after: int) -> int:
    script = Path(__file__).with_name("chirpstack_site.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(folder), str(port), mode, str(kill_after)]
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode


async def test_killed_between_commit_and_puback_it_gets_them_again_and_stores_them_once(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        await session_in(tmp_path, broker.port, side, A, B)
        for _ in range(30):
            side.event(A)
            side.event(B)
        side.broker.flush()
        assert die(tmp_path, broker.port, "honest", 17) == -signal.SIGKILL
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: len(disk.stored) == 60 and ingress.subscriber.status.received >= 60 - 18)
            await until(lambda: not _unsettled(ingress))
            assert sorted(disk.stored) == sorted(side.sent)
            assert ingress.subscriber.status.redelivered > 0 and ingress.uplinks.counters.known > 0


def _unsettled(ingress: ChirpStackIngress) -> int:
    connection = ingress.subscriber._connection
    return len(connection._unsettled) if connection is not None else -1


async def test_the_kill_test_sees_a_gateway_that_acknowledges_before_the_commit(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        await session_in(tmp_path, broker.port, side, A)
        for _ in range(20):
            side.event(A)
        side.broker.flush()
        assert die(tmp_path, broker.port, "early", 12) == -signal.SIGKILL
        side.event(A)
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: side.sent[-1] in disk.stored)
            await until(lambda: not _unsettled(ingress))
            assert set(side.sent) - set(disk.stored)


class Wire:
    """A TCP proxy whose way to the broker can be muted, and which can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.muted = False
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, up_writer]
        with contextlib.suppress(OSError):
            await asyncio.gather(self._pump(reader, up_writer, True), self._pump(up_reader, writer, False))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool) -> None:
        while data := await reader.read(65536):
            if not (up and self.muted):
                writer.write(data)
        writer.close()


async def test_acknowledgements_that_are_lost_bring_messages_again_that_are_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    with broker_in(tmp_path) as (broker, side):
        async with Wire(broker.port) as wire, gateway(tmp_path, wire.port) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            await until(lambda: ingress.uplinks.counters.frames == 1)
            wire.muted = True
            for _ in range(10):
                side.event(A)
            await until(lambda: disk.stored == side.sent)
            wire.muted = False
            wire.cut()
            await until(lambda: ingress.uplinks.counters.known >= 10)
            side.event(A)
            await until(lambda: disk.stored == side.sent)
            status = ingress.subscriber.status
            await until(lambda: status.connections == 2)
            assert status.redelivered >= 10 and status.session_present


async def test_a_broker_that_restarts_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(limits, "BACKOFF_MAX_S", 0.2)
    with broker_in(tmp_path) as (broker, side):
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            for _ in range(50):
                side.event(A)
            side.broker.flush()
            broker.stop()
            await until(lambda: not ingress.subscriber.status.connected)
            assert ingress.subscriber.status.error
            broker.start()
            await until(lambda: ingress.subscriber.status.connected and side.broker.client.is_connected(), 20)
            for _ in range(10):
                side.event(A)
            await until(lambda: disk.stored == side.sent, 20)


async def test_garbage_and_devices_of_others_keep_nothing_back(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            for payload in (b"", b"{", b"\n\x24protobuf", b"[" * 5_000, b'{"deviceInfo":7}', b"x" * 100_000):
                side.publish(A, "up", payload)
                side.event(A)
            side.told("0101010101010101", "up", devAddr="00000001", data="qg==")
            side.event(A)
            await until(lambda: disk.stored == side.sent)
            await until(lambda: not _unsettled(ingress))
            assert sum(ingress.counters.dropped.values()) == 5 and ingress.subscriber.status.too_long == 1
            assert ingress.uplinks.counters.foreign == 1
            said = [finding.what for finding in chirpstack_doctor.findings(ingress)]
            assert any("events came to nothing" in line for line in said)
            assert any("of devices that this site does not have" in line for line in said)


@pytest.mark.parametrize("events", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_thousands_of_events_that_waited_are_stored_once_in_bounded_memory(tmp_path: Path, events: int) -> None:
    with broker_in(tmp_path) as (broker, side):
        await session_in(tmp_path, broker.port, side, *DEVICES)
        side.age_s = 3_600
        for number in range(events):
            side.event(DEVICES[number % len(DEVICES)])
        side.broker.flush()
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            begun_s, most = time.monotonic(), 0
            while ingress.uplinks.counters.frames < events:
                most = max(most, _unsettled(ingress))
                await asyncio.sleep(0.02)
                assert time.monotonic() - begun_s < 60
            assert most <= limits.MQTT_UNSETTLED
            assert sorted(disk.stored) == sorted(side.sent) and len(set(disk.stored)) == len(disk.stored)
            assert len(side.commands) == 2 * len(DEVICES)  # a welcome, and one acknowledgement for all of them


async def test_a_disk_that_takes_nothing_makes_the_broker_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MQTT_UNSETTLED", 16)
    with broker_in(tmp_path, "max_inflight_messages 1000\n") as (broker, side):
        async with gateway(tmp_path, broker.port, version="3.1.1") as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            journal = disk.committer._journal
            write = journal.write
            journal.write = _failing  # type: ignore[method-assign]
            side.hello(A)
            for _ in range(100):
                side.event(A)
            side.broker.flush()
            await asyncio.sleep(0.3)
            assert _unsettled(ingress) == 16 and ingress.subscriber.status.received == 16
            journal.write = write  # type: ignore[method-assign]
            await until(lambda: disk.stored == side.sent)


def _failing(groups: Any) -> Any:
    from pave_gateway.store.journal import JournalError

    raise JournalError("the disk is full")


async def test_events_published_with_qos_0_are_told_to_the_operator(tmp_path: Path) -> None:
    with broker_in(tmp_path, qos=0) as (broker, side):
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            side.event(A)
            await until(lambda: disk.stored == side.sent)
            found = chirpstack_doctor.findings(ingress)
            (finding,) = [finding for finding in found if finding.severity is Severity.ERROR]
            assert "QoS 0" in finding.what and "qos = 1 in [integration.mqtt]" in finding.next_step


async def test_two_gateways_under_one_id_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    with broker_in(tmp_path) as (broker, _):
        (tmp_path / "other").mkdir()
        async with gateway(tmp_path, broker.port) as (_, first):
            await until(lambda: first.subscriber.status.connected)
            async with gateway(tmp_path / "other", broker.port):
                await until(lambda: "client_id of its own" in first.subscriber.status.error)


async def test_the_doctor_sees_that_sessions_are_kept_and_qos_1_is_granted(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        for version in ("5", "3.1.1"):
            found = await chirpstack_doctor.probe(settings(broker.port, version), "+")
            assert [finding.severity for finding in found] == [Severity.FINE]
        await session_in(tmp_path, broker.port, side, A)
        side.event(A)
        side.broker.flush()
        await chirpstack_doctor.probe(settings(broker.port), "+")  # takes nothing from the gateway's own session
        async with gateway(tmp_path, broker.port) as (_, ingress):
            await until(lambda: ingress.uplinks.counters.frames == 1)


async def test_the_doctor_sees_a_broker_that_grants_less_or_is_not_there(tmp_path: Path) -> None:
    with broker_in(tmp_path, "max_qos 0\n") as (broker, _):
        found = await chirpstack_doctor.probe(settings(broker.port), "+")
        assert any("grants QoS 0" in finding.what for finding in found)
    found = await chirpstack_doctor.probe(settings(1), "+")
    assert [finding.severity for finding in found] == [Severity.ERROR] and "127.0.0.1:1" in found[0].what


def test_a_broker_off_this_machine_is_to_be_reached_with_tls() -> None:
    assert mqtt_doctor.transport(settings(1883)) == []
    remote = settings(1883).__class__("192.0.2.1", 1883, "5", "pave-lab", password="very secret")
    (finding,) = mqtt_doctor.transport(remote)
    assert finding.severity is Severity.WARNING and "without TLS" in finding.what
    assert "very secret" not in repr(remote) and json.dumps(finding.what)


async def test_a_broker_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF_FIRST_S", 0.05)
    with broker_in(tmp_path) as (broker, side):
        broker.stop()
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: "refused" in ingress.subscriber.status.error)
            (finding,) = chirpstack_doctor.findings(ingress)
            assert finding.severity is Severity.ERROR and "refused" in finding.what
            broker.start()
            await until(lambda: ingress.subscriber.status.connected and side.broker.client.is_connected(), 20)
            side.hello(A)
            side.event(A)
            await until(lambda: disk.stored == side.sent)


async def test_what_chirpstack_says_of_batteries_and_of_our_messages_is_heard(tmp_path: Path) -> None:
    with broker_in(tmp_path) as (broker, side):
        async with gateway(tmp_path, broker.port) as (_, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            side.event(A)
            await until(lambda: len(side.commands) == 2)
            side.told(A, "status", margin=10, externalPowerSource=True)
            side.told(A, "ack", queueItemId=side.commands[0]["id"], acknowledged=True)
            side.event(A)
            side.told(
                A, "log", level="WARNING", code="EXPIRED", context={"queue_item_id": side.commands[1]["id"]},
                description="the queue item has expired",
            )  # fmt: skip
            await until(lambda: len(side.commands) == 3)  # the acknowledgement that had waited
            told = ingress.downlinks.counters
            assert (told.sent, told.lost, ingress.counters.logged["EXPIRED"]) == (1, 1, 1)
            assert (ingress.links.of(A).battery, ingress.links.of(A).downlink_snr_db) == (0, 10)


async def test_a_message_that_our_own_code_fails_on_keeps_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker_in(tmp_path) as (broker, side):
        async with gateway(tmp_path, broker.port) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            await until(lambda: ingress.uplinks.counters.frames == 1)
            monkeypatch.setattr(ingress.uplinks, "told", _defect)
            side.told(A, "status", margin=1)
            side.event(A)
            await until(lambda: disk.stored == side.sent and not _unsettled(ingress))
            assert ingress.subscriber.status.failed == 1
            assert any("made this gateway fail" in finding.what for finding in chirpstack_doctor.findings(ingress))


def _defect(*arguments: object) -> None:
    raise LookupError("a defect")


async def test_a_broker_behind_tls_is_checked_by_its_certificate(tmp_path: Path) -> None:
    authority, options = certificates(tmp_path)
    with broker_in(tmp_path, f"listener {(tls_port := free_port())} 127.0.0.1\n{options}") as (_, side):
        async with gateway(tmp_path, tls_port, tls=True, ca_file=authority) as (disk, ingress):
            await until(lambda: ingress.subscriber.status.connected)
            side.hello(A)
            for _ in range(300):
                side.event(A)
            await until(lambda: disk.stored == side.sent)
        stranger = settings(tls_port, tls=True)  # the system's authorities do not know this one
        (finding,) = await chirpstack_doctor.probe(stranger, "+")
        assert finding.severity is Severity.ERROR and "certificate" in finding.what.lower()
        missing = settings(tls_port, tls=True, ca_file=tmp_path / "nowhere.pem")
        (finding,) = await chirpstack_doctor.probe(missing, "+")
        assert finding.severity is Severity.ERROR


def certificates(folder: Path) -> tuple[Path, str]:
    """Make an authority and a broker's certificate; return the authority's file and mosquitto's options."""
    begin = datetime.now(UTC) - timedelta(days=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "broker")]
    for number, file in enumerate(("authority.pem", "broker.pem")):
        builder = x509.CertificateBuilder(names[0], names[number], keys[number].public_key(), number + 1)
        builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=2))
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(x509.BasicConstraints(ca=not number, path_length=None), critical=True)
        builder = builder.add_extension(address, critical=False)
        certificate = builder.sign(keys[0], hashes.SHA256())
        (folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "broker.key").write_bytes(keys[1].private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return folder / "authority.pem", f"certfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
