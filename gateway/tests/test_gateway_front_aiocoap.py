"""The CoAP front on a real socket, with aiocoap's OSCORE in another process as the device."""

import asyncio
import contextlib
import socket
from typing import Any

import aiocoap
import pytest
from aiocoap.tokenmanager import TokenManager
from front_support import BUNDLE, FIRST, Gateway, Relay, device, running, uri_of, write_context
from gateway_support import coap_client, until
from oscore_support import MemoryCommitter, MemoryDisk, Sealer

from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_site import Unreachable
from pave_wire import coap, model

SEED = 8613
NAME = Sealer(FIRST).device


@pytest.fixture
def context(tmp_path):
    return write_context(tmp_path / "device")


def free(said: dict[str, Any]) -> int:
    return model.unpack_availability(bytes.fromhex(said["payload"]))[0]["delivery"][0]


async def test_aiocoap_reports_reads_discovers_and_downloads_64_kib(context):
    gateway = Gateway()
    async with running(gateway) as server, device(context, uri_of(server)) as peer:
        assert await peer.report(1) == "2.04"
        assert gateway.disk.readings and gateway.disk.windows[NAME][0] >= 0
        assert await peer.report(1) == "2.04", "again: it has our name on it"
        assert server.counters.repeated == 1
        assert await peer.report(1, occupied=False) == "4.09"
        assert free(await peer.ask("a")) == 0
        links = bytes.fromhex((await peer.ask(".well-known/core"))["payload"]).decode()
        assert '</a>;ct="112";rt="urn:pave:availability";obs' in links and "</r>" in links
        assert (await peer.ask("nothing"))["code"] == "4.04"
        assert (await peer.ask("r"))["code"] == "4.05"
        said = await peer.ask("f/digest")
        assert (said["code"], bytes.fromhex(said["payload"])) == ("2.05", BUNDLE)
        said = await peer.ask("h", method="POST", payload="a0", format=60)
        assert (said["code"], gateway.asked[0].device, gateway.asked[0].payload) == ("2.04", NAME, b"\xa0")
    assert server.counters.unsent == 0


async def test_an_observer_hears_of_changes_and_none_comes_twice_or_out_of_order(context):
    gateway = Gateway()
    async with running(gateway) as server, device(context, uri_of(server)) as peer:
        tag = peer.send("a", observe=True)
        assert free(await peer.hear(tag)) == 0
        assert await peer.report(1, occupied=False) == "2.04"
        assert free(await peer.hear(tag)) == 1
        for seq in range(2, 9):
            await peer.report(seq, occupied=seq % 2 == 0)
        while free(await peer.hear(tag)) != 0:
            pass
    assert server.counters.notifications <= 4  # eight changes within two seconds, coalesced


async def test_a_device_that_was_removed_hears_no_more_of_what_it_observes_and_is_not_asked(context):
    gateway = Gateway()
    async with running(gateway) as server, device(context, uri_of(server)) as peer:
        tag = peer.send("a", observe=True)
        assert free(await peer.hear(tag)) == 0
        asked = asyncio.create_task(server.ask(NAME, coap.POST, "x", b"slow", 60))
        await asyncio.sleep(0.1)
        gateway.contexts.remove(NAME)
        with pytest.raises(Unreachable, match="did not answer"):
            await asked
        assert gateway.parts.site._observables[0]._news == {}
        report = Sealer(FIRST + 1).report(1, occupied=False)
        server._socket.datagram_received(report, ("127.0.0.1", 9))
        with pytest.raises(TimeoutError):
            await peer.hear(tag, 1.5)
        assert server.counters.notifications == 0


async def test_everything_works_over_a_path_that_loses_repeats_reorders_and_changes_addresses(context):
    gateway = Gateway()
    async with running(gateway) as server:
        relay = Relay(server.address, SEED, loss=0.12, repetition=0.2, delay_s=0.03)
        uri = await relay.open()
        async with device(context, uri) as peer:
            tag = peer.send("a", observe=True)
            await peer.hear(tag)
            tags = [report(peer, seq, seq % 2 == 0) for seq in range(12)]
            assert [(await peer.hear(each))["code"] for each in tags] == ["2.04"] * 12
            relay.move()
            assert await peer.report(12, occupied=False) == "2.04"
            while free(await peer.hear(tag)) != 1:
                pass  # notifications follow the device to its new address
            said = await peer.ask("f/short")
            assert bytes.fromhex(said["payload"]) == BUNDLE[:8_192]
        relay.close()
    assert relay.lost > 3 and relay.repeated > 10
    assert server.counters.moved >= 1
    assert len(gateway.disk.readings) == 13


def report(peer: Any, seq: int, occupied: bool) -> Any:
    payload = model.pack_readings(NAME, [model.Reading(NAME, 1, seq, 0, {"occupied": occupied})])
    return peer.send("r", method="POST", payload=payload.hex(), format=112)


