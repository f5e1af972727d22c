"""The LoRa transceiver of a board: the driver for the part, on the board's pins.

Chip select and reset keep their level through deep sleep, or the radio would wake (SX126x datasheet, 8.2.2).
"""

import machine
from micropython import const

_SPI_HZ = const(8_000_000)  # the SX1276 takes 10 MHz


def make_radio(board):
    """Return the transceiver of `board`, a module of pins: with BUSY an SX1262, without an SX1276. Not started."""
    spi = machine.SPI(
        board.SPI1_ID,
        baudrate=_SPI_HZ,
        sck=machine.Pin(board.RADIO_SCK),
        mosi=machine.Pin(board.RADIO_MOSI),
        miso=machine.Pin(board.RADIO_MISO),
    )
    nss = _output(board.RADIO_NSS)
    reset = _output(board.RADIO_RESET)
    if hasattr(board, "RADIO_BUSY"):
        from drivers.sx126x import SX1262

        return SX1262(
            spi, nss, machine.Pin(board.RADIO_BUSY, machine.Pin.IN), reset, getattr(board, "RADIO_TCXO_MV", 0)
        )
    from drivers.sx127x import SX1276

    return SX1276(spi, nss, reset)


def hold(board):
    """Freeze chip select and reset as they are, right before deep sleep."""
    for number in (board.RADIO_NSS, board.RADIO_RESET):
        machine.Pin(number, machine.Pin.OUT, value=1, hold=True)  # pyright: ignore[reportCallIssue]  the ESP32 has it


def _output(number):
    """Return the pin, high, let go of what held it."""
    pin = machine.Pin(number, machine.Pin.OUT, value=1)
    pin.init(hold=False)  # pyright: ignore[reportCallIssue]
    return pin
