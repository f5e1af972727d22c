"""Drivers by other hands on the emulated SHT3x, unmodified: Adafruit's for CircuitPython, and Sensirion's own."""

import adafruit_sht31d
import pytest
import sensirion_i2c_driver
import sensirion_i2c_driver.connection
import sensirion_i2c_sht3x.device
from busio_bridge import I2C, BridgeTime, ManualClock
from sensirion_driver_adapters.i2c_adapter.i2c_channel import I2cChannel
from sensirion_i2c_sht3x.commands import Mps, Repeatability

from pave_emulator.chips.chip import Environment
from pave_emulator.chips.sht3x import Sht3x


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> I2C:
    clock = ManualClock(1.0)
    for module in (adafruit_sht31d, sensirion_i2c_driver.connection, sensirion_i2c_sht3x.device):
        monkeypatch.setattr(module, "time", BridgeTime(clock))
    chip = Sht3x(Environment(temperature_c=lambda _now_s: -7.25, humidity_pct=lambda _now_s: 93.5))
    chip.power_on(0.0)
    return I2C({0x44: chip}, clock)


@pytest.mark.parametrize("repeatability", ["Low", "Medium", "High"])
@pytest.mark.parametrize("stretching", [False, True])
def test_adafruits_driver_measures_single_shots(bus, repeatability, stretching):
    sensor = adafruit_sht31d.SHT31D(bus)
    sensor.repeatability = repeatability
    sensor.clock_stretching = stretching
    assert sensor.temperature == pytest.approx(-7.25, abs=0.002)
    assert sensor.relative_humidity == pytest.approx(93.5, abs=0.001)
    assert not bus.faults


def test_adafruits_driver_reads_status_and_heats(bus):
    sensor = adafruit_sht31d.SHT31D(bus)
    assert sensor.status == 0x8010
    sensor.heater = True
    assert sensor.heater
    sensor.heater = False
    assert not sensor.heater
    assert not bus.faults


ADAPTER_S = 0.001  # the driver leaves the datasheet's pause of 1 ms between commands to the adapter's own latency


class Transceiver:
    """What Sensirion's driver takes for an I2C adapter (API version 1)."""

    API_VERSION = 1
    channel_count = None
    description = "emulator"

    def __init__(self, bus: I2C) -> None:
        self._bus = bus

    def transceive(self, slave_address, tx_data, rx_length, read_delay, timeout):
        received = bytearray(rx_length or 0)
        assert self._bus.try_lock()
        self._bus.clock.spend(ADAPTER_S)
        try:
            if tx_data is not None:
                self._bus.writeto(slave_address, tx_data)
            self._bus.clock.spend(read_delay)
            if rx_length:
                self._bus.readfrom_into(slave_address, received)
        finally:
            self._bus.unlock()
        return 0, None, bytes(received)


@pytest.fixture
def sensirions(bus: I2C) -> sensirion_i2c_sht3x.device.Sht3xDevice:
    crc = sensirion_i2c_driver.CrcCalculator(8, 0x31, 0xFF, 0x00)
    connection = sensirion_i2c_driver.I2cConnection(Transceiver(bus))
    return sensirion_i2c_sht3x.device.Sht3xDevice(I2cChannel(connection, slave_address=0x44, crc=crc))


@pytest.mark.parametrize("repeatability", list(Repeatability))
@pytest.mark.parametrize("stretching", [False, True])
def test_sensirions_driver_measures_single_shots(bus, sensirions, repeatability, stretching):
    temperature, humidity = sensirions.measure_single_shot(repeatability, stretching)
    assert temperature.value == pytest.approx(-7.25, abs=0.002)
    assert humidity.value == pytest.approx(93.5, abs=0.001)
    assert not bus.faults


@pytest.mark.parametrize("mps", list(Mps))
def test_sensirions_driver_measures_periodically(bus, sensirions, mps):
    sensirions.start_periodic_measurement(Repeatability.HIGH, mps)
    for _ in range(3):
        temperature, humidity = sensirions.blocking_read_measurement()
        assert temperature.value == pytest.approx(-7.25, abs=0.002)
        assert humidity.value == pytest.approx(93.5, abs=0.001)
    sensirions.stop_measurement()
    assert sensirions.read_status_register().system_reset_detected == 1
    sensirions.clear_status_register()
    assert sensirions.read_status_register().system_reset_detected == 0
    assert not bus.faults
