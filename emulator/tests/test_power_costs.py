"""The cost table: every constant has a source, and the figures agree with what they were taken from."""

import re
from dataclasses import fields, replace

import pytest

from pave_emulator.power.costs import DATASHEET, DERIVED, ESTIMATE, MEASURED, Costs

NAMED = {  # what a source of each basis must name
    DATASHEET: re.compile(r"table 5-\d+|Programming Guide"),
    MEASURED: re.compile(r"experiments|issue \d+"),
    DERIVED: re.compile(r"experiments|issue \d+|PR \d+|idf_performance_target"),
    ESTIMATE: re.compile(r"."),
}


def test_every_constant_has_a_source_a_unit_and_a_basis():
    for constant in fields(Costs):
        assert constant.name.endswith(("_a", "_s")), constant.name
        assert len(constant.metadata["source"]) > 20, constant.name
        assert constant.default > 0, constant.name
        assert NAMED[constant.metadata["basis"]].search(constant.metadata["source"]), constant.name


def test_the_boot_adds_up_to_what_was_measured_without_optimisation():
    measured_s, psram_s, own_sleep_s = 635.1e-3, 12.5e-3, 10e-3  # the experiment's table, first column
    assert Costs().cold_boot_s() == pytest.approx(measured_s - psram_s - own_sleep_s, abs=1.5e-3)


def test_a_wake_does_not_validate_the_image():
    costs = Costs()
    assert costs.cold_boot_s() - costs.wake_s() == pytest.approx(costs.validate_s)


def test_pystone_runs_at_the_published_speed():
    assert 1 / (498 * Costs().bytecode_s) == pytest.approx(1602)
    assert Costs().cpu_s(1.0, 160) == pytest.approx(1.5)


def test_currents_are_those_of_the_datasheets_frequencies():
    costs = Costs()
    assert [costs.active_a(mhz) for mhz in (40, 80, 160, 240)] == [21.8e-3, 42.6e-3, 54.6e-3, 65.9e-3]
    assert all(costs.idle_a(mhz) < costs.active_a(mhz) for mhz in (40, 80, 160, 240))
    with pytest.raises(ValueError, match="20 MHz: the datasheet's table 5-9 has 40, 80, 160 and 240 MHz"):
        costs.active_a(20)


def test_bus_times_are_bits_and_a_drivers_share():
    costs = replace(Costs(), i2c_transaction_s=0.0, spi_transaction_s=0.0)
    assert costs.i2c_s(8, 400_000) == pytest.approx(74 / 400e3)  # 8 bytes with acknowledge, START, STOP
    assert costs.spi_s(10, 8_000_000) == pytest.approx(10e-6)
    assert Costs().spi_s(1, 8_000_000) == pytest.approx(27e-6)
