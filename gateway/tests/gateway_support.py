"""What several gateway tests need: a small site, readings, a gateway in this process or in its own."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiocoap
import httpx
import pytest

from pave_gateway.assembly.machine import Machine
from pave_gateway.config import Config, load
from pave_gateway.core.rows import ReadingRow
from pave_gateway.runtime import Addresses, Runtime
from pave_wire import model

BAY = "24a160fffe000101"
TAXI = "24a160fffe000102"
KIOSK = "24a160fffe000201"
STRANGER = "24a160fffe0001ff"
TESTS = Path(__file__).parent

SITE = """
[site]
id = "lab"
name = "Laboratory"
[listen]
coap = "127.0.0.1:0"
http = "127.0.0.1:0"
[clock]
trusted = true
[coap]
insecure = true
[journal]
path = "{journal}"
{sink}
[[bay]]
id = "lab-l-01"
kind = "delivery"
street = "Rue de Bercy"
lat = 48.8358
lon = 2.3858
device = "24a160fffe000101"
[[bay]]
id = "lab-t-01"
kind = "taxi"
street = "Rue de Bercy"
lat = 48.8360
lon = 2.3855
device = "24a160fffe000102"
[[kiosk]]
id = "lab-k-1"
name = "Gare"
lat = 48.8370
lon = 2.3840
device = "24a160fffe000201"
"""


def site_file(folder: Path, sink: str = "") -> Path:
    """Write a site with two bays and a kiosk and return its path; `sink` is TOML."""
    path = folder / "site.toml"
    path.write_text(SITE.format(journal=folder / "journal.sqlite", sink=sink), encoding="utf-8")
    return path


def mqtt_sink(port: int, version: str = "5") -> str:
    """Return the TOML of an MQTT sink named "city"."""
    return f'[[sink]]\nname = "city"\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\nversion = "{version}"\n'


def config_in(folder: Path, sink: str = "") -> Config:
    """Return the configuration of `site_file`."""
    return load(site_file(folder, sink))


def reading(device: str = BAY, seq: int = 1, epoch: int = 1, occupied: bool = True, age_s: float = 0) -> model.Reading:
    """Return a state change of a bay."""
    return model.Reading(device, epoch, seq, age_s, {"occupied": occupied, "reason": "field"})


def row(device: str = BAY, seq: int = 1, epoch: int = 1, occupied: bool = True, read_ms: int = 1000) -> ReadingRow:
    """Return the same as a row of the log."""
    values = {"occupied": occupied, "reason": "field"}
    return ReadingRow(device, epoch, seq, "presence", read_ms, read_ms, values)


def virtual_machine(loop: asyncio.AbstractEventLoop, wall_ms: int) -> Machine:
    """Return a machine whose clocks are `loop`'s; it is `wall_ms` where that begins."""
    source = random.Random(5)

    def since_ms() -> int:
        return int(loop.time() * 1000)

    return Machine(since_ms, lambda: wall_ms + since_ms(), lambda: True, "virtual", source.randbytes, source)


def machine_at(wall_ms: int) -> Machine:
    """Return a machine whose clocks stand still."""
    source = random.Random(1)
    return Machine(lambda: 1000, lambda: wall_ms, lambda: True, "test", source.randbytes, source)


@contextlib.asynccontextmanager
async def running(config: Config, **parts: Any) -> AsyncIterator[tuple[Runtime, Addresses]]:
    """Run a gateway in this process."""
    runtime = Runtime(config, **parts)
    addresses = await runtime.start()
    try:
        yield runtime, addresses
    finally:
        await runtime.stop()


@contextlib.asynccontextmanager
async def coap_client() -> AsyncIterator[Callable[..., Any]]:
    """Yield `post(address, payload, content_format)`, an aiocoap client that returns the response."""
    context: Any = await aiocoap.Context.create_client_context(transports=["udp6"])

    async def post(address: str, payload: bytes, content_format: int | None = 112) -> Any:
        uri = f"coap://{address}/r"
        request = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=payload, content_format=content_format)
        return await context.request(request).response

    try:
        yield post
    finally:
        await context.shutdown()


def start_gateway(arguments: list[str], script: Path | None = None) -> tuple["subprocess.Popen[str]", Addresses]:
    """Start a gateway in its own process and return it with its addresses, once it says that it is ready."""
    program = [str(script)] if script else ["-m", "pave_gateway", "run"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, *program, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    line = process.stdout.readline().split()
    assert line[:2] == ["gateway", "ready"], line
    fields = dict(field.split("=", 1) for field in line[2:])
    return process, Addresses(fields["coap"], fields["http"])


def stop_process(process: "subprocess.Popen[Any]") -> int:
    """Terminate a process that a test started and return its exit status."""
    process.terminate()
    try:
        return process.wait(10)
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, timeout_s: float = 10) -> None:
    """Return once something listens on TCP `port`."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline_s, f"nothing listens on port {port}"
            time.sleep(0.05)
        else:
            return


def binary(name: str) -> str:
    """Return the path of a program, or skip the test with its name."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


async def stats(addresses: Addresses) -> dict[str, Any]:
    """Return the gateway's counters."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return json.loads((await client.get(f"http://{addresses.http}/stats")).text)


async def until(condition: Callable[[], Any], timeout_s: float = 10) -> None:
    """Return once `condition()` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
