"""The `devices` of a scenario file: which boards lie in the street, with which firmware.

    devices:
      - {name: s1, board: boards/presence.toml, image: images/s1.bin, place: b1, kind: delivery}
      - {name: s-, count: 50, board: boards/presence.toml, image: images/sensor.bin, place: bay-, kind: delivery}
      - {name: k1, board: boards/kiosk.toml, image: images/kiosk.bin, place: shelter, kind: kiosk}

With `count`, name and place are beginnings that a number is added to. In `image`, {name} is the device's name. Paths
are relative to the scenario file. A place of kind "kiosk" is a shelter, any other a bay.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from pave_emulator.scenario.devices import DeviceEntry
from pave_emulator.scenario.yaml_reader import Read, Reader

SPACING_M = 6.0  # between the bays of a row that is counted: the length of a bay
MAX_COUNT = 10_000


def read_devices(reader: Reader, node: yaml.Node) -> tuple[DeviceEntry, ...]:
    """The `devices` of a file, counted ones one by one. Raise ScenarioError."""
    entries: list[DeviceEntry] = []
    for item in reader.items(node):
        for entry in _entries(reader, item):
            if entry.name in {other.name for other in entries}:
                reader.fail(item, f"there is a device {entry.name!r} already")
            entries.append(entry)
    return tuple(entries)


def _entries(reader: Reader, node: yaml.Node) -> list[DeviceEntry]:
    folder = reader.path.parent
    fields: dict[str, Read] = {
        "name": reader.text,
        "count": reader.whole,
        "board": lambda value: folder / reader.text(value),
        "image": reader.text,
        "place": reader.text,
        "kind": reader.text,
        "street": reader.text,
        "position_m": lambda value: _position(reader, value),
        "mac": lambda value: _mac(reader, value),
    }
    got = reader.mapping(node, fields, required=("name", "board", "image"))
    count, image = got.pop("count", None), got.pop("image")
    first = DeviceEntry(**got, image=folder, where=reader.where(node))
    if count is None:
        return [replace(first, image=folder / image.replace("{name}", first.name))]
    if not 1 <= count <= MAX_COUNT:
        reader.fail(node, f"count is {count}: 1 to {MAX_COUNT}")
    return [_numbered(first, folder, image, number, len(str(count))) for number in range(1, count + 1)]


def _numbered(first: DeviceEntry, folder: Path, image: str, number: int, digits: int) -> DeviceEntry:
    name = f"{first.name}{number:0{digits}}"
    position_m = first.position_m
    return replace(
        first,
        name=name,
        image=folder / image.replace("{name}", name),
        place=f"{first.place}{number:0{digits}}" if first.place else "",
        position_m=position_m and (position_m[0] + (number - 1) * SPACING_M, position_m[1]),
        mac=first.mac and (int.from_bytes(first.mac, "big") + number - 1).to_bytes(6, "big"),
    )


def _position(reader: Reader, node: yaml.Node) -> tuple[float, float]:
    numbers = [reader.number(item) for item in reader.items(node)]
    if len(numbers) != 2:
        reader.fail(node, f"{len(numbers)} numbers where 2 are expected: metres east and north")
    return numbers[0], numbers[1]


def _mac(reader: Reader, node: yaml.Node) -> bytes:
    text = reader.text(node)
    try:
        mac = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6:
        reader.fail(node, f"{text!r} is not a MAC address, such as 24:a1:60:00:01:07")
    return mac
