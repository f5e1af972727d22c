"""The cell against the figures its constants come from, and the network around it."""

import dataclasses
import math

import pytest

from pave_emulator.power.capacitor import CAPACITORS, CapacitorSpec
from pave_emulator.power.cell import CELLS, YEAR_S, Cell, CellSpec, interpolate
from pave_emulator.power.network import Load, Network
from pave_emulator.power.regulator import RegulatorSpec
from pave_emulator.power.supply import Supply, SupplySpec

LINDEN = {35e-3: 7.0, 20e-3: 13.5, 4e-3: 19.0, 2e-3: 18.8, 1e-3: 18.4, 0.2e-3: 17.0}  # A: Ah, figure 14.17, 25 C
STIFF = RegulatorSpec("linear", dropout_v=0.0, quiescent_a=0.0, minimum_input_v=0.0)  # the load as it is
WIFI_A = 0.283


def discharge_ah(spec: CellSpec, amps: float, temperature_c: float = 25.0) -> float:
    """What a constant current takes until the terminal voltage is at the end voltage."""
    cell, seconds, step_s = Cell(spec, rested_s=0.0), 0.0, 0.002 * 3600 * 19 / amps
    while cell.open_circuit_v() - cell.polarisation_v - amps * cell.instant_ohm(temperature_c) > spec.end_v:
        cell.advance(amps, step_s, temperature_c)
        seconds += step_s
    return amps * seconds / 3600


@pytest.mark.parametrize("amps", LINDEN)
def test_a_constant_drain_delivers_what_the_handbook_measured(amps):
    assert discharge_ah(CELLS["TL-5930"], amps) == pytest.approx(LINDEN[amps], abs=0.35)


def test_without_self_discharge_the_low_rates_would_deliver_all_of_it():
    eternal = dataclasses.replace(CELLS["TL-5930"], self_discharge_per_year=0.0)
    assert discharge_ah(eternal, 0.2e-3) == pytest.approx(19.0, abs=0.1)  # and not the 17 that were measured


def test_the_saft_cell_gives_its_17_ah_at_5_ma_and_20_c():
    assert discharge_ah(CELLS["LS33600"], 5e-3, 20.0) == pytest.approx(17.0, abs=0.3)


def test_a_fresh_cell_without_film_holds_3_v_through_400_ma_for_a_tenth_of_a_second():
    network = Network(Cell(CELLS["LS33600"], rested_s=0.0), None, STIFF)
    network.run(Load(0.400), 0.1, 20.0)
    assert 3.0 <= network.node(Load(0.400), 20.0)[0] < 3.1


def test_the_same_current_for_ten_seconds_is_more_than_a_bobbin_cell_gives():
    network = Network(Cell(CELLS["LS33600"], rested_s=0.0), None, STIFF)
    network.run(Load(0.400), 10.0, 20.0)
    assert network.node(Load(0.400), 20.0)[0] < 2.0


def test_the_film_grows_with_the_root_of_time_and_faster_in_the_heat():
    cool, longer, hot = (Cell(CELLS["ER34615"], rested_s=0.0) for _ in range(3))
    cool.advance(0.0, 1e6, 20.0)
    longer.advance(0.0, 4e6, 20.0)
    hot.advance(0.0, 1e6, 44.0)  # two doublings
    assert longer.film_ohm() == pytest.approx(2 * cool.film_ohm(), rel=1e-6)
    assert hot.film_ohm() == pytest.approx(2 * cool.film_ohm(), rel=1e-6)


def test_a_load_breaks_the_film_and_the_voltage_recovers_under_it():
    cell = Cell(CELLS["ER34615"], rested_s=YEAR_S)
    volts = []
    for _ in range(8):
        volts.append(cell.open_circuit_v() - 0.05 * cell.instant_ohm(20.0))
        cell.advance(0.05, 10.0, 20.0)
    assert volts == sorted(volts)
    assert volts[0] < 3.25 < 3.55 < volts[-1]


def test_a_base_current_keeps_the_film_thin():
    resting, sipping = Cell(CELLS["ER34615"], rested_s=0.0), Cell(CELLS["ER34615"], rested_s=0.0)
    resting.advance(0.0, YEAR_S, 20.0)
    sipping.advance(40e-6, YEAR_S, 20.0)
    assert resting.film_ohm() == pytest.approx(8.0)
    assert sipping.film_ohm() < 0.2


def test_steps_of_any_length_come_to_the_same():
    whole, pieces = Cell(CELLS["ER34615"]), Cell(CELLS["ER34615"])
    whole.advance(1e-3, 1000.0, 10.0)
    for _ in range(1000):
        pieces.advance(1e-3, 1.0, 10.0)
    assert pieces.film_ohm() == pytest.approx(whole.film_ohm(), rel=1e-9)
    assert pieces.polarisation_v == pytest.approx(whole.polarisation_v, rel=1e-4)
    assert pieces.depth == pytest.approx(whole.depth, rel=1e-3)


