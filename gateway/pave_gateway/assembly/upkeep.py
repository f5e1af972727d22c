"""What has to be done from time to time though nothing arrives. One look a second, each costing microseconds.

the machine's clock         shown to the site's                                     `core.clock`
silent devices              logged, and told to whoever subscribed                  `core.silence`
commands nobody carried out ended                                                   `core.commands`
the bays                    written down, so that a start need not read all the log `core.bays`
"""

import logging
from collections.abc import Callable

from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.change import Change, submit
from pave_gateway.core.committer import Committed, CommitterBusy, Outcome
from pave_gateway.core.registry import PROVISIONED, Registry
from pave_gateway.core.silence import Change as HearingChange
from pave_gateway.core.silence import Hearing, Silence

_log = logging.getLogger(__name__)


def nowhere(registry: Registry, device: str) -> tuple[str, str]:
    """Return what is wrong with a device that is used and stands nowhere, and the next step."""
    gone, last = registry.displaced.get(device), registry.place_of(device)
    if gone is not None:
        what = f"device {device} stands nowhere: its place {gone} is not in the site file; its readings are refused"
    elif last is not None:
        what = f"device {device} stands nowhere and reports: that counts for the past of {last.id}, and changes nothing"
    else:
        what = f"device {device} stands nowhere and reports: its readings are refused"
    return what, f"pave-gateway devices assign PLACE {device}, or retire {device}"


class Upkeep:
    """Call `look` about once a second."""

    def __init__(self, core: Core, silence: Silence) -> None:
        """Nothing is due yet."""
        self._core = core
        self._silence = silence
        self._snapshot_ms = core.machine.monotonic_ms() + limits.BAYS_SNAPSHOT_MS
        self._snapshot_position = core.bays.position
        self._writing = False
        self._commands_ms = 0
        self._listeners: list[Callable[[HearingChange], None]] = []
        self._was_synchronized: bool | None = None

    def subscribe(self, listener: Callable[[HearingChange], None]) -> None:
        """Call `listener(change)` when a device has fallen silent, or is heard again."""
        self._listeners.append(listener)

    def heard(self, device: str) -> None:
        """Take note that a device of this site proved that it lives."""
        unexpected = len(self._silence.nowhere)
        change = self._silence.heard(device, self._core.machine.monotonic_ms())
        if change is not None:
            self._tell(change)
        elif len(self._silence.nowhere) > unexpected:
            _log.warning("%s; %s", *nowhere(self._core.registry, device))

    def refused(self, device: str) -> None:
        """Take note that the readings of a device were refused since it stands nowhere; anybody may have sent them."""
        if self._core.registry.state(device) == PROVISIONED:
            self.heard(device)

    def look(self) -> None:
        """Do what is due."""
        machine = self._core.machine
        now_ms = machine.monotonic_ms()
        self._core.clock.observe(now_ms, machine.wall_ms(), machine.is_synchronized())
        self._tell_clock()
        if now_ms >= self._silence.next_timeout():
            for change in self._silence.handle_timeout(now_ms):
                self._tell(change)
        self._end_commands(now_ms)
        if not self._writing and self._is_snapshot_due(now_ms):
            self._snapshot_ms = now_ms + limits.BAYS_SNAPSHOT_MS
            self._snapshot_position = self._core.bays.position
            self._write_bays()

    def _tell(self, change: HearingChange) -> None:
        place = self._core.registry.place_of(change.device)
        where = f"{change.device} at {place.id if place else 'no place'}"
        if change.after is Hearing.SILENT:
            _log.warning("device %s is silent; look at it, or at what is between", where)
        elif change.before is Hearing.SILENT:
            _log.info("device %s is heard again", where)
        for listener in self._listeners:
            listener(change)

    def _tell_clock(self) -> None:
        synchronized = self._core.now().synchronized
        if synchronized is self._was_synchronized:
            return
        self._was_synchronized = synchronized
        if synchronized:
            _log.info("the clock is synchronized")
        else:
            _log.warning(
                "the clock is not synchronized: readings are marked, and back-ends hear of them up to %d min later;"
                " let NTP reach this machine, or say [clock] trusted = true if something else sets its clock",
                limits.UNDATED_HOLD_MS // 60_000,
            )

    def _end_commands(self, now_ms: int) -> None:
        due_ms = self._core.commands.next_timeout()
        if due_ms is None or now_ms < max(due_ms, self._commands_ms):
            return
        self._commands_ms = now_ms + limits.COMMAND_RESEND_MS  # if it cannot be written now
        change = self._core.commands.handle_timeout(self._core.now())
        if change is not None:
            self._submit(change, lambda outcome: None)

    def _is_snapshot_due(self, now_ms: int) -> bool:
        behind = self._core.bays.position - self._snapshot_position
        return now_ms >= self._snapshot_ms or behind >= limits.BAYS_SNAPSHOT_READINGS

    def _write_bays(self) -> None:
        """Write the bays down, a few at a time; what cannot be written now is written in the next round."""
        change = self._core.bays.snapshot_step()
        self._writing = change is not None
        if change is not None:
            self._submit(change, self._bays_written)

    def _bays_written(self, outcome: Outcome) -> None:
        self._writing = False
        if isinstance(outcome, Committed):
            self._write_bays()

    def _submit(self, change: Change, done: Callable[[Outcome], None]) -> None:
        try:
            submit(self._core.committer, change, done)
        except CommitterBusy:
            self._writing = False
