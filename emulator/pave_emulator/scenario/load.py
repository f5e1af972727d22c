"""Scenario files: YAML, checked key by key, so that an error names the file, the line and the nearest valid key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pave_emulator.scenario.calendar import DEFAULT_START, PROFILES
from pave_emulator.scenario.load_devices import read_devices
from pave_emulator.scenario.load_steps import StepReader
from pave_emulator.scenario.model import (
    Beside,
    Drift,
    Laying,
    Metro,
    Passers,
    People,
    Reflection,
    Scenario,
    ScenarioError,
    Traffic,
    Visit,
    Weather,
)
from pave_emulator.scenario.motion import MANOEUVRES
from pave_emulator.scenario.recording import Recording, RecordingError, read
from pave_emulator.scenario.vehicle import KINDS
from pave_emulator.scenario.yaml_reader import Read, Reader

__all__ = ["Scenario", "ScenarioError", "Traffic", "Visit", "load"]


def load(path: Path, seed: int | None = None) -> Scenario:
    """Read and check a scenario; `seed` replaces the file's. Raise ScenarioError."""
    reader = Reader(path)
    got = reader.mapping(reader.root(), _sections(reader), required={"name", "seed", "earth_field_ut"})
    if seed is not None:
        got["seed"] = seed
    return Scenario(**{"noise_ut": 0.0, "start": DEFAULT_START, **got})


def _sections(reader: Reader) -> dict[str, Read]:
    steps = StepReader(reader)
    return {
        "name": reader.text,
        "seed": reader.whole,
        "start": reader.date,
        "earth_field_ut": reader.vector,
        "noise_ut": reader.not_negative,
        "traffic": reader.listed(lambda node: _traffic(reader, node)),
        "visits": reader.listed(lambda node: _visit(reader, node)),
        "passers": lambda node: _passers(reader, node),
        "metro": reader.listed(lambda node: _metro(reader, node)),
        "drift": lambda node: Drift(**reader.mapping(node, _drift_fields(reader))),
        "weather": lambda node: Weather(**reader.mapping(node, _weather_fields(reader))),
        "people": lambda node: People(
            **reader.mapping(node, dict.fromkeys(("at_kiosk_per_day", "on_bay_per_day"), reader.not_negative))
        ),
        "beside": reader.listed(lambda node: _beside(reader, node)),
        "laying": lambda node: Laying(
            **reader.mapping(node, {"any_yaw": reader.yes_or_no, "tilt_deg": reader.not_negative})
        ),
        "reflection": lambda node: Reflection(
            **reader.mapping(node, dict.fromkeys(("vehicle_db", "look_db"), reader.not_negative))
        ),
        "recordings": reader.listed(lambda node: _recording(reader, node)),
        "devices": lambda node: read_devices(reader, node),
        "steps": reader.listed(steps.step),
        "properties": reader.listed(steps.property),
    }


def _traffic(reader: Reader, node: yaml.Node) -> Traffic:
    got = reader.mapping(node, _traffic_fields(reader), required={"kind", "gap_s", "stay_s"})
    return _checked_traffic(reader, node, got)


def _beside(reader: Reader, node: yaml.Node) -> Beside:
    fields = {**_traffic_fields(reader), "across_m": reader.number}
    got = reader.mapping(node, fields, required={"kind", "gap_s", "stay_s", "across_m"})
    across_m = got.pop("across_m")
    if abs(across_m) < 1.8:
        reader.fail(node, f"across_m is {across_m:g}: nearer than 1.8 m a vehicle stands on the bay itself")
    got.setdefault("manoeuvres", (("lane", 1.0),))
    return Beside(_checked_traffic(reader, node, got), across_m)


def _traffic_fields(reader: Reader) -> dict[str, Read]:
    return {
        "kind": reader.text,
        "gap_s": reader.number,
        "stay_s": reader.number,
        "min_s": reader.number,
        "profile": reader.choice(PROFILES, "profile"),
        "manoeuvres": reader.shares(MANOEUVRES, "manoeuvre"),
        "vehicles": reader.shares(KINDS, "vehicle"),
        "from_s": reader.not_negative,
        "off_m": reader.span,
    }


