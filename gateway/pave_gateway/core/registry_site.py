"""How the site file and the registry go together. The rule:

    the site file decides which places exist; the registry decides which device stands there.

A `device` in the site file is a place's first one, for sites that start without a registry. At each start:

    the place in the site file               the registry                                   then
    ---------------------------------------  ---------------------------------------------  -----------------------
    names the device that stands there       -                                              nothing to do
    names one                                has none there; that one stands nowhere        it is assigned
    names one that stood there before        people have changed that since                 nothing: the file is stale
    names one that never stood there         has another there                              conflict
    names one                                has that one elsewhere, or retired             conflict
    is gone                                  has a device there                             the assignment ends

A conflict refuses the start: going on with either would let a device speak for a bay that it is not in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pave_gateway.core.places import KIOSK, Place
from pave_gateway.core.registry import RETIRED, Assignment, Registry
from pave_gateway.core.registry_acts import Registrar
from pave_gateway.core.registry_change import By, Done
from pave_gateway.core.registry_rows import SITE_FILE, DeviceRow


class SiteConflictError(Exception):
    """The site file contradicts the registry; `str(error)` has one line per conflict: who wins, and what to do."""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What follows from the site file.

    Attributes:
        begin: Places whose device is to be assigned.
        end: Assignments of places that are gone.
        stale: Lines for the log: devices in the site file that people have replaced since.
    """

    begin: list[Place] = field(default_factory=list[Place])
    end: list[Assignment] = field(default_factory=list[Assignment])
    stale: list[str] = field(default_factory=list[str])


def plan_site(registry: Registry, places: Iterable[Place]) -> SitePlan:
    """Return what is to be done about `places`, those of `registry`, before anything speaks.

    Raises:
        SiteConflictError: nothing is to be done.
    """
    plan = SitePlan(end=[standing for standing in registry.occupied_places() if standing.place not in registry.places])
    conflicts: list[str] = []
    freed = {standing.device for standing in plan.end}
    for place in places:
        if place.device and place.device != registry.device_at(place.id):
            conflict = _judge(registry, place, freed, plan)
            if conflict is not None:
                conflicts.append(conflict)
    if conflicts:
        raise SiteConflictError("\n".join(conflicts))
    return plan


def follow_site(registrar: Registrar, plan: SitePlan, by: By, done: Done) -> None:
    """Carry out `plan`, in one change; `by.actor` should be `SITE_FILE`."""
    change = registrar.change(by)
    for gone in plan.end:
        change.act("release", gone.device, gone.place, "the place is no longer in the site file")
        change.end(gone.place, gone.device)
    for place in plan.begin:
        if registrar.registry.device(place.device) is None:
            change.act("add", place.device, detail="named by the site file")
            change.put_device(_unknown(place, by))
        change.act("assign", place.device, place.id, "named by the site file")
        change.begin(place.id, place.device)
    registrar.submit(change, done)


def _judge(registry: Registry, place: Place, freed: set[str], plan: SitePlan) -> str | None:
    """Put `place` where it belongs in `plan`, or return the conflict."""
    device, current = place.device, registry.device_at(place.id)
    if _changed_by_people(registry, place):
        plan.stale.append(f"{place.id}: the site file names {device}, which is no longer there; the registry decides")
        return None
    says = f"{place.id}: the site file names device {device}, but the registry"
    if current is not None:
        return (
            f"{says} has {current} there, and decides;"
            f" replace {current} by {device} there, or write {current} into the site file (or no device)"
        )
    if registry.state(device) == RETIRED:
        return f"{says} has it retired, and decides; flash it anew, or take it out of the site file"
    standing = registry.standing(device)
    if standing is not None and device not in freed:
        return (
            f"{says} has it at {standing.place}, and decides;"
            f" move it to {place.id}, or take it out of {place.id} in the site file"
        )
    plan.begin.append(place)
    return None


def _changed_by_people(registry: Registry, place: Place) -> bool:
    ended = [past for past in registry.history(place.id) if past.device == place.device]
    return bool(ended) and ended[-1].ended_by != SITE_FILE


def _unknown(place: Place, by: By) -> DeviceRow:
    kind = KIOSK if place.kind == KIOSK else "presence"
    return DeviceRow(place.device, kind, "", "", -1, "", "", by.now_ms)
