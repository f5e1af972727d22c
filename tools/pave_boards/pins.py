"""Whether the chip has the GPIOs of a board, whether they are free, and whether they can do what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator

from pave_boards.faults import Fault, KeyPath, hint
from pave_boards.model import BoardFile
from pave_boards.soc import Soc, spans
from pave_boards.uses import Use


def check_pins(board: BoardFile, soc: Soc, found: list[Use]) -> Iterator[Fault]:
    """Every fault of `[pins]`, and of the places where a pin is used."""
    yield from _gpios(board, soc)
    for use in found:
        if use.pin not in board.pins:
            yield _no_pin(use.path, use.key, use.pin, board)
    known = [use for use in found if use.pin in board.pins]
    yield from _used_twice(board, known)
    yield from _abilities(board, soc, known)
    for name in board.pulls:
        if name not in board.pins:
            yield Fault(("pulls", name), f": pin {name!r} is unknown: {hint(name, board.pins)}")


def _gpios(board: BoardFile, soc: Soc) -> Iterator[Fault]:
    names: dict[int, str] = {}
    for name, gpio in board.pins.items():
        path, said = ("pins", name), f": {name} = {gpio}"
        owner = soc.taken(gpio, board.board.psram_bytes)
        if gpio not in soc.gpios:
            yield Fault(path, f"{said}: the {soc.name} has no GPIO {gpio}; it has {spans(soc.gpios)}")
        elif owner:
            yield Fault(path, f"{said}: GPIO {gpio} belongs to {owner}; take another")
        elif gpio in names:
            yield Fault(path, f"{said}: GPIO {gpio} is {names[gpio]!r} already; take another, or one name for both")
        names.setdefault(gpio, name)


def _no_pin(path: KeyPath, key: str, pin: str, board: BoardFile) -> Fault:
    return Fault(path, f": {key}: pin {pin!r} is unknown: {hint(pin, board.pins)}")


def _used_twice(board: BoardFile, found: list[Use]) -> Iterator[Fault]:
    """A pin that the microcontroller drives may lead to several listeners; all else wants a pin of its own."""
    first: dict[str, Use] = {}
    for use in found:
        other = first.setdefault(use.pin, use)
        if other is not use and not (use.shared and other.shared):
            taken = f"GPIO {board.pins[use.pin]} is taken by {other.owner} ({other.key})"
            yield Fault(use.path, f": {use.key} = {use.pin!r}: {taken}; give it a pin of its own")


def _abilities(board: BoardFile, soc: Soc, found: list[Use]) -> Iterator[Fault]:
    for use in found:
        gpio = board.pins[use.pin]
        said = f": {use.key} = {use.pin!r}: GPIO {gpio}"
        if use.driven and gpio in soc.input_only:
            yield Fault(use.path, f"{said} of the {soc.name} is an input only; those are {spans(soc.input_only)}")
        if use.path[0] == "analog" and use.key == "pin" and gpio in soc.gpios - soc.adc:
            yield Fault(use.path, f"{said} of the {soc.name} has no ADC; those with one are {spans(soc.adc)}")
    for number, name in enumerate(board.board.wake):
        path = ("board", "wake", number)
        if name not in board.pins:
            yield _no_pin(path, "wake", name, board)
        elif board.pins[name] in soc.gpios - soc.rtc:
            yield Fault(
                path,
                f": wake: {name!r} is GPIO {board.pins[name]}, which cannot wake the {soc.name} from deep sleep;"
                f" those that can are {spans(soc.rtc)}",
            )
