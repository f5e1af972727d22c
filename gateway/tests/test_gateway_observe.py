"""Observing `/a` over real UDP: by aiocoap, by libcoap, and by clients that misbehave as no library would."""

import asyncio
import contextlib
import itertools
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiocoap
import pytest
from gateway_support import BAY, binary, coap_client, config_in, reading, row, running, until

from pave_gateway.core import limits
from pave_gateway.core.rows import StoredReading
from pave_wire import coap, model

SPACING_S = 0.05
OBSERVE_0, PATH = (coap.OBSERVE, b""), (coap.URI_PATH, b"a")


class Site:
    """A running gateway, whose bays change as if the log had grown."""

    def __init__(self, address: str, runtime: Any) -> None:
        host, _, port = address.rpartition(":")
        self.address = address
        self.endpoint = (host, int(port))
        self._runtime = runtime
        self._seq = 0

    def change(self, occupied: bool) -> None:
        self._seq += 1
        self._runtime.gateway.core.bays.apply([StoredReading(self._seq, row(BAY, self._seq, occupied=occupied))])

    @property
    def observers(self) -> int:
        return len(self._runtime.links.coap._context.serversite._resources[("a",)]._news)


@pytest.fixture
async def site(tmp_path, monkeypatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(limits, "NOTIFY_SPACING_S", SPACING_S)
    async with running(config_in(tmp_path)) as (runtime, addresses):
        yield Site(addresses.coap, runtime)


class Observer(asyncio.DatagramProtocol):
    """A client of the test's own, of one address and any number of tokens. `reply(message)` is RST, ACK or None."""

    def __init__(self, endpoint: tuple[str, int]) -> None:
        self._endpoint = endpoint
        self._mid = 0
        self.heard: list[coap.Message] = []
        self.heard_s: list[float] = []
        self.reply: Callable[[coap.Message], int | None] = lambda message: coap.ACK

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        message = coap.decode(data)
        self.heard.append(message)
        self.heard_s.append(asyncio.get_running_loop().time())
        kind = self.reply(message)
        if message.type == coap.CON and kind is not None:
            self._transport.sendto(coap.encode(coap.Message(kind, coap.EMPTY, message.mid)), self._endpoint)

    def acknowledge(self, message: coap.Message) -> None:
        self._transport.sendto(coap.encode(coap.Message(coap.ACK, coap.EMPTY, message.mid)), self._endpoint)

    def get(self, token: bytes, *options: tuple[int, bytes], type: int = coap.CON) -> None:
        self._mid += 1
        message = coap.Message(type, coap.GET, self._mid, token, coap.ordered([PATH, *options]))
        self._transport.sendto(coap.encode(message), self._endpoint)

    async def count(self, number: int) -> list[coap.Message]:
        """Return what was heard, once it is so much; it never is more, a spacing later."""
        await until(lambda: len(self.heard) >= number, 3)
        await asyncio.sleep(1.5 * SPACING_S)
        assert len(self.heard) == number
        return self.heard

    def states(self) -> list[dict[str, tuple[int, int]]]:
        return [model.unpack_availability(message.payload)[0] for message in self.heard]


@contextlib.asynccontextmanager
async def observing(site: Site, *tokens: bytes, type: int = coap.CON) -> AsyncIterator[Observer]:
    loop = asyncio.get_running_loop()
    transport, observer = await loop.create_datagram_endpoint(
        lambda: Observer(site.endpoint), local_addr=("127.0.0.1", 0)
    )
    for number, token in enumerate(tokens):
        observer.get(token, OBSERVE_0, type=type)
        await observer.count(number + 1)
    try:
        yield observer
    finally:
        transport.close()


def bay(free: int) -> dict[str, tuple[int, int]]:
    return {"delivery": (free, 1), "taxi": (0, 1)}


def number(message: coap.Message) -> int:
    value = message.option(coap.OBSERVE)
    assert value is not None
    return coap.uint_value(value)


async def test_aiocoap_observes_what_is_posted(site):
    context: Any = await aiocoap.Context.create_client_context(transports=["udp6"])
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=f"coap://{site.address}/a", observe=0))
    states = [model.unpack_availability((await request.response).payload)[0]]
    notifications = aiter(request.observation)
    async with coap_client() as post, asyncio.timeout(5):
        for seq, occupied in enumerate((False, True, False)):
            await post(site.address, model.pack_readings(BAY, [reading(BAY, seq, occupied=occupied)]))
            states.append(model.unpack_availability((await anext(notifications)).payload)[0])
    request.observation.cancel()
    await context.shutdown()
    assert states == [bay(0), bay(1), bay(0), bay(1)]


