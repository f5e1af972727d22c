"""What an older registry that is put back has otherwise than was known later: retired devices in use again, and so on.

A backup is of some instant. Whatever people decided since is not in it, and it may let a device speak that was taken
out of use because somebody had its keys. What was known later comes from one of two sources:

    the journal that a restore sets aside     all of it: `differences`
    notes beside the provisioning records     which devices were retired: `revived`

Nobody has signed a note, so nothing follows from one but words, and that a record as old as it is left alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pave_gateway.core.instant import iso_utc
from pave_gateway.core.registry import RETIRED, Registry
from pave_gateway.core.registry_rows import DeviceRow

_COMMAND = "pave-gateway devices"


@dataclass(frozen=True, slots=True)
class Retirement:
    """That a device was retired.

    Attributes:
        device: EUI-64.
        epoch: Of the newest provisioning record it had then, -1 if it had none; a newer one brings it back.
        at_ms: When, milliseconds since 1970.
    """

    device: str
    epoch: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What is otherwise with a device, and the next step."""

    device: str
    what: str
    next_step: str


def retirements(registry: Registry) -> Iterator[Retirement]:
    """Yield those of all devices that are retired now."""
    for row in registry.devices():
        if row.retired_ms is not None:
            yield Retirement(row.device, row.epoch, row.retired_ms)


def revived(registry: Registry, notes: Mapping[str, Retirement]) -> list[Difference]:
    """Return the devices that `registry` has in use though `notes` (by device) say that they were retired."""
    found = ((registry.device(note.device), note) for note in notes.values())
    return [
        _revived(known, note)
        for known, note in found
        if known is not None and known.retired_ms is None and known.epoch <= note.epoch
    ]


def differences(put_back: Registry, later: Registry) -> list[Difference]:
    """Return what `put_back` has otherwise than `later`, in an order in which the next steps can be taken."""
    found = [*_retired_since(put_back, later), *_left_since(put_back, later)]
    return [*found, *_came_since(put_back, later)]


def _retired_since(put_back: Registry, later: Registry) -> Iterator[Difference]:
    for note in retirements(later):
        known = put_back.device(note.device)
        if known is not None and known.retired_ms is None:
            yield _revived(known, note)


def _left_since(put_back: Registry, later: Registry) -> Iterator[Difference]:
    """Yield devices that were taken from a place and stand nowhere now."""
    for row in _in_use(later):
        place = _place(put_back, row.device)
        if place and not _place(later, row.device):
            what = f"device {row.device} stands at {place} again, from which it was taken since"
            yield Difference(row.device, what, f"{_COMMAND} release {row.device}")


def _came_since(put_back: Registry, later: Registry) -> Iterator[Difference]:
    """Yield devices that stand elsewhere now, that were flashed anew, and that the older one does not have."""
    for row in _in_use(later):
        known, place = put_back.device(row.device), _place(later, row.device)
        before = _place(put_back, row.device)
        to_place = "" if not place or place == before else _to_place(row.device, before, place)
        if known is None or known.epoch < row.epoch or known.retired_ms is not None:
            how = "is not known" if known is None else "has the keys of before it was flashed anew"
            at = f"; it stood at {place}" if place else ""
            steps = [_bring_back(row), *([to_place] if to_place else [])]
            yield Difference(row.device, f"device {row.device} {how}{at}", ", then ".join(steps))
        elif to_place:
            now = f"is at {before} again" if before else "stands nowhere"
            what = f"device {row.device} {now}; it stood at {place} since"
            yield Difference(row.device, what, to_place)


def _in_use(registry: Registry) -> Iterable[DeviceRow]:
    return (row for row in registry.devices() if registry.state(row.device) != RETIRED)


def _place(registry: Registry, device: str) -> str:
    standing = registry.standing(device)
    return "" if standing is None else standing.place


def _to_place(device: str, before: str, place: str) -> str:
    return f"{_COMMAND} move {device} {place}" if before else f"{_COMMAND} assign {place} {device}"


def _bring_back(row: DeviceRow) -> str:
    if row.epoch < 0:
        return f"{_COMMAND} add {row.device}"
    return f"put its record {row.device}-{row.epoch}.pave into the records folder, if it is not there"


def _revived(known: DeviceRow, note: Retirement) -> Difference:
    what = f"device {known.device} was retired on {iso_utc(note.at_ms)}, and is in use again"
    return Difference(known.device, what, f"{_COMMAND} retire {known.device}")
