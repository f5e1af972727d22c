"""Frames of devices behind another's network server (ChirpStack, The Things Stack): which of them are new.

That server checks MIC and frame counter. But its broker brings a message at least once, and what was missed is fetched
from a storage later: a frame may come twice, and it may come behind a later one. So for each device the gateway keeps

    session    what the server calls the session: a DevAddr, or the id of its keys
    highest    the highest FCnt taken in it
    seen       which of the `EXTERNAL_WINDOW` counters up to it were taken, bit n for `highest` - n
    earlier    sessions that are over: what is said in them now is old
    joins      the server's names for the last joins: one that comes again begins nothing

and brings it to the disk in the transaction of the readings, by compare and swap: a row says what it found and what it
leaves. A frame is then

    NEW     above the highest, or the first of a session
    LATE    below the highest, and not taken yet: its readings are welcome, by their own identity; nothing else of it is
    KNOWN   taken before, too old to tell, or of a session that is over

A session begins with a frame under a new name, or with a join. The server may bring the two in either order; a join
that follows the first frame of its session is only noted. A name may come back (a small network has few addresses), and
then it is the join that tells.
"""

import json
from dataclasses import dataclass, replace
from enum import Enum

from pave_gateway.core import limits

_ALL = (1 << limits.EXTERNAL_WINDOW) - 1


class Standing(Enum):
    """What a frame is to the gateway."""

    NEW = "new"
    LATE = "late"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class ExternalRow:
    """A device's state goes from `expected` ("" for none) to `state`. Out of date where the disk has another.

    Where it has `state` already, the transaction that wrote it was reported as failed and was not.
    """

    device: str
    expected: str
    state: str


@dataclass(frozen=True, slots=True)
class ExternalState:
    """See above.

    Attributes:
        session: "" before the first.
        has_joined: The join of this session is among `joins`.
        highest: -1 before the first frame of the session.
        seen: Mask.
        earlier: Names, the newest last.
        joins: Names, the newest last.
        heard_ms: When the server received the newest frame, by its clock; 0 for unknown.
    """

    session: str = ""
    has_joined: bool = False
    highest: int = -1
    seen: int = 0
    earlier: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()
    heard_ms: int = 0

    def standing(self, session: str, fcnt: int) -> Standing:
        """Return what a frame is."""
        if session != self.session:
            return Standing.KNOWN if session in self.earlier else Standing.NEW
        if fcnt > self.highest:
            return Standing.NEW
        behind = self.highest - fcnt
        is_known = behind >= limits.EXTERNAL_WINDOW or self.seen >> behind & 1
        return Standing.KNOWN if is_known else Standing.LATE

    def begins(self, session: str) -> bool:
        """Return whether a frame of `session` is the first of it."""
        return session != self.session or self.highest < 0

    def missed(self, session: str, fcnt: int) -> int:
        """Return how many frames lie between the last one and a new one; before the first of all, nothing is missed."""
        if not self.session:
            return 0
        return fcnt - self.highest - 1 if session == self.session else fcnt

    def is_join_known(self, join: str) -> bool:
        """Return whether a join was taken before."""
        return join in self.joins

    def joined(self, session: str, join: str) -> "ExternalState":
        """Return it after a join; frames of the session that came before it stay taken."""
        joins = (*self.joins, join)[-limits.EXTERNAL_REMEMBERED :]
        if session == self.session and not self.has_joined:
            return replace(self, has_joined=True, joins=joins)
        return replace(self._began(session), has_joined=True, joins=joins)

    def took(self, session: str, fcnt: int, heard_ms: int) -> "ExternalState":
        """Return it after a frame that is not KNOWN."""
        state = self if session == self.session else self._began(session)
        heard_ms = max(heard_ms, state.heard_ms)
        if not self.session:
            return replace(state, highest=fcnt, seen=_ALL, heard_ms=heard_ms)
        if fcnt > state.highest:
            seen = (state.seen << min(fcnt - state.highest, limits.EXTERNAL_WINDOW) | 1) & _ALL
            return replace(state, highest=fcnt, seen=seen, heard_ms=heard_ms)
        return replace(state, seen=state.seen | 1 << state.highest - fcnt, heard_ms=heard_ms)

    @property
    def gaps(self) -> tuple[int, ...]:
        """Counters of the session in the window that were not taken, ascending."""
        span = min(limits.EXTERNAL_WINDOW, self.highest + 1)
        return tuple(self.highest - n for n in reversed(range(span)) if not self.seen >> n & 1)

    def text(self) -> str:
        """Return all of it as JSON."""
        fields = (self.session, self.has_joined, self.highest, self.seen, self.earlier, self.joins, self.heard_ms)
        return json.dumps(fields, separators=(",", ":"))

    def _began(self, session: str) -> "ExternalState":
        others = tuple(name for name in (*self.earlier, self.session) if name and name != session)
        earlier = others[-limits.EXTERNAL_REMEMBERED :]
        return ExternalState(session, earlier=earlier, joins=self.joins, heard_ms=self.heard_ms)


def of_text(text: str) -> ExternalState:
    """Return what `ExternalState.text` wrote; "" is a device that was never heard."""
    if not text:
        return ExternalState()
    session, has_joined, highest, seen, earlier, joins, heard_ms = json.loads(text)
    return ExternalState(session, has_joined, highest, seen, tuple(earlier), tuple(joins), heard_ms)
