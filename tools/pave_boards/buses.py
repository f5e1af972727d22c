"""Buses, serial lines and who is on them: peripherals, clocks, addresses."""

from __future__ import annotations

from collections.abc import Iterator

from pave_boards.catalogue import Catalogue, Part
from pave_boards.faults import Fault, hint, lacks
from pave_boards.model import BoardFile, ChipTable
from pave_boards.soc import I2C_ADDRESSES, I2C_IDS, MAX_HZ, SPI_IDS, UART_IDS

BUS_IDS = {"i2c": I2C_IDS, "spi": SPI_IDS}


def check_buses(board: BoardFile, catalogue: Catalogue | None) -> Iterator[Fault]:
    """Every fault of [[bus]] and [[uart]], and of what [[chip]] says about buses."""
    yield from _peripherals(board)
    buses = {bus.name: bus.kind for bus in board.bus}
    at: dict[tuple[str, int], str] = {}
    for number, chip in enumerate(board.chip):
        part = catalogue.parts.get(chip.part) if catalogue else None
        if chip.bus is None:
            if part and part.bus:
                said = f" has no 'bus'; add it: a {chip.part} is on {part.bus.upper()}"
                yield Fault(("chip", number, "bus"), said)
        elif chip.bus not in buses:
            yield Fault(("chip", number, "bus"), f": bus {chip.bus!r} is unknown: {hint(chip.bus, buses)}")
        elif part is None or part.bus:
            yield from _on_bus(number, chip, part, buses, at)
    used = {chip.bus for chip in board.chip} - {None}
    misspelt = used - buses.keys()
    for number, bus in enumerate(board.bus):
        if bus.name not in used and not misspelt:
            yield Fault(("bus", number), f" has no chip on it; take it out, or say bus = {bus.name!r} where one is")


def _on_bus(
    number: int, chip: ChipTable, part: Part | None, buses: dict[str, str], at: dict[tuple[str, int], str]
) -> Iterator[Fault]:
    """`at` has who is at which address of which bus, so far."""
    kind = buses[chip.bus or ""]
    if part and part.bus != kind:
        wanted = [name for name, other in buses.items() if other == part.bus]
        said = f": bus = {chip.bus!r}: a {chip.part} is on {str(part.bus).upper()}, and this is {kind.upper()}"
        yield Fault(("chip", number, "bus"), f"{said}; {hint(chip.bus, wanted)}")
    elif kind == "i2c":
        yield from _address(number, chip, at)
    elif chip.cs is None:
        yield Fault(("chip", number, "cs"), " has no 'cs'; add it: the pin that selects it")


def _peripherals(board: BoardFile) -> Iterator[Fault]:
    taken: dict[tuple[str, int], str] = {}
    found = [(("bus", n), bus.kind, bus.id, bus.name, BUS_IDS[bus.kind]) for n, bus in enumerate(board.bus)]
    found += [(("uart", n), "uart", line.id, line.name, UART_IDS) for n, line in enumerate(board.uart)]
    for path, kind, peripheral, name, valid in found:
        said = f": id = {peripheral}"
        if peripheral not in valid:
            known = " and ".join(map(str, valid))
            yield Fault(
                (*path, "id"), f"{said}: there is no {kind.upper()} {peripheral} for firmware; there are {known}"
            )
        elif (kind, peripheral) in taken:
            yield Fault((*path, "id"), f"{said}: {kind.upper()} {peripheral} is {taken[kind, peripheral]!r} already")
        taken.setdefault((kind, peripheral), name)
    for number, bus in enumerate(board.bus):
        if bus.max_hz > MAX_HZ[bus.kind]:
            said = f": max_hz = {bus.max_hz}: {bus.kind.upper()} goes to {MAX_HZ[bus.kind]} Hz"
            yield Fault(("bus", number, "max_hz"), said)


def _address(number: int, chip: ChipTable, at: dict[tuple[str, int], str]) -> Iterator[Fault]:
    path = ("chip", number, "address")
    if chip.address is None:
        yield Fault(path, lacks("address", chip.more))
        return
    key, said = (chip.bus or "", chip.address), f": address = {chip.address:#04x}"
    if chip.address not in I2C_ADDRESSES:
        span = f"{I2C_ADDRESSES[0]:#04x} to {I2C_ADDRESSES[-1]:#04x}"
        yield Fault(path, f"{said}: an address of I2C is {span}, without the bit for read and write")
    elif key in at:
        yield Fault(path, f"{said}: {at[key]!r} has it on bus {chip.bus!r}; strap one to another address")
    at.setdefault(key, chip.name)
