"""How much heap each application needs: the smallest in which it does all its work, and the smallest largest block.

Theory of operation. A peak cannot be read off a heap that is collected when it is full. So the same hour of work runs
with less and less heap, by halving, until it fails: a MemoryError, a crash, or a report that does not come. Objects are
twice the size in the 64-bit VM, and the emulator's shims lie in its heap: ESP32 bytes are (heap - shims) / 2
(`device_spec`), so buffers, which are not twice the size, count half. For blocks a line before boot.py divides the heap
by marks that stay, as the emulator does for a board's largest block; blocks are not scaled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from benchmarks import _firmware_images as images
from benchmarks import _firmware_site as sites
from benchmarks import _firmware_world as world
from pave_emulator.device_spec import HEAP_INTERNAL_BYTES, HEAP_SCALE, SHIMS_HEAP_BYTES, DeviceSpec
from simulation import virtual

STEP_BYTES = 2048  # of ESP32 heap
PRESENCE_GOAL_KB, KIOSK_GOAL_KB = 64.0, 100.0
LARGEST_BLOCKS = (1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768, 65536, 110592)
KIOSK_S = 900.0
_KIOSK_SCENARIO = virtual.ROOT / "examples" / "bercy" / "scenarios" / "day.yaml"
_WITHIN_S = 4 * sites.HOUR_S
_DIVIDE = """\
def _divided(size):
    import gc
    from uctypes import addressof
    gc.collect()
    marks, blocks, fillers = [], [], ()
    try:
        while True:
            blocks.append(bytearray(size))
            fillers = (fillers,)
            while id(fillers) < addressof(blocks[-1]):
                fillers = (fillers,)
            marks.append(bytearray(1))
    except MemoryError:
        pass
    blocks.clear()  # the collector may still see the list
    fillers = None
    gc.collect()
    return marks
_marks = _divided(%d)
"""


def measure(quick: bool) -> dict[str, Any]:
    """Both applications; `works` is whether they do with all the heap of their board. Quick is only that."""
    found: dict[str, Any] = {}
    for name, works in (("presence", presence_works), ("kiosk", kiosk_works)):
        found[name] = {"works": works(None, None)}
        if quick or not found[name]["works"]:
            continue
        heaps = range(STEP_BYTES, HEAP_INTERNAL_BYTES + 1, STEP_BYTES)
        found[name]["heap_bytes"] = smallest(list(heaps), lambda size, works=works: works(size, None))
        found[name]["block_bytes"] = smallest(list(LARGEST_BLOCKS), lambda size, works=works: works(None, size))
    return found


def smallest(sizes: list[int], works: Callable[[int], bool]) -> int | None:
    """The smallest of rising sizes that works, None if none does; each larger one is taken to work too."""
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        if works(sizes[middle]):
            high = middle
        else:
            low = middle + 1
    return sizes[low] if low < len(sizes) else None


def vm_heap_bytes(esp32_bytes: int) -> int:
    """The heap of the VM that stands for so much on an ESP32."""
    return esp32_bytes * HEAP_SCALE + SHIMS_HEAP_BYTES


def presence_works(heap_bytes: int | None, block_bytes: int | None) -> bool:
    """Whether a sensor joins, tells of an arrival and a departure, and sends a heartbeat."""
    files = dict(images.files_of(images.PRESENCE))
    changed = {"/boot.py": divided(files["/boot.py"], block_bytes)}
    scenario = world.short([(3600.0, 5400.0)])
    heap = None if heap_bytes is None else vm_heap_bytes(heap_bytes)
    setting = sites.Setting(images.PRESENCE, scenario, 9, {"heartbeat_s": 1200}, changed, heap_bytes=heap)
    wanted = {(True, "field"), (False, "field"), (False, "heartbeat"), (False, "boot")}

    async def script(site: sites.Site) -> bool:
        def failed() -> bool:
            stats = site.device.collect_stats()
            return site.out_of_memory or stats.crashes + stats.watchdog_resets > 0

        def done() -> bool:
            return failed() or wanted <= {(occupied, reason) for _, occupied, reason in site.stored()}

        await site.until(done, _WITHIN_S)
        return not failed()

    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        try:
            return sites.play(setting, Path(folder), script)
        except sites.LateError:
            return False


def kiosk_works(heap_bytes: int | None, block_bytes: int | None) -> bool:
    """Whether a kiosk runs for a while beside a sensor, without a crash or an exception of memory, and reports."""
    build, compiled = virtual.devices.build, virtual.devices.firmware.build

    def smaller(*given: Any) -> list[DeviceSpec]:
        heap = None if heap_bytes is None else vm_heap_bytes(heap_bytes)
        return [replace(spec, heap_bytes=heap) for spec in build(*given)]

    def changed(role: str) -> dict[str, bytes]:
        files = compiled(role)
        return files | {"/boot.py": divided(files["/boot.py"], block_bytes)}

    patches = (
        mock.patch.object(virtual.devices, "build", smaller),
        mock.patch.object(virtual.devices.firmware, "build", changed),
    )
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder, patches[0], patches[1]:
        outcome = virtual.run(virtual.Plan(_KIOSK_SCENARIO, KIOSK_S, sensors=0, kiosks=1), Path(folder))
        said = "".join(path.read_text() for path in (Path(folder) / "consoles").glob("*.log"))
    ended = sum(stats["crashes"] + stats["watchdog_resets"] for stats in outcome.stats.values())
    return ended == 0 and "MemoryError" not in said and outcome.stored > 0


def divided(boot: bytes, block_bytes: int | None) -> bytes:
    """`boot` behind a line that leaves no larger block than this."""
    return boot if block_bytes is None else (_DIVIDE % block_bytes).encode() + boot


def show(console: Console, found: dict[str, Any]) -> None:
    """Print what each needs."""
    table = Table(title="Heap in which each application does all its work, ESP32 bytes")
    for column in ("application", "heap, KB", "goal, KB", "largest block, B"):
        table.add_column(column, justify="left" if column == "application" else "right")
    for name, goal in (("presence", PRESENCE_GOAL_KB), ("kiosk", KIOSK_GOAL_KB)):
        if "heap_bytes" in found[name]:
            heap, block = found[name]["heap_bytes"], found[name]["block_bytes"]
            shown = "more than the board's" if heap is None else f"{heap / 1024:.0f}"
            table.add_row(name, shown, f"{goal:.0f}", "more than the board's" if block is None else f"{block:,}")
    console.print(table)
