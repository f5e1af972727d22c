"""What each magnetometer was given, as CSV that a scenario's `recordings` play again (t_s, x_ut, y_ut, z_ut).

A sensor that sleeps on a field that is quiet is given no samples meanwhile; a recording is linear between its rows.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from pave_emulator.chips.environment import Environment, Vector
from pave_emulator.scenario.recording import COLUMNS


class FieldRecorder:
    """One file per bay in `folder`. Call `sees` for each before the chips are made, `close` at the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def sees(self, place: str, environment: Environment) -> Environment:
        """The environment, with each sample of its field noted."""
        file = self._files[place] = (self._folder / f"{place}.csv").open("w", newline="")
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        last_s = -1.0

        def field_ut(now_s: float) -> Vector:
            nonlocal last_s
            vector = environment.field_ut(now_s)
            at_s = round(now_s, 6)
            if at_s > last_s:
                last_s = at_s
                rows.writerow([at_s, *(round(axis, 4) for axis in vector)])
            return vector

        return replace(environment, field_ut=field_ut)

    def close(self) -> None:
        """Close the files; those of bays without a magnetometer hold only the columns, and are removed."""
        for place, file in self._files.items():
            empty = file.tell() <= len(",".join(COLUMNS)) + 2
            file.close()
            if empty:
                (self._folder / f"{place}.csv").unlink()
