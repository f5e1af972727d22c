"""Requests that are under way at the CoAP front while their device is removed, given other keys, or let in again."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from front_support import Gateway as Front
from front_support import running as front_running
from oscore_support import HERE, Bench, MemoryDisk, Sealer, ValueRow, get, keys_of, post, watch_seals

from pave_gateway.core.keys import DeviceKeys
from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress.coap_changes import Changing
from pave_gateway.ingress.coap_site import Unreachable
from pave_gateway.store.errors import JournalError
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader
from pave_wire import coap
from pave_wire.coap import Message
from pave_wire.coap_message import EMPTY_ACK_MS
from pave_wire.errors import OscoreSequenceError
from pave_wire.oscore_context import FRESH_WINDOW

NUMBER = 0x101


def other_keys() -> DeviceKeys:
    old = keys_of(NUMBER)
    return DeviceKeys(old.device, random.Random(99).randbytes(16), old.master_salt, old.sender_id, old.recipient_id)


def changing(bench_of: Any) -> dict[bytes, Changing]:
    """Return resources: /v takes a change, the rows of /w are refused while the disk is well."""
    replies = {
        name: Reply(coap.CHANGED, rows=(ValueRow(name.decode(), at, ""),)) for name, at in ((b"v", 1), (b"w", 7))
    }
    return {
        name: Changing(lambda question, reply=reply: reply, lambda *group: bench_of().committer.submit(*group))
        for name, reply in replies.items()
    }


def in_flight(kind: str, device: Sealer) -> bytes:
    if kind == "stored":
        return device.report(2)
    if kind == "repeated":
        return device.report(1)
    if kind == "conflict":
        return device.report(1, occupied=False)
    if kind in ("change", "refused change"):
        return device.seal(post(b"", 60, path="v" if kind == "change" else "w"))
    return device.seal(post(b"\xff") if kind == "no readings" else get("a"))


KINDS = ["stored", "repeated", "conflict", "change", "refused change", "no readings", "read"]


@pytest.fixture(params=KINDS)
def under_way(request: pytest.FixtureRequest) -> tuple[Bench, Sealer, dict[Any, bytes]]:
    """One report was taken; of a second request the group waits for the disk."""
    bench: Bench = Bench(at_once=False, changing=changing(lambda: bench))
    seen: dict[Any, bytes] = {}
    watch_seals(bench, seen)
    device = Sealer(NUMBER)
    bench.put(device.report(1))
    assert device.code(bench.flush()[0]) == "2.04"
    assert bench.put(in_flight(request.param, device)) == []
    assert len(bench.committer.queue) == 1
    return bench, device, seen


def test_nothing_of_a_request_is_stored_or_said_behind_the_change_of_its_devices_keys(under_way):
    bench, device, seen = under_way
    sealed, address = len(seen), ("127.0.0.1", 40009)
    bench.contexts.remove(device.device)
    bench.contexts.add(other_keys(), FRESH_WINDOW, 0)
    assert bench.flush() == []
    assert bench.committer.queue == [], "a group behind the change of keys: its window is that of the old ones"
    assert bench.later(EMPTY_ACK_MS + 1) == []
    assert bench.tokens.requests == []
    assert (len(seen), bench.counters.unsent) == (sealed, 0)  # nobody even tried
    assert bench.put(device.report(9), address) == []  # and the old keys are dead


def test_after_a_change_of_keys_that_failed_no_number_is_used_again(under_way):
    bench, device, seen = under_way
    start = bench.contexts.remove(device.device)
    bench.contexts.add(keys_of(NUMBER), None, start)
    watch_seals(bench, seen)
    assert bench.flush() == []  # what held the old context is not answered
    for number in range(300):
        bench.put(device.seal(post(b"\xff")))
        bench.flush()
        assert bench.counters.echo == number + 1


def test_a_request_whose_context_is_gone_is_stored_by_nobody():
    bench = Bench()
    device = Sealer(NUMBER)
    bench.put(device.seal(get("a")))
    ((request, _),) = bench.tokens.requests
    bench.contexts.remove(device.device)
    groups, told = len(bench.committer.groups), []
    bench.front.gate.store(request, lambda: told.append(request))
    assert (len(bench.committer.groups), told) == (groups, [])


def test_its_retransmission_is_a_new_request_of_the_context_that_came_after():
    bench = Bench(at_once=False)
    device = Sealer(NUMBER)
    report = device.report(1)
    bench.put(report)
    start = bench.contexts.remove(device.device)
    bench.contexts.add(keys_of(NUMBER), None, start)
    bench.flush()
    assert list(bench.disk.readings) == [f"{device.device}:1:1"]
    bench.put(report)
    (challenge,) = bench.flush()
    assert device.code(challenge) == "4.01"


def test_a_context_begins_above_what_the_one_before_it_had_reserved_even_if_the_journal_was_asked_too_early():
    bench = Bench()
    device = Sealer(NUMBER)
    bench.put(device.seal(post(b"\xff")))
    old = bench.contexts.of_device(device.device)
    used = old.sequence
    assert 0 < used <= old.reserved
    bench.contexts.add(keys_of(NUMBER), None, 0)
    assert bench.contexts.of_device(device.device).sequence >= used
    assert bench.contexts.remove(device.device) == old.reserved
    assert bench.contexts.remove(device.device) is None
    with pytest.raises(OscoreSequenceError, match="was removed"):
        old.take_number()


def test_a_device_that_was_never_spoken_to_begins_again_where_it_would_have_begun():
    bench = Bench(disk=MemoryDisk(reserved={keys_of(NUMBER).device: 512}))
    assert bench.contexts.remove(keys_of(NUMBER).device) == 512


def test_what_waits_for_a_number_alone_is_not_sent_by_a_context_that_is_gone():
    bench = Bench(lost=True, at_once=False)
    device = Sealer(NUMBER)
    bench.put(device.report(1))  # its challenge waits for the first reservation
    bench.contexts.remove(device.device)
    assert bench.flush() == []
    assert bench.later(EMPTY_ACK_MS + 1) == []
    assert bench.counters.unsent == 0


def test_a_journal_that_cannot_be_read_gives_up_the_request_and_the_next_is_a_new_try(tmp_path: Path):
    journal = Journal(tmp_path / "journal.sqlite")
    reader = JournalReader(tmp_path / "journal.sqlite")
    readable = False

    def reservation(name: str) -> int:
        if not readable:
            raise JournalError("a page cannot be read")
        return reader.reservation(name)

    bench = Bench(at_once=False, reservation=reservation)
    bench.disk.write = lambda rows: journal.write([rows])[0]
    journal.report_damage("a page that is none")  # salvaged: the numbers that a restart begins from are higher
    device = Sealer(NUMBER)
    report = device.report(1)
    bench.put(device.seal(post(b"\xff")))
    assert bench.flush() == []
    assert bench.counters.not_stored == 1
    readable = True
    answered = 0
    for _ in range(3):
        bench.put(report)
        answered += len(bench.flush())
    reader.close()
    journal.close()
    assert answered >= 1


def test_what_is_remembered_of_responses_is_bounded(monkeypatch: pytest.MonkeyPatch):
    bench = Bench()
    monkeypatch.setattr(bench.tokens, "expects", lambda token, address: True)
    bench.tokens.responded = lambda message: True
    for mid in range(2_000):
        response = coap.encode(Message(coap.CON, coap.CHANGED, mid, b"t", [], b"x" * 64))
        acknowledgement = coap.encode(Message(coap.ACK, coap.EMPTY, mid))
        assert bench.put(response) == [acknowledgement]
        assert bench.put(response) == [acknowledgement]
    responses = bench.front._responses
    assert len(responses) <= len(responses._ring) < 2_000
    assert len(responses._waiting) == 0, "datagrams that nobody lets go of"


# aiocoap above the front


async def test_a_device_that_is_removed_while_its_request_is_rendered_leaves_no_observation_behind():
    gateway = Front()
    device = Sealer(NUMBER)
    (resource,) = gateway.parts.site._observables
    rendering, go_on, render = asyncio.Event(), asyncio.Event(), resource.render

    async def slow(request: Any) -> Any:
        rendering.set()
        await go_on.wait()
        return await render(request)

    resource.render = slow
    async with front_running(gateway) as server:
        server._socket.datagram_received(device.seal(get("a", (coap.OBSERVE, b""))), HERE)
        context = gateway.contexts.of_device(device.device)
        (tokens,) = {interface.token_interface for interface in server._context.request_interfaces}
        await rendering.wait()
        assert len(tokens._manager.incoming_requests) == 1
        gateway.contexts.remove(device.device)
        go_on.set()
        await asyncio.sleep(0.05)
        assert tokens._manager.incoming_requests == {}
        assert tokens._observations == {}
        assert context.observing == 0
        assert resource._news == {}


async def test_a_context_that_is_gone_is_not_asked_and_whoever_asks_hears_so_at_once(monkeypatch: pytest.MonkeyPatch):
    gateway = Front()
    device = Sealer(NUMBER)
    async with front_running(gateway) as server:
        server._socket.datagram_received(device.report(1), HERE)
        context = gateway.contexts.of_device(device.device)
        gateway.contexts.remove(device.device)
        monkeypatch.setattr(gateway.contexts, "of_device", lambda name: context)  # removed after it was looked up
        async with asyncio.timeout(1):
            with pytest.raises(Unreachable, match="was removed"):
                await server.ask(device.device, coap.POST, "x")
