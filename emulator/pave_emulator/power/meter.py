"""Books what a device draws: the states of its microcontroller, chips and Wi-Fi, looked at when they may have changed.

Theory of operation. Each wake is a span of the ledger. Its cause is what woke the device; when it goes back to sleep
after a pin's wake without having sent anything, the whole span was a false wake and is renamed.
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.board import Board
from pave_emulator.chips.chip import Chip
from pave_emulator.clock import Clock, Timer
from pave_emulator.power.costs import Costs
from pave_emulator.power.ledger import SLEEP, Ledger, Snapshot
from pave_emulator.power.spec import read_mcu_currents, read_power
from pave_emulator.power.supply import CELL_RAIL, Supply
from pave_emulator.power.voltage_log import VoltageLog

FULL_CELL_V = 3.6
FALSE_WAKE = "false wake"


class Meter:
    """The ledger of one device, and its supply where the board has a battery.

    `brown_out()` is called when the rail has fallen below what the chip needs.
    """

    def __init__(
        self,
        board: Board,
        chips: dict[str, Chip],
        clock: Clock,
        temperature_c: Callable[[float], float],
        brown_out: Callable[[], None],
    ) -> None:
        self._board = board
        self._chips = chips
        self._clock = clock
        self._brown_out = brown_out
        costs = Costs()
        self._mcu_a = read_mcu_currents(board.mcu_table, costs, board.mhz)
        self._mcu_a |= {"off": 0.0, "boot": costs.boot_a}
        self._wifi_a = {
            "off": 0.0,
            "rx": self._mcu_a["wifi_rx"] - self._mcu_a["idle"],
            "connecting": costs.wifi_connect_a - self._mcu_a["idle"],
        }
        self._drawn: dict[str, tuple[str, float]] = {}
        self._span = 0
        self._woken_by_pin = False
        self._sent = False
        self._timer: Timer | None = None
        self.voltages = VoltageLog()
        self.supply: Supply | None = None
        now_s = clock.now_s()
        if board.power:
            power = read_power(board.power)
            self.supply = Supply(power.supply, temperature_c, self._below, now_s)
            self.ledger = Ledger(now_s, self.supply.load)
            self.ledger.draw("divider", "on", power.divider_a, now_s, rail=CELL_RAIL)
        else:
            self.ledger = Ledger(now_s)

    def snapshot(self) -> Snapshot:
        """The ledger as of now."""
        return self.ledger.snapshot(self._clock.now_s())

    def cell_v(self) -> float:
        """Voltage of the battery under its present load; that of a full cell on a board without one."""
        return self.supply.voltage_v(self._clock.now_s()) if self.supply else FULL_CELL_V

    def woken(self, cause: str, by_pin: bool) -> None:
        """The device is awake from now on, for this cause."""
        now_s = self._clock.now_s()
        self._span = self.ledger.cause(now_s, cause)
        self._woken_by_pin, self._sent = by_pin, False
        if self.supply:
            self.voltages.add(now_s, self.supply.voltage_v(now_s))

    def asleep(self) -> None:
        """It sleeps from now on."""
        if self._woken_by_pin and not self._sent:
            self.ledger.reattribute(self._span, FALSE_WAKE)
        self.ledger.cause(self._clock.now_s(), SLEEP)
        self._woken_by_pin = False

    def sent(self) -> None:
        """It has sent something: this wake was not for nothing."""
        self._sent = True

    def mcu(self, state: str) -> None:
        """State of the microcontroller: off (with it the whole board), boot, active, idle, light_sleep, deep_sleep."""
        self._draw("mcu", state, self._mcu_a[state])
        if state == "off":
            self.look()

    def idled(self, seconds: float) -> None:
        """The microcontroller has slept so long before now, between two events."""
        now_s = self._clock.now_s()
        self.ledger.draw("mcu", "idle", self._mcu_a["idle"], max(self.ledger.now_s, now_s - seconds))
        self._drawn.pop("mcu", None)
        self.mcu("active")

    def wifi(self, state: str) -> None:
        """State of the Wi-Fi radio beyond the microcontroller's own: off, connecting, rx."""
        self._draw("wifi", state, self._wifi_a[state])

    def look(self) -> None:
        """Chips may have changed their state."""
        now_s = self._clock.now_s()
        for name, chip in self._chips.items():
            self._sent |= chip.state.startswith("tx")
            given = self._board.chips[name].currents_ua
            ua = given.get(chip.state)
            self._draw(name, chip.state, 1e-6 * (chip.supply_current_ua(now_s) if ua is None else ua))

    def _draw(self, consumer: str, state: str, current_a: float) -> None:
        if self._drawn.get(consumer) == (state, current_a):
            return
        self._drawn[consumer] = (state, current_a)
        self.ledger.draw(consumer, state, current_a, self._clock.now_s())
        self._watch()

    def _watch(self) -> None:
        """Look at the supply again when it may have sagged."""
        if self._timer:
            self._timer.cancel()
        due_s = self.supply.next_event_s() if self.supply else None
        self._timer = None if due_s is None else self._clock.call_at(due_s, self._sag)

    def _sag(self) -> None:
        assert self.supply is not None
        self.supply.advance(self._clock.now_s())
        self._watch()

    def _below(self, now_s: float) -> None:
        self._clock.call_at(now_s, self._brown_out)
