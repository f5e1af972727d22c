"""Tables of the LoRaWAN network server (see `core.lorawan.rows`).

What changes with every uplink (the counters, where the device stands) lies in one row of some 100 bytes, so a reading
costs one page here beside its page of the log. Keys and parameters, which hardly change, lie apart.
"""

from collections.abc import Callable
from typing import Any

from pave_gateway.core.keys_rows import ResealedSessionRow, SealedRow
from pave_gateway.core.lorawan.rows import (
    AirtimeForgottenRow,
    AirtimeRow,
    FcntUpRow,
    JoinRow,
    LinkRow,
    LoraDownRow,
    LoraSessionRow,
    ParametersRow,
    ProgressRow,
    SessionsEndRow,
    SessionStartRow,
    StoredDevice,
    StoredLorawan,
)

SCHEMA = """
CREATE TABLE lora_device (
    device TEXT PRIMARY KEY,
    join_eui TEXT NOT NULL DEFAULT '',        -- and a check value of the AppKey: nonce and sessions are under these
    dev_nonce INTEGER NOT NULL DEFAULT -1,
    join_nonce INTEGER NOT NULL DEFAULT -1,
    session INTEGER,                          -- the one in use: its JoinNonce
    fcnt_up INTEGER NOT NULL DEFAULT -1,      -- the last one admitted
    fcnt_down INTEGER NOT NULL DEFAULT 0,     -- below it may be used
    progress TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE TABLE lora_session (
    device TEXT NOT NULL,
    session INTEGER NOT NULL,
    dev_addr INTEGER NOT NULL,
    sealed_keys BLOB NOT NULL,
    parameters TEXT NOT NULL,
    fcnt_down INTEGER NOT NULL,               -- until it is in use
    era INTEGER NOT NULL,
    PRIMARY KEY (device, session)
) STRICT, WITHOUT ROWID;
CREATE TABLE lora_link (device TEXT PRIMARY KEY, link TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE lora_airtime (
    gateway_id TEXT NOT NULL,
    grain INTEGER NOT NULL,
    band INTEGER NOT NULL,
    spent_us INTEGER NOT NULL,
    PRIMARY KEY (gateway_id, grain, band)
) STRICT, WITHOUT ROWID;
"""

_DEVICES = """
SELECT d.device, d.join_eui, d.dev_nonce, d.join_nonce, d.session, d.fcnt_up, d.fcnt_down, d.progress,
       coalesce(l.link, '')
FROM lora_device d LEFT JOIN lora_link l ON l.device = d.device ORDER BY d.device
"""


def read_lorawan(db: Any) -> StoredLorawan:
    """Return all of it from an apsw connection."""
    return StoredLorawan(
        tuple(StoredDevice(*row) for row in db.execute(_DEVICES)),
        tuple(
            LoraSessionRow(*row)
            for row in db.execute(
                "SELECT device, session, dev_addr, sealed_keys, parameters, fcnt_down, era FROM lora_session"
                " ORDER BY device, session"
            )
        ),
        tuple(
            AirtimeRow(*row)
            for row in db.execute("SELECT gateway_id, grain, band, spent_us FROM lora_airtime ORDER BY 1, 2, 3")
        ),
    )


def sealed_sessions(db: Any, device: str, session: int, max_rows: int) -> list[SealedRow]:
    """Return the keys of the sessions behind (`device`, `session`), of any era, at most `max_rows`."""
    rows = db.execute(
        "SELECT device, session, sealed_keys FROM lora_session WHERE (device, session) > (?1, ?2)"
        " ORDER BY device, session LIMIT ?3",
        (device, session, max_rows),
    )
    return [SealedRow(*row) for row in rows]


def count_sessions(db: Any) -> int:
    """Return how many sessions there are, of any era."""
    return db.execute("SELECT count(*) FROM lora_session").get


def _join(db: Any, row: JoinRow) -> str | None:
    before = db.execute("SELECT join_eui FROM lora_device WHERE device = ?1", (row.device,)).get
    db.execute(
        "INSERT INTO lora_device (device, join_eui, dev_nonce, join_nonce) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (device) DO UPDATE SET join_eui = ?2, dev_nonce = ?3, join_nonce = ?4"
        " WHERE (join_eui <> ?2 OR dev_nonce < ?3) AND join_nonce < ?4",
        (row.device, row.root, row.dev_nonce, row.join_nonce),
    )
    if not db.changes():
        return f"DevNonce {row.dev_nonce} or JoinNonce {row.join_nonce} of {row.device} was used before"
    if before is not None and before != row.root:
        _end_sessions(db, SessionsEndRow(row.device))
    return None


