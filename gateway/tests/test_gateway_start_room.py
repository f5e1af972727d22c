"""Starts on a disk without room: tried again, said seldom, answered over HTTP, done soon after there is room."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from control_support import Laboratory
from faulty_disk import FaultyDisk, broken, full, small_file_system
from gateway_support import BAY, TAXI, free_port, running, until

from pave_gateway.assembly import core as assembly
from pave_gateway.config import load
from pave_gateway.core import limits
from pave_gateway.runtime import Runtime
from pave_gateway.store.errors import JournalError, NoRoomError, lacks_room
from pave_gateway.store.journal import Journal
from pave_gateway.waiting import with_room

RESUMES_S = 5.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Try again ten times as often as a gateway does."""
    if "as_it_is" not in request.fixturenames:
        monkeypatch.setattr(limits, "START_AGAIN_S", limits.START_AGAIN_S / 10)
        monkeypatch.setattr(limits, "TEND_S", limits.TEND_S / 10)
        monkeypatch.setattr(limits, "UPKEEP_S", limits.UPKEEP_S / 10)


@pytest.fixture
def as_it_is() -> None:
    """For a test with the gateway's own intervals."""


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    made = FaultyDisk()
    monkeypatch.setattr(assembly, "Journal", partial(Journal, vfs=made.name))
    return made


@contextlib.asynccontextmanager
async def starting(lab: Laboratory) -> AsyncIterator[tuple[Runtime, "asyncio.Task[object]", str]]:
    """Begin to start a gateway; yield it, the start, and where it serves HTTP."""
    port = free_port()
    runtime = Runtime(load(lab.site, [f"listen.http=127.0.0.1:{port}"]))
    start = asyncio.create_task(runtime.start())
    try:
        yield runtime, start, f"http://127.0.0.1:{port}"
    finally:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await runtime.stop()


async def answer(url: str) -> httpx.Response:
    """Return the answer of what serves HTTP, once something does."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(10):
        while True:
            try:
                return await client.get(url)
            except httpx.ConnectError:
                await asyncio.sleep(0.02)


async def takes_room(start: "asyncio.Task[object]") -> float:
    """Return how long `start` still takes."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await asyncio.wait_for(asyncio.shield(start), 20)
    return loop.time() - began_s


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_start_that_has_to_write_waits_for_room_and_goes_on_by_itself(lab, disk, caplog, is_new):
    caplog.set_level(logging.INFO, "pave_gateway")
    if not is_new:  # something to write at the start: a place that is gone
        async with running(lab.config):
            pass
        lab.site.write_text(lab.site.read_text().replace('id = "lab-l-01"', 'id = "lab-l-99"'))
    disk.fault = full
    async with starting(lab) as (runtime, start, url):
        found = await answer(f"{url}/healthz")
        assert found.status_code == 503
        assert "the disk is full" in found.json()["storage_error"]
        assert "not started yet" in found.json()["findings"][0]["what"]
        assert (await answer(f"{url}/open-data/bays.geojson")).status_code == 503
        await asyncio.sleep(3 * limits.START_AGAIN_S)
        assert not start.done()
        disk.fault = None
        assert await takes_room(start) < RESUMES_S
        assert (await answer(f"{url}/healthz")).status_code == 200
        assert runtime.gateway.core.registrar.keys.gateway_id
    said = [record.getMessage() for record in caplog.records]
    assert sum("not started yet" in line for line in said) == 1
    assert sum("the disk has room" in line for line in said) == 1
    assert all(said.count(line) <= 2 for line in said), "an attempt says what the one before has said"


async def test_what_is_wrong_besides_the_room_refuses_the_start_as_ever(lab, disk):
    disk.fault = broken
    with pytest.raises(JournalError) as caught:
        async with running(lab.config):
            pass
    assert not lacks_room(caught.value)


async def test_what_turns_out_wrong_once_there_is_room_refuses_the_start_and_frees_the_ports(lab, disk):
    disk.fault = full
    async with starting(lab) as (_, start, url):
        await answer(f"{url}/healthz")
        disk.fault = broken
        with pytest.raises(JournalError):
            await asyncio.wait_for(start, 10)
    disk.fault = None
    async with running(lab.config) as (_, addresses):
        assert (await answer(f"http://{addresses.http}/healthz")).status_code == 200


async def test_a_start_that_waits_for_room_ends_when_it_is_told_to(lab, disk):
    disk.fault = full
    async with starting(lab) as (_, start, url):
        await answer(f"{url}/healthz")
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(start, 5)
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get(f"{url}/healthz")


async def test_a_start_that_is_not_tried_again_is_seen_by_these_tests(lab, disk, monkeypatch):
    """Negative control."""
    monkeypatch.setattr("pave_gateway.waiting.lacks_room", lambda error: False)
    disk.fault = full
    async with starting(lab) as (_, start, _url):
        with pytest.raises(NoRoomError):
            await asyncio.wait_for(start, 10)


async def test_records_that_found_no_room_are_imported_soon_after_there_is_some_and_said_once(lab, disk, caplog):
    async with running(lab.config):
        pass
    for device in (BAY, TAXI):
        lab.provision(device)
    disk.fault = full
    async with running(lab.config) as (runtime, _):
        assert len(runtime.gateway.core.contexts) == 0
        await asyncio.sleep(0.4)
        disk.fault = None
        await until(lambda: len(runtime.gateway.core.contexts) == 2, RESUMES_S)
    assert sum("2 records are not stored yet" in line for line in caplog.messages) == 1


async def test_each_attempt_leaves_nothing_open(tmp_path):
    opened: list[str] = []

    async def open_(stack: contextlib.AsyncExitStack) -> str:
        stack.callback(opened.pop)
        opened.append("part")
        assert len(opened) == 1
        if attempts.pop():
            raise NoRoomError("the disk is full")
        return "done"

    attempts = [False, True]
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        async with contextlib.AsyncExitStack() as stack:
            assert await with_room(open_, stack, listener) == "done"
            assert opened == ["part"]
            assert listener.fileno() >= 0
        assert opened == []


# The real thing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """1 MB of its own."""
    with small_file_system(tmp_path / "disk", "1m") as folder:
        yield folder


@pytest.mark.parametrize("left", [0, 60_000])
async def test_a_start_on_a_file_system_that_is_really_full_succeeds_when_space_is_freed(small_disk, left, as_it_is):
    """With nothing left, or with room for the key file and not for all of the journal."""
    lab = Laboratory(small_disk)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(2_000_000))
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - left)
    async with starting(lab) as (_, start, url):
        assert (await answer(f"{url}/healthz")).status_code == 503
        ballast.unlink()
        assert await takes_room(start) < RESUMES_S
        assert (await answer(f"{url}/healthz")).status_code == 200
