"""A microcontroller on an ILI9341, for tests."""

from __future__ import annotations

from pave_emulator.chips.ili9341 import Ili9341

UPRIGHT = 0x48  # MADCTL with MX and BGR: modules are mounted so


class Host:
    """A microcontroller on the chip's SPI: commands with D/C low, data with D/C high, a clock that it moves."""

    def __init__(self, chip: Ili9341, now_s: float = 1.0) -> None:
        self.chip = chip
        self.now_s = now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def send(self, code: int, *parameters: int, data: bytes = b"") -> None:
        self.chip.selected(self.now_s)
        self.chip.set_input("dc", 0, self.now_s)
        self.chip.exchange(bytes([code]), self.now_s)
        self.chip.set_input("dc", 1, self.now_s)
        if payload := bytes(parameters) + data:
            self.chip.exchange(payload, self.now_s)
        self.chip.deselected(self.now_s)

    def read(self, code: int, size: int) -> bytes:
        self.chip.selected(self.now_s)
        self.chip.set_input("dc", 0, self.now_s)
        self.chip.exchange(bytes([code]), self.now_s)
        answer = self.chip.exchange(bytes(size), self.now_s)
        self.chip.deselected(self.now_s)
        return answer

    def window(self, columns: tuple[int, int], pages: tuple[int, int]) -> None:
        for code, (start, end) in ((0x2A, columns), (0x2B, pages)):
            self.send(code, start >> 8, start & 255, end >> 8, end & 255)

    def awake(self, order: int = UPRIGHT, pixel_format: int = 0x55) -> Host:
        self.send(0x11)
        self.wait(0.12)
        self.send(0x36, order)
        self.send(0x3A, pixel_format)
        self.send(0x29)
        return self

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """A rectangle in one 16-bit colour."""
        self.window((x, x + width - 1), (y, y + height - 1))
        self.send(0x2C, data=colour.to_bytes(2, "big") * (width * height))
