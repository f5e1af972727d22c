"""Our endpoint against aiocoap and libcoap, each in a process of its own, over UDP and a path that can be bad."""

import asyncio
import contextlib
import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
from host.coap_udp import BadPath, Site, UdpEndpoint

from pave_wire import coap, coap_message, link_format
from pave_wire.coap_exchange import Failed, Notification, Response

PEER = Path(__file__).parent / "aiocoap_peer.py"
LONG_BODY = bytes(i % 251 for i in range(65536))
libcoap = pytest.mark.skipif(not shutil.which("coap-server-notls"), reason="libcoap3-bin is not installed")
SEED = 20


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def process(*command):
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(*map(str, command), stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def output(*command):
    async with process(*command) as started:
        out, _ = await asyncio.wait_for(started.communicate(), 200)
        return out


async def aiocoap_ask(address, path, method, size=0):
    uri = f"coap://{address[0]}:{address[1]}/{path}"
    said = json.loads(await output(sys.executable, PEER, "ask", uri, method, size))
    return said["code"], bytes.fromhex(said["payload"])


@contextlib.asynccontextmanager
async def aiocoap_server():
    port = free_port()
    async with process(sys.executable, PEER, "server", port) as started:
        assert b"ready" in await asyncio.wait_for(started.stdout.readline(), 30)
        yield "127.0.0.1", port


@contextlib.asynccontextmanager
async def libcoap_server():
    port = free_port()
    async with process("coap-server-notls", "-A", "127.0.0.1", "-p", port, "-d", "10"):
        await asyncio.sleep(0.3)
        yield "127.0.0.1", port


@contextlib.asynccontextmanager
async def opened(thing):
    await thing.open()
    try:
        yield thing
    finally:
        thing.close()


async def put_and_get(udp, address, path, body):
    """PUT `body`, GET it back."""
    response = await udp.ask(coap.PUT, path, address, body)
    assert isinstance(response, Response) and response.code in (coap.CHANGED, coap.CREATED), vars_of(response)
    response = await udp.ask(coap.GET, path, address)
    assert isinstance(response, Response) and response.code == coap.CONTENT and response.payload == body


def vars_of(event):
    return event.why if isinstance(event, Failed) else (coap.code_text(event.code), event.payload)


# aiocoap serves


async def test_we_get_put_and_post_from_aiocoap_over_a_path_that_repeats_and_reorders():
    async with (
        aiocoap_server() as server,
        opened(BadPath(server, SEED, 0.0, 0.4)) as path,
        opened(UdpEndpoint(1)) as udp,
    ):
        await put_and_get(udp, path.address, "s", b"short")
        assert (await udp.ask(coap.POST, "s", path.address, b"again")).payload == b"2"
        assert (await udp.ask(coap.GET, "late", path.address)).payload == b"at last"
        assert (await udp.ask(coap.GET, "none", path.address)).code == coap.NOT_FOUND
        links = link_format.parse((await udp.ask(coap.GET, link_format.PATH, path.address)).payload)
        assert ("/o", [("obs", None)]) in links
        assert path.repeated > 2


async def test_64_kib_go_to_aiocoap_in_block1_and_come_back_in_block2():
    async with aiocoap_server() as server, opened(BadPath(server, SEED, 0.0)) as path, opened(UdpEndpoint(2)) as udp:
        await put_and_get(udp, path.address, "s", LONG_BODY)


async def observed_counts(server, path, udp, ticks):
    """Let aiocoap's counter tick, each time after we were told of the last; return the counts we were told of."""
    events = udp.watch("o", path.address)
    first = await asyncio.wait_for(events.get(), 30)
    assert isinstance(first, Notification)
    counts = [int(first.payload)]
    for tick in range(1, ticks + 1):
        assert (await udp.ask(coap.PUT, "tick", server)).code == coap.CHANGED
        while counts[-1] < tick:
            event = await asyncio.wait_for(events.get(), 60)
            assert isinstance(event, Notification), vars_of(event)
            counts.append(int(event.payload))
    return counts


async def test_we_observe_aiocoap_for_1000_notifications_in_order():
    async with aiocoap_server() as server, opened(BadPath(server, SEED, 0.0, 0.1, 0.003)) as path:
        async with opened(UdpEndpoint(3)) as udp:
            counts = await observed_counts(server, path, udp, 1000)
    assert counts == list(range(1001))  # every one, each once, in order
    assert path.repeated > 100


# aiocoap asks


async def test_aiocoap_gets_puts_and_posts_to_us_over_a_path_that_repeats_and_reorders():
    async with opened(Site(4)) as site, opened(BadPath(site.address, SEED, 0.0, 0.4)) as path:
        assert await aiocoap_ask(path.address, "s", "PUT", 10) == (coap.CHANGED, b"")
        assert await aiocoap_ask(path.address, "s", "GET") == (coap.CONTENT, bytes(range(10)))
        assert await aiocoap_ask(path.address, "s", "POST", 20) == (coap.CHANGED, b"")
        assert (await aiocoap_ask(path.address, "s", "DELETE"))[0] == coap.NOT_ALLOWED
        assert (await aiocoap_ask(path.address, "none", "GET"))[0] == coap.NOT_FOUND
        assert await aiocoap_ask(path.address, "late", "GET") == (coap.CONTENT, b"at last")
        code, links = await aiocoap_ask(path.address, link_format.PATH, "GET")
        assert code == coap.CONTENT and link_format.parse(links) == Site.LINKS
        assert site.writes == 2 and path.repeated > 2


async def test_64_kib_come_from_aiocoap_in_block1_and_go_back_in_block2():
    async with opened(Site(5)) as site, opened(BadPath(site.address, SEED, 0.0)) as path:
        assert (await aiocoap_ask(path.address, "s", "PUT", 65536))[0] == coap.CHANGED
        assert site.stored == LONG_BODY and site.writes == 1
        assert await aiocoap_ask(path.address, "s", "GET") == (coap.CONTENT, LONG_BODY)


async def watched_by_aiocoap(site, path, changes):
    """Change our state, each time after aiocoap, who observes, has seen the last one; return what it saw."""
    uri = f"coap://{path.address[0]}:{path.address[1]}/o"
    async with process(sys.executable, PEER, "observe", uri, str(changes)) as peer:
        seen = [json.loads(await asyncio.wait_for(peer.stdout.readline(), 30))["payload"]]
        for number in range(1, changes + 1):
            site.change(b"%d" % number)
            while int(seen[-1]) < number:
                seen.append(json.loads(await asyncio.wait_for(peer.stdout.readline(), 60))["payload"])
    return [int(payload) for payload in seen]


async def test_aiocoap_observes_us_for_1000_notifications_in_order():
    async with opened(Site(6)) as site, opened(BadPath(site.address, SEED, 0.0, 0.1, 0.003)) as path:
        seen = await watched_by_aiocoap(site, path, 1000)
    assert seen == list(range(1001))  # every one, each once, in order
    assert path.repeated > 100


# libcoap


@libcoap
async def test_we_put_and_get_from_libcoap_and_read_its_links():
    async with libcoap_server() as server, opened(BadPath(server, SEED, 0.0, 0.4)) as path:
        async with opened(UdpEndpoint(7)) as udp:
            await put_and_get(udp, path.address, "fresh", b"short")
            response = await udp.ask(coap.GET, link_format.PATH, path.address)
            assert any(target == "/time" for target, _ in link_format.parse(response.payload))
            assert b"libcoap" in (await udp.ask(coap.GET, "", path.address)).payload


@libcoap
async def test_64_kib_go_to_libcoap_in_block1_and_come_back_in_block2():
    async with libcoap_server() as server, opened(BadPath(server, SEED, 0.0)) as path, opened(UdpEndpoint(8)) as udp:
        await put_and_get(udp, path.address, "example_data", LONG_BODY)


@libcoap
async def test_libcoap_puts_gets_and_reads_our_links():
    async with opened(Site(9)) as site, opened(BadPath(site.address, SEED, 0.0, 0.4)) as path:
        uri = "coap://%s:%d/" % path.address
        await output("coap-client-notls", "-m", "put", "-e", "from libcoap", uri + "s")
        assert site.stored == b"from libcoap" and site.writes == 1
        assert (await output("coap-client-notls", uri + "s")).strip() == b"from libcoap"
        assert link_format.parse((await output("coap-client-notls", uri + link_format.PATH)).strip()) == Site.LINKS
        assert (await output("coap-client-notls", uri + "late")).strip() == b"at last"


@libcoap
async def test_64_kib_come_from_libcoap_in_block1_and_go_back_in_block2(tmp_path):
    (tmp_path / "up").write_bytes(LONG_BODY)
    async with opened(Site(10)) as site:
        async with opened(BadPath(site.address, SEED, 0.0)) as path:
            uri = "coap://%s:%d/s" % path.address
            await output("coap-client-notls", "-b", "1024", "-m", "put", "-f", tmp_path / "up", uri)
            assert site.stored == LONG_BODY and site.writes == 1 and path.repeated > 2
        # libcoap 4.3.1's client writes a block twice whose ACK comes twice: its download is over a path without that
        async with opened(BadPath(site.address, SEED, 0.0, 0.0)) as path:
            uri = "coap://%s:%d/s" % path.address
            await output("coap-client-notls", "-b", "1024", "-o", tmp_path / "down", uri)
            assert (tmp_path / "down").read_bytes() == LONG_BODY


# Datagrams are lost too: it takes minutes, as the peers wait 2 s and more before they send again


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
async def test_aiocoap_and_we_agree_when_datagrams_are_lost(seed, monkeypatch):
    monkeypatch.setattr(coap_message, "ACK_TIMEOUT_MS", 500)
    async with (
        aiocoap_server() as server,
        opened(BadPath(server, seed, 0.02)) as path,
        opened(UdpEndpoint(seed)) as udp,
    ):
        await put_and_get(udp, path.address, "s", LONG_BODY)
        counts = await observed_counts(server, path, udp, 1000)
        assert counts == list(range(1001)) and path.lost > 10  # confirmable: lost ones are sent again
        print(
            f"{len(counts)} notifications, {path.passed} datagrams passed, {path.lost} lost, {path.repeated} repeated"
        )
    async with opened(Site(seed)) as site, opened(BadPath(site.address, seed, 0.02)) as path:
        assert (await aiocoap_ask(path.address, "s", "PUT", 65536))[0] == coap.CHANGED
        assert site.stored == LONG_BODY and site.writes == 1
        assert await aiocoap_ask(path.address, "s", "GET") == (coap.CONTENT, LONG_BODY)
        seen = await watched_by_aiocoap(site, path, 1000)
        assert seen == list(range(1001)) and path.lost > 10
        print(f"{len(seen)} notifications, {path.passed} datagrams passed, {path.lost} lost, {path.repeated} repeated")


@pytest.mark.long
@libcoap
@pytest.mark.parametrize("seed", range(2))
async def test_libcoap_and_we_agree_when_datagrams_are_lost(seed, monkeypatch, tmp_path):
    monkeypatch.setattr(coap_message, "ACK_TIMEOUT_MS", 500)
    async with libcoap_server() as server, opened(BadPath(server, seed, 0.1)) as path, opened(UdpEndpoint(seed)) as udp:
        await put_and_get(udp, path.address, "example_data", LONG_BODY)
        assert path.lost > 10
        print(f"{path.passed} datagrams passed, {path.lost} lost, {path.repeated} repeated")
    (tmp_path / "up").write_bytes(LONG_BODY)
    async with opened(Site(seed)) as site, opened(BadPath(site.address, seed, 0.05)) as path:
        uri = "coap://%s:%d/s" % path.address
        await output("coap-client-notls", "-b", "1024", "-m", "put", "-f", tmp_path / "up", uri)
        assert site.stored == LONG_BODY and site.writes == 1 and path.lost > 2
        print(f"{path.passed} datagrams passed, {path.lost} lost, {path.repeated} repeated")
