"""Whether a scenario fits a site: every bay, kind and device it names is there."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

from pave_emulator.nearest import hint
from pave_emulator.scenario.model import Scenario, ScenarioError
from pave_emulator.scenario.motion import MANOEUVRES
from pave_emulator.scenario.site import Bay
from pave_emulator.scenario.steps import FAULT_ACTIONS


def check_places(scenario: Scenario, bays: Sequence[Bay], kiosks: Collection[str]) -> None:
    """Raise ScenarioError for a bay, kind or place that there is not, and for visits that collide."""
    ids, kinds = {bay.id for bay in bays}, {bay.kind for bay in bays}
    for visit in scenario.visits:
        _known(visit.bay, ids, "bay", visit.where or "visits")
    for traffic in (*scenario.traffic, *(beside.traffic for beside in scenario.beside)):
        _known(traffic.kind, kinds, "bay of kind", traffic.where or "traffic")
    for line in scenario.metro:
        for bay in line.bays:
            _known(bay, ids, "bay", line.where or "metro")
    for recording in scenario.recordings:
        _known(recording.bay, ids, "bay", recording.where or "recordings")
    for step in scenario.steps:
        for name, valid, what in (("bay", ids, "bay"), ("place", ids | set(kiosks), "place")):
            value = step.arguments.get(name)
            if isinstance(value, str):
                _known(value, valid, what, step.where or "steps")
    _check_visits(scenario)


def check_devices(scenario: Scenario, devices: Collection[str]) -> None:
    """Raise ScenarioError for a step or property that names a device that there is not."""
    for rule in scenario.properties:
        for pattern in rule.patterns:
            device = dict(pattern.wanted).get("device")
            if isinstance(device, str) and device:
                _known(device, set(devices), "device", f"property {rule.name!r}")
    for step in scenario.steps:
        device = step.arguments.get("device")
        if step.action in FAULT_ACTIONS and isinstance(device, str):
            _known(device, set(devices), "device", step.where or "steps")


def _check_visits(scenario: Scenario) -> None:
    by_bay = sorted(scenario.visits, key=lambda visit: (visit.bay, visit.arrive_s))
    for before, after in itertools.pairwise(by_bay):
        needs_s = MANOEUVRES[after.manoeuvre].in_s
        if before.bay == after.bay and after.arrive_s - before.leave_s < needs_s:
            where = after.where or "visits"
            raise ScenarioError(
                f"{where}: {after.bay} arrives at {after.arrive_s} s, within {needs_s} s of the last leave"
            )


def _known(name: str, valid: set[str], what: str, where: str) -> None:
    if name not in valid:
        raise ScenarioError(f"{where}: no {what} {name!r}: {hint(name, valid)}")
