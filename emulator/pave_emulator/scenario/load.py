"""Scenario files: YAML, checked key by key, so that an error names the file, the line and the nearest valid key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pave_emulator.nearest import hint
from pave_emulator.scenario.vehicle import MOVE_S

MIN_STAY_S = 2 * MOVE_S


class ScenarioError(ValueError):
    """`file:line: what was wrong: the nearest valid key`."""


@dataclass(frozen=True)
class Traffic:
    """Random traffic on the bays of one kind; means of exponential times, neither below `min_s` (seconds)."""

    kind: str
    gap_s: float
    stay_s: float
    min_s: float


@dataclass(frozen=True)
class Visit:
    """A vehicle that has stopped on a bay at `arrive_s` and has gone at `leave_s` (world time)."""

    bay: str
    arrive_s: float
    leave_s: float


@dataclass(frozen=True)
class Scenario:
    """A checked scenario file. A bay with scripted visits has no random traffic."""

    name: str
    seed: int
    earth_field_ut: tuple[float, float, float]
    noise_ut: float
    traffic: tuple[Traffic, ...]
    visits: tuple[Visit, ...]


def load(path: Path, seed: int | None = None) -> Scenario:
    """Read and check a scenario; `seed` replaces the file's. Raise ScenarioError."""
    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{path}:{line}: not YAML: {error.problem}") from error
    except (OSError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    return _Reader(path).scenario(root, seed)


class _Reader:
    """Walks the nodes of one file; nodes know their line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def scenario(self, root: yaml.Node | None, seed: int | None) -> Scenario:
        if root is None:
            raise ScenarioError(f"{self._path}:1: the file is empty")
        fields: dict[str, Callable[[yaml.Node], Any]] = {
            "name": self._text,
            "seed": lambda node: int(self._number(node)),
            "earth_field_ut": self._vector,
            "noise_ut": self._number,
            "traffic": lambda node: tuple(self._traffic(item) for item in self._items(node)),
            "visits": lambda node: tuple(self._visit(item) for item in self._items(node)),
        }
        got = self._mapping(root, fields, required={"name", "seed", "earth_field_ut"})
        return Scenario(
            name=got["name"],
            seed=got["seed"] if seed is None else seed,
            earth_field_ut=got["earth_field_ut"],
            noise_ut=got.get("noise_ut", 0.0),
            traffic=got.get("traffic", ()),
            visits=got.get("visits", ()),
        )

    def _traffic(self, node: yaml.Node) -> Traffic:
        numbers = dict.fromkeys(("gap_s", "stay_s", "min_s"), self._number)
        got = self._mapping(node, {"kind": self._text, **numbers}, required={"kind", "gap_s", "stay_s"})
        traffic = Traffic(got["kind"], got["gap_s"], got["stay_s"], got.get("min_s", MIN_STAY_S))
        for name in ("gap_s", "stay_s"):
            if not 0 < got[name] < float("inf"):
                self._fail(node, f"{name} is {got[name]}: a mean time in seconds is more than 0")
        if traffic.min_s < MIN_STAY_S:
            self._fail(node, f"min_s is {traffic.min_s}: a vehicle needs {MIN_STAY_S} s to come and go")
        return traffic

    def _visit(self, node: yaml.Node) -> Visit:
        numbers = dict.fromkeys(("arrive_s", "leave_s"), self._number)
        got = self._mapping(node, {"bay": self._text, **numbers}, required={"bay", "arrive_s", "leave_s"})
        visit = Visit(got["bay"], got["arrive_s"], got["leave_s"])
        if visit.leave_s - visit.arrive_s < MIN_STAY_S:
            self._fail(node, f"leave_s {visit.leave_s} is not {MIN_STAY_S} s or more after arrive_s {visit.arrive_s}")
        return visit

    def _mapping(
        self, node: yaml.Node, fields: dict[str, Callable[[yaml.Node], Any]], required: set[str]
    ) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"keys and values expected: {', '.join(sorted(fields))}")
        got: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key not in fields:
                self._fail(key_node, f"unknown key {key!r}: {hint(key, fields)}")
            got[key] = fields[key](value_node)
        for key in sorted(required - got.keys()):
            self._fail(node, f"{key!r} is missing")
        return got

    def _items(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, "a list expected")
        return node.value

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, "a text expected")
        return node.value

    def _number(self, node: yaml.Node) -> float:
        try:
            return float(self._text(node))
        except ValueError:
            return self._fail(node, f"{node.value!r} is not a number")

    def _vector(self, node: yaml.Node) -> tuple[float, float, float]:
        numbers = [self._number(item) for item in self._items(node)]
        if len(numbers) != 3:
            self._fail(node, f"{len(numbers)} numbers where 3 are expected: north, east, down in uT")
        return (numbers[0], numbers[1], numbers[2])

    def _fail(self, node: yaml.Node, what: str) -> Any:
        raise ScenarioError(f"{self._path}:{node.start_mark.line + 1}: {what}")
