"""The bays as open data: a GeoJSON FeatureCollection (RFC 7946)."""

import math
import zlib
from collections.abc import Iterable
from typing import Any

from pave_gateway.core.bays import Bay, Bays
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.places import Place


def feature_collection(bays: Bays, now_ms: int) -> dict[str, Any]:
    """Return the FeatureCollection; positions are [longitude, latitude] (RFC 7946, 3.1.1)."""
    return {"type": "FeatureCollection", "features": [_feature(bay, now_ms) for bay in bays]}


def bay_properties(bay: Bay, now_ms: int) -> dict[str, Any]:
    """Return what is known of a bay; all but where it is may be null, for one where nothing is known.

    `state` is "vacant", "occupied", "blind" (water, snow: the device cannot tell) or "fault" (it cannot measure);
    `occupied` says the first two, and null for the others. `confidence` is 0 to 1, as the device says. `since` is when
    the state began, or up to `since_error_s` earlier; `age_s` how many seconds ago it was last confirmed; `seq` the
    device's own count.
    """
    return {
        "id": bay.place.id,
        "kind": bay.place.kind,
        "street": bay.place.label,
        "state": bay.state,
        "occupied": bay.occupied,
        "confidence": bay.confidence,
        "since": None if bay.since_ms is None else iso_utc(bay.since_ms),
        "since_error_s": None if bay.since_error_ms is None else math.ceil(bay.since_error_ms / 1000),
        "age_s": None if bay.read_ms is None else max(0, now_ms - bay.read_ms) // 1000,
        "seq": None if bay.read_ms is None else bay.seq,
    }


def etag(places: Iterable[Place], bays: Bays) -> str:
    """Return a weak entity tag.

    It changes with every reading, with the site file, with who stands where and when another time is known to be right,
    not with `age_s` alone.
    """
    standing = [(bay.device, bay.from_position) for bay in bays]
    made_of = repr((list(places), standing, bays.clock.newest))
    return f'W/"{zlib.crc32(made_of.encode()):08x}-{bays.position}"'


def _feature(bay: Bay, now_ms: int) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [bay.place.lon, bay.place.lat]}
    return {"type": "Feature", "id": bay.place.id, "geometry": point, "properties": bay_properties(bay, now_ms)}
