"""The tables of a board file: their keys, and what values may be. Numbers of GPIOs stand in `[pins]` and nowhere else.

Everywhere else a pin is a name of `[pins]` (type `Pin`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]  # it becomes part of the name of a constant
BoardName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]  # and this of a module and a file
Pin = str
Level = Annotated[int, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Hz = Annotated[int, Field(gt=0)]


class Table(BaseModel):
    """A table of the file: no key but its own, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BoardTable(Table):
    """[board]. `wake`: pins that are to wake the chip from deep sleep."""

    name: BoardName
    mcu: str
    flash_bytes: Whole
    psram_bytes: Whole = 0
    wake: list[Pin] = Field(default_factory=list)


class I2cBus(Table):
    """[[bus]] kind = "i2c"; `id` is the number of the peripheral."""

    name: Name
    kind: Literal["i2c"]
    id: Whole
    max_hz: Hz = 400_000
    scl: Pin
    sda: Pin


class SpiBus(Table):
    """[[bus]] kind = "spi"."""

    name: Name
    kind: Literal["spi"]
    id: Whole
    max_hz: Hz = 10_000_000
    sck: Pin
    mosi: Pin
    miso: Pin


Bus = Annotated[I2cBus | SpiBus, Field(discriminator="kind")]
BUS_LINES: dict[str, tuple[str, ...]] = {"i2c": ("scl", "sda"), "spi": ("sck", "mosi", "miso")}


class ChipTable(Table):
    """[[chip]]: which other keys it has depends on the part. `supply` is the pin of the switch in its supply line."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: Name
    part: str
    bus: str | None = None
    address: Whole | None = None
    cs: Pin | None = None
    supply: Pin | None = None
    currents_ua: dict[str, Amount] = Field(default_factory=dict)

    @property
    def more(self) -> dict[str, Any]:
        """The keys of its part."""
        return self.model_extra or {}


class UartTable(Table):
    """[[uart]]; `peer` names who is at the other end."""

    name: Name
    id: Whole
    tx: Pin
    rx: Pin
    peer: str


class InputTable(Table):
    """[[input]]: a pin the world holds, at `idle` when nothing is the matter."""

    name: Name
    pin: Pin
    idle: Level


class AnalogTable(Table):
    """[[analog]]: `divider` is the ratio of pin to source, `switch` the pin that connects it."""

    name: Name
    pin: Pin
    measures: str
    divider: Share = 1.0
    switch: Pin | None = None


class PartitionTable(Table):
    """[[partition]]: offset and size in bytes."""

    name: str
    type: str
    subtype: str
    offset: Whole
    size: Whole

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size


class RegulatorTable(Table):
    """The regulator of [power]. What is left out is for the model of the supply to decide, here and in [power]."""

    kind: str | None = None
    output_v: Amount | None = None
    efficiency: Share | None = None
    quiescent_ua: Amount | None = None
    minimum_input_v: Amount | None = None
    dropout_v: Amount | None = None


class PowerTable(Table):
    """[power]: a battery and what hangs on it."""

    cell: str
    capacitor: str | None = None
    regulator: RegulatorTable | None = None
    divider_ua: Amount | None = None
    brown_out_v: Amount | None = None


class McuTable(Table):
    """[mcu]: currents of the microcontroller by state, where the board differs."""

    currents_ua: dict[str, Amount] = Field(default_factory=dict)


class BoardFile(Table):
    """A whole board file."""

    board: BoardTable
    pins: dict[Name, Whole] = Field(default_factory=dict)
    pulls: dict[str, Level] = Field(default_factory=dict)
    bus: list[Bus] = Field(default_factory=list)
    chip: list[ChipTable] = Field(default_factory=list)
    uart: list[UartTable] = Field(default_factory=list)
    input: list[InputTable] = Field(default_factory=list)
    analog: list[AnalogTable] = Field(default_factory=list)
    partition: list[PartitionTable]
    power: PowerTable | None = None
    mcu: McuTable = Field(default_factory=McuTable)