def _checked_traffic(reader: Reader, node: yaml.Node, got: dict[str, Any]) -> Traffic:
    ways = [MANOEUVRES[name] for name, _ in got.get("manoeuvres", (("quick", 1.0),))]
    shortest_s = max(way.in_s for way in ways) + max(way.out_s for way in ways)
    got.setdefault("min_s", shortest_s)
    for name in ("gap_s", "stay_s"):
        if got[name] <= 0:
            reader.fail(node, f"{name} is {got[name]}: a mean time in seconds is more than 0")
    if got["min_s"] < shortest_s:
        reader.fail(node, f"min_s is {got['min_s']}: a vehicle needs {shortest_s} s to come and go")
    return Traffic(**got, where=reader.where(node))


def _visit(reader: Reader, node: yaml.Node) -> Visit:
    fields: dict[str, Read] = {
        "bay": reader.text,
        "arrive_s": reader.number,
        "leave_s": reader.number,
        "vehicle": reader.choice(KINDS, "vehicle"),
        "manoeuvre": reader.choice(MANOEUVRES, "manoeuvre"),
    }
    visit = Visit(**reader.mapping(node, fields, required={"bay", "arrive_s"}), where=reader.where(node))
    if visit.leave_s - visit.arrive_s < visit.moving_s:
        what = f"leave_s {visit.leave_s} is not {visit.moving_s} s or more after arrive_s {visit.arrive_s}"
        reader.fail(node, what)
    return visit


def _passers(reader: Reader, node: yaml.Node) -> Passers:
    fields: dict[str, Read] = {
        "per_day": reader.not_negative,
        "lane_m": reader.span,
        "speed_mps": reader.span,
        "vehicles": reader.shares(KINDS, "vehicle"),
        "profile": reader.choice(PROFILES, "profile"),
    }
    passers = Passers(**reader.mapping(node, fields, required={"per_day"}))
    if passers.lane_m[0] < 1.5:
        reader.fail(node, f"lane_m begins at {passers.lane_m[0]:g}: who passes so near drives over the bay")
    if passers.speed_mps[0] < 1.0:
        reader.fail(node, f"speed_mps begins at {passers.speed_mps[0]:g}: who passes drives 1 m/s or more")
    return passers


def _metro(reader: Reader, node: yaml.Node) -> Metro:
    fields: dict[str, Read] = {
        "line": reader.text,
        "bays": reader.listed(reader.text),
        "field_ut": reader.vector,
        "headway_s": reader.positive,
        "swell_s": reader.positive,
        "hours": reader.span,
    }
    got = reader.mapping(node, fields, required={"line", "bays", "field_ut", "headway_s"})
    metro = Metro(**got, where=reader.where(node))
    if metro.swell_s > metro.headway_s / 2:
        reader.fail(node, f"swell_s {metro.swell_s:g} is more than half of headway_s {metro.headway_s:g}")
    if not any(metro.field_ut):
        reader.fail(node, "field_ut is 0: a line that is not felt is left out")
    return metro


def _drift_fields(reader: Reader) -> dict[str, Read]:
    numbers = dict.fromkeys(("temperature_ut_per_k", "wander_ut", "hard_iron_ut"), reader.not_negative)
    return {**numbers, "days": reader.positive}


def _weather_fields(reader: Reader) -> dict[str, Read]:
    numbers = dict.fromkeys(("seasonal_c", "daily_c", "asphalt_c", "rain_days_per_month"), reader.not_negative)
    return {**numbers, "mean_c": reader.number, "latitude_deg": reader.number}


def _recording(reader: Reader, node: yaml.Node) -> Recording:
    fields: dict[str, Read] = {"bay": reader.text, "file": reader.text, "from_s": reader.not_negative}
    got = reader.mapping(node, fields, required={"bay", "file"})
    try:
        found = read(reader.path.parent / got["file"], got["bay"], got.get("from_s", 0.0))
    except RecordingError as error:
        reader.fail(node, str(error))
    return replace(found, where=reader.where(node))
