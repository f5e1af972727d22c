"""A gateway that is wrong on purpose: each of its starts takes every replay window for fresh.

Everything else is the production gateway. `simulation.replay` must see it admit what was recorded before.
"""

from __future__ import annotations

from typing import Any

from pave_gateway import cli
from pave_gateway.store.reader import JournalReader
from pave_wire.oscore_context import FRESH_WINDOW


def _forgotten(reader: JournalReader) -> tuple[dict[str, Any], Any]:
    return {}, FRESH_WINDOW


_reader: Any = JournalReader
_reader.replay_windows = _forgotten


if __name__ == "__main__":
    cli.main()
