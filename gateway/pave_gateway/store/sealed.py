"""All that lies sealed in a journal, read for a rotation of the sealing key, or to tell which keys it needs."""

from collections.abc import Callable, Sequence
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.keys_rotation import PARTS, Part
from pave_gateway.core.keys_rows import ResealedKeysRow, ResealedSessionRow, ResealedSettingsRow, SealedRow
from pave_gateway.core.keys_sealed import id_in
from pave_gateway.store import lorawan_tables, registry_tables, shadow_tables
from pave_gateway.store.reader import JournalReader

_Rows = Callable[[Any, str, int, int], list[SealedRow]]

_ROWS: dict[type, _Rows] = {
    ResealedKeysRow: registry_tables.sealed_keys,
    ResealedSettingsRow: shadow_tables.sealed_settings,
    ResealedSessionRow: lorawan_tables.sealed_sessions,
}
_COUNTS: dict[type, Callable[[Any], int]] = {
    ResealedKeysRow: registry_tables.count_keys,
    ResealedSettingsRow: shadow_tables.count_settings,
    ResealedSessionRow: lorawan_tables.count_sessions,
}


class SealedIn:
    """A journal as a `core.keys_rotation.Source`. Everything raises JournalError when it cannot be read."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader

    def count(self, part: Part) -> int:
        """See `Source`."""
        return self._reader.read(_COUNTS[part.row])

    def rows(self, part: Part, device: str, number: int, max_rows: int) -> Sequence[SealedRow]:
        """See `Source`."""
        return self._reader.read(_ROWS[part.row], device, number, max_rows)

    def keys_used(self) -> set[bytes]:
        """Return the ids of the keys that something is sealed under."""
        found: set[bytes] = set()
        for part in PARTS:
            behind = ("", -1)
            while rows := self.rows(part, *behind, limits.RESEALED_AT_ONCE):
                behind = (rows[-1].device, rows[-1].number)
                found |= {id_in(sealed) for row in rows if (sealed := part.find(row.content)) is not None}
        return found
