"""What a VM is told when its boot begins: who it is, why it boots, and what it is to charge itself."""

from __future__ import annotations

import hashlib
import json
import os
import struct

from pave_emulator.flash.image import Flash
from pave_emulator.power.costs import Costs
from pave_emulator.vm.shims import _emu_ops as ops

# Bytecodes cannot be counted in a stock VM. What it can tell for nothing is how many bytes it has allocated, which
# grows with the code that runs: `python -m benchmarks.code_charge` saw 0.7 to 1.0 bytecodes for each byte.
BYTECODES_PER_BYTE = 1.0


def facts(flash: Flash, virtual: bool, costs: Costs, mhz: int, **more: object) -> bytes:
    """The answer to HELLO, as JSON: what the last boot was told too, if it was one of the same kind."""
    running = flash.running_app()
    return json.dumps(
        {
            "partitions": [[p.type, p.subtype, p.offset, p.size, p.label, int(p.encrypted)] for p in flash.partitions],
            "running": running,
            "boot": running,
            "image_bytes": flash.path.stat().st_size,
            "virtual": virtual,
            "costs": vm_costs(costs, mhz, virtual),
            **more,
        }
    ).encode()


def waking(reason: int, pins: tuple[int, ...], rtc_us: int, seed: str, virtual: bool) -> bytes:
    """The answer to WAKING: what only this boot knows. `seed` names this boot of this device in this run."""
    return struct.pack(ops.TABLE[ops.WAKING][2], reason, rtc_us, random_seed(seed, virtual)) + bytes(pins)


def random_seed(seed: str, virtual: bool) -> int:
    """What the VM's random numbers begin with, 32 bits; a board takes it from its radio's noise."""
    noise = hashlib.sha256(seed.encode()).digest()[:4] if virtual else os.urandom(4)
    return int.from_bytes(noise, "big")


def vm_costs(costs: Costs, mhz: int, virtual: bool) -> dict[str, int]:
    """What the VM charges itself on a core of so many MHz; nothing at wall clock."""

    def code(seconds: float, unit_s: float) -> int:
        return round(costs.cpu_s(seconds, mhz) / unit_s)

    full = {
        "clock_read_us": code(costs.call_s, 1e-6),
        "call_us": code(costs.call_s, 1e-6),
        "read_ns": round(costs.flash_read_s * 1e9),
        "read_ns_per_byte": round(costs.flash_read_byte_s * 1e9),
        "code_ns_per_byte": code(costs.bytecode_s * BYTECODES_PER_BYTE, 1e-9),
        "hash_us": code(costs.sha256_s, 1e-6),
        "aes_block_ns": round(costs.aes_block_s * 1e9),
        "gc_us_per_kib": code(costs.gc_64kib_s / 64, 1e-6),
        "gc_psram_us_per_kib": code(costs.gc_psram_live_64kib_s / 64, 1e-6),
    }
    return full if virtual else dict.fromkeys(full, 0)
