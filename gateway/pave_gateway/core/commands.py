"""Commands to devices: each is carried out at most once, and what became of it is known.

    state          left by                                                    to
    created        handed out for sending                                     sent
    created, sent  "started" from the device                                  acknowledged
                   TTL_S has passed                                           expired
    any of these   "done" from the device                                     done
                   "failed", "refused", "stale" from the device               failed
    acknowledged   RUN_S without the last word                                failed

A command is on disk before it is sent, and waits until its device can be reached: `next_for` is asked when there is a
new one for a device that always can (a kiosk), and when any is heard. It hands out the oldest that waits, at growing
distances until it is answered. The device keeps the id of the newest it carried out (`pave_wire.command`), so a
repetition does nothing, nor does a gateway that was restored from a backup: ids grow with the calendar, and "stale"
tells the newest.

Timers are monotonic. A gateway that starts gives a waiting command what is left of its time if it knows the time, and
all of it again if it does not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from heapq import heappop, heappush

from pave_gateway.core import limits
from pave_gateway.core.change import Change
from pave_gateway.core.instant import Now
from pave_gateway.core.shadow_rows import CommandRow
from pave_wire import command
from pave_wire.command import Command, Result
from pave_wire.errors import ModelError
from pave_wire.limits import SEQ_MAX

# Seconds: how long a command may wait for its device, and how long it may run there
TTL_S = (86_400, 86_400, 86_400, 600, 3_600, 3_600, 86_400, 86_400, 600)
RUN_S = (900, 600, 120, 120, 120, 120, 120, 120, 120)


class State(Enum):
    """Of a command; the last three are for ever."""

    CREATED = "created"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return self in (State.DONE, State.FAILED, State.EXPIRED)


class TooManyError(Exception):
    """As many commands wait for the device as may."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A command to hand to its device now: `payload` of a `POST /x`; commit `change` too, if there is one."""

    device: str
    id: int
    payload: bytes
    change: Change | None


@dataclass(slots=True)
class _Waiting:
    row: CommandRow
    deadline_ms: int  # monotonic
    resend_ms: int  # monotonic
    sends: int = 0


_STATES = {
    command.STARTED: State.ACKNOWLEDGED,
    command.DONE: State.DONE,
    command.FAILED: State.FAILED,
    command.REFUSED: State.FAILED,
    command.STALE: State.FAILED,
}


