"""What the gateway takes from the machine it runs on; a simulation gives its own."""

import asyncio
import ctypes
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pave_gateway.core.keys import RandomBytes

_STA_UNSYNC = 0x0040  # adjtimex(2): cleared by an NTP daemon, set again by whoever sets the clock
_TIMEX_BYTES = 208  # struct timex of 64-bit Linux
_STATUS_OFFSET = 40  # of its int `status`
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Machine:
    """Clocks and random sources.

    Attributes:
        monotonic_ms: Milliseconds that nothing sets: the clock of the event loop.
        wall_ms: Milliseconds since 1970; anything may set it.
        is_synchronized: Whether the wall clock is disciplined.
        boot: Names this boot, for which `monotonic_ms` counts.
        random_bytes: For keys and nonces.
        source: For what only has to differ: tokens, back-offs.
    """

    monotonic_ms: Callable[[], int]
    wall_ms: Callable[[], int]
    is_synchronized: Callable[[], bool]
    boot: str
    random_bytes: RandomBytes
    source: random.Random


def this_machine(clock_trusted: bool) -> Machine:
    """Return this one, on the running loop. `clock_trusted`: believe its clock without NTP, see `ClockConfig`."""
    loop = asyncio.get_running_loop()
    return Machine(
        monotonic_ms=lambda: int(loop.time() * 1000),
        wall_ms=lambda: time.time_ns() // 1_000_000,
        is_synchronized=(lambda: True) if clock_trusted else _is_disciplined,
        boot=_boot_id(),
        random_bytes=os.urandom,
        source=random.SystemRandom(),
    )


def _is_disciplined() -> bool:
    """Return what the kernel says of its clock (adjtimex(2), which changes nothing here)."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except AttributeError:  # not Linux
        return False
    timex = (ctypes.c_char * _TIMEX_BYTES)()
    if adjtimex(timex) < 0:
        return False
    return not int.from_bytes(timex[_STATUS_OFFSET : _STATUS_OFFSET + 4], "little") & _STA_UNSYNC


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(uuid.uuid4())