def test_cold_and_depth_raise_the_resistance():
    fresh, deep = Cell(CELLS["ER34615"]), Cell(CELLS["ER34615"], depth=0.9)
    assert fresh.instant_ohm(-10.0) > fresh.instant_ohm(20.0)
    assert deep.instant_ohm(20.0) > fresh.instant_ohm(20.0)
    assert deep.open_circuit_v() > 3.6  # the voltage does not tell the depth: the chemistry's known trouble


def test_a_table_is_flat_outside_and_linear_inside():
    table = ((0.0, 1.0), (10.0, 3.0))
    assert [interpolate(table, x) for x in (-5.0, 0.0, 2.5, 10.0, 99.0)] == [1.0, 1.0, 1.5, 3.0, 3.0]


# The network


def test_the_capacitor_carries_the_pulse_and_the_cell_pays_it_back_slowly():
    network = Network(Cell(CELLS["ER34615"], rested_s=0.0), CAPACITORS["HPC1520"], STIFF)
    network.run(Load(WIFI_A), 2.0, 20.0)
    assert network.node(Load(WIFI_A), 20.0)[0] > 3.5
    during_c = network.given_c
    network.run(Load(), 4 * 3600.0, 20.0)
    leaked_c = 2e-6 * 4 * 3600
    assert during_c < 0.5 * WIFI_A * 2.0
    assert network.given_c == pytest.approx(WIFI_A * 2.0 + leaked_c, rel=0.03)


def test_a_pulse_lowers_the_capacitor_by_charge_over_capacitance():
    alone = dataclasses.replace(CELLS["ER34615"], ohmic_ohm=1e9)
    network = Network(Cell(alone), CapacitorSpec("ideal", 10.0, 0.1, 0.0), STIFF)
    network.run(Load(0.2), 5.0, 20.0)
    assert network.capacitor_v == pytest.approx(3.67 - 0.2 * 5.0 / 10.0, abs=1e-6)
    assert network.node(Load(0.2), 20.0)[0] == pytest.approx(3.67 - 0.1 - 0.2 * 0.1, abs=1e-6)


def test_charge_is_conserved_between_cell_capacitor_and_load():
    spec = CapacitorSpec("small", 1.0, 0.05, 0.0)
    network = Network(Cell(CELLS["ER34615"], rested_s=0.0), spec, STIFF)
    taken_c, start_v = 0.0, network.capacitor_v
    for amps, seconds in ((0.1, 3.0), (0.0, 1.0), (0.3, 0.4), (0.02, 50.0), (0.0, 7.0)):
        network.run(Load(amps), seconds, 20.0)
        taken_c += amps * seconds
    stored_c = spec.capacitance_f * (start_v - network.capacitor_v)
    assert network.given_c + stored_c == pytest.approx(taken_c, rel=1e-9)


def test_no_current_flows_back_into_the_cell():
    network = Network(Cell(CELLS["ER34615"]), CAPACITORS["HPC1520"], STIFF)
    network.capacitor_v = 3.9
    network.run(Load(1e-6), 100.0, 20.0)
    assert network.given_c == 0.0
    assert network.capacitor_v == pytest.approx(3.9, abs=1e-4)


def test_a_switching_regulator_takes_more_current_the_lower_the_voltage():
    regulator = RegulatorSpec(efficiency=0.9, quiescent_a=0.0)
    assert regulator.input_a(0.09, 3.3) == pytest.approx(0.1)
    assert regulator.input_a(0.09, 2.2) == pytest.approx(0.15)
    assert regulator.rail_v(1.9) == 3.3
    assert regulator.rail_v(1.7) == 0.0


def test_a_linear_regulator_drops_out_with_its_input():
    regulator = RegulatorSpec("linear", output_v=3.0, dropout_v=0.15, minimum_input_v=1.5)
    assert regulator.input_a(0.05, 3.6) == pytest.approx(0.05, abs=1e-6)
    assert (regulator.rail_v(3.6), regulator.rail_v(2.85)) == (3.0, pytest.approx(2.7))


def test_bad_regulators_are_refused():
    with pytest.raises(ValueError, match="'boost': valid are switching, linear"):
        RegulatorSpec("boost")
    with pytest.raises(ValueError, match=r"efficiency 1\.2"):
        RegulatorSpec(efficiency=1.2)


# The board's supply


def supply(capacitor: str | None, temperature_c: float = 20.0, **state) -> tuple[Supply, list[float]]:
    dips: list[float] = []
    spec = SupplySpec(CELLS["ER34615"], CAPACITORS[capacitor] if capacitor else None, RegulatorSpec())
    cell = Cell(spec.cell, **state)
    return Supply(spec, lambda _now_s: temperature_c, dips.append, cell=cell), dips


