"""What `pave_wire` costs: microseconds and bytes, under CPython and in the MicroPython VM, and its size as `.mpy`.

The VM runs the `.mpy` that ships. "allocated" is what one call takes from its heap while nothing is collected, an
upper bound of its peak; the host's words are 8 bytes and the ESP32's 4, so objects (not buffers) are half that there.
Times are the best of several batches, on either. Those of the VM are this machine's and compare functions with each
other; the ESP32 is slower by one to two orders.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _payloads, _wire_cases
from pave_tools import firmware, manifest

ROOT = Path(__file__).parent.parent
WIRE = ROOT / "firmware" / "lib" / "pave_wire"
CONSOLE = Console(width=150)
VM_HEAP = "16M"  # room for what is not collected while it is counted
_RUN_MAIN = "import sys, micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"
LORA_ROOTS = ("event_encode", "lorawan", "lorawan_join", "mac_commands", "region")  # sends events, is acknowledged
MORE_ROOTS = (*LORA_ROOTS, "schc", "hello")  # has more to say: loaded when it has
GOALS: dict[str, int | None] = {
    "oscore open + seal, us on CPython": 20,
    "presence uplink, bytes allocated in the VM": 4096,
    "all of pave_wire, .mpy bytes": 48 * 1024,
    "a LoRa-only sensor's imports, .mpy bytes": 20 * 1024,
    "the same with SCHC and hello, .mpy bytes": None,
    "presence event, PHY bytes": 24,
    "cumulative acknowledgement, PHY bytes": 16,
}


def cpython_us() -> dict[str, float]:
    """Return the best batch of each case, in microseconds per call."""
    best: dict[str, float] = {}
    for name, build, calls, modules in _wire_cases.CASES:
        if _wire_cases.absent(modules) is not None:
            continue
        for _ in range(_wire_cases.BATCHES):
            call, _ = build(calls)
            start_ns = time.perf_counter_ns()
            for _ in range(calls):
                call()
            spent_us = (time.perf_counter_ns() - start_ns) / 1000 / calls
            best[name] = min(spent_us, best.get(name, spent_us))
    return best


def compiled(slot: Path) -> dict[str, int]:
    """Compile all of `pave_wire` into `slot`; return the bytes of each module."""
    sizes: dict[str, int] = {}
    (slot / "pave_wire").mkdir()
    for source in sorted(WIRE.glob("*.py")):
        entry = manifest.Entry(source, manifest.module_path(f"lib/pave_wire/{source.name}"))
        code = firmware.compile_module(entry, slot)
        (slot / "pave_wire" / f"{source.stem}.mpy").write_bytes(code)
        sizes[source.stem] = len(code)
    return sizes


def vm_rows(slot: Path) -> dict[str, dict[str, Any]]:
    """Run the cases in the VM; return their rows by name."""
    own = os.environ.get("PAVE_MICROPYTHON")
    command = [own] if own else [sys.executable, "-c", _RUN_MAIN]
    finished = subprocess.run(
        [*command, "-X", f"heapsize={VM_HEAP}", _wire_cases.__file__, str(slot)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if finished.returncode != 0:
        raise SystemExit(finished.stdout + finished.stderr)
    return {row["name"]: row for row in map(json.loads, finished.stdout.splitlines())}


def imported(roots: tuple[str, ...]) -> set[str]:
    """Return the modules of `pave_wire` that importing `roots` loads; what only type checkers see is left out."""
    found: set[str] = set()
    waiting = [root for root in roots if (WIRE / f"{root}.py").exists()]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports_of(ast.parse((WIRE / f"{name}.py").read_text()).body)
    return found | {"__init__"}


def imports_of(body: list[ast.stmt]) -> list[str]:
    """Return the modules that the statements at the top of a file import from `pave_wire`."""
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module == "pave_wire":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pave_wire."):
            names.append(node.module.removeprefix("pave_wire."))
    return names


def show_functions(host_us: dict[str, float], vm: dict[str, dict[str, Any]]) -> None:
    """Print the table of functions."""
    table = Table(title="Functions")
    for column in ("function", "CPython us", "VM us", "VM allocated, B", "wire, B"):
        table.add_column(column, justify="left" if column == "function" else "right")
    for name, row in vm.items():
        if "absent" in row:
            table.add_row(name, "", "", "", f"absent: {row['absent']}")
        else:
            table.add_row(name, f"{host_us[name]:.1f}", f"{row['us']:.0f}", f"{row['allocated']:,}", str(row["wire"]))
    CONSOLE.print(table)


def show_sizes(sizes: dict[str, int], lora: set[str]) -> None:
    """Print the table of modules."""
    table = Table(title="Modules as .mpy")
    table.add_column("module")
    table.add_column("bytes", justify="right")
    table.add_column("on a LoRa-only sensor")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{size:,}", "yes" if name in lora else "")
    CONSOLE.print(table)


def airtime_ms(size: int) -> float | None:
    """Return the time on air at SF9 of a frame with `size` bytes inside, None if it does not fit or none can tell."""
    if _wire_cases.absent("region") is not None:
        return None
    from pave_wire import region

    fits = size <= region.max_payload_bytes(_payloads.SF9_DATA_RATE)
    return region.frame_time_us(_payloads.SF9_DATA_RATE, _payloads.LORAWAN_BYTES + size) / 1000 if fits else None


def show_air(payloads: list[_payloads.Payload]) -> list[dict[str, Any]]:
    """Print the comparison on air; return its rows."""
    table = Table(
        title="A vehicle arrives: bytes on air, LoRaWAN EU868 (at most 51 B inside at SF12 to SF10, 115 at SF9)"
    )
    for column in ("format", "inside, B", "PHY, B", "SF9, ms", "says", "published"):
        table.add_column(column, justify="right" if column in ("inside, B", "PHY, B", "SF9, ms") else "left")
    rows: list[dict[str, Any]] = []
    for payload in payloads:
        if payload.size is None:
            table.add_row(payload.name, "absent", "", "", payload.says, payload.source)
            continue
        phy, air_ms = payload.size + _payloads.LORAWAN_BYTES, airtime_ms(payload.size)
        shown = "does not fit" if air_ms is None else f"{air_ms:.0f}"
        table.add_row(payload.name, str(payload.size), str(phy), shown, payload.says, payload.source)
        rows.append({"name": payload.name, "inside": payload.size, "phy": phy, "sf9_ms": air_ms})
    CONSOLE.print(table)
    return rows


def show_goals(measured: dict[str, float | None]) -> list[str]:
    """Print each goal beside its figure; return those that are missed."""
    table = Table(title="Goals")
    for column in ("figure", "measured", "goal", ""):
        table.add_column(column)
    missed: list[str] = []
    for name, goal in GOALS.items():
        value = measured[name]
        verdict = "absent" if value is None else "" if goal is None else "met" if value <= goal else "MISSED"
        if verdict == "MISSED":
            missed.append(name)
        table.add_row(
            name,
            "" if value is None else f"{value:,.1f}".removesuffix(".0"),
            "" if goal is None else f"{goal:,}",
            verdict,
        )
    CONSOLE.print(table)
    CONSOLE.print(f"goals missed: {len(missed)}{''.join(f'; {name}' for name in missed)}")
    return missed


def main() -> None:
    """Measure and print. A missed goal is printed, and is no failure: the exit status is 0."""
    with tempfile.TemporaryDirectory(prefix="pave-wire-") as folder:
        sizes = compiled(Path(folder))
        vm = vm_rows(Path(folder))
    host_us = cpython_us()
    lora = imported(LORA_ROOTS)
    payloads = [*_payloads.ours(), *_payloads.vendors()]
    ack = vm["acknowledgement, whole"].get("wire")
    lora_complete = all((WIRE / f"{root}.py").exists() for root in LORA_ROOTS)
    show_functions(host_us, vm)
    show_sizes(sizes, lora)
    air = show_air(payloads)
    measured: dict[str, float | None] = {
        "oscore open + seal, us on CPython": host_us.get("oscore open + seal"),
        "presence uplink, bytes allocated in the VM": vm["presence uplink, whole"].get("allocated"),
        "all of pave_wire, .mpy bytes": sum(sizes.values()),
        "a LoRa-only sensor's imports, .mpy bytes": sum(sizes[name] for name in lora) if lora_complete else None,
        "the same with SCHC and hello, .mpy bytes": sum(sizes[name] for name in imported(MORE_ROOTS)),
        "presence event, PHY bytes": None if payloads[0].size is None else payloads[0].size + _payloads.LORAWAN_BYTES,
        "cumulative acknowledgement, PHY bytes": ack,
    }
    missed = show_goals(measured)
    functions = [{**row, "cpython_us": host_us.get(name)} for name, row in vm.items()]
    print(json.dumps({"goals": measured, "missed": missed, "functions": functions, "mpy": sizes, "air": air}))


if __name__ == "__main__":
    main()
