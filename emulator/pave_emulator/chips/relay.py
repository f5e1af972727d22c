"""The relay that switches the mains of the kiosk's PC (Omron G5LE-1, 5 V coil).

Theory of operation. The armature follows the coil after the operate or release time; a contact that closes bounces
before it rests. A coil that changes its mind meanwhile takes the armature back. Each closing under load wears the
contact; a worn one may weld, and then it stays closed whatever the coil does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pave_emulator.chips.chip import Chip, ChipFault, Environment

OPERATE_S, RELEASE_S = 0.010, 0.005  # at most (G5LE, Characteristics)
ELECTRICAL_OPERATIONS = 100_000  # at least, at rated load (G5LE, Characteristics)
COIL_UA = 79_400.0  # rated, 5 VDC coil (G5LE, Coil ratings)
BOUNCES_S = (0.0003, 0.0005, 0.0009, 0.0010)  # after the first touch: open, closed, open, closed; the sheet has none


def _nobody(_closed: bool, _now_s: float) -> None:
    pass


class Relay(Chip):
    """Coil, armature and one contact.

    Attributes:
        closed: the contact conducts.
        operations: how often the contact has closed (bounces apart).
        switched: called with the contact's state and the time at each change, bounces included.
    """

    OPTIONS: ClassVar[dict[str, type]] = {"normally_closed": bool}
    INPUTS: ClassVar[tuple[str, ...]] = ("coil",)
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "on": COIL_UA}
    FAULTS: ClassVar[tuple[str, ...]] = ("welded", "stuck_open")

    def __init__(self, environment: Environment, normally_closed: bool = False) -> None:
        """`normally_closed`: which contact is wired, the one that conducts without current in the coil."""
        super().__init__(environment)
        self._normally_closed = normally_closed
        self.switched: Callable[[bool, float], None] = _nobody
        self.closed = normally_closed
        self.operations = 0
        self._powered = True
        self._driven = False
        self._armature_closed = normally_closed
        self._moving = False  # the armature's move is due, not only bounces
        self._due: list[tuple[float, bool]] = []
        self._fault: str | None = None

    def power_on(self, now_s: float) -> None:
        """Supply of the coil applied."""
        self._powered = True
        self._follow_coil(now_s)

    def power_off(self, now_s: float) -> None:
        """Supply of the coil taken away: the relay releases."""
        self._powered = False
        self._follow_coil(now_s)

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """The transistor of the coil conducts at 1."""
        self.advance(now_s)
        self._driven = bool(level)
        self._follow_coil(now_s)

    def set_fault(self, name: str, present: bool, now_s: float) -> None:
        """`welded`: the contact stays closed; `stuck_open`: it stays open. Raise ChipFault for another name."""
        if name not in self.FAULTS:
            raise ChipFault(f"relay: no fault {name!r}, it has {', '.join(self.FAULTS)}")
        self.advance(now_s)
        self._fault = name if present else None
        self._set_contact(self._armature_closed, now_s)

    @property
    def wear(self) -> float:
        """Closings as a part of those that the contact is specified for."""
        return self.operations / ELECTRICAL_OPERATIONS

    def _follow_coil(self, now_s: float) -> None:
        energised = self._powered and self._driven
        state = "on" if energised else "off"
        if state == self.state:
            return
        self.state = state
        close = energised != self._normally_closed
        self._moving = close != self._armature_closed
        moved_s = now_s + (OPERATE_S if energised else RELEASE_S)
        self._due = [(moved_s, close)] if self._moving else []
        if self._moving and close:
            self._due += [(moved_s + after_s, bool(at % 2)) for at, after_s in enumerate(BOUNCES_S)]

    def advance(self, now_s: float) -> None:
        """Do the changes of the contact that are due."""
        while self._due and self._due[0][0] <= now_s:
            at_s, closed = self._due.pop(0)
            if self._moving:
                self._moving, self._armature_closed = False, closed
                self.operations += closed and self._fault is None
            self._set_contact(closed, at_s)

    def _set_contact(self, closed: bool, now_s: float) -> None:
        if self._fault is not None:
            closed = self._fault == "welded"
        if closed != self.closed:
            self.closed = closed
            self.switched(closed, now_s)

    def next_event_s(self) -> float | None:
        """The next change of the contact."""
        return self._due[0][0] if self._due else None
