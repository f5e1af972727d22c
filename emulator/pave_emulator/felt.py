"""World time and the clock's: a world starts at 0, when the fleet lets it, and waits until then."""

from __future__ import annotations

from dataclasses import replace

from pave_emulator.chips.environment import Environment, Vector
from pave_emulator.clock import Clock


class Felt:
    """When the world began, and what devices feel of it at a time of the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s: float | None = None

    def begin(self) -> None:
        """World time runs from now on."""
        self._began_s = self._clock.now_s()

    def world_s(self, clock_s: float) -> float:
        """World time at a time of the clock; 0 until it runs."""
        return 0.0 if self._began_s is None else clock_s - self._began_s

    @property
    def offset_us(self) -> int:
        """What to add to world time for the clock's, microseconds."""
        return round((self._began_s or 0.0) * 1e6)

    def felt(self, world: Environment) -> Environment:
        """An environment of the world, asked with the clock's time."""

        def stays_until_s(now_s: float, low_ut: Vector, high_ut: Vector) -> float:
            if self._began_s is None:
                return now_s
            return world.field_stays_until_s(self.world_s(now_s), low_ut, high_ut) + self._began_s

        return replace(
            world,
            field_ut=lambda now_s: world.field_ut(self.world_s(now_s)),
            field_stays_until_s=stays_until_s,
            temperature_c=lambda now_s: world.temperature_c(self.world_s(now_s)),
            humidity_pct=lambda now_s: world.humidity_pct(self.world_s(now_s)),
            illuminance_lux=lambda now_s: world.illuminance_lux(self.world_s(now_s)),
            echoes=lambda now_s: world.echoes(self.world_s(now_s)),
        )