@pytest.mark.server
async def test_libcoap_subscribes_is_notified_and_unsubscribes(site):
    command = [binary("coap-client-notls"), "-v", "7", "-s", "1", f"coap://{site.address}/a"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    await until(lambda: site.observers == 1)
    site.change(occupied=False)
    output = (await process.communicate())[0].decode(errors="replace")
    notified = re.findall(r"t:(\w+) c:2\.05 .*Observe:(\d+).*Max-Age:(\d+)", output)
    assert [(kind, max_age) for kind, _, max_age in notified] == [("ACK", "30"), ("CON", "30")], output
    assert int(notified[0][1]) < int(notified[1][1])
    assert site.observers == 0


async def test_well_known_core_says_that_it_can_be_observed(site):
    context: Any = await aiocoap.Context.create_client_context(transports=["udp6"])
    uri = f"coap://{site.address}/.well-known/core"
    links = (await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response).payload.decode()
    await context.shutdown()
    (own,) = [link for link in links.split(",") if link.startswith("</a>")]
    assert own.split(";")[-1] == "obs"


async def test_changes_within_the_spacing_are_one_notification_with_the_newest_state(site):
    async with observing(site, b"t") as observer:
        for occupied in (False, True, False):
            site.change(occupied)
        await until(lambda: len(observer.heard) == 2, 3)
        for occupied in (True, False, True):  # the spacing has just begun
            site.change(occupied)
        await observer.count(3)
    assert observer.states() == [bay(0), bay(1), bay(0)]
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(observer.heard_s)]
    assert min(gaps_s) > 0.8 * SPACING_S, gaps_s


async def test_a_bay_that_changes_without_another_count_is_no_news(site):
    async with observing(site, b"t") as observer:
        site.change(occupied=True)  # it was unknown, which is not free either
        await observer.count(1)
        site.change(occupied=False)
        await observer.count(2)


async def test_while_a_notification_waits_for_its_acknowledgement_no_other_leaves(site):
    async with observing(site, b"t") as observer:
        observer.reply = lambda message: None
        for occupied in (False, True, False):
            site.change(occupied)
            await asyncio.sleep(1.5 * SPACING_S)
        assert observer.states() == [bay(0), bay(1)]
        site.change(occupied=True)
        observer.reply = lambda message: coap.ACK
        observer.acknowledge(observer.heard[1])
        await observer.count(3)
    assert observer.states() == [bay(0), bay(1), bay(0)]


async def test_a_reset_ends_the_observation(site):
    async with observing(site, b"t") as observer:
        observer.reply = lambda message: coap.RST
        site.change(occupied=False)
        await observer.count(2)
        site.change(occupied=True)
        await observer.count(2)
    assert site.observers == 0


async def test_a_get_with_observe_1_ends_the_observation(site):
    async with observing(site, b"t") as observer:
        observer.get(b"t", (coap.OBSERVE, b"\1"))
        assert (await observer.count(2))[1].option(coap.OBSERVE) is None
        site.change(occupied=False)
        await observer.count(2)
    assert site.observers == 0


async def test_one_that_registered_non_confirmably_is_notified_confirmably(site):
    async with observing(site, b"t", type=coap.NON) as observer:
        site.change(occupied=False)
        assert (await observer.count(2))[1].type == coap.CON
        observer.reply = lambda message: coap.RST
        site.change(occupied=True)
        await until(lambda: site.observers == 0)


async def test_registering_again_under_the_same_token_replaces_and_its_number_is_greater(site, monkeypatch):
    monkeypatch.setattr(limits, "OBSERVERS", 1)
    async with observing(site, b"t") as observer:
        for turn in range(2):
            observer.get(b"t", OBSERVE_0)
            await observer.count(2 + turn)
        assert site.observers == 1
        site.change(occupied=False)
        heard = await observer.count(4)
    assert [number(message) for message in heard] == sorted({number(message) for message in heard})


async def test_one_observer_too_many_gets_a_plain_response(site, monkeypatch):
    monkeypatch.setattr(limits, "OBSERVERS", 2)
    async with observing(site, b"1", b"2", b"3") as observer:
        last = observer.heard[2]
        assert (last.code, last.option(coap.OBSERVE)) == (coap.CONTENT, None)
        site.change(occupied=False)
        assert [message.token for message in await observer.count(5)][3:] == [b"1", b"2"]


async def test_observers_are_told_in_the_order_in_which_they_registered(site):
    tokens = [bytes([at * 37 % 256]) for at in range(1, 7)]
    async with observing(site, *tokens) as observer:
        for turn in (1, 2):
            site.change(occupied=turn == 2)
            heard = await observer.count(len(tokens) * (turn + 1))
    assert [message.token for message in heard] == tokens * 3


async def test_without_a_change_it_is_said_again_before_max_age_ends(site, monkeypatch):
    assert limits.NOTIFY_BY_S + 9 < limits.FRESH_S  # two retransmissions, of at most 3 and 6 s
    monkeypatch.setattr(limits, "NOTIFY_BY_S", 2.5 * SPACING_S)
    async with observing(site, b"t") as observer:
        await until(lambda: len(observer.heard) == 3, 3)
    assert observer.states() == [bay(0)] * 3
    assert {coap.uint_value(message.option(coap.MAX_AGE) or b"") for message in observer.heard} == {limits.FRESH_S}


async def test_a_form_it_does_not_have_is_refused_and_not_observed(site):
    async with observing(site) as observer:
        observer.get(b"t", OBSERVE_0, (coap.ACCEPT, b"\x32"))
        (answer,) = await observer.count(1)
    assert (answer.code, answer.option(coap.OBSERVE), site.observers) == (0x86, None, 0)  # 4.06
