"""Table of the devices behind another's network server (see `core.external_frames`)."""

from collections.abc import Callable
from typing import Any

from pave_gateway.core.external_frames import ExternalRow

SCHEMA = """
CREATE TABLE external_device (device TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


def read_external(db: Any) -> dict[str, str]:
    """Return {device: `ExternalState.text`} from an apsw connection."""
    return dict(db.execute("SELECT device, state FROM external_device ORDER BY device"))


def _swap(db: Any, row: ExternalRow) -> str | None:
    db.execute(
        "INSERT INTO external_device (device, state) SELECT ?1, ?3 WHERE ?2 = '' OR EXISTS"
        " (SELECT 1 FROM external_device WHERE device = ?1 AND state IN (?2, ?3))"
        " ON CONFLICT (device) DO UPDATE SET state = ?3 WHERE state IN (?2, ?3)",
        (row.device, row.expected, row.state),
    )
    if not db.changes():
        return f"a frame of {row.device} was taken before: {row.expected or 'no state'} is not what the journal has"
    return None


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {ExternalRow: _swap}
