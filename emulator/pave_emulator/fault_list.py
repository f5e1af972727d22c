"""What can be done to a running emulator, by name: the actions of a scenario's steps, and a few for a person."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pave_emulator.faults import FleetFaults
from pave_emulator.nearest import hint
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.steps import FAULT_ACTIONS, WORLD_ACTIONS, Arguments
from pave_emulator.session import Session

PERSONS_ACTIONS: Mapping[str, Arguments] = {
    "lora_attenuation": {"device": str, "db": float},
    "input": {"device": str, "name": str, "matter": (bool, True)},
}
FAULTS: Mapping[str, Arguments] = {**FAULT_ACTIONS, **PERSONS_ACTIONS, **WORLD_ACTIONS}
HELP = {
    "lora_attenuation": "Take so much from the signal of a device's antenna, both ways, from now on.",
    "input": "Hold an input of a board (button, tamper) as when something is the matter, or idle.",
    "arrive": "A vehicle comes to a bay.",
    "leave": "The vehicle on a bay leaves.",
    "person": "Somebody stands at a place for so long.",
    "press": "Somebody presses a kiosk's button.",
    "temperature": "Set the air's temperature.",
    "rain": "Let it rain.",
    "water_film": "Put water on the sensors' lids.",
    "snow": "Let snow lie.",
    "leaves": "Let leaves lie on the road, or sweep them.",
    "usual_weather": "End every weather that was set.",
    "shift_field": "Change the field at a bay for good (road works).",
    "turn": "Turn the sensor in a bay, or tilt it: a plough, a thief.",
    "lid": "Open or close a kiosk's lid: tamper.",
    "mains": "Take a kiosk's mains away, or give it back.",
    "pc": "Let a kiosk's PC be dead or alive.",
}
NOT_NEGATIVE = ("s", "mm_per_h", "mm", "cm")
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def help_of(name: str) -> str:
    """One line."""
    return HELP.get(name) or inspect.getdoc(getattr(FleetFaults, name)) or ""


def usage(name: str) -> str:
    """The name with its arguments; what has a default is in brackets."""
    words = [name]
    for argument, given in FAULTS[name].items():
        optional = not isinstance(given, type)
        kind = given[0] if isinstance(given, tuple) else given
        text = f"{argument}={kind.__name__.upper()}"
        words.append(f"[{text}]" if optional else text)
    return " ".join(words)


def parse(name: str, words: Iterable[str]) -> dict[str, Any]:
    """Arguments given as `key=value`. Raise ScenarioError with the nearest valid name."""
    if name not in FAULTS:
        raise ScenarioError(f"no fault {name!r}: {hint(name, FAULTS)}")
    table = FAULTS[name]
    got: dict[str, Any] = {key: given[1] for key, given in table.items() if isinstance(given, tuple)}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator:
            raise ScenarioError(f"{word!r}: KEY=VALUE expected; usage: {usage(name)}")
        if key not in table:
            raise ScenarioError(f"{name} has no {key!r}: {hint(key, table)}")
        given = table[key]
        got[key] = _value(key, text, given[0] if isinstance(given, tuple) else given)
    missing = [key for key in table if key not in got]
    if missing:
        raise ScenarioError(f"{name} lacks {', '.join(missing)}; usage: {usage(name)}")
    return got


def do(session: Session, name: str, arguments: dict[str, Any]) -> None:
    """Do it now. Raise ScenarioError, with the nearest valid name, when it cannot be done."""
    for argument, valid in _valid(session, arguments).items():
        if argument in arguments and arguments[argument] not in valid:
            raise ScenarioError(f"no {argument} {arguments[argument]!r}: {hint(arguments[argument], valid)}")
    if name in WORLD_ACTIONS:
        session.fleet.act(name, arguments)
    elif name == "lora_attenuation":
        session.attenuation_db[arguments["device"]] = arguments["db"]
    elif name == "input":
        _hold_input(session, **arguments)
    else:
        getattr(session.faults, name)(**arguments)


def _valid(session: Session, arguments: dict[str, Any]) -> dict[str, Collection[str]]:
    """The names there are, for each argument that is a name."""
    bays = {bay.id for bay in session.roster.bays}
    board = session.boards.get(arguments.get("device", ""))
    buses = {bus.name for bus in board.buses.values() if bus.kind == "i2c"} if board else set()
    return {"device": session.boards, "bus": buses, "bay": bays, "place": bays | set(session.roster.kiosks)}


def _hold_input(session: Session, device: str, name: str, matter: bool) -> None:
    inputs = session.boards[device].inputs
    if name not in inputs:
        raise ScenarioError(f"{device} has no input {name!r}: {hint(name, inputs)}")
    session.fleet.device(device).set_input(name, matter)


def _value(key: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            if text.lower() not in YES + NO:
                raise ValueError
            return text.lower() in YES
        if kind is float and not math.isfinite(float(text)):
            raise ValueError
        value = int(text, 0) if kind is int else kind(text)
    except ValueError:
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ScenarioError(f"{key}={text!r}: {expected} expected") from None
    if key in NOT_NEGATIVE and value < 0:
        raise ScenarioError(f"{key}={text!r}: 0 or more expected")
    return value
