"""What people and the mains do to a board's inputs: a button pressed, a lid opened, the power of a kiosk gone."""

from __future__ import annotations

from collections.abc import Iterable

from pave_emulator.clock import Clock
from pave_emulator.device import Device
from pave_emulator.scenario.persons import LEVELS, Happening

PRESS_S = 0.2  # how long a finger stays on a button
INPUTS = {"press": "button", "lid": "tamper", "mains": "mains"}  # what happens -> the input of the board


class Surroundings:
    """Drives the inputs of all devices of a fleet."""

    def __init__(self, devices: Iterable[Device], clock: Clock) -> None:
        self._by_place: dict[str, list[Device]] = {}
        for device in devices:
            if device.spec.place is not None:
                self._by_place.setdefault(device.spec.place, []).append(device)
        self._clock = clock

    def happened(self, what: Happening) -> None:
        """Something has happened at a place."""
        for device in self._by_place.get(what.place, ()):
            if what.what == "press":
                device.set_input(INPUTS["press"], True)
                self._clock.call_after(PRESS_S, lambda device=device: device.set_input(INPUTS["press"], False))
            elif what.of in INPUTS:
                device.set_input(INPUTS[what.of], what.on != LEVELS[what.of])
