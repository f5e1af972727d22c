"""What a rotation of the sealing key costs a running gateway: `python -m benchmarks.key_rotation [--devices 10000]`.

A journal with the keys of so many devices, a LoRaWAN session of each, and Wi-Fi credentials for one in ten; the
gateway of production with its writer thread, which stores a reading every 5 ms meanwhile. Prints what steps cost, how
long the event loop was held up, and how long readings took to be on disk, before and while the rotation runs. Figures
are told, not judged.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pave_gateway import garbage
from pave_gateway.assembly import rotation
from pave_gateway.assembly.gateway import Gateway, open_gateway
from pave_gateway.assembly.machine import this_machine
from pave_gateway.core import keys_record, shadow_sealing
from pave_gateway.core.change import Change
from pave_gateway.core.committer import Row
from pave_gateway.core.keys import DeviceKeys
from pave_gateway.core.keys_rotation import Rotation
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.lorawan import sessions
from pave_gateway.core.lorawan.rows import JoinRow, LoraSessionRow
from pave_gateway.core.registry_rows import KeyRow
from pave_gateway.core.shadow_rows import DesiredRow
from pave_gateway.runtime import threaded
from pave_gateway.store.journal import Journal
from pave_gateway.store.key_file import open_key_file
from pave_wire import cbor, shadow
from pave_wire.model import Reading
from simulation import made_site

BATCH = 500
TICK_S = 0.001
READING_S = 0.005
BEFORE_S = 3.0
DEVICE = "24a160fffe000101"


class Timed(Rotation):
    """A rotation that takes note of the CPU that each step costs, and each that is on disk."""

    costs_ms: ClassVar[list[float]] = []

    def step(self) -> Change:
        """See `Rotation`."""
        began_s = time.thread_time()
        change = super().step()
        self.costs_ms.append((time.thread_time() - began_s) * 1000)
        return Change(change.rows, lambda: self._applied(change))

    def _applied(self, change: Change) -> None:
        began_s = time.thread_time()
        change.apply()
        self.costs_ms.append((time.thread_time() - began_s) * 1000)


@dataclass
class Seen:
    """What was seen in a period."""

    stalls_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)  # of the loop's thread, between two looks
    commits_ms: list[float] = field(default_factory=list)

    def line(self) -> str:
        """Return it in words."""
        commits = sorted(self.commits_ms)
        return (
            f"longest stall {max(self.stalls_ms):6.1f} ms, {sum(stall > 20 for stall in self.stalls_ms)} above 20 ms,"
            f" the loop's own CPU {max(self.cpu_ms):.1f} ms;"
            f" {len(commits)} readings on disk after {commits[len(commits) // 2]:.1f} ms (median),"
            f" {commits[-1]:.1f} ms (longest)"
        )


def fill(folder: Path, devices: int) -> None:
    """Make a key file, and a journal with secrets."""
    keyring = open_key_file(folder / "journal.sqlite.keys", made_site.ID, [], time.time_ns() // 1_000_000).keyring()
    with closing(Journal(folder / "journal.sqlite")) as journal:
        for first in range(0, devices, BATCH):
            numbers = range(first, min(devices, first + BATCH))
            journal.write([[row for number in numbers for row in rows_of(keyring, number)]])


def signed(device: str) -> bytes:
    """Return what a technician has signed, but for the signature, which nobody looks at here."""
    content = {
        "version": 1, "site": made_site.ID, "device": device, "kind": "presence", "board": "pave-presence-v1",
        "firmware": "1.0", "epoch": 1, "signer": "00" * 32, "note": "", "oscore": None,
        "lora": {"join_eui": "0200000000000001", "app_key": "00" * 16},
    }  # fmt: skip
    return bytes(keys_record.SIGNATURE_BYTES) + json.dumps(content).encode()


def rows_of(keyring: AesKeyring, number: int) -> list[Row]:
    """Return what the journal has of one device."""
    device = f"24a160fffe{number:06x}"
    record = keyring.seal(device, keys_record.PURPOSE, signed(device))
    session = keyring.seal(device, sessions.PURPOSE, bytes(32))
    rows: list[Row] = [KeyRow(device, record), JoinRow(device, "root", 1, 1)]
    rows.append(LoraSessionRow(device, 1, number, session, "{}", 64, 0))
    if number % 10 == 0:
        wifi = shadow_sealing.sealed(keyring, device, {0: 1, 1: "Bercy", 2: "correct horse", 3: True})
        rows.append(DesiredRow(device, 1, cbor.dumps({2: 1, shadow.WIFI: wifi})))
    return rows


async def ticks(seen: list[Seen]) -> None:
    """Note how late the loop is."""
    while True:
        before_s, cpu_s = time.perf_counter(), time.thread_time()
        await asyncio.sleep(TICK_S)
        seen[-1].stalls_ms.append((time.perf_counter() - before_s - TICK_S) * 1000)
        seen[-1].cpu_ms.append((time.thread_time() - cpu_s) * 1000)


async def readings(gateway: Gateway, seen: list[Seen]) -> None:
    """Store a reading every few milliseconds."""
    core = gateway.core
    for seq in range(1, 1_000_000):
        began_s = time.perf_counter()

        def done(_verdict: object, began_s: float = began_s) -> None:
            seen[-1].commits_ms.append((time.perf_counter() - began_s) * 1000)

        values = {"occupied": bool(seq & 1), "reason": "field"}
        core.ingest.offer([Reading(DEVICE, 1, seq, 0, values)], core.now(), done, urgent=True)
        await asyncio.sleep(READING_S)


def keys_of(_number: int) -> DeviceKeys:
    """Name the device whose readings are stored; it reports to the core itself and needs no keys."""
    return DeviceKeys(DEVICE, b"", b"", b"", b"")


async def measure(folder: Path) -> None:
    """Run a gateway, rotate, print."""
    rotation.Rotation = Timed
    config = made_site.config_of(folder / "journal.sqlite", keys_of, 1)
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(config, this_machine(True), threaded, stack)
        garbage.settle()
        seen = [Seen()]
        tasks = [asyncio.create_task(ticks(seen)), asyncio.create_task(readings(gateway, seen))]
        await asyncio.sleep(BEFORE_S)
        seen.append(Seen())
        began_s = time.perf_counter()
        await gateway.rotation.begin("benchmark")
        while gateway.rotation.is_running:
            await asyncio.sleep(0.05)
        took_s = time.perf_counter() - began_s
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        anew = sum(count.anew for count in gateway.rotation.rotation.counts)
        print(
            f"{anew} secrets sealed anew in {took_s:.1f} s, {len(gateway.rotation.file.sealing)} key left in the file"
        )
        costs_ms = sorted(Timed.costs_ms)
        print(f"CPU of a step: {costs_ms[-1]:.1f} ms at most, {costs_ms[len(costs_ms) * 99 // 100]:.1f} ms (99 %)")
        print(f"before  {seen[0].line()}")
        print(f"while   {seen[1].line()}")


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description="What a rotation of the sealing key costs a running gateway.")
    parser.add_argument("--devices", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), arguments.devices)
        asyncio.run(measure(Path(name)))


if __name__ == "__main__":
    main()
