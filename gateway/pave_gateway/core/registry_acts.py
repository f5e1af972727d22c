"""Who changes the registry, and what may not be done.

Every act is checked here first, so that a mistake is told in words and nothing reaches the disk; then its rows go
through the `Committer`, in one group; then it is in effect. One change is on its way at a time: the next is decided on
what the last one left behind. The tables keep the same rules (`store.registry_tables`), should another process have
written.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from pave_gateway.core.committer import (
    CommitFailed,
    Committed,
    Committer,
    CommitterBusy,
    Conflicted,
    Outcome,
    Outdated,
)
from pave_gateway.core.keys import KeyTable
from pave_gateway.core.keys_sealed import Keyring
from pave_gateway.core.places import Place
from pave_gateway.core.registry import RETIRED, Registry
from pave_gateway.core.registry_change import By, Change, Changed, Done, NotRecorded, Recorded
from pave_gateway.core.registry_rows import DeviceRow

_log = logging.getLogger(__name__)

Listener = Callable[[Changed], None]
Rekeying = Callable[[Sequence[str]], None]


class RegistryError(Exception):
    """The act may not be done; the message says what stands in its way and the next step."""


class RegistryBusyError(RegistryError):
    """Another change is on its way to the disk."""


class Registrar:
    """Carries out acts on a registry and its keys."""

    def __init__(
        self,
        registry: Registry,
        keys: KeyTable,
        keyring: Keyring,
        committer: Committer,
        log_position: Callable[[], int],
    ) -> None:
        """`log_position` returns the position of the newest reading whose commit has been told of."""
        self.registry = registry
        self.keys = keys
        self.keyring = keyring
        self._committer = committer
        self._log_position = log_position
        self._listeners: list[Listener] = []
        self._before_rekeying: list[Rekeying] = []
        self._rekeying_failed: list[Rekeying] = []
        self._writing = False

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(changed)` after each change, once it is in effect: places, keys, states of devices."""
        self._listeners.append(listener)

    def subscribe_rekeying(self, before: Rekeying, failed: Rekeying) -> None:
        """Call `before(devices)` before their change of keys goes to the disk, `failed(devices)` if it does not arrive.

        Between the two nothing may be admitted under the old keys: it would reach the disk behind the change, and leave
        the replay window of the old keys with the new ones.
        """
        self._before_rekeying.append(before)
        self._rekeying_failed.append(failed)

    # Acts; each raises RegistryError if it may not be done, and calls `done` exactly once if not

    def add(self, device: str, kind: str, board: str, note: str, by: By, done: Done) -> None:
        """Register a device whose keys are not kept here (its network server has them)."""
        if self.registry.device(device) is not None:
            raise RegistryError(f"device {device} is in the registry already; assign it to a place")
        change = self.change(by)
        change.act("add", device, detail=note)
        change.put_device(DeviceRow(device, kind, board, "", -1, "", note, by.now_ms))
        self.submit(change, done)

    def assign(self, place: str, device: str, by: By, done: Done) -> None:
        """Let `device`, which stands nowhere, speak for `place`, which has none."""
        self._check_free(device, self._check_place(place))
        current = self.registry.device_at(place)
        if current is not None:
            raise RegistryError(f"{place} has device {current}; replace that one, or release it first")
        change = self.change(by)
        change.act("assign", device, place)
        change.begin(place, device)
        self.submit(change, done)

    def replace(self, place: str, device: str, by: By, done: Done) -> None:
        """Let `device`, which stands nowhere, speak for `place` in the stead of the one that does."""
        self._check_free(device, self._check_place(place))
        current = self.registry.device_at(place)
        if current is None:
            raise RegistryError(f"{place} has no device; assign {device} to it")
        change = self.change(by)
        change.act("release", current, place, f"replaced by {device}")
        change.end(place, current)
        change.act("assign", device, place, f"replaces {current}")
        change.begin(place, device)
        self.submit(change, done)

    def move(self, device: str, place: str, by: By, done: Done) -> None:
        """Let `device` speak for `place`, which has none, and no longer for where it stands."""
        target = self._check_place(place)
        standing = self.registry.standing(device)
        if standing is None:
            raise RegistryError(f"device {device} stands nowhere; assign it to {place}")
        current = self.registry.device_at(place)
        if current is not None:
            raise RegistryError(f"{place} has device {current}; release or retire that one first")
        self._check_kind(device, target)
        change = self.change(by)
        change.act("release", device, standing.place, f"moved to {place}")
        change.end(standing.place, device)
        change.act("assign", device, place, f"moved from {standing.place}")
        change.begin(place, device)
        self.submit(change, done)

    def release(self, device: str, by: By, done: Done) -> None:
        """Take `device` from its place; readings that it still has count for that place's past."""
        standing = self.registry.standing(device)
        if standing is None:
            raise RegistryError(f"device {device} stands nowhere; there is nothing to release it from")
        change = self.change(by)
        change.act("release", device, standing.place)
        change.end(standing.place, device)
        self.submit(change, done)

    def retire(self, device: str, by: By, done: Done) -> None:
        """Refuse the readings of `device` from now on and wipe its keys; its history stays."""
        known = self._known(device)
        change = self.change(by)
        change.act("retire", device)
        standing = self.registry.standing(device)
        if standing is not None:
            change.end(standing.place, device)
        change.put_device(replace(known, retired_ms=by.now_ms))
        change.wipe_keys(device)
        self.submit(change, done)

    def begin_life(self, gateway_id: bytes, by: By, done: Done) -> None:
        """Give a new journal its ID towards devices, drawn by `draw_gateway_id`, before any of them is answered."""
        if self.keys.gateway_id:
            raise RegistryError(f"the journal has gateway ID {self.keys.gateway_id.hex()}; it keeps it for good")
        change = self.change(by)
        change.act("new journal", detail=f"gateway ID {gateway_id.hex()}")
        change.begin_life(gateway_id)
        self.submit(change, done)

    # For acts that other modules compose

    def change(self, by: By) -> Change:
        """Return an empty change.

        Raises:
            RegistryBusyError
        """
        if self._writing:
            raise RegistryBusyError("another change of the registry is being written; try again in a moment")
        return Change(self.registry, self.keys, by)

    def submit(self, change: Change, done: Done) -> None:
        """Write `change`, let it take effect, tell the listeners, then `done`."""
        self._writing = True
        for before in self._before_rekeying:
            before(change.rekeyed)
        try:
            self._committer.submit(change.rows, lambda outcome: self._finish(change, outcome, done))
        except CommitterBusy as error:
            self._fail(change, str(error), done)

    def _finish(self, change: Change, outcome: Outcome, done: Done) -> None:
        if not isinstance(outcome, Committed):
            self._fail(change, _reason(outcome), done)
            return
        self._writing = False
        changed = change.take_effect(self._log_position())
        for listener in self._listeners:
            try:
                listener(changed)
            except Exception:  # a defect; the change is on disk, and whoever else waits for it must hear so
                _log.exception("a listener failed on act %d", change.last_act)
        done(Recorded(change.last_act))

    def _fail(self, change: Change, reason: str, done: Done) -> None:
        self._writing = False
        for failed in self._rekeying_failed:
            failed(change.rekeyed)
        done(NotRecorded(reason))

    def _check_place(self, place: str) -> Place:
        known = self.registry.places.get(place)
        if known is None:
            raise RegistryError(f"there is no place {place!r}; add it to the site file and restart")
        return known

    def _known(self, device: str) -> DeviceRow:
        known = self.registry.device(device)
        if known is None:
            raise RegistryError(f"device {device} is not in the registry; import its provisioning record")
        if self.registry.state(device) == RETIRED:
            raise RegistryError(f"device {device} is retired; flash it anew and import the new record")
        return known

    def _check_free(self, device: str, place: Place) -> None:
        self._known(device)
        standing = self.registry.standing(device)
        if standing is not None:
            raise RegistryError(f"device {device} stands at {standing.place}; move it, or release it first")
        self._check_kind(device, place)

    def _check_kind(self, device: str, place: Place) -> None:
        kind = self._known(device).kind
        fits = kind == "" or (kind == place.kind if not place.is_bay else kind == "presence")
        if not fits:
            raise RegistryError(
                f"device {device} is of kind {kind}, and {place.id} is a {place.kind} place; check both"
            )


def _reason(outcome: CommitFailed | Conflicted | Outdated) -> str:
    if isinstance(outcome, CommitFailed):
        return outcome.reason
    return outcome.detail if isinstance(outcome, Outdated) else f"{outcome.identity} is in use for other values"
