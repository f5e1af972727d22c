"""Chips at register level, one file each, written from their datasheets."""

from pave_emulator.chips.chip import Chip
from pave_emulator.chips.lis2mdl import Lis2mdl
from pave_emulator.chips.ssd1306 import Ssd1306

PARTS: dict[str, type[Chip]] = {"LIS2MDL": Lis2mdl, "SSD1306": Ssd1306}
"""Part numbers that a board file may name."""
