"""The nearest free bay of each kind, as seen from a place: distances and bearings, and which bay it is."""

import pytest

from pave_gateway.core.bay_state import VACANT, Bay
from pave_gateway.core.instant import ClockLog
from pave_gateway.core.nearest import Nearest, bearing_deg, distance_m
from pave_gateway.core.places import Place

KIOSK = Place("k1", "kiosk", "Gare", 48.8400, 2.3800)


def bays(*where: tuple[str, str, float, float]) -> dict[str, Bay]:
    """Bays that are all free, from (id, kind, degrees north of the kiosk, degrees east of it)."""
    made = {
        name: Bay(Place(name, kind, "Rue", KIOSK.lat + north, KIOSK.lon + east), ClockLog())
        for name, kind, north, east in where
    }
    for bay in made.values():
        bay.state = VACANT
    return made


# Vincenty's test of Flinders Peak to Buninyong (Geoscience Australia, GDA technical manual, 4.1): 54,972.271 m at
# 306 degrees 52 minutes on the ellipsoid; a sphere is 0.3 % off at most
FLINDERS = Place("flinders", "kiosk", "", -37.95103341667, 144.42486788889)
BUNINYONG = Place("buninyong", "taxi", "", -37.65282113889, 143.92649552778)


def test_a_distance_and_a_bearing_are_those_of_geodesists() -> None:
    assert distance_m(FLINDERS, BUNINYONG) == pytest.approx(54_972.271, rel=0.003)
    assert bearing_deg(FLINDERS, BUNINYONG) == pytest.approx(306.868, abs=0.2)


@pytest.mark.parametrize(("north", "east", "bearing"), [(1, 0, 0), (0, 1, 90), (-1, 0, 180), (0, -1, 270)])
def test_bearings_go_clockwise_from_north(north: float, east: float, bearing: float) -> None:
    there = Place("b", "taxi", "", KIOSK.lat + north / 1000, KIOSK.lon + east / 1000)
    assert (bearing_deg(KIOSK, there) + 180) % 360 == pytest.approx((bearing + 180) % 360, abs=0.1)


def test_the_nearest_free_bay_of_each_kind_is_told_and_a_kind_without_one_is_left_out() -> None:
    made = bays(
        ("near", "delivery", 0.001, 0), ("far", "delivery", 0.0, 0.01), ("rank", "taxi", -0.002, 0),
        ("taken", "disabled", 0.0001, 0),
    )  # fmt: skip
    made["taken"].state = "occupied"
    nearest = Nearest(made.values())
    assert nearest.free_from(KIOSK) == {"delivery": (111, 0), "taxi": (222, 180)}
    made["near"].state = "blind"
    assert nearest.free_from(KIOSK)["delivery"] == (732, 90)


def test_another_kiosk_hears_what_is_nearest_from_there() -> None:
    nearest = Nearest(bays(("west", "taxi", 0, -0.001), ("east", "taxi", 0, 0.002)).values())
    there = Place("k2", "kiosk", "Gare", KIOSK.lat, KIOSK.lon + 0.003)
    assert nearest.free_from(KIOSK) == {"taxi": (73, 270)}
    assert nearest.free_from(there) == {"taxi": (73, 270)}
    assert nearest.free_from(Place("k3", "kiosk", "Gare", KIOSK.lat, KIOSK.lon + 0.001))["taxi"][1] == 90


def test_of_two_at_one_place_it_is_always_the_same_one() -> None:
    made = bays(("b", "taxi", 0.001, 0), ("a", "taxi", 0.001, 0))
    assert Nearest(made.values()).free_from(KIOSK) == Nearest(reversed(made.values())).free_from(KIOSK)
