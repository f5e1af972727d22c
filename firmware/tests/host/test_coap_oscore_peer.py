"""Our endpoint with OSCORE against aiocoap's, over UDP and a path that repeats and reorders."""

import asyncio
import contextlib
import json
import sys

import pytest
from host.coap_udp import BadPath, Site, UdpEndpoint
from host.test_coap_peers import PEER, SEED, free_port, opened, output, process

from pave_wire import coap
from pave_wire.coap_exchange import Notification, Response
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.oscore_context import FRESH_WINDOW, Context

SECRET, SALT = bytes(range(16)), b"a salt"
OURS, THEIRS = b"\x01", b"\x02"
BODY = bytes(i % 251 for i in range(16384))


def our_security(window=FRESH_WINDOW):
    context = Context(SECRET, SALT, OURS, THEIRS, 0, window)
    context.reserve(1 << 20)
    return OscoreSecurity(context)


@pytest.fixture
def their_context(tmp_path):
    settings = {"secret_hex": SECRET.hex(), "salt_hex": SALT.hex(), "sender-id_hex": "02", "recipient-id_hex": "01"}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return str(tmp_path)


@contextlib.asynccontextmanager
async def aiocoap_server(their_context):
    port = free_port()
    async with process(sys.executable, PEER, "server", port, their_context) as started:
        assert b"ready" in await asyncio.wait_for(started.stdout.readline(), 30)
        yield "127.0.0.1", port


async def test_we_ask_and_observe_aiocoap_under_oscore(their_context):
    """Its first answer is 4.01 with Echo, as its replay window is not initialized: our client repeats the request."""
    async with aiocoap_server(their_context) as server, opened(BadPath(server, SEED, 0.0, 0.3)) as path:
        async with opened(UdpEndpoint(1, security=our_security())) as udp:
            response = await udp.ask(coap.PUT, "s", path.address, BODY)
            assert isinstance(response, Response) and response.code == coap.CHANGED
            assert (await udp.ask(coap.GET, "s", path.address)).payload == BODY
            assert (await udp.ask(coap.GET, "late", path.address)).payload == b"at last"
            events = udp.watch("o", path.address)
            counts = [int((await asyncio.wait_for(events.get(), 30)).payload)]
            for _ in range(30):
                assert (await udp.ask(coap.PUT, "tick", path.address)).code == coap.CHANGED
            while counts[-1] < 30:
                event = await asyncio.wait_for(events.get(), 30)
                assert isinstance(event, Notification)
                counts.append(int(event.payload))
            assert counts == sorted(set(counts)) and len(counts) > 5


async def test_aiocoap_asks_and_observes_us_under_oscore(their_context):
    async with opened(Site(2, our_security())) as site, opened(BadPath(site.address, SEED, 0.0, 0.3)) as path:
        uri = "coap://%s:%d/" % path.address
        for method, size, code, body in (
            ("PUT", len(BODY), coap.CHANGED, b""), ("GET", 0, coap.CONTENT, BODY), ("DELETE", 0, coap.NOT_ALLOWED, b""),
        ):  # fmt: skip
            said = json.loads(await output(sys.executable, PEER, "ask", uri + "s", method, size, their_context))
            assert (said["code"], bytes.fromhex(said["payload"])) == (code, body)
        assert site.stored == BODY and site.writes == 1
        async with process(sys.executable, PEER, "observe", uri + "o", "30", their_context) as peer:
            seen = [json.loads(await asyncio.wait_for(peer.stdout.readline(), 30))["payload"]]
            for number in range(1, 31):
                site.change(b"%d" % number)
                await asyncio.sleep(0.05)
            while seen[-1] != "30":
                seen.append(json.loads(await asyncio.wait_for(peer.stdout.readline(), 30))["payload"])
        counts = list(map(int, seen))
        assert counts == sorted(set(counts)) and len(counts) > 5


async def test_aiocoap_answers_our_echo_after_our_window_was_lost(their_context):
    security = our_security(None)
    security._context.lose_window(b"challenge of this boot")
    async with opened(Site(3, security)) as site:
        uri = "coap://%s:%d/s" % site.address
        said = json.loads(await output(sys.executable, PEER, "ask", uri, "PUT", 10, their_context))
        assert said["code"] == coap.CHANGED and site.stored == bytes(range(10)) and site.writes == 1


async def test_a_request_that_is_not_sealed_meets_silence():
    async with opened(Site(4, our_security())) as site, opened(UdpEndpoint(5)) as udp:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(udp.ask(coap.PUT, "s", site.address, b"x"), 1.5)
        assert site.writes == 0
