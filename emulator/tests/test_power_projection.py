"""From a ledger to years, the sensitivity, and the reports."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pave_emulator.power import report
from pave_emulator.power.cell import CELLS, YEAR_S
from pave_emulator.power.costs import Costs
from pave_emulator.power.figures import bars
from pave_emulator.power.ledger import SLEEP, Ledger, Snapshot
from pave_emulator.power.projection import STREET, Projection, project
from pave_emulator.power.regulator import RegulatorSpec
from pave_emulator.power.spec import PowerError, read_mcu_currents, read_power
from pave_emulator.power.supply import SupplySpec
from pave_emulator.power.voltage_log import MAX_BUCKETS, Bucket, VoltageLog

PLAIN = SupplySpec(CELLS["ER34615"], None, RegulatorSpec("linear", quiescent_a=0.0))
BOARD = read_power({"cell": "ER34615", "capacitor": "HPC1520", "divider_ua": 0.6})
ROOM = ((25.0, 1.0),)
DAY_S = 86400.0


def a_day(false_wakes: int = 0, wake_s: float = 0.4) -> Snapshot:
    """A day of sleep at 33 uA, with wakes of 55 mA that turn out false."""
    ledger = Ledger()
    ledger.cause(0.0, SLEEP)
    ledger.draw("mcu", "deep sleep", 8e-6, 0.0)
    ledger.draw("magnetometer", "10 Hz", 25e-6, 0.0)
    ledger.draw("divider", "on", BOARD.divider_a, 0.0, rail="cell")
    for number in range(false_wakes):
        now_s = (number + 0.5) * DAY_S / false_wakes
        span = ledger.cause(now_s, "field")
        ledger.draw("mcu", "active", 0.055, now_s)
        ledger.reattribute(span, "field, false")
        ledger.cause(now_s + wake_s, SLEEP)
        ledger.draw("mcu", "deep sleep", 8e-6, now_s + wake_s)
    return ledger.snapshot(DAY_S)


def constant(amps: float) -> Snapshot:
    ledger = Ledger()
    ledger.draw("load", "on", amps, 0.0)
    return ledger.snapshot(DAY_S)


def test_a_constant_load_lasts_as_long_as_the_handbook_measured():
    for amps, ah in ((1e-3, 18.4), (0.2e-3, 17.0)):
        years = project(constant(amps), PLAIN, ROOM, reserve=0.0).years
        assert years == pytest.approx(ah * 3600 / amps / YEAR_S, rel=0.02)


def test_the_budget_is_the_ledgers_charge_at_the_cell():
    projection = project(constant(1e-3), PLAIN, ROOM)
    assert projection.budget[("load", "on", "power-on")] == pytest.approx(24.0)
    through = project(constant(1e-3), replace(PLAIN, regulator=RegulatorSpec(efficiency=0.9)), ROOM)
    assert through.budget[("load", "on", "power-on")] == pytest.approx(24.0 * 3.3 / 0.9 / 3.6)


def test_every_way_of_adding_it_up_gives_the_same_day():
    projection = project(a_day(100), BOARD.supply)
    for part in (0, 1, 2):
        assert sum(projection.by(part).values()) == pytest.approx(sum(projection.budget.values()))
    own = {"regulator, quiescent", "capacitor, leakage", "cell, self-discharge"}
    assert set(projection.own_mah_per_day) == own


def test_false_wakes_are_the_batterys_enemy():
    years = [project(a_day(wakes), BOARD.supply).years for wakes in (0, 300, 1000)]
    assert years[0] > 15 > years[1] > 8 > years[2]
    (wake,) = (w for w in project(a_day(300), BOARD.supply).wakes if w.cause == "field, false")
    assert wake.per_day == pytest.approx(300)
    assert wake.charge_mc == pytest.approx((0.055 + 25e-6) * 0.4 * 3.3 / 0.9 / 3.6 * 1e3, rel=1e-3)


def test_heat_costs_years_and_the_climate_is_a_whole_year():
    assert sum(share for _, share in STREET) == pytest.approx(1.0)
    cool, hot = (project(a_day(), BOARD.supply, ((t, 1.0),)).years for t in (15.0, 45.0))
    assert hot < 0.8 * cool


def test_an_empty_span_is_refused():
    with pytest.raises(ValueError, match=r"a span of 0\.0 s cannot be projected"):
        project(Ledger().snapshot(0.0), PLAIN)


# Sensitivity


def swings(projection: Projection) -> dict[str, tuple[float, float]]:
    return {s.constant: (s.low_years, s.high_years) for s in projection.swings}


def test_half_the_capacity_is_half_the_years_but_for_self_discharge():
    eternal = replace(PLAIN, cell=replace(PLAIN.cell, self_discharge_per_year=0.0))
    projection = project(constant(100e-6), eternal, ROOM)
    low, high = swings(projection)["cell: capacity"]
    assert (low, high) == (pytest.approx(0.5 * projection.years), pytest.approx(1.5 * projection.years))


def test_a_constants_swing_is_what_a_changed_ledger_would_have_projected():
    projection = project(a_day(300), BOARD.supply)
    shorter = project(a_day(300, wake_s=0.2), BOARD.supply)
    assert swings(projection)["mcu: active"][0] == pytest.approx(shorter.years, rel=1e-3)
    worse = replace(BOARD.supply, regulator=RegulatorSpec(efficiency=0.85))
    assert swings(projection)["regulator: loss"][1] == pytest.approx(project(a_day(300), worse).years, rel=1e-3)
    leaky = replace(BOARD.supply, capacitor=replace(BOARD.supply.capacitor, leakage_a=3e-6))
    assert swings(projection)["capacitor: leakage"][1] == pytest.approx(project(a_day(300), leaky).years, rel=1e-9)


def test_a_cost_constant_moves_its_share_of_the_active_charge():
    costs = Costs()
    day = a_day(300, wake_s=costs.wake_s())
    projection = project(day, BOARD.supply, charged_s={"mount_s": 300 * costs.mount_s})
    halved = project(a_day(300, wake_s=costs.wake_s() - 0.5 * costs.mount_s), BOARD.supply)
    assert swings(projection)["cost: mount_s"][0] == pytest.approx(halved.years, rel=2e-3)


def test_the_widest_swing_comes_first_and_none_is_missing():
    projection = project(a_day(300), BOARD.supply)
    widths = [swing.width for swing in projection.swings]
    assert widths == sorted(widths, reverse=True)
    assert {"magnetometer: 10 Hz", "divider: on", "cause: field, false", "cell: self-discharge"} <= set(
        swings(projection)
    )


# Reports


def test_the_dictionary_is_json_and_says_what_the_projection_says():
    projection = project(a_day(300), BOARD.supply)
    read = json.loads(json.dumps(report.as_dict(projection)))
    assert read["years"] == projection.years
    assert sum(row["mah_per_day"] for row in read["budget"]) == pytest.approx(
        sum(read["mah_per_day_by"]["cause"].values())
    )
    assert len(read["sensitivity"]) == len(projection.swings)


def test_the_text_fits_a_terminal_and_names_causes_and_years():
    text = report.as_text(project(a_day(300), BOARD.supply))
    head, *rows = text.splitlines()
    assert "years on one ER34615" in head
    assert max(map(len, rows)) <= 100
    assert "  field, false" in text
    assert "beyond" not in text


def test_the_html_is_well_formed_needs_no_other_file_and_escapes_names():
    ledger = Ledger()
    ledger.draw("a<b>", "&on", 1e-3, 0.0)
    projection = project(ledger.snapshot(DAY_S), BOARD.supply)
    page = report.as_html(projection, [Bucket(0.0, 3.5, 3.66), Bucket(3600.0, 3.6, 3.65)], 3600.0)
    ElementTree.fromstring(page)
    assert not re.search(r"https?:|src=|href=|url\(", page)
    assert page.count("<svg") == 4
    assert "a&lt;b&gt;, &amp;on" in page


def test_bars_have_lengths_in_proportion():
    drawn = ElementTree.fromstring(bars({"small": 1.0, "large": 4.0}))
    widths = [float(rect.attrib["width"]) for rect in drawn.iter("rect")]
    assert widths[0] == pytest.approx(4 * widths[1])


def test_the_voltage_log_stays_bounded_and_forgets_no_extreme():
    log = VoltageLog(bucket_s=1.0)
    for second in range(5000):
        log.add(float(second), 2.0 if second == 3333 else 3.6 + 1e-5 * (second % 7))
    buckets = log.buckets()
    assert len(buckets) <= MAX_BUCKETS
    assert min(b.lowest_v for b in buckets) == 2.0
    assert [b.start_s for b in buckets if b.lowest_v == 2.0] == [3333 // log.bucket_s * log.bucket_s]


# Board files


def test_a_power_table_becomes_a_supply():
    table = {"cell": "LS33600", "regulator": {"kind": "linear", "output_v": 3.0, "quiescent_ua": 1.5}, "divider_ua": 2}
    power = read_power(table)
    assert power.supply.cell is CELLS["LS33600"]
    assert power.supply.capacitor is None
    assert power.supply.regulator == RegulatorSpec("linear", 3.0, quiescent_a=1.5e-6)
    assert power.divider_a == pytest.approx(2e-6)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, r"\[power\]: cell '' is unknown: valid are ER34615, LS33600, TL-5930"),
        ({"cell": "ER34651"}, "cell 'ER34651' is unknown: did you mean 'ER34615'"),
        ({"cell": "ER34615", "capacitor": "HPC1521"}, "capacitor 'HPC1521' is unknown: did you mean 'HPC1520'"),
        ({"cell": "ER34615", "divider": 1}, "key 'divider' is unknown: did you mean 'divider_ua'"),
        ({"cell": "ER34615", "divider_ua": -1}, "divider_ua = -1: a number of at least 0"),
        ({"cell": "ER34615", "regulator": {"kind": "buck"}}, "regulator kind 'buck' is unknown"),
        ({"cell": "ER34615", "regulator": {"efficiency": 90}}, r"efficiency 90\.0: a share of 1"),
    ],
)
def test_a_bad_power_table_names_what_was_meant(table, message):
    with pytest.raises(PowerError, match=message):
        read_power(table)


def test_the_boards_currents_go_over_the_cost_tables():
    currents = read_mcu_currents({"currents_ua": {"deep_sleep": 12.5}}, Costs(), 160)
    assert currents["deep_sleep"] == pytest.approx(12.5e-6)
    assert currents["active"] == Costs().active_160_a
    with pytest.raises(PowerError, match="current 'deepsleep' is unknown: did you mean 'deep_sleep'"):
        read_mcu_currents({"currents_ua": {"deepsleep": 1}}, Costs(), 160)
