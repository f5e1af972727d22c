"""Renders the console's page: everything is in the HTML already, the script only keeps it current."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pave_gateway.console.street_map import draw
from pave_gateway.core.bays import Bay, Bays
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.places import Place

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

KIND_NAMES = {"delivery": "Delivery", "taxi": "Taxi rank", "disabled": "Disabled (GIG-GIC)"}


class Page:
    """The page of one site; the drawing is made once."""

    def __init__(self, site_name: str, insecure: bool, places: Sequence[Place]) -> None:
        """`insecure` puts the warning about plain CoAP on top."""
        environment: Any = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )
        environment.filters["state"] = _state
        environment.filters["iso"] = iso_utc
        self._template = environment.get_template("console.html")
        self._fixed = {
            "site_name": site_name,
            "insecure": insecure,
            "map": draw(places),
            "kind_names": KIND_NAMES,
            "assets": _digest(STATIC),
        }

    def render(self, bays: Bays, now_ms: int) -> str:
        """Return the HTML as of `now_ms`."""
        by_id = {bay.place.id: bay for bay in bays}
        return self._template.render(self._fixed, bays=by_id, availability=bays.availability(), now_ms=now_ms)


def _state(bay: Bay | None) -> str:
    if bay is None or bay.occupied is None:
        return "unknown"
    return "occupied" if bay.occupied else "free"


def _digest(folder: Path) -> str:
    """Return a short digest of the assets, so that a browser never mixes two versions."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