class Commands:
    """The commands that are not over, of all devices."""

    def __init__(self, rows: Iterable[CommandRow], now: Now) -> None:
        """Take what the journal has, those that are over included: their ids count."""
        self._waiting: dict[str, dict[int, _Waiting]] = {}
        self._newest_id: dict[str, int] = {}
        self._observers: list[Callable[[str], None]] = []
        self._heap: list[tuple[int, str, int]] = []  # (deadline, device, id), live if the command still has it
        for row in sorted(rows, key=lambda row: (row.device, row.id)):
            self._newest_id[row.device] = row.id
            if not State(row.state).is_over:
                self._put(row, now.monotonic_ms + self._left_ms(row, now))

    def subscribe(self, observer: Callable[[str], None]) -> None:
        """Call `observer(device)` when there is a new command for a device, after it is on disk."""
        self._observers.append(observer)

    def are_waiting(self, device: str) -> bool:
        """Say whether a device has commands that are not over."""
        return bool(self._waiting.get(device))

    def waiting(self, device: str) -> list[CommandRow]:
        """Return the commands of a device that are not over, the oldest first."""
        return [waiting.row for waiting in self._waiting.get(device, {}).values()]

    def create(self, device: str, kind: int, name: str, argument: int | None, now: Now) -> tuple[int, Change]:
        """Return the id of a new command for a device of `kind` (`pave_wire.shadow`), and the change that makes it.

        Raises:
            ModelError: no such command for it, or an argument out of its range; says what is allowed.
            TooManyError: `limits.COMMANDS_WAITING` wait for it already.
        """
        names = [entry[0] for entry in command.COMMANDS]
        if name not in names:
            raise ModelError(f"{name!r} is not a command; known: {', '.join(names)}")
        code = names.index(name)
        command.check(code, kind, argument)
        waiting = len(self._waiting.get(device, {}))
        if waiting >= limits.COMMANDS_WAITING:
            raise TooManyError(f"{waiting} commands wait for {device}; let it answer, or wait until they expire")
        command_id = self._newest_id[device] = self._next_id(device, now)
        expires_ms = now.ms + TTL_S[code] * 1000
        created = State.CREATED.value
        row = CommandRow(device, command_id, code, argument, created, "", now.ms, now.ms, expires_ms)

        def apply() -> None:
            self._put(row, now.monotonic_ms + TTL_S[code] * 1000)
            for observer in self._observers:
                observer(device)

        return command_id, Change((row,), apply)

    def next_for(self, device: str, now: Now) -> Sending | None:
        """Return what to send to a device that can be reached now; None: nothing waits, or it was sent just now."""
        waiting = next(iter(self._waiting.get(device, {}).values()), None)
        if waiting is None or waiting.row.state == State.ACKNOWLEDGED.value:
            return None
        if now.monotonic_ms < waiting.resend_ms:
            return None
        waiting.resend_ms = now.monotonic_ms + min(limits.RESEND_MAX_MS, limits.COMMAND_RESEND_MS << waiting.sends)
        waiting.sends += 1
        row = waiting.row
        payload = command.pack_command(Command(row.id, row.code, row.argument))
        change = self._move(row, State.SENT, "", now) if row.state == State.CREATED.value else None
        return Sending(device, row.id, payload, change)

    def result(self, device: str, payload: bytes, now: Now) -> Change | None:
        """Return the change that follows from a device's `pave_wire.command.Result`.

        None: nothing new, or nothing that was asked of it; it may be answered at once.

        Raises:
            CborError, ModelError: it is none.
        """
        result = command.unpack_result(payload)
        if result.status == command.STALE:
            self._newest_id[device] = max(result.newest_id, self._newest_id.get(device, 0))
        waiting = self._waiting.get(device, {}).get(result.id)
        if waiting is None:
            return None
        state = _STATES[result.status]
        if waiting.row.state == state.value:
            return None
        return self._move(waiting.row, state, _detail(result), now)

    def next_timeout(self) -> int | None:
        """Return when to call `handle_timeout`, in monotonic milliseconds; None while nothing waits."""
        return self._heap[0][0] if self._heap else None

    def handle_timeout(self, now: Now) -> Change | None:
        """Return the change that ends every command whose time is up; ask again after COMMAND_RESEND_MS if it fails."""
        changes: list[Change] = []
        while self._heap and self._heap[0][0] <= now.monotonic_ms:
            deadline_ms, device, command_id = heappop(self._heap)
            waiting = self._waiting.get(device, {}).get(command_id)
            if waiting is not None and waiting.deadline_ms == deadline_ms:
                self._set_deadline(waiting, now.monotonic_ms + limits.COMMAND_RESEND_MS)
                changes.append(self._expire(waiting.row, now))
        if not changes:
            return None

        def apply() -> None:
            for change in changes:
                change.apply()

        return Change(tuple(row for change in changes for row in change.rows), apply)

    def _expire(self, row: CommandRow, now: Now) -> Change:
        if row.state == State.ACKNOWLEDGED.value:
            detail = f"started, and no word for {RUN_S[row.code]} s; look at the device"
            return self._move(row, State.FAILED, detail, now)
        detail = "never sent: the device was not heard" if row.state == State.CREATED.value else "not answered"
        return self._move(row, State.EXPIRED, detail, now)

    def _move(self, row: CommandRow, state: State, detail: str, now: Now) -> Change:
        """Return the change of a command's state."""
        moved = replace(row, state=state.value, detail=detail, changed_ms=now.ms)

        def apply() -> None:
            waiting = self._waiting.get(row.device, {}).get(row.id)
            if waiting is None:
                return
            if state.is_over:
                del self._waiting[row.device][row.id]
                return
            waiting.row = moved
            if state is State.ACKNOWLEDGED:
                self._set_deadline(waiting, now.monotonic_ms + RUN_S[row.code] * 1000)

        return Change((moved,), apply)

    def _put(self, row: CommandRow, deadline_ms: int) -> None:
        waiting = self._waiting.setdefault(row.device, {})[row.id] = _Waiting(row, deadline_ms, 0)
        self._set_deadline(waiting, deadline_ms)

    def _set_deadline(self, waiting: _Waiting, deadline_ms: int) -> None:
        waiting.deadline_ms = deadline_ms
        heappush(self._heap, (deadline_ms, waiting.row.device, waiting.row.id))

    def _next_id(self, device: str, now: Now) -> int:
        """Return an id above all that the device may know.

        Raises:
            ModelError: there are no more.
        """
        since_2026_s = (now.ms - limits.CLOCK_EARLIEST_MS) // 1000 if now.synchronized else 0
        command_id = max(self._newest_id.get(device, 0) + 1, since_2026_s)
        if command_id > SEQ_MAX:
            raise ModelError(f"{device} knows command {SEQ_MAX}, the last there is; provision the device anew")
        return command_id

    def _left_ms(self, row: CommandRow, now: Now) -> int:
        if row.state == State.ACKNOWLEDGED.value:
            return RUN_S[row.code] * 1000
        ttl_ms = TTL_S[row.code] * 1000
        return min(ttl_ms, max(0, row.expires_ms - now.ms)) if now.synchronized else ttl_ms


def _detail(result: Result) -> str:
    if result.status == command.STALE:
        return f"not carried out: the device knows command {result.newest_id}; give it again"
    if result.status in (command.FAILED, command.REFUSED):
        word = result.detail or "no reason given"
        return f"{command.STATUSES[result.status]} by the device: {word}"
    return ""
