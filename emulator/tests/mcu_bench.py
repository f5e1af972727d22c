"""Boards for tests of the microcontroller: the presence board with more soldered to it."""

from __future__ import annotations

from pathlib import Path

import flash_images


def board(folder: Path, pins: dict[str, int], more: str) -> Path:
    """A board file: the presence board with these pins and these tables added."""
    text = flash_images.PRESENCE_BOARD.read_text()
    named = "".join(f"{name} = {number}\n" for name, number in pins.items())
    text = text.replace("[pins]", "[pins]\n" + named, 1)
    path = folder / "board.toml"
    path.write_text(text + "\n" + more)
    return path
