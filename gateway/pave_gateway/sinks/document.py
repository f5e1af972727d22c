"""The JSON document of a reading, as most back-ends get it.

    {"id": "24a160fffe000101:1:42", "device": "24a160fffe000101", "epoch": 1, "seq": 42,
     "site": "bercy", "kind": "delivery", "place": "bercy-l-01",
     "time": "2026-11-24T12:00:00.000Z", "received": "2026-11-24T12:00:01.250Z", "clock": "synchronized",
     "class": "presence", "values": {"occupied": true, "reason": "field", ...}}

Times are the site's best knowledge when the document is made, `clock` says how good it is (`core.instant.Quality`).
"""

import json
from typing import Any

from pave_gateway.core.instant import iso_utc
from pave_gateway.core.outgoing import Outgoing


def of(outgoing: Outgoing, site: str) -> dict[str, Any]:
    """Return the document of a reading; `site` is the site's id."""
    row, dated = outgoing.row, outgoing.dated
    return {
        "id": row.identity,
        "device": row.device,
        "epoch": row.epoch,
        "seq": row.seq,
        "site": site,
        "kind": outgoing.kind,
        "place": outgoing.place_id,
        "time": iso_utc(dated.read_ms),
        "received": iso_utc(dated.received_ms),
        "clock": dated.quality.value,
        "class": row.reading_class,
        "values": row.values,
    }


def to_json(document: dict[str, Any]) -> bytes:
    """Return a document as compact UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
