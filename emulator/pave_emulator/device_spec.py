"""What a device is to be, what it has done, and the names of its resets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pave_emulator.causes import CAUSES
from pave_emulator.power.costs import Costs
from pave_emulator.rtc import EXT0_WAKE, EXT1_WAKE, IDEAL, TIMER_WAKE, SlowClock

# The port's reset_cause() by esp_reset_reason(): power-on and brown-out 1; software, panic and external 2; interrupt,
# task and RTC watchdogs 3; deep sleep 4; 5 after a soft reset, whatever the chip says.
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
WAKES = {EXT0_WAKE: "pin", EXT1_WAKE: "pin", TIMER_WAKE: "timer"}
CRASH_RESTART_S = 1.0  # a VM that dies by itself is a panic; the port reboots
# Objects are twice the size in a 64-bit VM, buffers are not, and the shims lie in the VM's heap as well.
HEAP_INTERNAL_BYTES = 160 * 1024
HEAP_PSRAM_BYTES = 1024 * 1024
HEAP_SCALE = 2
SHIMS_HEAP_BYTES = 136 * 1024  # measured: what the shims leave on the heap before boot.py runs


@dataclass(frozen=True)
class DeviceSpec:
    """A device to be. `place` is where its magnetometer lies (a bay's id), None for nowhere.

    `heap_bytes` is the VM's heap as `-X heapsize` has it; None scales the board's. `order` decides between devices at
    one instant, `seed` makes its random numbers; the fleet sets both. `slow_clock` is what it has while it sleeps.
    """

    name: str
    mac: bytes
    board_file: Path
    flash_image: Path
    place: str | None = None
    heap_bytes: int | None = None
    order: int = 0
    seed: int = 0
    slow_clock: SlowClock = IDEAL

    def vm_heap_bytes(self, psram: bool) -> int:
        """The VM's heap, shims and all, for a board with or without PSRAM."""
        heap = HEAP_PSRAM_BYTES if psram else HEAP_INTERNAL_BYTES
        return self.heap_bytes or heap * HEAP_SCALE + SHIMS_HEAP_BYTES


@dataclass(frozen=True)
class Reset:
    """Why a boot is: `cause` as the port's reset_cause(), what woke it from deep sleep."""

    cause: int = PWRON_RESET
    wake_reason: int = 0
    wake_pins: tuple[int, ...] = ()

    @property
    def soft(self) -> bool:
        """Only the VM starts anew."""
        return self.cause == SOFT_RESET

    @property
    def from_sleep(self) -> bool:
        """A wake-up from deep sleep."""
        return self.cause == DEEPSLEEP_RESET

    @property
    def by_pin(self) -> bool:
        """A pin has woken it."""
        return self.wake_reason not in (0, TIMER_WAKE)

    @property
    def name(self) -> str:
        """As reports call it."""
        return WAKES.get(self.wake_reason, CAUSES[self.cause])

    def boot_s(self, costs: Costs) -> float:
        """From the reset to the first line of boot.py."""
        if self.soft:
            return costs.vm_start_s + costs.mount_s
        return costs.wake_s() if self.from_sleep else costs.cold_boot_s()


@dataclass
class Stats:
    """What a device has done since the fleet started."""

    boots: int = 0
    wakes: int = 0
    rpc_calls: int = 0
    flash_erases: int = 0
    flash_programs: int = 0
    crashes: int = 0
    watchdog_resets: int = 0
