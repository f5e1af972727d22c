"""Plain CoAP, where a site allows it, from libcoap's own client."""

import asyncio
import subprocess

import pytest
from front_support import BUNDLE, FIRST, Gateway, running
from gateway_support import binary
from oscore_support import device_name

from pave_gateway.ingress.coap_site import CoapServer
from pave_wire import model

NAME = device_name(FIRST)

pytestmark = pytest.mark.server


async def client(server: CoapServer, path: str, *arguments: str) -> tuple[bytes, str]:
    """Ask for `path`; return the payload, and what the client said."""
    uri = "coap://{}:{}/{}".format(*server.address, path)
    command = [binary("coap-client-notls"), "-B", "5", *arguments, uri]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=15, check=False)
    return done.stdout, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("size", ["64", "256", "1024"])
async def test_it_downloads_in_blocks_of_the_size_it_wants(size, tmp_path):
    async with running(Gateway(insecure=True)) as server:
        got = tmp_path / "got"
        await client(server, "f/short", "-b", size, "-o", str(got))
        assert got.read_bytes() == BUNDLE[:8_192]
        assert server.counters.requests == 8_192 // int(size)


async def test_it_downloads_64_kib(tmp_path):
    async with running(Gateway(insecure=True)) as server:
        got = tmp_path / "got"
        await client(server, "f/digest", "-o", str(got))
        assert got.read_bytes() == BUNDLE


async def test_it_posts_discovers_and_is_told_what_it_may_not_do(tmp_path):
    gateway = Gateway(insecure=True)
    report = tmp_path / "report"
    report.write_bytes(model.pack_readings(NAME, [model.Reading(NAME, 1, 1, 0, {"occupied": True})]))
    async with running(gateway) as server:
        for _ in range(2):
            _, said = await client(server, "r", "-m", "post", "-t", "112", "-v", "7", "-f", str(report))
            assert "2.04" in said
        assert list(gateway.disk.readings) == [f"{NAME}:1:1"]
        links, _ = await client(server, ".well-known/core")
        assert b'</h>;ct="60"' in links
        _, said = await client(server, "h", "-m", "post", "-t", "60", "-v", "7", "-e", "%a0")
        assert "2.04" in said and (gateway.asked[0].device, gateway.asked[0].payload) == (None, b"\xa0")
        _, said = await client(server, "h", "-m", "delete", "-v", "7")
        assert "2.04" in said and gateway.asked[1].code == 4, "what a method means is the handler's"
        _, said = await client(server, "nothing", "-m", "put", "-e", "x", "-v", "7")
        assert "4.04" in said


async def test_without_leave_it_meets_silence():
    async with running(Gateway()) as server:
        _, said = await client(server, "a", "-B", "1", "-v", "7")
        assert "2.05" not in said and server.counters.dropped["not_oscore"] >= 1
