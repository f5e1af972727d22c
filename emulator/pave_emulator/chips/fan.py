"""A 4-wire PC fan (Intel, 4-Wire PWM Controlled Fans Specification, rev 1.3).

Theory of operation. The speed follows the duty cycle of the PWM proportionally (3.3), above a minimum below which the
fan stops ("type C", 3.4); without a PWM signal it runs at full speed. A rotor has inertia: speed nears its target
exponentially and friction stops it below 20 rpm. So the revolutions at any instant are a closed formula, and the
tachometer (two pulses a revolution, open collector, 2.1.3) can be counted without making each of its edges an event.
"""

from __future__ import annotations

import math
from typing import ClassVar

from pave_emulator.chips.chip import Chip, ChipFault, Environment

PWM_HZ = (21_000.0, 28_000.0)  # 2.1.4
PULSES_A_REVOLUTION = 2
EDGES_A_REVOLUTION = 2 * PULSES_A_REVOLUTION
INERTIA_S = 1.0  # time constant; a fan may take 2 s to start (3.2)
FRICTION_RPM = 20.0
FULL_UA = 80_000.0  # at 12 V: an 80 mm fan of 2,200 rpm (Noctua NF-A8 PWM, 0.96 W)
ELECTRONICS_UA = 8_000.0


class Fan(Chip):
    """Motor, rotor, tachometer. The tachometer pulls its pin low or lets it go: the board must pull it up.

    Attributes:
        tach_watched: set by a board that needs each edge of the tachometer as an event (interrupts on the pin); off,
            edges are only counted.
    """

    OPTIONS: ClassVar[dict[str, type]] = {"max_rpm": int, "min_duty": float}
    PINS: ClassVar[tuple[str, ...]] = ("tach",)
    PWM_INPUT: ClassVar[str | None] = "pwm"
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "stopped": ELECTRONICS_UA, "on": FULL_UA}
    FAULTS: ClassVar[tuple[str, ...]] = ("stuck",)

    def __init__(self, environment: Environment, max_rpm: int = 2200, min_duty: float = 0.2) -> None:
        """Speed at full duty, and the duty cycle (0 to 1) below which the fan stops."""
        super().__init__(environment)
        self.tach_watched = False
        self._max_rpm = max_rpm
        self._min_duty = min_duty
        self._duty = 1.0  # pulled up inside the fan
        self._powered = self._stuck = False
        self._since_s = 0.0  # since then towards _target_rpm, from _start_rpm
        self._start_rpm = self._target_rpm = 0.0
        self._start_revolutions = 0.0
        self._now_s = 0.0

    def power_on(self, now_s: float) -> None:
        """12 V applied."""
        self._powered = True
        self._aim(now_s)

    def power_off(self, now_s: float) -> None:
        """12 V taken away: the rotor runs down."""
        self._powered = False
        self._aim(now_s)

    def set_pwm(self, duty: float, hz: float, now_s: float) -> None:
        """The control pin gets a PWM of this duty cycle (0 to 1). Raise ChipFault for what 2.1.4 forbids."""
        if not 0.0 <= duty <= 1.0:
            raise ChipFault(f"fan: duty cycle {duty} is not within 0 to 1")
        self._duty = duty
        self._aim(now_s)
        if 0.0 < duty < 1.0 and not PWM_HZ[0] <= hz <= PWM_HZ[1]:
            raise ChipFault(f"fan: PWM of {hz:.0f} Hz, 21 to 28 kHz are specified (2.1.4)")

    def set_fault(self, name: str, present: bool, now_s: float) -> None:
        """`stuck`: something blocks the rotor. Raise ChipFault for another name."""
        if name not in self.FAULTS:
            raise ChipFault(f"fan: no fault {name!r}, it has {', '.join(self.FAULTS)}")
        self._stuck = present
        self._aim(now_s)

    # Rotor

    def _aim(self, now_s: float) -> None:
        """Supply, duty cycle or fault have changed: a new target speed from the present one."""
        revolutions, rpm = self.revolutions(now_s), self.rpm(now_s)
        self._since_s, self._now_s = now_s, now_s
        self._start_revolutions, self._start_rpm = revolutions, 0.0 if self._stuck else rpm
        turns = self._powered and not self._stuck and self._duty >= self._min_duty
        self._target_rpm = self._duty * self._max_rpm if turns else 0.0
        self.state = "off" if not self._powered else "on" if turns else "stopped"

    def _moving_s(self, now_s: float) -> float:
        """How long the rotor has moved since the last change of target: friction ends it."""
        elapsed_s = now_s - self._since_s
        if self._target_rpm:
            return elapsed_s
        if self._start_rpm <= FRICTION_RPM:
            return 0.0
        return min(elapsed_s, INERTIA_S * math.log(self._start_rpm / FRICTION_RPM))

    def rpm(self, now_s: float) -> float:
        """Revolutions a minute at this instant."""
        moving_s = self._moving_s(now_s)
        if not self._target_rpm and moving_s < now_s - self._since_s:
            return 0.0
        return self._target_rpm + (self._start_rpm - self._target_rpm) * math.exp(-moving_s / INERTIA_S)

    def revolutions(self, now_s: float) -> float:
        """Revolutions since the beginning."""
        moving_s = self._moving_s(now_s)
        lag = (self._start_rpm - self._target_rpm) * INERTIA_S * (1.0 - math.exp(-moving_s / INERTIA_S))
        return self._start_revolutions + (self._target_rpm * moving_s + lag) / 60.0

    def supply_current_ua(self, now_s: float) -> float:
        """Current from 12 V: power goes with the third power of the speed."""
        if not self._powered:
            return 0.0
        return ELECTRONICS_UA + (FULL_UA - ELECTRONICS_UA) * (self.rpm(now_s) / self._max_rpm) ** 3

    # Tachometer

    def tach_pulses(self, now_s: float) -> int:
        """Falling edges of the tachometer since the beginning."""
        return (self._edges(now_s) + 1) // 2

    def _edges(self, now_s: float) -> int:
        return math.floor(self.revolutions(now_s) * EDGES_A_REVOLUTION + 1e-6)

    def advance(self, now_s: float) -> None:
        """The rotor turns."""
        self._now_s = now_s

    def pin_level(self, name: str) -> int | None:
        """0 while the tachometer pulls its pin low; it needs supply for that."""
        return 0 if self._powered and self._edges(self._now_s) % 2 else None

    def next_event_s(self) -> float | None:
        """The next edge of the tachometer, when somebody watches."""
        if not self.tach_watched or not self._powered:
            return None
        wanted = (self._edges(self._now_s) + 1) / EDGES_A_REVOLUTION
        early_s, late_s = self._now_s, self._now_s + 1e-3
        while self.revolutions(late_s) < wanted:
            if late_s - self._now_s > 10.0:
                return None  # it runs down before
            late_s += late_s - self._now_s
        while late_s - early_s > 1e-7:
            middle_s = (early_s + late_s) / 2
            early_s, late_s = (middle_s, late_s) if self.revolutions(middle_s) < wanted else (early_s, middle_s)
        return late_s
