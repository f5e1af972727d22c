"""The first look at a board file: has every table its keys, and every key a value of the right kind?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from pave_boards import model
from pave_boards.faults import Fault, KeyPath, hint, lacks

TABLES: dict[str, type[BaseModel]] = {
    "board": model.BoardTable,
    "chip": model.ChipTable,
    "uart": model.UartTable,
    "input": model.InputTable,
    "analog": model.AnalogTable,
    "partition": model.PartitionTable,
    "power": model.PowerTable,
    "mcu": model.McuTable,
}
BUSES: dict[str, type[BaseModel]] = {"i2c": model.I2cBus, "spi": model.SpiBus}
EXPECTED = {  # pydantic's names of errors -> what would do
    "int_type": "a whole number expected, without quotes",
    "float_type": "a number expected, without quotes",
    "finite_number": "a finite number expected",
    "string_type": "a text in quotes expected",
    "list_type": "a list expected",
    "dict_type": "a table expected",
    "model_type": "a table expected",
    "greater_than_equal": "{ge:g} or more expected",
    "greater_than": "more than {gt:g} expected",
    "less_than_equal": "{le:g} or less expected",
    "string_pattern_mismatch": "a small letter expected, then 31 small letters, digits and {joint} at most",
}
LONGEST_VALUE = 60


def faults(document: dict[str, Any], error: ValidationError) -> list[Fault]:
    """What pydantic found, in the words of a board file."""
    return [_fault(document, detail) for detail in error.errors(include_url=False)]


def _fault(document: dict[str, Any], detail: Any) -> Fault:
    path, keys = _place(detail["loc"])
    what, key = str(detail["type"]), ".".join(map(str, path[2:] if _in_array(path) else path[1:]))
    if what == "missing":
        return _missing(document, path, keys)
    if what == "extra_forbidden":
        return _unknown(path, keys)
    if what == "union_tag_not_found":
        return Fault(path, f" has no 'kind'; add it: {' or '.join(BUSES)}")
    if what == "union_tag_invalid":
        kind = detail["ctx"]["tag"]
        return Fault((*path, "kind"), f": kind {kind!r} is unknown: {hint(kind, BUSES)}")
    if what == "list_type" and len(path) == 1:
        return Fault(path, f" is one table; write [[{path[0]}]], there may be several")
    return Fault(path, f": {key + ' = ' if key else ''}{value(detail['input'])}: {_expected(what, path, detail)}")


def value(found: object) -> str:
    """A value as an error shows it."""
    text = repr(found)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def _place(location: tuple[str | int, ...]) -> tuple[KeyPath, list[str]]:
    """The path in the file, and the keys that its table may have."""
    path = tuple(part for part in location if part != "[key]")
    if len(path) == 1:
        return path, list(model.BoardFile.model_fields)
    if path[0] == "bus":
        kind = BUSES.get(str(path[2])) if len(path) > 2 else None
        return (*path[:2], *path[3:]), list(kind.model_fields) if kind else []
    table = model.RegulatorTable if path[:2] == ("power", "regulator") else TABLES.get(str(path[0]))
    return path, list(table.model_fields) if table else []


def _in_array(path: KeyPath) -> bool:
    return len(path) > 1 and isinstance(path[1], int)


def _missing(document: dict[str, Any], path: KeyPath, keys: Iterable[str]) -> Fault:
    """With the key that may have been meant."""
    if len(path) == 1:
        return Fault((), f" has no table [{path[0]}]; add it")
    table: Any = document
    for part in path[:-1]:
        table = table[part]
    return Fault(path, lacks(str(path[-1]), (key for key in table if key not in keys)))


def _unknown(path: KeyPath, keys: Iterable[str]) -> Fault:
    if len(path) == 1:
        return Fault((path[0],), f" is no table of a board file: {hint(path[0], keys)}")
    return Fault(path, f": key {path[-1]!r} is unknown: {hint(path[-1], keys)}")


def _expected(what: str, path: KeyPath, detail: Any) -> str:
    joint = "-" if path == ("board", "name") else "_"
    text = EXPECTED.get(what)
    return text.format(joint=joint, **detail.get("ctx", {})) if text else str(detail["msg"])
