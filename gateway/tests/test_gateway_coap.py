"""The CoAP front over real UDP, with clients by other hands: aiocoap and libcoap."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import aiocoap
import cbor2
import pytest
from gateway_support import (
    BAY,
    STRANGER,
    TAXI,
    binary,
    coap_client,
    config_in,
    reading,
    running,
    site_file,
    start_gateway,
    stats,
    stop_process,
)

from pave_gateway.core.committer import CommitterBusy
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import JournalReader
from pave_wire import model


@pytest.fixture
async def gateway(tmp_path):
    async with running(config_in(tmp_path)) as (_, addresses):
        yield addresses


def pack(*readings: model.Reading) -> bytes:
    return model.pack_readings(readings[0].device, list(readings))


def stored(tmp_path) -> list[str]:
    return [item.row.identity for item in JournalReader(tmp_path / "journal.sqlite").after(0, 1000)]


def problem_in(response: Any) -> dict[int, str]:
    assert response.opt.content_format == 257
    return cbor2.loads(response.payload)


async def test_a_posted_pack_is_answered_2_04_without_payload_and_is_on_disk_by_then(gateway, tmp_path):
    async with coap_client() as post:
        response = await post(gateway.coap, pack(reading(seq=1), reading(seq=2)))
    assert (str(response.code), response.payload) == ("2.04 Changed", b"")
    assert stored(tmp_path) == [f"{BAY}:1:1", f"{BAY}:1:2"]


async def test_a_repeated_pack_is_acknowledged_again_and_stored_once(gateway, tmp_path):
    async with coap_client() as post:
        for _ in range(3):
            response = await post(gateway.coap, pack(reading()))
            assert str(response.code) == "2.04 Changed"
    assert stored(tmp_path) == [f"{BAY}:1:1"]
    counters = (await stats(gateway))["since_start"]
    assert (counters["acknowledged"], counters["stored"], counters["repeated"]) == (3, 1, 2)


async def test_other_values_under_a_used_identity_are_answered_4_09_stored_nowhere_and_logged_once(
    gateway, tmp_path, caplog
):
    async with coap_client() as post:
        await post(gateway.coap, pack(reading(seq=1, occupied=True)))
        for _ in range(3):
            response = await post(gateway.coap, pack(reading(seq=0), reading(seq=1, occupied=False), reading(seq=2)))
            assert (str(response.code)[:4], int(response.code)) == ("4.09", 0x89)
            assert problem_in(response)[-1] == "Conflict"
            assert f"{BAY}:1:1 is in use" in problem_in(response)[-2]
        again = await post(gateway.coap, pack(reading(seq=0, epoch=2), reading(seq=1, epoch=2, occupied=False)))
    assert str(again.code)[:4] == "2.04"
    assert stored(tmp_path) == [f"{BAY}:1:1", f"{BAY}:2:0", f"{BAY}:2:1"]
    assert (await stats(gateway))["since_start"]["refused"]["conflict"] == 9
    lines = [record for record in caplog.records if "Conflict" in record.getMessage()]
    assert [record.levelname for record in lines] == ["WARNING"]


@pytest.mark.parametrize(
    ("payload", "content_format", "code", "title"),
    [
        (b"\xff", 112, "4.00", "CborError"),
        (b"\xa0", 112, "4.00", "SenmlError"),
        (cbor2.dumps([{0: "x", 2: 1}]), 112, "4.00", "ModelError"),
        (b"", 112, "4.00", "CborError"),
        (pack(reading()), 60, "4.15", "Wrong content-format"),
        (pack(reading()), None, "4.15", "Wrong content-format"),
        (b"\x80" + b"x" * 1023, 112, "4.00", "CborError"),
        (b"x" * 3000, 112, "4.13", "Too large"),
        (pack(reading(STRANGER)), 112, "4.03", "Unknown device"),
    ],
)
async def test_what_cannot_be_taken_is_answered_with_its_code_and_problem_details(
    gateway, tmp_path, payload, content_format, code, title
):
    async with coap_client() as post:
        response = await post(gateway.coap, payload, content_format)
    assert str(response.code)[:4] == code
    details = problem_in(response)
    assert details[-1] == title
    assert details[-2]
    assert stored(tmp_path) == []


async def test_a_commit_that_fails_is_answered_5_03_with_max_age_and_storing_resumes(tmp_path):
    async with running(config_in(tmp_path)) as (runtime, gateway), coap_client() as post:
        runtime.gateway.core.committer._journal._db.execute(
            "PRAGMA query_only=1"
        )  # of a connection given up after an error
        response = await post(gateway.coap, pack(reading()))
        assert str(response.code)[:4] == "5.03"
        assert response.opt.max_age == 2
        assert problem_in(response)[-1] == "Not stored"
        assert stored(tmp_path) == []
        await asyncio.sleep(response.opt.max_age)
        assert str((await post(gateway.coap, pack(reading()))).code)[:4] == "2.04"
    assert stored(tmp_path) == [f"{BAY}:1:1"]


class FullCommitter(InlineCommitter):
    """Takes no readings."""

    def __init__(self, journal, config, trusted_ms) -> None:
        super().__init__(journal)

    def submit(self, rows, done, urgent=False) -> None:
        if isinstance(rows[0], ReadingRow):
            raise CommitterBusy("4096 groups are waiting for the disk")
        super().submit(rows, done)


async def test_an_overloaded_gateway_answers_5_03_with_max_age(tmp_path):
    async with running(config_in(tmp_path), committer_factory=FullCommitter) as (_, gateway), coap_client() as post:
        response = await post(gateway.coap, pack(reading()))
    assert (str(response.code)[:4], response.opt.max_age) == ("5.03", 2)
    assert problem_in(response)[-1] == "Too busy"


class SlowCommitter(FullCommitter):
    """Commits after 0.3 s, longer than a client waits for its first answer."""

    def submit(self, rows, done, urgent=False) -> None:
        asyncio.get_running_loop().call_later(0.3, lambda: InlineCommitter.submit(self, rows, done))


async def test_a_slow_commit_is_answered_separately_and_not_before_it_is_done(tmp_path):
    async with running(config_in(tmp_path), committer_factory=SlowCommitter) as (_, gateway), coap_client() as post:
        answer = asyncio.ensure_future(post(gateway.coap, pack(reading())))
        await asyncio.sleep(0.2)
        assert not answer.done()
        assert str((await answer).code)[:4] == "2.04"


async def test_availability_follows_the_log(gateway):
    context: Any = await aiocoap.Context.create_client_context(transports=["udp6"])
    async with coap_client() as post:
        await post(gateway.coap, pack(reading(occupied=False)))
        await post(gateway.coap, pack(reading(TAXI)))
    response = await context.request(aiocoap.Message(code=aiocoap.GET, uri=f"coap://{gateway.coap}/a")).response
    await context.shutdown()
    assert response.opt.content_format == 112
    assert model.unpack_availability(response.payload)[0] == {"delivery": (1, 1), "taxi": (0, 1)}


async def test_the_state_of_the_bays_survives_a_restart(tmp_path):
    config = config_in(tmp_path)
    async with running(config) as (runtime, gateway), coap_client() as post:
        await post(gateway.coap, pack(reading(occupied=False)))
        before = [(bay.occupied, bay.since_ms, bay.seq) for bay in runtime.gateway.core.bays]
    async with running(config) as (runtime, _):
        assert [(bay.occupied, bay.since_ms, bay.seq) for bay in runtime.gateway.core.bays] == before
        assert before[0][0] is False


def libcoap(*arguments: str) -> str:
    command = [binary("coap-client-notls"), "-B", "5", *arguments]
    result = subprocess.run(command, capture_output=True, timeout=10, check=False)
    return (result.stdout + result.stderr).decode(errors="replace")


@pytest.mark.server
async def test_libcoap_posts_a_reading_and_reads_the_resources(gateway, tmp_path):
    report = tmp_path / "report.cbor"
    report.write_bytes(pack(reading()))
    uri = f"coap://{gateway.coap}"
    answer = await asyncio.to_thread(libcoap, "-m", "post", "-t", "112", "-v", "7", "-f", str(report), f"{uri}/r")
    assert "2.04" in answer
    assert stored(tmp_path) == [f"{BAY}:1:1"]
    links = await asyncio.to_thread(libcoap, "-m", "get", f"{uri}/.well-known/core")
    assert '</r>;ct="112"' in links
    assert '</a>;ct="112"' in links


@pytest.mark.server
async def test_libcoap_gets_4_00_with_problem_details_for_bad_cbor(gateway, tmp_path):
    bad = tmp_path / "bad.cbor"
    bad.write_bytes(b"\xff\xff")
    answer = await asyncio.to_thread(
        libcoap, "-m", "post", "-t", "112", "-v", "7", "-f", str(bad), f"coap://{gateway.coap}/r"
    )
    assert "4.00" in answer
    assert "CborError" in answer


def test_the_command_says_where_it_listens_and_sigterm_ends_it_with_status_0(tmp_path):
    process, addresses = start_gateway(["--site", str(site_file(tmp_path))])
    try:
        second = start_gateway_refused(tmp_path, addresses.coap)
    finally:
        status = stop_process(process)
    assert status == 0
    assert second.returncode == 2
    assert f"listen.coap {addresses.coap}: the port is taken by" in second.stderr
    assert "Traceback" not in second.stderr


def start_gateway_refused(tmp_path, coap: str) -> "subprocess.CompletedProcess[str]":
    other = tmp_path / "other"
    other.mkdir()
    command = [
        sys.executable,
        "-m",
        "pave_gateway",
        "run",
        "--site",
        str(site_file(other)),
        "--set",
        f"listen.coap={coap}",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, check=False)
