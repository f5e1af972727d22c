"""What people, the mains and the kiosk's PC do to a board: buttons, lids, a heartbeat on a serial line."""

from __future__ import annotations

from collections.abc import Iterable

from pave_emulator.clock import Clock, Timer
from pave_emulator.device import Device
from pave_emulator.felt import Felt
from pave_emulator.scenario.persons import LEVELS, Happening
from pave_emulator.scenario.world import World

PRESS_S = 0.2  # how long a finger stays on a button
INPUTS = {"press": "button", "lid": "tamper", "mains": "mains"}  # what happens -> the input of the board
PC = "pc"  # who is at the other end of a board's UART
HEARTBEAT = b"alive\n"
LOOK_S = 5.0  # how often a PC that is off is looked at


class Surroundings:
    """Drives the inputs of all devices of a fleet."""

    def __init__(self, devices: Iterable[Device], world: World | None, time: Felt, clock: Clock) -> None:
        self._by_place: dict[str, list[Device]] = {}
        for device in devices:
            if device.spec.place is not None:
                self._by_place.setdefault(device.spec.place, []).append(device)
        self._world = world
        self._time = time
        self._clock = clock
        self._beats: dict[str, Timer] = {}
        self._fingers: dict[str, Timer] = {}  # when each device's button is let go

    def begin(self) -> None:
        """The world runs: PCs say that they live."""
        for place, devices in self._by_place.items():
            if any(line.peer == PC for device in devices for line in device.board.uarts.values()):
                self._plan(place)

    def end(self) -> None:
        """Nothing more happens."""
        for timer in (*self._beats.values(), *self._fingers.values()):
            timer.cancel()

    def happened(self, what: Happening) -> None:
        """Something has happened at a place."""
        for device in self._by_place.get(what.place, ()):
            if what.what == "press":
                self._press(device)
            elif what.of in INPUTS:
                device.set_input(INPUTS[what.of], what.on != LEVELS[what.of])

    def _press(self, device: Device) -> None:
        """Another press while the finger is there keeps it there."""
        if device.spec.name in self._fingers:
            self._fingers[device.spec.name].cancel()
        device.set_input(INPUTS["press"], True)
        lets_go = self._clock.call_after(PRESS_S, lambda: device.set_input(INPUTS["press"], False))
        self._fingers[device.spec.name] = lets_go

    def _plan(self, place: str) -> None:
        if self._world is None or place not in self._world.kiosks:
            return
        due_s, now_s = self._next_beat_s(place), self._now_s()
        delay_s = LOOK_S if due_s is None else due_s - now_s
        self._beats[place] = self._clock.call_after(delay_s, lambda: self._beat(place))

    def _beat(self, place: str) -> None:
        if self._next_beat_s(place) is not None:  # it lives
            for device in self._by_place[place]:
                for line in device.board.uarts.values():
                    if line.peer == PC and device.state == "running":
                        device.uart(line.id).feed(HEARTBEAT)
        self._plan(place)

    def _next_beat_s(self, place: str) -> float | None:
        assert self._world is not None
        return self._world.kiosks[place].next_heartbeat_s(self._now_s())

    def _now_s(self) -> float:
        return self._time.world_s(self._clock.now_s())
