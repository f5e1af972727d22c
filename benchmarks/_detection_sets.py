"""A set of scenarios: `bays.toml` and one YAML file for each disturbance, in one folder."""

from __future__ import annotations

import hashlib
import pickle
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmarks._detection_detectors import DETECTORS, INVERTED, inverted
from benchmarks._detection_device import Device
from benchmarks._detection_score import DAY_S, Score, covered, score
from benchmarks._detection_truth import truth_of
from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import Scenario, ScenarioError
from pave_emulator.scenario.steps import WORLD_ACTIONS
from pave_emulator.scenario.world import Bay, World

EXAMPLES = Path(__file__).parent.parent / "examples"
SETS = ("evaluation", "tuning")
BAYS_FILE = "bays.toml"


@dataclass(frozen=True)
class Task:
    """One bay under one scenario with one detector, for so many days."""

    scenario: Path
    bay: str
    detector: str
    days: float


@dataclass(frozen=True)
class Result:
    """What came of a task, and of its negative control if it has one."""

    task: Task
    kind: str
    score: Score
    inverted: Score | None = None


def bays_of(folder: Path) -> list[Bay]:
    """The bays of a set."""
    tables = tomllib.loads((folder / BAYS_FILE).read_text())["bay"]
    return [Bay(one["id"], one["kind"], one["street"], (one["east_m"], one["north_m"])) for one in tables]


def scenarios_of(folder: Path) -> list[Path]:
    """The scenario files of a set, by name."""
    return sorted(folder.glob("*.yaml"))


def tasks(folder: Path, detectors: list[str], days: float, only: str = "") -> list[Task]:
    """Everything that is to be played; `only` is a part of the scenarios' names."""
    return [
        Task(path, bay.id, detector, days)
        for path in scenarios_of(folder)
        if only in path.stem
        for detector in detectors
        for bay in bays_of(folder)
    ]


def play(task: Task) -> Result:
    """Play one task from its beginning."""
    until_s = task.days * DAY_S
    bays, scenario = _loaded(task.scenario)
    bay = next(one for one in bays if one.id == task.bay)
    world = world_of(scenario, list(bays))
    contender = DETECTORS[task.detector]
    log = Device(world, task.bay, contender.make, contender.boot_s).run(until_s)
    truth = truth_of(scenario, bay.id, bay.kind, until_s)

    def is_covered(now_s: float) -> bool:
        return covered(world, now_s)

    other = None
    if task.detector == "fixed threshold":
        other = score(truth, inverted(log), until_s, is_covered)
    return Result(task, bay.kind, score(truth, log, until_s, is_covered), other)


def kept(folder: Path, task: Task) -> Result:
    """As `play`, but a result that is in the folder is read, and one that is not is played and put there."""
    path = folder / f"{task.scenario.stem}-{task.bay}-{task.detector}-{task.days:g}-{_digest(task.scenario.parent)}"
    if path.exists():
        return pickle.loads(path.read_bytes())
    result = play(task)
    folder.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(path.name + ".new")
    whole.write_bytes(pickle.dumps(result))
    whole.replace(path)
    return result


def name_of(result: Result) -> list[tuple[str, Score]]:
    """The detectors that a result tells of, each with its score."""
    named = [(result.task.detector, result.score)]
    return [*named, (INVERTED, result.inverted)] if result.inverted else named


def world_of(scenario: Scenario, bays: list[Bay]) -> World:
    """A world with all its steps done, each at its time. Raise ScenarioError for one that waits for an event."""
    world = World(scenario, bays)
    for step in scenario.steps:
        if step.at_s is None or step.action not in WORLD_ACTIONS or step.action in ("arrive", "leave"):
            raise ScenarioError(
                f"{step.where}: an evaluation has steps of the world at given times, found {step.action}"
            )
    for step in sorted(scenario.steps, key=lambda step: step.at_s or 0.0):
        world.act(step.action, step.arguments, step.at_s or 0.0)
    return world


@lru_cache(maxsize=4)
def _digest(folder: Path) -> str:
    """Of the set, the detector and what plays them: a result of others is no result of these."""
    root = Path(__file__).parent.parent
    read = [*folder.iterdir(), *(root / "firmware/app").glob("presence*.py"), *root.glob("benchmarks/_detection_*.py")]
    digest = hashlib.sha256()
    for path in sorted(path for path in read if path.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=4)
def _loaded(path: Path) -> tuple[tuple[Bay, ...], Scenario]:
    return tuple(bays_of(path.parent)), load(path)
