"""What follows from an act of the registry, once it is on disk: who speaks for a bay, who may speak, who is missed.

Keys and replay windows of other devices are left alone: a context that is given again starts from what was stored, and
what is in memory may be ahead of that.
"""

from collections.abc import Callable, Sequence

from pave_gateway.assembly.core import Core
from pave_gateway.core.keys import DeviceKeys
from pave_gateway.core.places import KIOSK
from pave_gateway.core.registry_change import Changed
from pave_gateway.core.silence import Hearing, Silence, state_at
from pave_gateway.store.shadow_tables import hello_of

_HEARTBEAT = "heartbeat_s"


class Follower:
    """Keeps bays, OSCORE contexts and the watch over silent devices in step with the registry."""

    def __init__(self, core: Core, silence: Silence) -> None:
        """Begin with what the registry has."""
        self._core = core
        self._silence = silence
        self._left: list[Callable[[str], None]] = []
        self._keys: dict[str, DeviceKeys] = {keys.device: keys for keys in core.registrar.keys.all_oscore()}
        self._lora = {device for device in core.registry.admitted if core.registrar.keys.lora(device) is not None}
        for device in core.registry.admitted:
            self._expect(device)
        core.registrar.subscribe(self.changed)
        core.registrar.subscribe_rekeying(self._suspend, self._resume)

    def on_left(self, listener: Callable[[str], None]) -> None:
        """Call `listener(device)` when the LoRaWAN keys of a device are gone."""
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
            self._core.contexts.remove(device)
            self._keys.pop(device, None)

    def _resume(self, devices: Sequence[str]) -> None:
        """Let devices in again whose keys are the same after all; each is asked for Echo once."""
        for device in devices:
            self._follow_keys(device)

    def _follow_keys(self, device: str) -> None:
        keys = self._core.registrar.keys.oscore(device)
        if keys != self._keys.get(device):
            if keys is None:
                self._core.contexts.remove(device)
                del self._keys[device]
            else:
                reserved, first = self._core.reader.reservations()
                self._core.contexts.add(keys, None, reserved.get(device, first))
                self._keys[device] = keys
        if self._core.registrar.keys.lora(device) is not None:
            self._lora.add(device)
        elif device in self._lora:
            self._lora.discard(device)
            for left in self._left:
                left(device)

    def _expect(self, device: str) -> None:
        """Expect `device` to be heard, if it stands somewhere."""
        standing = self._core.registry.standing(device)
        place = None if standing is None else self._core.registry.places.get(standing.place)
        if place is None:
            self._silence.forget(device)
            return
        configured = self._core.config.silence
        default_s = configured.kiosk_s if place.kind == KIOSK else configured.presence_s
        reported_s = self._core.shadows.setting(device, _HEARTBEAT)
        self._silence.expect(device, reported_s if isinstance(reported_s, int) and reported_s > 0 else default_s)


def restore_silence(core: Core, silence: Silence) -> None:
    """Let the watch go on where it ended: what was silent then is still, what was not has its whole time again."""
    last = core.reader.after(core.bays.position - 1, 1)
    end_ms = last[0].row.received_ms if last else 0
    for device in core.registry.admitted:
        standing = core.registry.standing(device)
        bay = core.bays.of_device(device)
        if standing is not None and bay is not None:
            silence.restore(device, state_at(bay.heard_ms, end_ms, core.config.silence.presence_s))
        elif standing is not None and hello_of(core.reader.connection, device) is not None:
            silence.restore(device, Hearing.OK)
