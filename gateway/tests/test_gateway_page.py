"""The page in a real browser: headless Chromium, over its DevTools protocol, against a live gateway."""

import asyncio
import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from gateway_support import BAY, binary, coap_client, config_in, reading, running
from websockets.asyncio.client import connect

from pave_wire.model import pack_readings

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]
STATES = "[...document.querySelectorAll('tr[data-bay]')].map(row => row.dataset.state).join()"
LIVE = "document.getElementById('live').textContent.trim()"

Evaluate = Callable[[str], Awaitable[str | None]]


@contextlib.asynccontextmanager
async def page(url: str, profile: Path) -> AsyncIterator[Evaluate]:
    """Open `url`; yield a function that evaluates JavaScript in it."""
    command = [binary("chromium"), *QUIET, f"--user-data-dir={profile}", url]
    browser = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with connect(await asyncio.to_thread(devtools_of, profile, url)) as channel:

            async def evaluate(expression: str) -> str | None:
                await channel.send(
                    json.dumps({"id": 1, "method": "Runtime.evaluate", "params": {"expression": expression}})
                )
                return json.loads(await channel.recv())["result"]["result"].get("value")

            yield evaluate
    finally:
        browser.kill()
        await browser.wait()


def devtools_of(profile: Path, url: str) -> str:
    """Return the WebSocket address of the page's debugger, once there is one."""
    for _ in range(100):
        with contextlib.suppress(OSError, StopIteration):
            port = (profile / "DevToolsActivePort").read_text().split("\n")[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                return next(target["webSocketDebuggerUrl"] for target in json.load(answer) if target["url"] == url)
        time.sleep(0.1)
    raise AssertionError("Chromium did not open the page within 10 s")


async def until(evaluate: Evaluate, expression: str, wanted: str) -> None:
    for _ in range(100):
        found = await evaluate(expression)
        if found == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{expression} is {found!r} after 10 s, not {wanted!r}")


@pytest.mark.server
async def test_the_page_goes_live_and_shows_a_change_that_happens_while_it_is_open(tmp_path: Path) -> None:
    async with (
        running(config_in(tmp_path)) as (_, addresses),
        coap_client() as post,
        page(f"http://{addresses.http}/", tmp_path / "profile") as evaluate,
    ):
        await until(evaluate, LIVE, "Live")
        assert await evaluate(STATES) == "unknown,unknown"
        await post(addresses.coap, pack_readings(BAY, [reading(BAY, occupied=True)]))
        await until(evaluate, STATES, "occupied,unknown")
