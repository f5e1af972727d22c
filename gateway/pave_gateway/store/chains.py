"""The readings of one device, along its chains: each names the one before it, of the same device and class.

A reader has to know where the chains end. It takes that from the device table and follows the log from there, once;
later calls only look at what the log has gained.
"""

from typing import Any

from pave_gateway.core.rows import StoredReading
from pave_gateway.store import log, meta
from pave_gateway.store.devices import CLASSES

_HEADS = f"SELECT id, {', '.join(CLASSES)} FROM device"
_TAIL = "SELECT position, device, class FROM reading WHERE position > ?1 ORDER BY position"
_NEWEST = f"""
WITH RECURSIVE chain (position, previous) AS (
    SELECT position, previous FROM reading WHERE position IN (?1, ?2, ?3, ?4)
    UNION ALL
    SELECT r.position, r.previous FROM chain c JOIN reading r ON r.position = c.previous
    ORDER BY 1 DESC
)
SELECT {log.COLUMNS}
FROM chain c CROSS JOIN reading r ON r.position = c.position CROSS JOIN device d ON d.id = r.device
WHERE c.position < ?5 LIMIT ?6
"""


class Chains:
    """Where the chains of each device end, as far as this reader has followed the log."""

    def __init__(self) -> None:
        self._heads: dict[int, list[int]] = {}  # by the number of the device
        self._position: int | None = None

    def newest(self, db: Any, device: str, max_rows: int, before: int) -> list[StoredReading]:
        """Return the newest readings of `device` with positions below `before`, newest first."""
        self._position = self._follow(db, self._position)
        heads = self._heads.get(db.execute("SELECT id FROM device WHERE name = ?1", (device,)).get)
        if heads is None:
            return []
        rows = db.execute(_NEWEST, (*heads, before, max_rows))
        return [log.stored_reading(row) for row in rows]

    def _follow(self, db: Any, position: int | None) -> int:
        """Take what the log has gained behind `position`; return up to where."""
        if position is None:
            position = meta.number(db, "snapshot")
            self._heads = {row[0]: list(row[1:]) for row in db.execute(_HEADS)}
        return max((self._take(*row) for row in db.execute(_TAIL, (position,))), default=position)

    def _take(self, position: int, number: int, class_number: int) -> int:
        heads = self._heads.setdefault(number, [0] * len(CLASSES))
        heads[class_number] = max(heads[class_number], position)
        return position
