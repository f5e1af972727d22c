"""Adafruit's CircuitPython driver of the LIS2MDL, unmodified, on the emulated chip."""

import adafruit_lis2mdl
import pytest
from busio_bridge import I2C, BridgeTime, DigitalInOut, ManualClock

from pave_emulator.chips.chip import Environment
from pave_emulator.chips.lis2mdl import Lis2mdl

MOVES_S = 2.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr(adafruit_lis2mdl, "sleep", BridgeTime(clock).sleep)
    return clock


def test_adafruits_driver_reads_the_field_and_is_interrupted(clock):
    chip = Lis2mdl(Environment(lambda now_s: (21.0, -3.0, 42.0 if now_s < MOVES_S else 60.0)))
    chip.power_on(0.0)
    i2c = I2C({0x1E: chip}, clock)
    sensor = adafruit_lis2mdl.LIS2MDL(i2c)
    assert sensor.magnetic == pytest.approx((21.0, -3.0, 42.0), abs=0.08)
    sensor.data_rate = adafruit_lis2mdl.DataRate.Rate_100_HZ
    sensor.low_power = 1
    sensor.interrupt_threshold = 50
    sensor.interrupt_enabled = True
    pin = DigitalInOut(chip, "int", clock)
    clock.spend(0.1)
    assert not pin.value
    clock.spend(MOVES_S)
    assert pin.value
    assert sensor.faults[-1]  # "int_triggered"; reading it releases the latch
    assert not pin.value
    assert sensor.magnetic[2] == pytest.approx(60.0, abs=0.08)
    assert not i2c.faults
