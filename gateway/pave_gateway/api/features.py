"""The bays as open data: a GeoJSON FeatureCollection (RFC 7946)."""

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
    """Return what is known of a bay; `occupied` is null until its device has spoken.

    `since` is when the state began, `age_s` how many seconds ago it was last confirmed, `seq` the device's own count.
    """
    return {
        "id": bay.place.id,
        "kind": bay.place.kind,
        "street": bay.place.label,
        "occupied": bay.occupied,
        "since": None if bay.since_ms is None else iso_utc(bay.since_ms),
        "age_s": None if bay.read_ms is None else max(0, now_ms - bay.read_ms) // 1000,
        "seq": None if bay.read_ms is None else bay.seq,
    }


def etag(places: Iterable[Place], bays: Bays) -> str:
    """Return a weak entity tag: it changes with every reading and with the site file, not with `age_s` alone."""
    return f'W/"{zlib.crc32(repr(list(places)).encode()):08x}-{bays.position}"'


def _feature(bay: Bay, now_ms: int) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [bay.place.lon, bay.place.lat]}
    return {"type": "Feature", "id": bay.place.id, "geometry": point, "properties": bay_properties(bay, now_ms)}
