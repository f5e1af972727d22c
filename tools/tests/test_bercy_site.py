"""The data of the Bercy site: where its bays lie, and that nothing is named twice."""

import math
import tomllib
from collections import Counter
from itertools import combinations, pairwise
from typing import Any

import pytest
import yaml

from pave_tools.image import mac_of
from pave_tools.tree import REPOSITORY

SITE_FILE = REPOSITORY / "examples" / "bercy" / "site.toml"
SCENARIOS = REPOSITORY / "examples" / "bercy" / "scenarios"
# South-west and north-east corners around the quarter: the Seine, rue Villiot, rue de Charenton, boulevard Poniatowski.
SOUTH, WEST, NORTH, EAST = 48.8280, 2.3720, 48.8430, 2.3960
LETTERS = {"delivery": "l", "taxi": "t", "disabled": "d"}


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return tomllib.loads(SITE_FILE.read_text(encoding="utf-8"))


def metres(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Return the distance of two places; a flat earth is right to millimetres over a street."""
    north = (a["lat"] - b["lat"]) * 111_200
    east = (a["lon"] - b["lon"]) * 111_320 * math.cos(math.radians(a["lat"]))
    return math.hypot(north, east)


def test_the_site_has_fifty_bays_of_three_kinds_and_four_kiosks(site: dict[str, Any]) -> None:
    assert Counter(bay["kind"] for bay in site["bay"]) == {"delivery": 24, "taxi": 12, "disabled": 14}
    assert len(site["kiosk"]) == 4


def test_every_place_lies_in_the_quarter(site: dict[str, Any]) -> None:
    for place in site["bay"] + site["kiosk"]:
        assert SOUTH < place["lat"] < NORTH and WEST < place["lon"] < EAST, place["id"]


def test_no_two_places_and_no_two_devices_share_an_id(site: dict[str, Any]) -> None:
    places = site["bay"] + site["kiosk"]
    for key in ("id", "device"):
        assert [item for item, count in Counter(place[key] for place in places).items() if count > 1] == []


def test_an_id_tells_the_kind_and_a_device_is_a_mac(site: dict[str, Any]) -> None:
    for bay in site["bay"]:
        assert bay["id"].startswith(f"bercy-{LETTERS[bay['kind']]}-"), bay["id"]
        assert mac_of(bay["device"])[:5] == bytes.fromhex("24a1600001"), bay["id"]
    for kiosk in site["kiosk"]:
        assert mac_of(kiosk["device"])[:5] == bytes.fromhex("24a1600002"), kiosk["id"]


def test_no_two_bays_are_closer_than_four_metres(site: dict[str, Any]) -> None:
    assert [(a["id"], b["id"]) for a, b in combinations(site["bay"], 2) if metres(a, b) < 4] == []


def test_the_spots_of_a_taxi_rank_adjoin_each_other(site: dict[str, Any]) -> None:
    taxis = [bay for bay in site["bay"] if bay["kind"] == "taxi"]
    ranks = Counter(taxi["street"] for taxi in taxis)
    assert sorted(ranks.values()) == [3, 4, 5]
    for before, after in pairwise(taxis):
        if before["street"] == after["street"]:
            assert 5 < metres(before, after) < 7, after["id"]


@pytest.mark.parametrize(("name", "least_hz", "most_hz"), [("rush", 4, 6), ("street", 1.5, 2.5)])
def test_a_scenario_speaks_of_bays_that_exist_and_makes_so_many_changes_a_second(
    site: dict[str, Any], name: str, least_hz: float, most_hz: float
) -> None:
    scenario = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert {visit["bay"] for visit in scenario["visits"]} <= {bay["id"] for bay in site["bay"]}
    bays = Counter(bay["kind"] for bay in site["bay"])
    changes_hz = sum(2 * bays[item["kind"]] / cycle_s(item) for item in scenario["traffic"])
    assert least_hz < changes_hz < most_hz


def test_on_the_calm_street_a_sensor_has_time_to_be_sure() -> None:
    scenario = yaml.safe_load((SCENARIOS / "street.yaml").read_text(encoding="utf-8"))
    assert all(item["min_s"] >= 10 and item["from_s"] + item["min_s"] >= 15 for item in scenario["traffic"])
    assert all(visit["arrive_s"] >= 15 and visit["leave_s"] - visit["arrive_s"] >= 10 for visit in scenario["visits"])


def cycle_s(traffic: dict[str, Any]) -> float:
    """Return the mean of a gap plus a stay, each exponential with what is under `min_s` raised to it."""
    least_s = traffic["min_s"]
    return sum(least_s + mean_s * math.exp(-least_s / mean_s) for mean_s in (traffic["gap_s"], traffic["stay_s"]))
