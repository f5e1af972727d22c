"""Chips at register level, one file each, written from their datasheets."""

from pave_emulator.chips.backlight import Backlight
from pave_emulator.chips.bh1750 import Bh1750
from pave_emulator.chips.chip import Chip
from pave_emulator.chips.fan import Fan
from pave_emulator.chips.ili9341 import Ili9341
from pave_emulator.chips.lis2mdl import Lis2mdl
from pave_emulator.chips.relay import Relay
from pave_emulator.chips.sht3x import Sht3x
from pave_emulator.chips.ssd1306 import Ssd1306
from pave_emulator.chips.sx126x import Sx1262
from pave_emulator.chips.sx127x import Sx1276
from pave_emulator.chips.w5500 import W5500
from pave_emulator.chips.xm125 import Xm125

PARTS: dict[str, type[Chip]] = {
    "BACKLIGHT": Backlight,
    "BH1750": Bh1750,
    "FAN": Fan,
    "G5LE-1": Relay,
    "ILI9341": Ili9341,
    "LIS2MDL": Lis2mdl,
    "SHT3x": Sht3x,
    "SSD1306": Ssd1306,
    "SX1262": Sx1262,
    "SX1276": Sx1276,
    "W5500": W5500,
    "XM125": Xm125,
}
"""Part numbers that a board file may name."""
