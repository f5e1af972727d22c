"""What the pins of the ESP32-S3 and of the ESP32 can do.

Sources: ESP-IDF Programming Guide v5.2, "GPIO & RTC GPIO", the table "GPIO Summary" and the notes under it, of both
chips; ESP32-S3 Series Datasheet v2.2, table 1-1 (2 MB of PSRAM inside are quad, more are octal) and section 2.3.4;
ESP32 Series Datasheet, section 2.2 (GPIO 34 to 39 are inputs without pull resistors).
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
FLASH_BYTES = tuple(MIB << power for power in range(8))  # what the flash size field of an image can say, esptool
PSRAM_BYTES = (0, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB)
QUAD_PSRAM_BYTES = 2 * MIB
I2C_IDS, SPI_IDS, UART_IDS = (0, 1), (1, 2), (1, 2)  # SPI 0 is the flash's, UART 0 the console's
MAX_HZ = {"i2c": 1_000_000, "spi": 80_000_000}  # fast mode plus; the clock that GP-SPI is made from
I2C_ADDRESSES = range(0x08, 0x78)  # the others are reserved (UM10204, table 4)


@dataclass(frozen=True)
class Soc:
    """GPIO numbers of one chip.

    Attributes:
        flash: those that the flash, and quad PSRAM beside it, take.
        psram: those that PSRAM takes besides: octal PSRAM on the ESP32-S3, any on the ESP32.
        any_psram: whether every PSRAM takes `psram`, not only octal ones.
        input_only: pads without an output driver.
        rtc: what can wake the chip from deep sleep and be held in it.
        adc: inputs of ADC1 and ADC2.
    """

    name: str
    gpios: frozenset[int]
    flash: frozenset[int]
    psram: frozenset[int]
    any_psram: bool
    input_only: frozenset[int]
    rtc: frozenset[int]
    adc: frozenset[int]

    def taken(self, gpio: int, psram_bytes: int) -> str | None:
        """Who has this GPIO on a board with so much PSRAM; None when it is free."""
        if gpio in self.flash:
            return "the flash"
        least = 1 if self.any_psram else QUAD_PSRAM_BYTES + 1
        if gpio in self.psram and psram_bytes >= least:
            return f"the {'' if self.any_psram else 'octal '}PSRAM of {psram_bytes // MIB} MiB"
        return None


def _numbers(*spans: int | tuple[int, int]) -> frozenset[int]:
    found: set[int] = set()
    for span in spans:
        found |= {span} if isinstance(span, int) else set(range(span[0], span[1] + 1))
    return frozenset(found)


ESP32_S3 = Soc(
    name="ESP32-S3",
    gpios=_numbers((0, 21), (26, 48)),
    flash=_numbers((26, 32)),
    psram=_numbers((33, 37)),
    any_psram=False,
    input_only=frozenset(),
    rtc=_numbers((0, 21)),
    adc=_numbers((1, 20)),
)
ESP32 = Soc(
    name="ESP32",
    gpios=_numbers((0, 19), (21, 23), (25, 27), (32, 39)),
    flash=_numbers((6, 11)),
    psram=_numbers(16, 17),
    any_psram=True,
    input_only=_numbers((34, 39)),
    rtc=_numbers(0, 2, 4, (12, 15), (25, 27), (32, 39)),
    adc=_numbers(0, 2, 4, (12, 15), (25, 27), (32, 39)),
)
SOCS = {soc.name: soc for soc in (ESP32_S3, ESP32)}


def spans(numbers: frozenset[int]) -> str:
    """Numbers as a person writes them: `0 to 21, 26 to 48`."""
    texts: list[str] = []
    first: int | None = None
    for number in sorted(numbers):
        if first is None:
            first = number
        if number + 1 not in numbers:
            texts.append(str(number) if number == first else f"{first} to {number}")
            first = None
    return ", ".join(texts)
