"""Whether the parts of a board are known, and have the keys their tables have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pave_boards.catalogue import Catalogue, Part
from pave_boards.faults import Fault, KeyPath, hint, lacks
from pave_boards.model import BoardFile, ChipTable
from pave_boards.shape import value

OPTION_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text in quotes"),
}


def check_parts(board: BoardFile, catalogue: Catalogue) -> Iterator[Fault]:
    """Every fault of [[chip]] that needs to know its part, and every other word that is not known."""
    for number, chip in enumerate(board.chip):
        path = ("chip", number)
        part = catalogue.parts.get(chip.part)
        if part is None:
            yield Fault((*path, "part"), f": part {chip.part!r} is unknown: {hint(chip.part, catalogue.parts)}")
        else:
            yield from _keys(path, chip, part)
            yield from _options(path, chip, part)
    for path, key, word, valid in _words(board, catalogue):
        if word not in valid:
            yield Fault(path, f": {key} {word!r} is unknown: {hint(word, valid)}")


def _words(board: BoardFile, catalogue: Catalogue) -> Iterator[tuple[KeyPath, str, str, Collection[str]]]:
    """Path, key, word, and the words that would do."""
    power = board.power
    if power:
        yield ("power", "cell"), "cell", power.cell, catalogue.cells
        if power.capacitor is not None:
            yield ("power", "capacitor"), "capacitor", power.capacitor, catalogue.capacitors
        if power.regulator and power.regulator.kind is not None:
            yield ("power", "regulator", "kind"), "regulator.kind", power.regulator.kind, catalogue.regulators
    for state in board.mcu.currents_ua:
        yield ("mcu", "currents_ua", state), "currents_ua: power state", state, catalogue.mcu_states
    for number, analog in enumerate(board.analog):
        yield ("analog", number, "measures"), "measures", analog.measures, catalogue.sources


def _keys(path: KeyPath, chip: ChipTable, part: Part) -> Iterator[Fault]:
    valid = part.keys | {"name", "part", "supply", "currents_ua"}
    strange = [key for key in chip.model_fields_set if key not in valid]
    for key in strange:
        yield Fault((*path, key), f": key {key!r} is unknown: {hint(key, valid)}")
    if part.pwm is not None and part.pwm not in chip.more:
        yield Fault((*path, part.pwm), lacks(part.pwm, strange))
    for state in chip.currents_ua:
        if state not in part.states:
            near = hint(state, part.states)
            yield Fault((*path, "currents_ua", state), f": currents_ua: power state {state!r} is unknown: {near}")


def _options(path: KeyPath, chip: ChipTable, part: Part) -> Iterator[Fault]:
    given: dict[str, Any] = {}
    for key, found in chip.more.items():
        if key in part.options:
            types, expected = OPTION_TYPES[part.options[key]]
        elif key in part.keys:
            types, expected = (str,), "the name of a pin"
        else:
            continue
        if not isinstance(found, types) or (isinstance(found, bool) and bool not in types):
            yield Fault((*path, key), f": {key} = {value(found)}: {expected} expected")
        elif key in part.options:
            given[key] = found
    wrong = part.refuses(given)
    if wrong:
        yield Fault((*path, *list(given)[:1]), f": {wrong}")