def test_wifi_on_a_rested_bobbin_cell_alone_browns_out_and_with_the_capacitor_does_not():
    for capacitor, expected in ((None, [60.0]), ("HPC1520", [])):
        battery, dips = supply(capacitor)
        battery.load(0.0, {"3v3": 40e-6})
        battery.load(60.0, {"3v3": WIFI_A})
        battery.advance(62.0)
        assert dips == expected


def test_a_load_that_lasts_browns_out_when_the_polarisation_has_built_up_and_the_next_event_finds_it():
    battery, dips = supply(None, rested_s=0.0)
    battery.load(0.0, {"3v3": 0.22})
    looks = 0
    while not dips and (event_s := battery.next_event_s()) is not None:
        battery.advance(event_s)
        looks += 1
    assert 0.3 < dips[0] < 10.0
    assert looks < 100
    exact, exact_dips = supply(None, rested_s=0.0)
    exact.load(0.0, {"3v3": 0.22})
    for step in range(1, 1000):
        exact.advance(step * 0.01)
        if exact_dips:
            break
    assert dips[0] == pytest.approx(exact_dips[0], rel=0.05)


def test_only_a_load_that_could_brown_out_needs_an_event():
    for capacitor, amps, needed in (("HPC1520", 0.06, False), (None, 0.02, False), (None, 0.2, True)):
        battery, _ = supply(capacitor, rested_s=0.0)
        battery.load(0.0, {"3v3": amps})
        assert (battery.next_event_s() is not None) is needed


def test_the_adc_sees_the_sag_of_the_present_load():
    battery, _ = supply("HPC1520")
    battery.load(0.0, {"3v3": 40e-6})
    idle_v = battery.voltage_v(600.0)
    battery.load(600.0, {"3v3": 0.1})
    assert idle_v == pytest.approx(3.67, abs=0.005)
    assert idle_v - battery.voltage_v(600.0) == pytest.approx(0.1 * 3.3 / 0.9 / 3.65 * 0.478, rel=0.1)  # in parallel


def test_what_hangs_on_the_cell_passes_the_regulator():
    battery, _ = supply(None, rested_s=0.0)
    battery.load(0.0, {"cell": 1e-3})
    direct_c = battery.given_c(1000.0)
    assert direct_c == pytest.approx(1.0, rel=1e-3)


def test_summing_small_loads_gives_the_cell_the_same_charge_as_looking_at_each():
    lazy, watched = supply("HPC1520")[0], supply("HPC1520")[0]
    now_s = 0.0
    for _ in range(60):
        for amps, seconds in ((40e-6, 60.0), (0.036, 0.047), (0.055, 0.4), (0.045, 0.37)):
            for battery in (lazy, watched):
                battery.load(now_s, {"3v3": amps, "cell": 1e-6})
            now_s += seconds
            watched.advance(now_s)
    lazy_c, watched_c = (
        battery.given_c(now_s) + CAPACITORS["HPC1520"].capacitance_f * (3.67 - battery.capacitor_v(now_s))
        for battery in (lazy, watched)
    )
    assert lazy_c == pytest.approx(watched_c, rel=0.01)
    assert lazy.voltage_v(now_s) == pytest.approx(watched.voltage_v(now_s), abs=0.005)


def test_the_sag_of_a_wake_is_not_thinned_by_the_sleep_before_it():
    lazy, watched = supply(None, rested_s=0.0)[0], supply(None, rested_s=0.0)[0]
    for battery in (lazy, watched):
        battery.load(0.0, {"3v3": 40e-6})
    watched.advance(900.0)
    for battery in (lazy, watched):
        battery.load(900.0, {"3v3": 0.020})
        battery.load(902.0, {"3v3": 0.021})
    polarised_v = watched.cell.open_circuit_v() - watched.voltage_v(902.0) - 0.0196 * 1.5
    assert polarised_v > 0.02
    assert lazy.voltage_v(902.0) == pytest.approx(watched.voltage_v(902.0), abs=0.003)


def test_an_empty_cell_in_the_cold_cannot_even_boot():
    battery, dips = supply(None, temperature_c=-20.0, depth=0.995)
    battery.load(10.0, {"3v3": 0.06})
    assert dips == [10.0]
    assert battery.rail_v(10.0) == 0.0


def test_time_does_not_go_back():
    battery, _ = supply(None)
    battery.advance(5.0)
    with pytest.raises(ValueError, match=r"time went back from 5\.0 s to 4\.0 s"):
        battery.advance(4.0)


def test_named_capacitors_hold_what_their_drawings_say():
    small, large = CAPACITORS["HPC1520"], CAPACITORS["HPC1550"]
    assert small.capacitance_f * (3.67 - 2.5) == pytest.approx(0.150 * 3600)
    for spec, loaded_v in ((small, 3.35), (large, 3.45)):
        assert 3.67 * 5.0 / (5.0 + spec.esr_ohm) == pytest.approx(loaded_v)
    assert math.isclose(large.leakage_a, 5e-6)
