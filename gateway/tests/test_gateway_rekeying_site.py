"""A whole gateway while the keys of a device change, or fail to: what was under way, and who is let in afterwards."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from control_support import Laboratory
from gateway_support import BAY, running, until
from oscore_device import OscoreDevice
from test_gateway_assembly import ANNE, at

from pave_gateway.core.committer import CommitFailed, CommitterBusy
from pave_gateway.core.registry_change import NotRecorded
from pave_gateway.store.errors import JournalError
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader
from pave_wire import coap
from pave_wire.oscore_options import decode_value


class Held:
    """A committer whose queue can be held, or be full."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.queue: list[tuple[Any, Any]] = []
        self.held = self.busy = self._flushing = False

    def submit(self, rows: Any, done: Any, urgent: bool = False) -> None:
        if self.busy:
            raise CommitterBusy("4096 groups are waiting")
        self.queue.append((rows, done))
        if not self.held and not self._flushing:
            self.release()

    def release(self) -> None:
        self.held, self._flushing = False, True
        while self.queue:
            batch, self.queue = self.queue, []
            for (_, done), outcome in zip(batch, self.journal.write([rows for rows, _ in batch]), strict=True):
                done(outcome)
        self._flushing = False

    def trouble(self) -> list[str]:
        return []

    async def close(self, timeout_s: float) -> None:
        self.release()
        self.journal.close()


@pytest.fixture
async def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path, insecure=False)
    async with running(made.config):
        pass
    return made


def holding(journal: Journal, *_: Any) -> Held:
    return Held(journal)


def unreadable(device: str) -> int:
    raise JournalError("a page cannot be read")


def noting(device: OscoreDevice) -> list[tuple[int, bytes]]:
    """Return (Partial IV, ciphertext) of all that will reach `device` under a number of the gateway's."""
    seen: list[tuple[int, bytes]] = []
    receive = device.datagram_received

    def note(data: bytes, addr: Any) -> None:
        message = coap.decode(data)
        value = message.option(coap.OSCORE)
        if value:
            seen.append((int.from_bytes(decode_value(value)[0], "big"), message.payload))
        receive(data, addr)

    device.datagram_received = note
    return seen


@pytest.mark.parametrize("how", ["busy", "failed"])
async def test_a_gateway_whose_act_failed_seals_nothing_twice(
    lab: Laboratory, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = lab.provision(BAY)
    async with running(lab.config, committer_factory=holding) as (_, addresses):
        device = await OscoreDevice(BAY, keys, 10).open(at(addresses))
        assert await device.report(1) == "2.04"
        device.close()
    async with running(lab.config, committer_factory=holding) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(BAY, keys, device.context.sequence).open(at(addresses))
        seen = noting(device)
        core.committer.held = True
        repeated = asyncio.create_task(device.report(1))  # in the log already: answered under a number of our own
        await until(lambda: len(core.committer.queue) == 1)
        core.committer.busy = how == "busy"
        told: list[Any] = []
        core.registrar.retire(BAY, ANNE, told.append)
        monkeypatch.setattr(core.reader, "reservation", unreadable)
        if how == "failed":
            core.committer.queue.pop()[1](CommitFailed("the disk is full"))
        assert isinstance(told[0], NotRecorded)
        core.committer.busy = False
        core.committer.release()
        with pytest.raises(TimeoutError):
            await repeated
        assert await device.report(2) == "2.04"
        assert await device.report(1) == "2.04"
        numbers = [number for number, _ in seen]
        assert len(numbers) >= 2  # the challenge, and the repetition
        assert len(set(numbers)) == len(numbers)
        device.close()


async def test_a_device_flashed_anew_while_a_report_of_the_old_keys_is_refused_is_let_in(lab: Laboratory) -> None:
    old = lab.provision(BAY)
    async with running(lab.config, committer_factory=holding) as (runtime, addresses):
        committer = runtime.gateway.core.committer
        before = await OscoreDevice(BAY, old, 5_000).open(at(addresses))
        assert await before.report(1) == "2.04"
        committer.held = True
        refused = asyncio.create_task(before.report(1, occupied=False, reason="field"))  # other values: a conflict
        await until(lambda: len(committer.queue) == 1)
        new = lab.provision(BAY, epoch=200)
        await until(lambda: len(committer.queue) == 2)
        committer.release()
        with pytest.raises(TimeoutError):
            await refused
        before.close()
    reader = JournalReader(lab.folder / "journal.sqlite")
    assert reader.replay_windows()[0].get(BAY) is None
    reader.close()
    async with running(lab.config) as (_, addresses):
        after = await OscoreDevice(BAY, new).open(at(addresses))
        assert await after.report(1, epoch=2) == "2.04"
        after.close()


async def test_a_device_whose_number_cannot_be_read_waits_for_a_restart_and_the_log_says_so(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(lab.config) as (runtime, _):
        monkeypatch.setattr(runtime.gateway.core.reader, "reservation", unreadable)
        keys = lab.provision(BAY)
        await until(lambda: f"{BAY} meets silence until the gateway is restarted: a page cannot be read" in caplog.text)
        assert "a listener failed" not in caplog.text
        assert len(runtime.gateway.core.contexts) == 0
    async with running(lab.config) as (_, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        device.close()
