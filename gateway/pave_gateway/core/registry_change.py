"""One change of the registry: its rows, and what it does in memory once they are on disk.

    Change -> rows ------> Committer -> on disk -> effects, listeners -> done(Recorded)
                                     -> refused, or the disk fails    -> done(NotRecorded), nothing has happened

Its first row carries the number of the act, which the tables compare with what they hold: a change that was decided on
an outdated registry is refused as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pave_gateway.core.committer import Row
from pave_gateway.core.keys import KeyTable, Secrets
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_rows import (
    ActRow,
    AssignmentEndRow,
    AssignmentRow,
    DeviceRow,
    ForgetReplayRow,
    KeyRow,
    LifeRow,
    RegistryRow,
)


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and when.

    Attributes:
        actor: As the audit trail shall name them.
        now_ms: Milliseconds since 1970.
        synchronized: Whether `now_ms` can be trusted.
    """

    actor: str
    now_ms: int
    synchronized: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """The change is on disk and in effect; `act` is the number of its last act."""

    act: int


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """Nothing has changed; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change has touched, each once."""

    devices: tuple[str, ...]
    places: tuple[str, ...]


Done = Callable[[Recorded | NotRecorded], None]


class Change:
    """Collects what one act, or several that belong together, write and do. Checks nothing."""

    def __init__(self, registry: Registry, keys: KeyTable, by: By) -> None:
        """The effects will be on `registry` and `keys`."""
        self._registry = registry
        self._keys = keys
        self.by = by
        self.rows: list[Row] = []
        self.last_act = registry.last_act
        self._effects: list[Callable[[int], None]] = []
        self._devices: dict[str, None] = {}  # touched, in order
        self._places: dict[str, None] = {}
        self.rekeyed: list[str] = []  # devices that have other keys from then on, or none

    def act(self, name: str, device: str = "", place: str = "", detail: str = "") -> None:
        """Open an act; what follows belongs to it."""
        self.last_act += 1
        self.rows.append(ActRow(self.last_act, self.by.now_ms, self.by.actor, name, device, place, detail))

    def put_device(self, row: DeviceRow) -> None:
        """Add or update a device."""
        self._add(row, row.device, lambda position: self._registry.put_device(row))

    def begin(self, place: str, device: str) -> None:
        """Let `device` speak for `place`."""
        row = AssignmentRow(place, device, self.by.now_ms, self.by.synchronized)
        self._add(row, device, lambda position: self._registry.begin(row, position))
        self._places[place] = None

    def end(self, place: str, device: str) -> None:
        """Let `device` no longer speak for `place`."""
        row = AssignmentEndRow(place, device, self.by.now_ms, self.by.actor)
        self._add(row, device, lambda position: self._registry.end(row, position))
        self._places[place] = None

    def put_keys(self, device: str, secrets: Secrets, sealed: bytes) -> None:
        """Give `device` other keys."""
        self.rekeyed.append(device)
        self._add(KeyRow(device, sealed), device, lambda position: self._keys.put(device, secrets))
        self.rows.append(ForgetReplayRow(device))

    def wipe_keys(self, device: str) -> None:
        """Take the keys of `device` out of use."""
        self.rekeyed.append(device)
        self._add(KeyRow(device, None), device, lambda position: self._keys.remove(device))
        self.rows.append(ForgetReplayRow(device))

    def join(self, rows: Sequence[Row]) -> None:
        """Write rows of another family too, which has its own effects."""
        self.rows.extend(rows)

    def begin_life(self, gateway_id: bytes) -> None:
        """Give the journal its ID towards devices."""

        def effect(_position: int) -> None:
            self._keys.gateway_id = gateway_id

        self.rows.append(LifeRow(gateway_id, self.by.now_ms))
        self._effects.append(effect)

    def take_effect(self, position: int) -> Changed:
        """Do in memory what is on disk now, and return what that has touched.

        `position` is that of the newest reading committed before.
        """
        position = max(position, self._registry.position)
        for effect in self._effects:
            effect(position)
        self._registry.last_act = self.last_act
        return Changed(tuple(self._devices), tuple(self._places))

    def _add(self, row: RegistryRow, device: str, effect: Callable[[int], None]) -> None:
        self.rows.append(row)
        self._effects.append(effect)
        self._devices[device] = None
