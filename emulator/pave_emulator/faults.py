"""Faults of a scenario, done to the devices and airs of a fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pave_emulator.clock import Timer
from pave_emulator.nearest import hint
from pave_emulator.scenario.model import ScenarioError

if TYPE_CHECKING:
    from pave_emulator.fleet import Fleet


class FleetFaults:
    """Implements `scenario.steps.Faults`; times are seconds, devices are named as in the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lasting: dict[str, tuple[float, Timer]] = {}  # until when, and what ends it

    def power_cut(self, device: str, s: float) -> None:
        """Take the supply away for so long."""
        there = self._fleet.device(device)
        there.power_cut()
        self._ends(f"power {device}", s, there.power_on)

    def power_cut_at_flash(self, device: str, operation: int, s: float) -> None:
        """Take it away for so long in the middle of the n-th flash operation from now, from 1."""
        there = self._fleet.device(device)
        there.flash.cut_power_at(operation, seed=there.spec.seed)
        there.on_power_lost = lambda: self._ends(f"power {device}", s, there.power_on)

    def brown_out(self, device: str) -> None:
        """Let the supply sag below the brown-out level for a moment."""
        self._fleet.device(device).brown_out()

    def reset(self, device: str) -> None:
        """Pull the reset pin."""
        there = self._fleet.device(device)
        there.hold_in_reset()
        there.release_reset()

    def flip_flash_bit(self, device: str, address: int, bit: int) -> None:
        """Invert a bit of the flash."""
        self._fleet.device(device).flash.flip_bit(address, bit)

    def stuck_bus(self, device: str, bus: str, s: float) -> None:
        """Hold SDA low for so long."""
        there = self._fleet.device(device)
        names = [known.name for known in there.board.buses.values() if known.kind == "i2c"]
        if bus not in names:
            raise ScenarioError(f"stuck_bus: device {device!r} has no I2C bus {bus!r}: {hint(bus, names)}")
        stuck = there.mcu.buses.stuck
        stuck.add(bus)
        self._ends(f"bus {device} {bus}", s, lambda: stuck.discard(bus))

    def clock_skew(self, device: str, ppm: float) -> None:
        """Let the slow clock run so much too fast."""
        rtc = self._fleet.device(device).rtc
        rtc.slow_clock = replace(rtc.slow_clock, error=ppm / 1e6)

    def fan_stuck(self, device: str, stuck: bool) -> None:
        """Block the fan, or let it go."""
        there = self._fleet.device(device)
        fans = [chip for chip in there.mcu.chips.values() if "stuck" in getattr(chip, "FAULTS", ())]
        if not fans:
            raise ScenarioError(f"fan_stuck: device {device!r} has no fan")
        for fan in fans:
            fan.set_fault("stuck", stuck, self._fleet.clock.now_s())  # type: ignore[attr-defined]
        there.mcu.touched()

    def radio_outage(self, s: float) -> None:
        """Let the concentrators hear and send nothing for so long."""
        now_s = self._fleet.clock.now_s
        for concentrator in self._fleet.concentrators:
            concentrator.stop(now_s())
            self._ends(
                f"radio {concentrator.site.name}", s, lambda concentrator=concentrator: concentrator.start(now_s())
            )

    def wifi_outage(self, s: float) -> None:
        """Switch the access point off for so long."""
        air = self._fleet.air
        air.switch(air.access_point.ssid, on=False)
        self._ends("wifi", s, lambda: air.switch(air.access_point.ssid, on=True))

    def wifi_loss(self, share: float, s: float) -> None:
        """Lose this share of the datagrams, 0 to 1, for so long."""
        for device in self._fleet.devices:
            self._fleet.air.paths.impair(device, loss=share)
            self._ends(f"loss {device}", s, lambda device=device: self._fleet.air.paths.impair(device, loss=0.0))

    def gateway_outage(self, s: float) -> None:
        """Stop the gateway for so long; where the fleet has none of its own, nothing reaches it."""
        if self._fleet.gateway_outage:
            self._fleet.gateway_outage(s)
            return
        for device in self._fleet.devices:
            self._fleet.air.paths.cut(device)
            self._ends(f"path {device}", s, lambda device=device: self._fleet.air.paths.heal(device))

    def end(self) -> None:
        """The run is over: what lasts is not undone, there are no devices to undo it on."""
        for _until_s, timer in self._lasting.values():
            timer.cancel()
        self._lasting.clear()

    def _ends(self, what: str, s: float, undo: Callable[[], None]) -> None:
        """Undo a fault `s` from now, or when another of the same kind ends that lasts longer."""
        clock = self._fleet.clock
        until_s = clock.now_s() + s
        if what in self._lasting:
            longer_s, timer = self._lasting[what]
            if longer_s >= until_s:
                return
            timer.cancel()

        def end() -> None:
            del self._lasting[what]
            undo()

        self._lasting[what] = until_s, clock.call_at(until_s, end)
