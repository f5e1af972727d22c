"""A fleet: every device of a site on one world, one air and one clock, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pave_emulator.air.wifi import WifiAir
from pave_emulator.chips.chip import Environment, Vector, still_field
from pave_emulator.clock import Clock, Timer
from pave_emulator.console import Subscriber
from pave_emulator.device import Device, DeviceSpec
from pave_emulator.scenario.world import Change
from pave_emulator.vm.process import ZygoteClient

__all__ = ["Device", "DeviceSpec", "Fleet"]


class StreetWorld(Protocol):
    """What a fleet needs of a world."""

    def sensor(self, place: str) -> Callable[[float], Vector]:
        """The field at a place as a sensor there measures it: seconds to uT."""
        ...

    def advance(self, now_s: float) -> list[Change]:
        """The changes due up to now, in order."""
        ...

    def next_change_s(self) -> float | None:
        """When the next change is due."""
        ...


def _raise(what: str) -> None:
    raise RuntimeError(what)


class Fleet:
    """Composition of devices. `world` may be None for devices that lie nowhere.

    World time is the clock's time since `start`. `on_truth` is called for each change of a bay,
    `on_lost` if the process that runs the VMs ends by itself.
    """

    def __init__(
        self,
        devices: list[DeviceSpec],
        world: StreetWorld | None,
        air: WifiAir,
        clock: Clock,
        log_dir: Path,
        on_truth: Callable[[Change], None] | None = None,
        on_lost: Callable[[str], None] = _raise,
    ) -> None:
        names = [spec.name for spec in devices]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise ValueError(f"device names must differ: {sorted(double)} appear more than once")
        log_dir.mkdir(parents=True, exist_ok=True)
        self._world = world
        self._clock = clock
        self._on_truth = on_truth
        self._started_s: float | None = None  # None: world time stands at 0
        self._truth_timer: Timer | None = None
        self._zygote = ZygoteClient(on_lost)
        self._devices = {
            spec.name: Device(spec, Environment(self._field(spec.place)), air, clock, log_dir) for spec in devices
        }

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote; the VMs are its children."""
        return self._zygote.pid

    async def start(self, hold_world: bool = False) -> None:
        """Start the zygote and power every device on; `hold_world` keeps world time at 0 until `begin_world`."""
        await self._zygote.start()
        if not hold_world:
            self._started_s = self._clock.now_s()
        for device in self._devices.values():
            device.use(self._zygote)
            device.power_on()
        if not hold_world:
            self._follow_truth()

    def begin_world(self) -> None:
        """Let world time run after a `start` that held it."""
        self._started_s = self._clock.now_s()
        self._follow_truth()

    async def stop(self) -> None:
        """Cut every device's power and end the processes."""
        if self._truth_timer:
            self._truth_timer.cancel()
        for device in self._devices.values():
            device.close()
        await self._zygote.stop()

    def now_s(self) -> float:
        """World time: seconds since `start`, or since `begin_world` after a start that held it."""
        return self._world_s(self._clock.now_s())

    def device(self, name: str) -> Device:
        """A device by name. Raise KeyError with the names there are."""
        if name not in self._devices:
            raise KeyError(f"no device {name!r}: the fleet has {sorted(self._devices)}")
        return self._devices[name]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(device, line)` for every console line of every device."""
        for device in self._devices.values():
            device.console.subscribers.append(subscriber)

    def stats(self) -> dict[str, dict[str, int]]:
        """Per device: boots, wakes, rpc_calls, flash_erases, flash_programs, crashes, watchdog_resets."""
        return {name: asdict(device.collect_stats()) for name, device in self._devices.items()}

    def _field(self, place: str | None) -> Callable[[float], Vector]:
        if self._world is None or place is None:
            return still_field
        sensor = self._world.sensor(place)
        return lambda clock_s: sensor(self._world_s(clock_s))

    def _world_s(self, clock_s: float) -> float:
        return 0.0 if self._started_s is None else clock_s - self._started_s

    def _follow_truth(self) -> None:
        if self._world is None:
            return
        for change in self._world.advance(self.now_s()):
            if self._on_truth:
                self._on_truth(change)
        due_s = self._world.next_change_s()
        if due_s is not None:
            self._truth_timer = self._clock.call_after(due_s - self.now_s(), self._follow_truth)
