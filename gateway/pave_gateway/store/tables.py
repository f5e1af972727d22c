"""The families of tables that a journal holds, and who writes their rows.

A family is a module `store/<family>_tables.py`. Its rows are frozen dataclasses of the core, which it stores in tables
of its own; it imports no other family. It gives

    SCHEMA    CREATE TABLE ... STRICT; statements, part of the journal's schema
    WRITERS   row type -> function (connection, row) that writes it, within the journal's transaction

and functions that read its tables from a connection (`JournalReader.read`). A writer returns None, or why the row
is out of date (`core.committer.Outdated`): the whole group is then rolled back. Whatever it raises ends its group in
`CommitFailed`. A name of a table is used by one family only; `meta`, `device`, `reading` are the journal's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pave_gateway.store import (
    clock_tables,
    dead_letter_tables,
    external_tables,
    lorawan_tables,
    registry_tables,
    shadow_tables,
    state_tables,
)

Writer = Callable[[Any, Any], str | None]


@dataclass(frozen=True, slots=True)
class Tables:
    """A family: its schema and its writers, and what it has to do with readings that leave the log.

    Attributes:
        schema: CREATE TABLE statements.
        writers: Who writes which row.
        needed_after: Returns the position behind which it needs every reading, None if it needs none.
        forget: Told (connection, the oldest position of the log); may remove what only older readings needed.
    """

    schema: str
    writers: Mapping[type, Writer]
    needed_after: Callable[[Any], int | None] = lambda db: None
    forget: Callable[[Any, int], None] = lambda db, oldest: None


FAMILIES: tuple[Tables, ...] = (
    Tables(state_tables.SCHEMA, state_tables.WRITERS),
    Tables(dead_letter_tables.SCHEMA, dead_letter_tables.WRITERS),
    Tables(external_tables.SCHEMA, external_tables.WRITERS),
    Tables(clock_tables.SCHEMA, clock_tables.WRITERS, clock_tables.bays_need_after, clock_tables.forget_clock_changes),
    Tables(lorawan_tables.SCHEMA, lorawan_tables.WRITERS),
    Tables(registry_tables.SCHEMA, registry_tables.WRITERS),
    Tables(shadow_tables.SCHEMA, shadow_tables.WRITERS),
)


def schema(families: Sequence[Tables] = FAMILIES) -> str:
    """Return the statements that make the tables of all `families`."""
    return "".join(family.schema for family in families)


def writers(families: Sequence[Tables] = FAMILIES) -> dict[type, Writer]:
    """Return who writes which row.

    Raises:
        ValueError: two families claim a row.
    """
    found: dict[type, Writer] = {}
    for family in families:
        for kind, writer in family.writers.items():
            if kind in found:
                raise ValueError(f"two families write {kind.__name__}; leave it to one")
            found[kind] = writer
    return found


def needed_after(db: Any, families: Sequence[Tables] = FAMILIES) -> list[int]:
    """Return the positions behind which a family needs every reading."""
    return [position for family in families if (position := family.needed_after(db)) is not None]


def forget(db: Any, oldest: int, families: Sequence[Tables] = FAMILIES) -> None:
    """Tell every family that the log begins at position `oldest`."""
    for family in families:
        family.forget(db, oldest)
