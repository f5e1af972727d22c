"""How a server under measurement says that it listens: one line, read by `_ingest_servers`."""

from __future__ import annotations

READY = "ready"


def say_ready() -> None:
    """Tell the parent."""
    print(READY, flush=True)
