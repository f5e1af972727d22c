"""What the stations of a chain hand in for its books: the gateway's journal, and the city's record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2

from simulation.accounts import Receipt, Values

_READINGS = """
    SELECT d.name || ':' || r.epoch || ':' || r.seq, r.body, r.position
    FROM reading r JOIN device d ON d.id = r.device
"""


def journal_rows(journal: Path) -> tuple[dict[str, Values], set[str]]:
    """Return (identity -> values of all readings, identities the sink has passed on), read by Python's SQLite."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        rows = db.execute(_READINGS).fetchall()
        cursor = db.execute("SELECT position FROM sink_cursor WHERE sink = 'city'").fetchone()
    passed = cursor[0] if cursor else 0
    stored = {identity: cbor2.loads(body) for identity, body, _ in rows}
    return stored, {identity for identity, _, position in rows if position <= passed}


def receipt(message: dict[str, Any]) -> Receipt:
    """Return one message of the city's record."""
    return Receipt(
        message["id"], message["place"], datetime.fromisoformat(message["time"]).timestamp(), message["values"]
    )
