"""Walks the nodes of one YAML file, which know their line: an error names the file, the line and the nearest key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pave_emulator.nearest import hint
from pave_emulator.reading import unread
from pave_emulator.scenario.model import ScenarioError

Read = Callable[[yaml.Node], Any]


class Reader:
    """Reads one file's nodes into values; every method raises ScenarioError."""

    def __init__(self, path: Path) -> None:
        """`path` names the file in errors."""
        self.path = path

    def root(self) -> yaml.Node:
        """Parse the file."""
        try:
            root = yaml.compose(self.path.read_text(), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ScenarioError(f"{self.path}:{line}: not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise ScenarioError(f"{self.path}: not YAML: {' '.join(str(error).split())}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(unread(self.path, "scenario", error)) from error
        if root is None:
            raise ScenarioError(f"{self.path}:1: the file is empty")
        return root

    def mapping(self, node: yaml.Node, fields: Mapping[str, Read], required: Iterable[str] = ()) -> dict[str, Any]:
        """Values by key; each key once, none but those of `fields`, all of `required`."""
        got: dict[str, Any] = {}
        for key, (key_node, value_node) in self.pairs(node, fields).items():
            if key not in fields:
                self.fail(key_node, f"unknown key {key!r}: {hint(key, fields)}")
            got[key] = fields[key](value_node)
        for key in sorted(set(required) - got.keys()):
            self.fail(node, f"{key!r} is missing")
        return got

    def pairs(self, node: yaml.Node, expected: Iterable[str]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Nodes of keys and values by key; `expected` keys are named when it is no mapping."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"keys and values expected: {', '.join(sorted(expected))}")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            key = self.text(key_node)
            if key in found:
                self.fail(key_node, f"{key!r} appears twice")
            found[key] = (key_node, value_node)
        return found

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """Nodes of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, "a list expected")
        return node.value

    def listed(self, read: Read) -> Callable[[yaml.Node], tuple[Any, ...]]:
        """A reader of lists of what `read` reads."""
        return lambda node: tuple(read(item) for item in self.items(node))

    def text(self, node: yaml.Node) -> str:
        """A scalar as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, "a text expected")
        return node.value

    def number(self, node: yaml.Node) -> float:
        """A finite number."""
        try:
            number = float(self.text(node))
        except ValueError:
            self.fail(node, f"{node.value!r} is not a number")
        if not math.isfinite(number):
            self.fail(node, f"{node.value!r} is not a finite number")
        return number

    def positive(self, node: yaml.Node) -> float:
        """A number over 0."""
        number = self.number(node)
        if number <= 0:
            self.fail(node, f"{number:g} where more than 0 is expected")
        return number

    def not_negative(self, node: yaml.Node) -> float:
        """A number, 0 or more."""
        number = self.number(node)
        if number < 0:
            self.fail(node, f"{number:g} where 0 or more is expected")
        return number

    def whole(self, node: yaml.Node) -> int:
        """A whole number, decimal or 0x."""
        try:
            return int(self.text(node).replace("_", ""), 0)
        except ValueError:
            self.fail(node, f"{node.value!r} is not a whole number")

    def yes_or_no(self, node: yaml.Node) -> bool:
        """True or false."""
        value = self.scalar(node)
        if not isinstance(value, bool):
            self.fail(node, f"{node.value!r} where true or false is expected")
        return value

    def date(self, node: yaml.Node) -> datetime:
        """Local date and time, ISO 8601."""
        try:
            return datetime.fromisoformat(self.text(node)).replace(tzinfo=None)
        except ValueError:
            self.fail(node, f"{node.value!r} is not a date and time, such as 2026-11-23T06:00")

    def scalar(self, node: yaml.Node) -> Any:
        """A scalar with YAML's own type."""
        self.text(node)
        return yaml.safe_load(yaml.serialize(node))

    def vector(self, node: yaml.Node) -> tuple[float, float, float]:
        """Three numbers."""
        x, y, z = self._numbers(node, 3, "north, east, down in uT")
        return (x, y, z)

    def span(self, node: yaml.Node) -> tuple[float, float]:
        """Two numbers, not falling."""
        least, most = self._numbers(node, 2, "least and most")
        if least > most:
            self.fail(node, f"{least:g} is more than {most:g}: least first")
        return (least, most)

    def choice(self, names: Iterable[str], what: str) -> Callable[[yaml.Node], str]:
        """A reader of one of `names`."""
        valid = list(names)

        def read(node: yaml.Node) -> str:
            name = self.text(node)
            if name not in valid:
                self.fail(node, f"no {what} {name!r}: {hint(name, valid)}")
            return name

        return read

    def shares(self, names: Iterable[str], what: str) -> Callable[[yaml.Node], tuple[tuple[str, float], ...]]:
        """A reader of how much of each of `names`: a mapping of name to share, or one name."""
        valid = list(names)

        def read(node: yaml.Node) -> tuple[tuple[str, float], ...]:
            if isinstance(node, yaml.ScalarNode):
                return ((self.choice(valid, what)(node), 1.0),)
            got = {}
            for key_node, value_node in self.pairs(node, valid).values():
                got[self.choice(valid, what)(key_node)] = self.positive(value_node)
            if not got:
                self.fail(node, f"no {what} at all")
            return tuple(got.items())

        return read

    def fail(self, node: yaml.Node, what: str) -> NoReturn:
        """Raise ScenarioError about a node."""
        raise ScenarioError(f"{self.where(node)}: {what}")

    def where(self, node: yaml.Node) -> str:
        """File and line of a node."""
        return f"{self.path}:{node.start_mark.line + 1}"

    def _numbers(self, node: yaml.Node, count: int, meaning: str) -> list[float]:
        numbers = [self.number(item) for item in self.items(node)]
        if len(numbers) != count:
            self.fail(node, f"{len(numbers)} numbers where {count} are expected: {meaning}")
        return numbers
