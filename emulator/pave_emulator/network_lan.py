"""`network.LAN` over a W5500: the link, its address, a cable that is pulled (ports/esp32/network_lan.c).

ESP-IDF's Ethernet driver lies below the seam: what is checked is the wiring the firmware names (SPI bus, chip select,
interrupt), what is timed is the link and DHCP. The status is a function of time, so nothing needs to wake up for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.air.network import LOOPBACK
from pave_emulator.board import Board, ChipSpec
from pave_emulator.chips.w5500 import W5500
from pave_emulator.clock import Clock
from pave_emulator.mcu.mcu import Mcu
from pave_emulator.vm.channel import Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

# ports/esp32/modnetwork.h
ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP = range(6)
LINK_S = 2.0  # the driver looks at the link every 2 s (eth_config_t.check_link_period_ms of ESP-IDF)
DHCP_S = 1.0  # a server on the same wire that answers at once; ESP-IDF checks the address first (ARP)
NOT_FOUND = -0x105  # ESP_ERR_NOT_FOUND


@dataclass
class _Link:
    chip: W5500
    hears: bool  # its interrupt is where the firmware thinks
    started_at_s: float | None = None
    stopped: bool = False
    was_up: bool = False


class LanOps:
    """Handlers of the LAN_* calls of one boot."""

    def __init__(self, board: Board, mcu: Mcu, clock: Clock, log: Callable[[str], None]) -> None:
        self._board = board
        self._mcu = mcu
        self._clock = clock
        self._log = log
        self._link: _Link | None = None

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.LAN_OPEN: self._open,
            ops.LAN_ACTIVE: self._active,
            ops.LAN_STATUS: lambda tail: bytes([self.status()]),
            ops.LAN_IFCONFIG: self._ifconfig,
        }

    def close(self) -> None:
        """The chip has reset."""
        self._link = None

    @property
    def connected(self) -> bool:
        """True while it has an address."""
        return self.status() == ETH_GOT_IP

    def status(self) -> int:
        """ETH_* at this moment."""
        link = self._link
        if link is None or link.started_at_s is None:
            return ETH_STOPPED if link and link.stopped else ETH_INITIALIZED
        if not link.chip.plugged or link.chip.state == "off":
            return ETH_DISCONNECTED if link.was_up else ETH_STARTED
        since_s = self._clock.now_s() - max(link.started_at_s, link.chip.plugged_at_s)
        if since_s < LINK_S:
            return ETH_DISCONNECTED if link.was_up else ETH_STARTED
        link.was_up = True
        return ETH_GOT_IP if link.hears and since_s >= LINK_S + DHCP_S else ETH_CONNECTED

    def _open(self, sck: int, mosi: int, miso: int, cs: int, interrupt: int, tail: bytes) -> bytes:
        spec = self._wired(sck, mosi, miso, cs)
        if spec is None:
            raise OpError(NOT_FOUND)
        hears = spec.pins.get("int") == interrupt
        if not hears:
            self._log(
                f"LAN: the W5500's interrupt is not GPIO {interrupt} but {spec.pins.get('int')}: nothing is heard"
            )
        chip = self._mcu.chips[spec.name]
        assert isinstance(chip, W5500)
        self._link = _Link(chip, hears)
        return b""

    def _wired(self, sck: int, mosi: int, miso: int, cs: int) -> ChipSpec | None:
        specs = [spec for spec in self._board.chips.values() if spec.part == "W5500"]
        for spec in specs:
            pins = self._board.buses[spec.bus or ""].pins
            asked = {"sck": sck, "mosi": mosi, "miso": miso}
            if spec.select == cs and pins == asked and self._mcu.chips[spec.name].state != "off":
                return spec
        there = "; ".join(f"{s.name}: cs={s.select} {self._board.buses[s.bus or ''].pins}" for s in specs) or "none"
        self._log(f"LAN: no W5500 answers at sck={sck} mosi={mosi} miso={miso} cs={cs}; the board has {there}")
        return None

    def _active(self, wanted: int, tail: bytes) -> bytes:
        link = self._link
        assert link is not None, "LAN_OPEN comes first"
        if wanted == 1 and link.started_at_s is None:
            link.started_at_s = self._clock.now_s()
        elif wanted == 0 and link.started_at_s is not None:
            link.started_at_s, link.stopped, link.was_up = None, True, False
        return bytes([link.started_at_s is not None])

    def _ifconfig(self, tail: bytes) -> bytes:
        if not self.connected:
            return b"0.0.0.0 0.0.0.0 0.0.0.0 0.0.0.0"
        return f"{LOOPBACK} 255.0.0.0 {LOOPBACK} {LOOPBACK}".encode()
