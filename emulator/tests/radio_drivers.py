"""What drivers by other hands expect of a Raspberry Pi or of CircuitPython, on the chips of a radio bench."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from radio_bench import Clock, Host

CLOCK_READ_S = 20e-6  # so that loops that poll the time end


class Pins:
    """RPi.GPIO: numbers are pins of one chip; NSS too, for drivers that pull it themselves."""

    BCM, OUT, IN, LOW, HIGH, RISING = 11, 0, 1, 0, 1, 31

    def __init__(self, host: Host, numbers: dict[int, str]) -> None:
        self._host = host
        self._numbers = numbers

    def setmode(self, _mode: int) -> None: ...

    def setwarnings(self, _on: bool) -> None: ...

    def setup(self, _pin: int, _direction: int) -> None: ...

    def cleanup(self) -> None: ...

    def output(self, pin: int, level: int) -> None:
        self._host.set_pin(self._numbers[pin], level)

    def input(self, pin: int) -> int:
        self._host.clock.sleep(1e-6)
        return self._host.chip.pin_level(self._numbers[pin]) or 0


class SpiDev:
    """spidev.SpiDev of the one chip on the bus."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def open(self, _bus: int, _device: int) -> None: ...

    def close(self) -> None: ...

    def xfer2(self, data: list[int]) -> list[int]:
        return list(self._host.transfer(*data))


def lorarf(monkeypatch: pytest.MonkeyPatch, host: Host, chip: str, pins: dict[int, str]) -> Any:
    """A driver of LoRaRF ("SX126x" or "SX127x") for this chip, with modules and a clock of its own."""
    gpio: Any = ModuleType("RPi.GPIO")
    gpio.__dict__.update({name: getattr(Pins(host, pins), name) for name in dir(Pins) if not name.startswith("_")})
    package: Any = ModuleType("RPi")
    package.GPIO = gpio
    spidev: Any = ModuleType("spidev")
    spidev.SpiDev = lambda: SpiDev(host)
    for name, module in (("RPi", package), ("RPi.GPIO", gpio), ("spidev", spidev)):
        monkeypatch.setitem(sys.modules, name, module)
    for name in [name for name in sys.modules if name.startswith("LoRaRF")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module("LoRaRF")
    module: Any = sys.modules[f"LoRaRF.{chip}"]
    module.time = clock_module(host.clock)
    return getattr(module, chip)()


def clock_module(clock: Clock) -> SimpleNamespace:
    """`time`, on the bench's clock."""

    def now() -> float:
        clock.sleep(CLOCK_READ_S)
        return clock.now_s

    return SimpleNamespace(time=now, monotonic=now, sleep=clock.sleep)


class BusioSpi:
    """busio.SPI; the chip select is a DigitalInOut, as adafruit_bus_device has it."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None: ...

    def configure(self, **_settings: int) -> None: ...

    def write(self, buffer: bytes, start: int = 0, end: int | None = None) -> None:
        self._host.exchange(bytes(buffer[start:end]))

    def readinto(self, buffer: bytearray, start: int = 0, end: int | None = None, write_value: int = 0) -> None:
        size = len(buffer[start:end])
        buffer[start : start + size] = self._host.exchange(bytes([write_value]) * size)


class Select:
    """digitalio.DigitalInOut of NSS."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._level = True

    def switch_to_output(self, value: bool = True) -> None:
        self._level = value

    @property
    def value(self) -> bool:
        return self._level

    @value.setter
    def value(self, level: bool) -> None:
        if level != self._level:
            (self._host.deselect if level else self._host.select)()
        self._level = level


class Output:
    """digitalio.DigitalInOut of an input of the chip."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._name = name

    def switch_to_output(self, value: bool = False) -> None:
        self.value = value

    @property
    def value(self) -> bool:
        raise AssertionError("only written")

    @value.setter
    def value(self, level: bool) -> None:
        self._host.set_pin(self._name, int(level))


def rfm9x(monkeypatch: pytest.MonkeyPatch, host: Host, frequency_mhz: float) -> Any:
    """Adafruit's driver of an RFM95, on this SX1276."""
    module: Any = importlib.import_module("adafruit_rfm9x")
    bus: Any = importlib.import_module("adafruit_bus_device.spi_device")
    monkeypatch.setattr(module, "time", clock_module(host.clock))
    monkeypatch.setattr(bus, "time", clock_module(host.clock))
    monkeypatch.setattr(module, "HAS_SUPERVISOR", False)
    return module.RFM9x(BusioSpi(host), Select(host), Output(host, "reset"), frequency_mhz)