async def test_the_gateway_asks_a_device_whose_own_window_asks_for_echo_first(context):
    async with running(Gateway()) as server, device(context, uri_of(server)) as peer:
        with pytest.raises(Unreachable, match="has not been heard"):
            await server.ask(NAME, coap.GET, "s")
        await peer.report(1)
        response = await server.ask(NAME, coap.GET, "s")
        assert (response.code, response.payload, response.content_format) == (coap.CONTENT, b"nothing yet", 60)
        assert (await server.ask(NAME, coap.PUT, "s", b"new", 60)).code == coap.CHANGED
        assert (await server.ask(NAME, coap.GET, "s")).payload == b"new"
        assert (await server.ask(NAME, coap.POST, "x", b"abc", 60)).payload == b"cba"
        assert (await server.ask(NAME, coap.POST, "x", b"slow", 60)).payload == b"wols"  # a separate response
        assert (await server.ask(NAME, coap.GET, "nothing")).code == coap.NOT_FOUND


async def test_after_a_kill_the_device_goes_on_without_echo_and_after_a_lost_window_with_one(context):
    disk = MemoryDisk()
    async with running(Gateway(disk)) as server, device(context, uri_of(server)) as peer:
        assert await peer.report(1) == "2.04"
    async with running(Gateway(disk)) as server, device(context, uri_of(server)) as peer:
        assert await peer.report(2) == "2.04"
        assert server.counters.echo == 0
    disk.reserved = {NAME: 1 << 30}
    async with running(Gateway(disk, lost=True)) as server, device(context, uri_of(server)) as peer:
        assert await peer.report(3) == "2.04"
        assert await peer.report(4) == "2.04"
        assert server.counters.echo == 1
    assert len(disk.readings) == 4


async def test_a_device_flashed_with_other_keys_meets_silence(tmp_path):
    folder = tmp_path / "stranger"
    context = write_context(folder)
    settings = (folder / "settings.json").read_text()
    (folder / "settings.json").write_text(settings.replace('"secret_hex": "', '"secret_hex": "00'))
    async with running(Gateway()) as server, device(context, uri_of(server)) as peer:
        said = await peer.ask("a", timeout=1)
        assert "TimeoutError" in said["failed"]
        assert server.counters.dropped["tag"] >= 1


class SlowCommitter(MemoryCommitter):
    """Commits after 0.7 s, longer than a client is left without an acknowledgement."""

    def submit(self, rows: Any, done: Any, urgent: bool = False) -> None:
        asyncio.get_running_loop().call_later(0.7, lambda: done(self.disk.write(rows)))


async def test_a_slow_commit_is_answered_separately(context):
    gateway = Gateway(committer=SlowCommitter(MemoryDisk()))
    async with running(gateway) as server, device(context, uri_of(server)) as peer:
        assert await peer.report(1) == "2.04"
        assert server.counters.empty_acks == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::", "0.0.0.0"])
async def test_answers_leave_from_the_address_the_request_came_to(host):
    """On a wildcard the host has more than one address: 127.0.0.2 is one of them."""
    async with running(Gateway(), host) as server:
        port = server.address[1]
        asked = {"::": ["127.0.0.2", "::1"], "0.0.0.0": ["127.0.0.2", "127.0.0.1"]}.get(host, [host])
        for address in asked:
            sealer = Sealer(FIRST, sequence=256 * (1 + asked.index(address)))
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect((address, port))  # and so takes nothing from another address
                client.settimeout(5)
                client.send(sealer.report(asked.index(address)))
                data = await asyncio.to_thread(client.recv, 2048)
                assert sealer.code(data) == "2.04"


async def test_plain_coap_is_silence_unless_allowed_and_then_shouted_about(caplog):
    async with running(Gateway()) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), coap_client() as post:
                await post("{}:{}".format(*server.address), b"")
        assert server.counters.dropped["not_oscore"] >= 1 and not server.insecure
    async with running(Gateway(insecure=True)) as server, coap_client() as post:
        assert server.insecure
        payload = model.pack_readings(NAME, [model.Reading(NAME, 1, 1, 0, {"occupied": True})])
        assert str((await post("{}:{}".format(*server.address), payload)).code) == "2.04 Changed"
        await until(lambda: any("plain CoAP is on" in line.getMessage() for line in caplog.records))


async def test_aiocoap_still_has_the_private_parts_that_we_build_on():
    """`_append_tokenmanaged_transport`, and of the token manager what `coap_tokens` and `coap_site` use."""
    made: list[Any] = []

    class Interface(aiocoap.interfaces.TokenInterface):
        def send_message(self, message, messageerror_monitor):
            made.append((message, messageerror_monitor))
            return lambda: None

        async def fill_or_recognize_remote(self, message):
            return True

        async def shutdown(self):
            made.append("shutdown")

    async def below(manager: Any) -> Any:
        made.append(manager)
        manager._token = 0xABCD
        return Interface()

    context: Any = aiocoap.Context(loggername="test")
    await context._append_tokenmanaged_transport(below)
    manager = made.pop(0)
    assert isinstance(manager, TokenManager)
    assert manager.incoming_requests == {} and callable(manager.process_request)
    message = aiocoap.Message(code=aiocoap.GET)
    message.remote = coap_site.Remote(None, ("192.0.2.1", 5683))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await context.request(message, handle_blockwise=False).response
    sent, failed = made.pop(0)
    assert sent.token == b"\xab\xce" and callable(failed)
    await context.shutdown()
    assert made == ["shutdown"]
