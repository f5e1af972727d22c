"""The backlight of a TFT module: white LEDs behind the glass, switched by PWM.

Theory of operation. The LEDs follow the PWM far faster than an eye, which sees the mean: brightness and mean current
are proportional to the duty cycle. Below 60 Hz an eye sees flicker instead. Without PWM the switch is off (pull-down).
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from pave_emulator.chips.chip import Chip, ChipFault, Environment
from pave_emulator.chips.png import Picture

FLICKER_HZ = 60.0
FULL_UA = 80_000.0  # four LEDs in parallel, 20 mA each: ILI9341 modules of 2.4 to 2.8 inch


class Glass(Protocol):
    """A display that shows a picture when there is light behind it."""

    def picture(self) -> Picture:
        """What is on the glass."""
        ...


class Backlight(Chip):
    """LEDs and their switch."""

    OPTIONS: ClassVar[dict[str, type]] = {"full_ua": float}
    PWM_INPUT: ClassVar[str | None] = "pwm"
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "on": FULL_UA}

    def __init__(self, environment: Environment, full_ua: float = FULL_UA) -> None:
        """`full_ua`: current at full duty."""
        super().__init__(environment)
        self._full_ua = full_ua
        self._powered = True
        self._duty = 0.0

    def power_on(self, now_s: float) -> None:
        """Supply applied."""
        self._powered = True
        self._set_state()

    def power_off(self, now_s: float) -> None:
        """Supply taken away."""
        self._powered = False
        self._set_state()

    def set_pwm(self, duty: float, hz: float, now_s: float) -> None:
        """The switch gets a PWM of this duty cycle (0 to 1). Raise ChipFault when an eye would see it flicker."""
        if not 0.0 <= duty <= 1.0:
            raise ChipFault(f"backlight: duty cycle {duty} is not within 0 to 1")
        self._duty = duty
        self._set_state()
        if 0.0 < duty < 1.0 and hz < FLICKER_HZ:
            raise ChipFault(f"backlight: PWM of {hz} Hz flickers, use at least {FLICKER_HZ:.0f} Hz")

    def _set_state(self) -> None:
        self.state = "on" if self._powered and self._duty else "off"

    def brightness(self) -> float:
        """0 (dark) to 1."""
        return self._duty if self._powered else 0.0

    def supply_current_ua(self, now_s: float) -> float:
        """Mean supply current at this instant."""
        return self._full_ua * self.brightness()


def passer_by(glass: Glass, backlight: Backlight) -> Picture:
    """What somebody in front of the kiosk sees: the glass, as bright as the backlight makes it."""
    picture = glass.picture()
    brightness = backlight.brightness()
    dimmed = bytes(int(level * brightness) for level in range(256))
    return Picture(picture.width_px, picture.height_px, picture.rgb.translate(dimmed))
