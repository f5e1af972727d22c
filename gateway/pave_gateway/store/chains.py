"""The readings of one device, along its chains: each names the one before it, of the same device and class.

Where the chains end the device table says, as of a position; the readings behind that are looked through. What was
rebuilt and replaced by the real reading is left out.
"""

from typing import Any

from pave_gateway.core.rows import StoredReading
from pave_gateway.store import log
from pave_gateway.store.devices import CLASSES

_DEVICE = f"SELECT id, position, {', '.join(CLASSES)} FROM device WHERE name = ?1"
_BEHIND = "SELECT class, max(position) FROM reading WHERE position > ?1 AND device = ?2 GROUP BY class"
_NEWEST = f"""
WITH RECURSIVE chain (position, previous) AS (
    SELECT position, previous FROM reading WHERE position IN (?1, ?2, ?3, ?4)
    UNION ALL
    SELECT r.position, r.previous FROM chain c JOIN reading r ON r.position = c.previous
    ORDER BY 1 DESC
)
SELECT {log.COLUMNS}
FROM chain c CROSS JOIN reading r ON r.position = c.position CROSS JOIN device d ON d.id = r.device
WHERE c.position < ?5 AND NOT r.replaced LIMIT ?6
"""


def newest(db: Any, device: str, max_rows: int, before: int) -> list[StoredReading]:
    """Return the newest readings of `device` with positions below `before`, newest first."""
    with db:  # one state of the log
        known: tuple[int, ...] | None = db.execute(_DEVICE, (device,)).get
        if known is None:
            return []
        number, position, *heads = known
        for class_number, newest_position in db.execute(_BEHIND, (position, number)):
            heads[class_number] = newest_position
        return [log.stored_reading(row) for row in db.execute(_NEWEST, (*heads, before, max_rows))]
