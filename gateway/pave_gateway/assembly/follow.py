"""What follows from an act of the registry, once it is on disk: who speaks for a bay, who may speak, who is missed.

Keys and replay windows of other devices are left alone: a context that is given again starts from what was stored, and
what is in memory may be ahead of that.
"""

import logging
from collections.abc import Callable, Sequence

from pave_gateway.assembly.core import Core
from pave_gateway.core.instant import Moment
from pave_gateway.core.keys import DeviceKeys, LoraKeys
from pave_gateway.core.places import KIOSK
from pave_gateway.core.registry_change import Changed
from pave_gateway.core.silence import Hearing, Silence, state_at
from pave_gateway.store.errors import JournalError
from pave_gateway.store.shadow_tables import hello_of

_log = logging.getLogger(__name__)
_HEARTBEAT = "heartbeat_s"


class Follower:
    """Keeps bays, OSCORE contexts and the watch over silent devices in step with the registry."""

    def __init__(self, core: Core, silence: Silence) -> None:
        """Begin with what the registry has."""
        self._core = core
        self._silence = silence
        self._left: list[Callable[[str], None]] = []
        self._keys: dict[str, DeviceKeys] = {keys.device: keys for keys in core.registrar.keys.all_oscore()}
        self._starts: dict[str, int] = {}  # of devices between `_suspend` and what becomes of it
        self._lora: dict[str, LoraKeys] = {}
        for device in core.registry.admitted:
            self._follow_lora(device)
        for device in core.registry.admitted:
            self._expect(device)
        core.shadows.subscribe_reports(self._expect)
        core.registrar.subscribe(self.changed)
        core.registrar.subscribe_rekeying(self._suspend, self._resume)

    def on_left(self, listener: Callable[[str], None]) -> None:
        """Call `listener(device)` when the LoRaWAN keys of a device are others or gone, and before any change of keys.

        Before, so that the end of its sessions reaches the disk ahead of the new keys, and nothing is admitted under
        the old ones meanwhile. Should the change fail then, the device joins again.
        """
        self._left.append(listener)

    def changed(self, changed: Changed) -> None:
        """Follow a change of the registry."""
        registry, bays = self._core.registry, self._core.bays
        for place in changed.places:
            standing = registry.current(place)
            if standing is None:
                bays.assign(place, None, bays.position)
            else:
                bays.assign(place, standing.device, standing.from_position)
        for device in changed.devices:
            self._follow_keys(device)
            self._expect(device)

    def _suspend(self, devices: Sequence[str]) -> None:
        """Let devices in no more whose keys are about to be others."""
        for device in devices:
            start = self._core.contexts.remove(device)
            if start is not None:
                self._starts[device] = start
            self._keys.pop(device, None)
            if device in self._lora:
                self._leave(device)

    def _resume(self, devices: Sequence[str]) -> None:
        """Let devices in again whose keys are the same after all; each is asked for Echo once.

        Requests that were under way may still hold the context that `_suspend` removed. It is gone for good, so the new
        one begins above whatever that had used, see `core.oscore_contexts`, and needs nothing of a journal in trouble.
        """
        for device in devices:
            self._follow_keys(device)

    def _follow_keys(self, device: str) -> None:
        keys = self._core.registrar.keys.oscore(device)
        start = self._starts.pop(device, None)
        if keys != self._keys.get(device):
            if keys is None:
                self._core.contexts.remove(device)
                del self._keys[device]
            else:
                self._let_in(keys, start)
        self._follow_lora(device)

    def _follow_lora(self, device: str) -> None:
        keys, before = self._core.registrar.keys.lora(device), self._lora.pop(device, None)
        if keys is not None:
            self._lora[device] = keys
        if keys != before:
            self._leave(device)

    def _leave(self, device: str) -> None:
        for left in self._left:
            left(device)

    def _let_in(self, keys: DeviceKeys, start: int | None) -> None:
        """Add a context that uses no number below `start`; None if none was in memory: then the journal knows."""
        try:
            start = self._core.reader.reservation(keys.device) if start is None else start
        except JournalError as error:
            _log.error("%s meets silence until the gateway is restarted: %s", keys.device, error)
            return
        self._core.contexts.add(keys, None, start)
        self._keys[keys.device] = keys

    def _expect(self, device: str) -> None:
        """Expect `device` to be heard as often as it says, if it stands somewhere."""
        interval_s = _interval_s(self._core, device)
        if interval_s is None:
            self._silence.forget(device)
        else:
            self._silence.expect(device, interval_s)


def restore_silence(core: Core, silence: Silence) -> None:
    """Let the watch go on where it ended: what was silent then is still, what was not has its whole time again."""
    last = core.reader.after(core.bays.position - 1, 1)
    ended = [Moment(each.row.received_ms, each.position, each.row.synchronized) for each in last]
    end_ms = core.clock_log.corrected_ms(ended[0]) if ended else 0  # by the clock that tells when a bay was heard
    for device in core.registry.admitted:
        interval_s = _interval_s(core, device)
        bay = core.bays.of_device(device)
        if interval_s is not None and bay is not None:
            silence.restore(device, state_at(bay.heard_ms, end_ms, interval_s))
        elif interval_s is not None and core.reader.read(hello_of, device) is not None:
            silence.restore(device, Hearing.OK)


def _interval_s(core: Core, device: str) -> int | None:
    """Return how often `device` is to be heard; None if it stands nowhere."""
    standing = core.registry.standing(device)
    place = None if standing is None else core.registry.places.get(standing.place)
    if place is None:
        return None
    reported_s = core.shadows.setting(device, _HEARTBEAT)
    if isinstance(reported_s, int) and reported_s > 0:
        return reported_s
    return core.config.silence.kiosk_s if place.kind == KIOSK else core.config.silence.presence_s
