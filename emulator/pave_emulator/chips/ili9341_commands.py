"""Commands of the ILI9341: how many parameters each has, its section in the datasheet (Ilitek, v1.11, chapter 8).

Commands that the model does not follow are listed apart, so that a fault can say "known, not modelled".
"""

from __future__ import annotations

NOP, SWRESET = 0x00, 0x01
RDDIDIF, RDDST, RDDPM, RDDMADCTL, RDDCOLMOD, RDDIM, RDDSM, RDDSDR = 0x04, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
SLPIN, SLPOUT, PTLON, NORON = 0x10, 0x11, 0x12, 0x13
DINVOFF, DINVON, GAMSET, DISPOFF, DISPON = 0x20, 0x21, 0x26, 0x28, 0x29
CASET, PASET, RAMWR, RAMRD, PLTAR, VSCRDEF = 0x2A, 0x2B, 0x2C, 0x2E, 0x30, 0x33
TEOFF, MADCTL, VSCRSADD, IDMOFF, IDMON, PIXSET = 0x34, 0x36, 0x37, 0x38, 0x39, 0x3A
WRITE_CONTINUE, READ_CONTINUE = 0x3C, 0x3E
WRDISBV, RDDISBV, WRCTRLD, RDCTRLD, WRCABC, RDCABC = range(0x51, 0x57)
WRCABCMB, RDCABCMB = 0x5E, 0x5F
RDID1, RDID2, RDID3, RDID4 = 0xDA, 0xDB, 0xDC, 0xD3
DISCTRL, IFCTL = 0xB6, 0xF6

PARAMETERS = {  # command: (bytes that are written after it, section)
    NOP: (0, "8.2.1"),
    SWRESET: (0, "8.2.2"),
    RDDIDIF: (0, "8.2.3"),
    RDDST: (0, "8.2.4"),
    RDDPM: (0, "8.2.5"),
    RDDMADCTL: (0, "8.2.6"),
    RDDCOLMOD: (0, "8.2.7"),
    RDDIM: (0, "8.2.8"),
    RDDSM: (0, "8.2.9"),
    RDDSDR: (0, "8.2.10"),
    SLPIN: (0, "8.2.11"),
    SLPOUT: (0, "8.2.12"),
    PTLON: (0, "8.2.13"),
    NORON: (0, "8.2.14"),
    DINVOFF: (0, "8.2.15"),
    DINVON: (0, "8.2.16"),
    GAMSET: (1, "8.2.17"),
    DISPOFF: (0, "8.2.18"),
    DISPON: (0, "8.2.19"),
    CASET: (4, "8.2.20"),
    PASET: (4, "8.2.21"),
    RAMWR: (0, "8.2.22"),
    RAMRD: (0, "8.2.24"),
    PLTAR: (4, "8.2.25"),
    VSCRDEF: (6, "8.2.26"),
    TEOFF: (0, "8.2.27"),
    MADCTL: (1, "8.2.29"),
    VSCRSADD: (2, "8.2.30"),
    IDMOFF: (0, "8.2.31"),
    IDMON: (0, "8.2.32"),
    PIXSET: (1, "8.2.33"),
    WRITE_CONTINUE: (0, "8.2.34"),
    READ_CONTINUE: (0, "8.2.35"),
    WRDISBV: (1, "8.2.38"),
    RDDISBV: (0, "8.2.39"),
    WRCTRLD: (1, "8.2.40"),
    RDCTRLD: (0, "8.2.41"),
    WRCABC: (1, "8.2.42"),
    RDCABC: (0, "8.2.43"),
    WRCABCMB: (1, "8.2.44"),
    RDCABCMB: (0, "8.2.45"),
    RDID1: (0, "8.2.46"),
    RDID2: (0, "8.2.47"),
    RDID3: (0, "8.2.48"),
    0xB0: (1, "8.3.1"),  # RGB interface signal control: no RGB interface here
    0xB1: (2, "8.3.2"),  # frame rate: normal, idle and partial mode
    0xB2: (2, "8.3.3"),
    0xB3: (2, "8.3.4"),
    0xB4: (1, "8.3.5"),  # inversion of the drive voltage, not of the picture
    0xB5: (4, "8.3.6"),  # porches
    DISCTRL: (4, "8.3.7"),
    0xB7: (1, "8.3.8"),  # entry mode
    0xB8: (1, "8.3.9"),  # backlight control 1 to 5, 7, 8
    0xB9: (1, "8.3.10"),
    0xBA: (1, "8.3.11"),
    0xBB: (1, "8.3.12"),
    0xBC: (1, "8.3.13"),
    0xBE: (1, "8.3.14"),
    0xBF: (1, "8.3.15"),
    0xC0: (1, "8.3.16"),  # power and VCOM
    0xC1: (1, "8.3.17"),
    0xC5: (2, "8.3.18"),
    0xC7: (1, "8.3.19"),
    RDID4: (0, "8.3.23"),
    0xE0: (15, "8.3.24"),  # gamma, positive and negative
    0xE1: (15, "8.3.25"),
    0xE2: (16, "8.3.26"),  # digital gamma
    0xE3: (64, "8.3.27"),
    IFCTL: (3, "8.3.28"),
    0xCB: (5, "8.4.1"),  # power A and B, driver timing A (two) and B, power on sequence
    0xCF: (3, "8.4.2"),
    0xE8: (3, "8.4.3"),
    0xE9: (3, "8.4.4"),
    0xEA: (2, "8.4.5"),
    0xED: (4, "8.4.6"),
    0xF2: (1, "8.4.7"),  # 3 gamma
    0xF7: (1, "8.4.8"),  # pump ratio
}

NOT_MODELLED = {
    0x2D: "colour look-up table (8.2.23)",
    0x35: "tearing effect output (8.2.28)",
    0x44: "tearing effect line (8.2.36)",
    0x45: "scan line (8.2.37)",
    0xD0: "NV memory (8.3.20)",
    0xD1: "NV memory (8.3.21)",
    0xD2: "NV memory (8.3.22)",
}

DEFAULTS = {  # registers that the model looks at, as after a hardware reset
    GAMSET: bytes([0x01]),
    CASET: bytes([0x00, 0x00, 0x00, 0xEF]),
    PASET: bytes([0x00, 0x00, 0x01, 0x3F]),
    PLTAR: bytes([0x00, 0x00, 0x01, 0x3F]),
    VSCRDEF: bytes([0x00, 0x00, 0x01, 0x40, 0x00, 0x00]),
    MADCTL: bytes([0x00]),
    VSCRSADD: bytes([0x00, 0x00]),
    PIXSET: bytes([0x66]),
    WRDISBV: bytes([0x00]),
    WRCTRLD: bytes([0x00]),
    WRCABC: bytes([0x00]),
    WRCABCMB: bytes([0x00]),
    DISCTRL: bytes([0x0A, 0x82, 0x27, 0x00]),
    IFCTL: bytes([0x01, 0x00, 0x00]),
}
KEPT_BY_SWRESET = (MADCTL, PIXSET)  # "No change" in the default tables of 8.2.29 and 8.2.33

MADCTL_MY, MADCTL_MX, MADCTL_MV, MADCTL_ML, MADCTL_BGR = 0x80, 0x40, 0x20, 0x10, 0x08  # MH, 0x04: order of refresh only
EORS = MADCTL_MY | MADCTL_MX | MADCTL_MV | MADCTL_BGR  # IFCTL's first parameter inverts these (8.3.28)


def name(command: int) -> str:
    """Command and section for a fault."""
    return f"{command:02X}h ({PARAMETERS[command][1]})"
