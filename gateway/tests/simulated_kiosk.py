"""A kiosk that follows `pave_wire.shadow` on Wi-Fi: its flash, its access points, and every instant its power may fail.

Each write to flash and each message is a step. `cut_at` ends the power before the step of that number, `after` says
whether the step itself still happened; then it boots again with what the flash holds.
"""

from collections.abc import Callable
from typing import Any

from gateway_support import KIOSK
from shadow_support import Gateway

from pave_wire import shadow


class PowerCutError(Exception):
    """The power is gone."""


class LostError(Exception):
    """A message or its answer did not arrive, or the network is not there."""


class World:
    """The access points: SSID to passphrase; and the gateway behind them."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.access_points = {"old": "old secret"}
        self.on_step: Callable[[int], None] = lambda step: None
        self.steps = 0
        self.cut_at: int | None = None
        self.after = False

    def step(self, act: Callable[[], Any]) -> Any:
        """Let something happen, unless the power ends before; it may end right after."""
        self.steps += 1
        self.on_step(self.steps)
        if self.steps != self.cut_at:
            return act()
        if self.after:
            act()
        raise PowerCutError


class Kiosk:
    """Flash: the profiles it knows, the one in use, the one that failed; it never has more than two."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flash: dict[str, Any] = {"profiles": {0: ("old", "old secret")}, "in_use": 0, "failed": None}
        self.connected: int | None = None
        self.has_interlock = True

    def live(self, rounds: int, until: Callable[[], bool] = lambda: False) -> None:
        """Connect, report and fetch so often, through power cuts and losses; it may never be without a way in."""
        for _ in range(rounds):
            try:
                self._round()
            except PowerCutError:
                self.connected = None
            except LostError:
                pass
            assert self.can_connect, f"stranded with {self.flash}"
            if until():
                return

    @property
    def can_connect(self) -> bool:
        """Whether any profile it knows opens an access point."""
        return any(self._opens(number) for number in self.flash["profiles"])

    def _round(self) -> None:
        if self.connected is None or not self._opens(self.connected):
            self._connect()
        self._report()
        wifi = self._fetch().values.get(shadow.WIFI)
        if wifi is not None:
            self._follow(wifi)

    def _connect(self) -> None:
        """Join by the profile in use; by another if that fails, which is then the one in use."""
        self.connected = None
        in_use = self.flash["in_use"]
        for number in sorted(self.flash["profiles"], key=lambda number: (number != in_use, -number)):
            if self.world.step(lambda number=number: self._opens(number)):
                self.connected = number
                if number != in_use:
                    self._write(in_use=number, failed=None)
                return
        raise LostError

    def _follow(self, wifi: dict[int, Any]) -> None:
        number, keep = wifi[0], wifi[3]
        if number not in self.flash["profiles"] and 1 in wifi:
            in_use = self.flash["in_use"]
            kept = {in_use: self.flash["profiles"][in_use]} if self.has_interlock or keep else {}
            self._write(profiles={**kept, number: (wifi[1], wifi[2])}, failed=None)
        if number in self.flash["profiles"] and number not in (self.flash["in_use"], self.flash["failed"]):
            self._try(number)
        forgets = self.connected == number if self.has_interlock else True
        if not keep and forgets and number in self.flash["profiles"] and len(self.flash["profiles"]) > 1:
            self._write(profiles={number: self.flash["profiles"][number]}, in_use=number)

    def _try(self, number: int) -> None:
        self.connected = None
        if self.world.step(lambda: self._opens(number)):
            self.connected = number
            self._write(in_use=number, failed=None)
        else:
            self._write(failed=number)
            self._connect()
        self._report()

    def _report(self) -> None:
        said: dict[int, Any] = {0: self.flash["in_use"], 1: sorted(self.flash["profiles"])}
        if self.flash["failed"] is not None:
            said |= {2: self.flash["failed"], 3: 1}
        if self._send(lambda gateway: gateway.report(KIOSK, 1, {shadow.WIFI: said})) is None:
            raise LostError

    def _fetch(self) -> shadow.Document:
        return shadow.unpack(self._send(lambda gateway: gateway.resources.desired(KIOSK, (), secure=True)).payload)

    def _send(self, ask: Callable[[Gateway], Any]) -> Any:
        if self.connected is None or not self._opens(self.connected):
            raise LostError
        return self.world.step(lambda: ask(self.world.gateway))

    def _opens(self, number: int) -> bool:
        ssid, key = self.flash["profiles"][number]
        return self.world.access_points.get(ssid) == key

    def _write(self, **values: Any) -> None:
        """One commit of NVS: whole or not at all."""
        self.world.step(lambda: self.flash.update(values))
