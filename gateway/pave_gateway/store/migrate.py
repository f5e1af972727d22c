"""Brings a journal of an earlier version to this one, when it is opened.

One transaction: whoever dies in it finds the old journal as it was, and begins again. The tables of the old version are
renamed, the new ones filled from them, the old ones dropped. It needs room on the disk for the journal once more.

    1 -> 2   the log has device numbers, chains and CBOR bodies and no index; every reading keeps its position. What the
             writer knows of each device is made by following the log, and dead letters get a copy of their reading.
             What had no clock quality is taken for synchronized, as it was.

Then the pages get the size of this version's, which SQLite changes by writing the file anew (VACUUM, which is atomic,
too). When there is no room for that the journal is used as it is: its writes are larger, that is all.
"""

import json
import logging
from pathlib import Path
from typing import Any

import apsw
import cbor2

from pave_gateway.store import meta, snapshots

_log = logging.getLogger(__name__)

_CLASS_OF = "CASE o.class WHEN 'alarm' THEN 0 WHEN 'presence' THEN 1 WHEN 'health' THEN 2 ELSE 3 END"
_FILL = f"""
INSERT INTO device
    SELECT row_number() OVER (ORDER BY min(position)), device, 0, -1, -1, x'', -1, -1, x'', 0, 0, 0, 0, NULL, NULL, 0
    FROM reading_1 GROUP BY device;
INSERT INTO reading
    SELECT o.position, d.id, o.epoch, o.seq, {_CLASS_OF}, o.received_ms, o.received_ms - o.read_ms, 1, NULL,
        coalesce(lag(o.position) OVER (PARTITION BY o.device, {_CLASS_OF} ORDER BY o.position), 0), cbor(o.body), 0
    FROM reading_1 o JOIN device d ON d.name = o.device ORDER BY o.position;
INSERT INTO dead_letter
    SELECT l.sink, l.position, l.reason, 0, o.device, o.epoch, o.seq, o.class, o.received_ms, o.read_ms,
        CASE WHEN o.body IS NULL THEN NULL ELSE cbor(o.body) END, NULL, 1
    FROM dead_letter_1 l LEFT JOIN reading_1 o ON o.position = l.position;
INSERT INTO sink_cursor SELECT sink, position FROM sink_cursor_1;
"""


def from_1(db: Any, path: Path, schema: str) -> None:
    """Bring a journal of version 1 to version 2, whose `schema` this is. Raises apsw.Error: it is as it was."""
    _log.warning("journal %s: bringing it from version 1 to 2; some seconds per 100,000 readings", path)
    db.create_scalar_function("cbor", _cbor, 1, deterministic=True)
    with db:
        for table in ("reading", "sink_cursor", "dead_letter"):
            db.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
        is_copy = meta.text(db, "copy")
        db.execute("DROP TABLE meta")
        last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'reading_1'").get or 0
        db.execute(schema)
        db.execute(_FILL)
        db.execute("DROP TABLE reading_1; DROP TABLE sink_cursor_1; DROP TABLE dead_letter_1")
        snapshots.rebuild(db)
        meta.put(db, "floor", last)
        meta.put(db, "skipped", last - db.execute("SELECT count(*) FROM reading").get)
        meta.put(db, "schema", 2)
        if is_copy:
            meta.put(db, "copy", is_copy)
    db.create_scalar_function("cbor", None)


def _cbor(body: str) -> bytes:
    return cbor2.dumps(json.loads(body))


def reshape(db: Any, path: Path, page_bytes: int, auto_vacuum: int) -> None:
    """Give the file of an earlier version the pages of this one's, if there is room for a copy of it."""
    try:
        db.execute("PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA")
        db.execute(f"PRAGMA page_size={page_bytes}; PRAGMA auto_vacuum={auto_vacuum}")
        db.execute("VACUUM")
    except apsw.Error as error:
        _log.warning("journal %s: its pages keep their size, each commit writes more (SQLite: %s)", path, error)
