"""Who uses which pin of a board: every place of the file where the name of a pin stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pave_boards.catalogue import Catalogue, Part
from pave_boards.faults import KeyPath
from pave_boards.model import BUS_LINES, BoardFile, ChipTable


@dataclass(frozen=True)
class Use:
    """One name of a pin in the file.

    Attributes:
        path: of the key. owner: whose key it is, for a person.
        driven: by the microcontroller; None where nobody knows.
        shared: others that are driven alike may hang on the same pin.
    """

    path: KeyPath
    owner: str
    pin: str
    driven: bool | None
    shared: bool = False

    @property
    def key(self) -> str:
        """The last key."""
        return str(self.path[-1])


def uses(board: BoardFile, catalogue: Catalogue | None) -> Iterator[Use]:
    """Every use, in the order of the tables."""
    for number, bus in enumerate(board.bus):
        for line in BUS_LINES[bus.kind]:
            driven = line != "miso"
            yield Use(("bus", number, line), f"bus {bus.name!r}", getattr(bus, line), driven)
    for number, chip in enumerate(board.chip):
        yield from _of_chip(("chip", number), chip, catalogue)
    for number, uart in enumerate(board.uart):
        yield Use(("uart", number, "tx"), f"uart {uart.name!r}", uart.tx, True)
        yield Use(("uart", number, "rx"), f"uart {uart.name!r}", uart.rx, False)
    for number, held in enumerate(board.input):
        yield Use(("input", number, "pin"), f"input {held.name!r}", held.pin, False)
    for number, analog in enumerate(board.analog):
        owner = f"analog {analog.name!r}"
        yield Use(("analog", number, "pin"), owner, analog.pin, False)
        if analog.switch is not None:
            yield Use(("analog", number, "switch"), owner, analog.switch, True, shared=True)


def _of_chip(path: KeyPath, chip: ChipTable, catalogue: Catalogue | None) -> Iterator[Use]:
    owner = f"chip {chip.name!r}"
    for key, pin in (("cs", chip.cs), ("supply", chip.supply)):
        if pin is not None:
            yield Use((*path, key), owner, pin, True)
    part = catalogue.parts.get(chip.part, Part(None)) if catalogue else None
    for key, pin in chip.more.items():
        if not isinstance(pin, str):
            continue
        if part is None:
            yield Use((*path, key), owner, pin, None, shared=True)
        elif key in part.outputs:
            yield Use((*path, key), owner, pin, False)
        elif key in part.inputs or key == part.pwm:
            yield Use((*path, key), owner, pin, True, shared=key != part.pwm)
