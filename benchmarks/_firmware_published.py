"""What makers of parking sensors publish, as far as it could be found: their figures, not measured here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Published:
    """One maker's statement; empty where the source says nothing of it."""

    product: str
    battery: str
    latency: str
    heartbeat: str
    accuracy: str
    source: str


FIGURES = (
    Published("Nwave, surface mount (own protocol)", "up to 10 years", "12 s", "", "",
              "ST blog, Nwave Smart Parking Sensor (S2-LP)"),
    Published("Nwave NPS405, LoRaWAN", "", "about 3 s to decide, 4 s or more until it is seen", "", "",
              "Nwave LoRaWAN Parking Sensor, Getting Started, sections 1 and 4"),
    Published("Bosch TPS110, LoRaWAN", "not found in three searches", "", "once a day",
              "said to learn for some ten changes", "golem.de test, November 2019; Bosch Parking Lot Sensor, "
              "Communication Interface, Technical Description rev. 1, V0.29.4, November 2019"),
    Published("Libelium Smart Parking, LoRaWAN", "4 to 10 years, depending on settings",
              "asleep for 10 s to 10 min between looks", "", "", "Libelium Cloud documentation, Smart Parking node"),
    Published("PNI PlacePod vehicle counting, LoRa", "up to 7 years", "", "", "",
              "PNI PlacePod Vehicle Counting Sensor User Manual R01, March 2019"),
    Published("eParking RC4, RC2 (radar and magnetometer)", "up to 9 years at 14 parkings a day", "", "", "",
              "eParking, How Radar Technology works"),
)  # fmt: skip


def measure(quick: bool) -> dict[str, Any]:
    """Nothing is run."""
    return {"figures": [asdict(figure) for figure in FIGURES]}


def show(console: Console, found: dict[str, Any]) -> None:
    """Print them with their sources."""
    table = Table(title="Published by others: statements of theirs, under conditions of theirs")
    for column in ("product", "battery", "latency", "heartbeat", "accuracy", "source"):
        table.add_column(column)
    for figure in found["figures"]:
        table.add_row(*figure.values())
    console.print(table)
