"""A fleet: every device of a site on one world, one air and one clock, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.radio import Radio
from pave_emulator.air.wifi import WifiAir
from pave_emulator.chips.environment import Environment
from pave_emulator.clock import FleetClock, Timer
from pave_emulator.console import Subscriber
from pave_emulator.device import Device, DeviceSpec
from pave_emulator.faults import FleetFaults
from pave_emulator.felt import Felt
from pave_emulator.rtc import SlowClock
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.play import Event, Play
from pave_emulator.scenario.world import Change, Happening, World
from pave_emulator.surroundings import Surroundings
from pave_emulator.trace import RUN, TRUTH, Record, Trace
from pave_emulator.vm.process import ZygoteClient

__all__ = ["Device", "DeviceSpec", "Fleet"]


def _raise(what: str) -> None:
    raise RuntimeError(what)


class Fleet:
    """Composition of devices. `world` may be None for devices that lie nowhere.

    World time is the clock's time since `start`, or since `begin_world`. `concentrators` and `gateway_outage` (called
    with seconds) are what a scenario's outages are done to, where there are any.
    """

    def __init__(
        self,
        devices: list[DeviceSpec],
        world: World | None,
        air: WifiAir,
        clock: FleetClock,
        log_dir: Path,
        on_truth: Callable[[Change], None] | None = None,
        on_lost: Callable[[str], None] = _raise,
        traced: Trace | None = None,
        seed: int = 0,
        metered: bool = False,
        drifting: bool = False,
        lora: LoraAir | None = None,
        positions_m: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """`on_truth` is called for each change of a bay, `on_lost` if the process that runs the VMs ends by itself.

        `metered` keeps a power ledger of each device, `drifting` gives each a slow clock of its own.
        `positions_m` (east and north, by device) puts the radios of devices on `lora`.
        """
        names = [spec.name for spec in devices]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise ValueError(f"device names must differ: {sorted(double)} appear more than once")
        log_dir.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.air = air
        self.lora = lora
        self.concentrators: list[Concentrator] = []
        self.gateway_outage: Callable[[float], None] | None = None
        self.attenuation_db: dict[str, float] = {}
        """What each device's antenna loses besides what stands over it."""
        self._world = world
        self._positions_m = positions_m or {}
        self._trace = traced or Trace()
        self._on_truth = on_truth
        self._time = Felt(clock)
        self._timer: Timer | None = None
        self._zygote = ZygoteClient(on_lost)
        self._devices = {
            spec.name: Device(
                replace(
                    spec,
                    order=order,
                    seed=seed,
                    slow_clock=SlowClock.drawn(seed, spec.name) if drifting else spec.slow_clock,
                ),
                self._environment(spec, seed),
                air,
                clock,
                log_dir,
                traced,
                metered,
            )
            for order, spec in enumerate(devices)
        }
        boards = sorted({device.board.name for device in self._devices.values()})
        self._trace.begin(seed=seed, scenario=world.scenario.name if world else "", boards=boards)
        self._surroundings = Surroundings(self._devices.values(), world, self._time, clock)
        self.faults = FleetFaults(self)
        self._play = Play(world, self.faults) if world else None
        if world:
            world.disturbed.append(self._disturbed)
            if world.scenario.steps:
                self._trace.subscribers.append(self._observe)

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote; the VMs are its descendants."""
        return self._zygote.pid

    async def start(self, hold_world: bool = False) -> None:
        """Start the zygote and power every device on; `hold_world` keeps world time at 0 until `begin_world`."""
        await self._zygote.start()
        if not hold_world:
            self._time.begin()
        for device in self._devices.values():
            device.use(self._zygote)
            device.power_on()
        if not hold_world:
            self._begin()

    def begin_world(self) -> None:
        """Let world time run after a `start` that held it."""
        self._time.begin()
        for device in self._devices.values():  # they have looked ahead into a world that stood still
            device.mcu.disturbed()
        self._begin()

    async def stop(self) -> None:
        """Cut every device's power and end the processes."""
        if self._timer:
            self._timer.cancel()
        self._surroundings.end()
        self.faults.end()
        for device in self._devices.values():
            device.close()
        await self._zygote.stop()

    def now_s(self) -> float:
        """World time, s."""
        return self._time.world_s(self.clock.now_s())

    def device(self, name: str) -> Device:
        """A device by name. Raise KeyError with the names there are."""
        if name not in self._devices:
            raise KeyError(f"no device {name!r}: the fleet has {sorted(self._devices)}")
        return self._devices[name]

    @property
    def devices(self) -> Mapping[str, Device]:
        """All devices, by name."""
        return self._devices

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(device, line)` for every console line of every device."""
        for device in self._devices.values():
            device.console.subscribers.append(subscriber)

    def stats(self) -> dict[str, dict[str, int]]:
        """Per device: boots, wakes, rpc_calls, flash_erases, flash_programs, crashes, watchdog_resets."""
        return {name: asdict(device.collect_stats()) for name, device in self._devices.items()}

    def act(self, action: str, arguments: Mapping[str, Any]) -> None:
        """Do one of `steps.WORLD_ACTIONS` to the world now. Raise ScenarioError."""
        if self._world is None:
            raise ScenarioError(f"{action}: these devices lie in no world")
        self._world.act(action, arguments, self.now_s())
        if self._timer:
            self._timer.cancel()
        self._follow()

    # The world

    def _environment(self, spec: DeviceSpec, seed: int) -> Environment:
        radio = self._radio(spec)
        chance = f"{seed}:{spec.name}"
        if self._world is None or spec.place is None:
            return Environment(radio=radio, seed=chance)
        return self._time.felt(replace(self._world.environment(spec.place, radio), seed=chance))

    def _radio(self, spec: DeviceSpec) -> Radio | None:
        if self.lora is None or spec.name not in self._positions_m:
            return None

        def loss_db(now_s: float) -> float:
            return self.attenuation_db.get(spec.name, 0.0) + self._parked_db(spec.place, now_s)

        return self.lora.radio(spec.name, (*self._positions_m[spec.name], 0.0), extra_loss_db=loss_db)  # in the road

    def _parked_db(self, place: str | None, now_s: float) -> float:
        """What a vehicle over the antenna takes."""
        if self._world is None or place is None or place in self._world.kiosks:
            return 0.0
        return self._world.attenuation_db(place, self._time.world_s(now_s))

    def _begin(self) -> None:
        self._surroundings.begin()
        self._follow()

    def _follow(self) -> None:
        if self._play is None:
            return
        for event in self._play.advance(self.now_s()):
            self._happened(event)
        due_s = self._play.next_s()
        self._timer = None if due_s is None else self.clock.call_after(due_s - self.now_s(), self._follow)

    def _happened(self, event: Event) -> None:
        self._trace.add(replace(event.record, t_us=event.record.t_us + self._time.offset_us))
        if isinstance(event.source, Happening):
            self._surroundings.happened(event.source)
        elif isinstance(event.source, Change) and self._on_truth:
            self._on_truth(event.source)

    def _observe(self, record: Record) -> None:
        """A device has done something that a step may wait for; truths the play knows itself."""
        if self._play is None or record.kind in (RUN, TRUTH):
            return
        self._play.observe(replace(record, t_us=record.t_us - self._time.offset_us))
        due_s = self._play.next_s()
        if self._timer and due_s is not None:
            self._timer.cancel()
            self._timer = self.clock.call_after(due_s - self.now_s(), self._follow)

    def _disturbed(self, bay: str, _world_s: float) -> None:
        for device in self._devices.values():
            if device.spec.place == bay:
                device.mcu.disturbed()