def _offer_session(db: Any, row: LoraSessionRow) -> str | None:
    db.execute(
        "DELETE FROM lora_session WHERE device = ?1"
        " AND session IS NOT (SELECT session FROM lora_device WHERE device = ?1)",
        (row.device,),
    )
    db.execute(
        "INSERT INTO lora_session (device, session, dev_addr, sealed_keys, parameters, fcnt_down, era)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (row.device, row.session, row.dev_addr, row.sealed_keys, row.parameters, row.fcnt_down, row.era),
    )
    return None


def _reseal_session(db: Any, row: ResealedSessionRow) -> None:
    db.execute(
        "UPDATE lora_session SET sealed_keys = ?4 WHERE device = ?1 AND session = ?2 AND sealed_keys = ?3",
        (row.device, row.number, row.before, row.content),
    )


def _start_session(db: Any, row: SessionStartRow) -> str | None:
    db.execute(
        "UPDATE lora_device SET session = ?2, fcnt_up = -1, fcnt_down = s.fcnt_down FROM lora_session s"
        " WHERE lora_device.device = ?1 AND s.device = ?1 AND s.session = ?2"
        " AND (lora_device.session IS NULL OR lora_device.session < ?2)",
        (row.device, row.session),
    )
    if not db.changes() and not _is_in_use(db, row):  # a commit that seemed to fail may have started it
        return f"session {row.session} of {row.device} was never offered, or another has followed it"
    db.execute("DELETE FROM lora_session WHERE device = ?1 AND session <> ?2", (row.device, row.session))
    return None


def _is_in_use(db: Any, row: SessionStartRow) -> bool:
    return db.execute("SELECT session FROM lora_device WHERE device = ?1", (row.device,)).get == row.session


def _admit(db: Any, row: FcntUpRow) -> str | None:
    db.execute(
        "UPDATE lora_device SET fcnt_up = ?3 WHERE device = ?1 AND session = ?2 AND fcnt_up < ?3",
        (row.device, row.session, row.fcnt),
    )
    if not db.changes():
        return f"FCnt {row.fcnt} of {row.device}, session {row.session}, was admitted before, or its session has ended"
    return None


def _reserve(db: Any, row: LoraDownRow) -> str | None:
    db.execute(
        "UPDATE lora_device SET fcnt_down = ?3 WHERE device = ?1 AND session = ?2 AND fcnt_down <= ?3",
        (row.device, row.session, row.reserved),
    )
    if not db.changes():
        return f"downlink counters of {row.device}, session {row.session}, are not reserved up to {row.reserved}"
    return None


def _agree(db: Any, row: ParametersRow) -> str | None:
    db.execute(
        "UPDATE lora_session SET parameters = ?3 WHERE device = ?1 AND session = ?2",
        (row.device, row.session, row.parameters),
    )
    return None if db.changes() else f"session {row.session} of {row.device} has ended"


def _progress(db: Any, row: ProgressRow) -> None:
    db.execute(
        "INSERT INTO lora_device (device, progress) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET progress = ?2",
        (row.device, row.text),
    )


def _link(db: Any, row: LinkRow) -> None:
    db.execute(
        "INSERT INTO lora_link (device, link) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET link = ?2",
        (row.device, row.text),
    )


def _airtime(db: Any, row: AirtimeRow) -> None:
    db.execute(
        "INSERT INTO lora_airtime (gateway_id, grain, band, spent_us) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (gateway_id, grain, band) DO UPDATE SET spent_us = ?4",
        (row.gateway_id, row.grain, row.band, row.spent_us),
    )


def _forget_airtime(db: Any, row: AirtimeForgottenRow) -> None:
    for grain in row.grains:
        db.execute("DELETE FROM lora_airtime WHERE gateway_id = ?1 AND grain = ?2", (row.gateway_id, grain))


def _end_sessions(db: Any, row: SessionsEndRow) -> None:
    db.execute("DELETE FROM lora_session WHERE device = ?1", (row.device,))
    db.execute("UPDATE lora_device SET session = NULL, fcnt_up = -1, fcnt_down = 0 WHERE device = ?1", (row.device,))


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    JoinRow: _join,
    LoraSessionRow: _offer_session,
    ResealedSessionRow: _reseal_session,
    SessionStartRow: _start_session,
    FcntUpRow: _admit,
    LoraDownRow: _reserve,
    ParametersRow: _agree,
    ProgressRow: _progress,
    LinkRow: _link,
    AirtimeRow: _airtime,
    AirtimeForgottenRow: _forget_airtime,
    SessionsEndRow: _end_sessions,
}
