"""The site file decides which places exist, the registry which device stands there: every case of that rule."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from registry_support import ANNE, KIOSK, ONE, PLACES, THREE, TWO, Disk, Site, record

from pave_gateway.core.places import Place
from pave_gateway.core.registry_change import By, Recorded
from pave_gateway.core.registry_rows import SITE_FILE
from pave_gateway.core.registry_site import SiteConflictError, SitePlan, follow_site, plan_site

FILE = By(SITE_FILE, 1_795_000_000_000)


def named(**devices: str) -> list[Place]:
    """Return the places, `bay_1="..."` naming the device of bay-1; one named "gone" is left out."""
    named_ = [replace(place, device=devices.get(place.id.replace("-", "_"), "")) for place in PLACES]
    return [place for place in named_ if place.device != "gone"]


def started(disk: Disk, places: Sequence[Place]) -> tuple[Site, SitePlan]:
    """Start a gateway with this site file."""
    site = Site(disk, places=places)
    plan = plan_site(site.registry, places)
    outcomes: list[object] = []
    follow_site(site.registrar, plan, FILE, outcomes.append)
    assert [type(outcome) for outcome in outcomes] == [Recorded]
    return site, plan


def conflict(disk: Disk, places: Sequence[Place]) -> str:
    """Start a gateway that refuses to, and return what it says."""
    site = Site(disk, places=places)
    with pytest.raises(SiteConflictError) as caught:
        plan_site(site.registry, places)
    return str(caught.value)


def test_a_site_file_with_devices_is_the_first_registry():
    site, _ = started(Disk(), named(bay_1=ONE, kiosk_1=KIOSK))
    assert (site.registry.device_at("bay-1"), site.registry.device_at("bay-2")) == (ONE, None)
    assert [(known.device, known.kind, known.epoch) for known in site.registry.devices()] == [
        (ONE, "presence", -1),
        (KIOSK, "kiosk", -1),
    ]
    assert set(site.registry.admitted) == {ONE, KIOSK}


def test_a_second_start_has_nothing_to_do():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    site, plan = started(disk, named(bay_1=ONE))
    assert (plan.begin, plan.end, plan.stale) == ([], [], [])
    assert len(site.registry.history("bay-1")) == 1


def test_a_record_that_comes_later_gives_the_device_of_the_site_file_its_keys():
    site, _ = started(Disk(), named(bay_1=ONE))
    assert site.bring(record(ONE)) == {f"{ONE}:1000": "added"}
    assert site.registry.state(ONE) == "active"
    assert site.keys.oscore(ONE) is not None


def test_a_device_that_people_replaced_stays_replaced_whatever_the_site_file_still_says():
    disk = Disk()
    site, _ = started(disk, named(bay_1=ONE))
    site.bring(record(TWO))
    site.do("replace", "bay-1", TWO)
    again, plan = started(disk, named(bay_1=ONE))
    assert again.registry.device_at("bay-1") == TWO
    assert plan.stale == [f"bay-1: the site file names {ONE}, which is no longer there; the registry decides"]


@pytest.mark.parametrize("act", ["release", "retire"])
def test_a_device_that_people_took_away_does_not_come_back_by_a_restart(act):
    disk = Disk()
    site, _ = started(disk, named(bay_1=ONE))
    site.do(act, ONE)
    again, plan = started(disk, named(bay_1=ONE))
    assert again.registry.device_at("bay-1") is None
    assert len(plan.stale) == 1


def test_a_site_file_that_names_a_newcomer_where_another_stands_is_refused_with_both_ways_out():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    said = conflict(disk, named(bay_1=TWO))
    assert said == (
        f"bay-1: the site file names device {TWO}, but the registry has {ONE} there, and decides;"
        f" replace {ONE} by {TWO} there, or write {ONE} into the site file (or no device)"
    )


def test_a_site_file_that_names_a_device_that_stands_elsewhere_is_refused():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    said = conflict(disk, named(bay_1="", bay_2=ONE))
    assert f"bay-2: the site file names device {ONE}, but the registry has it at bay-1, and decides; move it" in said


def test_a_site_file_that_names_a_retired_device_is_refused():
    disk = Disk()
    site, _ = started(disk, named(bay_1=ONE))
    site.do("retire", ONE)
    assert "has it retired, and decides; flash it anew" in conflict(disk, named(bay_2=ONE))


def test_all_conflicts_are_told_at_once_and_nothing_is_done():
    disk = Disk()
    started(disk, named(bay_1=ONE, bay_2=TWO))
    said = conflict(disk, named(bay_1=THREE, bay_2=ONE, kiosk_1=KIOSK))
    assert [line.split(":")[0] for line in said.splitlines()] == ["bay-1", "bay-2"]
    assert Site(disk).registry.device(KIOSK) is None


def test_a_place_that_leaves_the_site_file_ends_its_assignment_and_its_device_is_free():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    disk.log_readings(4)
    site, plan = started(disk, named(bay_1="gone"))
    assert [gone.place for gone in plan.end] == ["bay-1"]
    assert (site.registry.state(ONE), site.registry.place_of(ONE)) == ("provisioned", None)
    assert isinstance(site.do("assign", "bay-2", ONE, by=ANNE), Recorded)


def test_a_place_that_is_renamed_keeps_its_device():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    renamed = [replace(PLACES[0], id="bay-1a", device=ONE), *PLACES[1:]]
    site, _ = started(disk, renamed)
    assert site.registry.device_at("bay-1a") == ONE


def test_a_place_that_comes_back_into_the_site_file_has_its_device_again():
    disk = Disk()
    started(disk, named(bay_1=ONE))
    started(disk, named(bay_1="gone"))
    site, plan = started(disk, named(bay_1=ONE))
    assert (site.registry.device_at("bay-1"), plan.stale) == (ONE, [])
    assert [period.ended_by for period in site.registry.history("bay-1")] == [SITE_FILE, ""]
