"""A rotation of the sealing key: what older keys sealed is sealed anew under the newest, a few values at a time.

    key file     old | old and new                                                              | new
    seals        old | new
    on disk      old | old, new .. batch .. batch .. new | a pass that finds nothing under old  | new
                     key added                                                                  old key dropped

It may be cut off anywhere, and each value on the disk opens with a key of the file: the new key is in the file before
anything is under it, and an older one leaves it when nothing on the disk is. Whoever begins again, at a start or by
command, goes on: what is under the newest key is passed by.

Nothing comes under an older key behind the pass that found none. All parts of the gateway seal with one `Keyring`, and
what they hand to the disk they seal, or seal again, in the same step (`shadow_sealing.under_newest`). So what was on
its way when the key was added lies in front of the first batch; whoever drives this waits for a commit before the first
step.

A batch replaces bytes that still are as they were read. What somebody has written meanwhile stays, and the next pass
meets it. A value that does not open is told of and left; the key that it says it is under stays in the file with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pave_gateway.core import keys_record, limits, shadow_sealing
from pave_gateway.core.change import Change
from pave_gateway.core.keys_rows import (
    ResealedKeysRow,
    ResealedRow,
    ResealedSessionRow,
    ResealedSettingsRow,
    SealedRow,
)
from pave_gateway.core.keys_sealed import Keyring, KeyringError, id_in
from pave_gateway.core.lorawan import sessions


def _whole(content: bytes) -> bytes:
    return content


def _replaced(_content: bytes, sealed: bytes) -> bytes:
    return sealed


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of secret that the journal keeps sealed.

    Attributes:
        name: For people.
        purpose: Under which it is sealed.
        row: What writes one sealed anew.
        find: Returns the sealed value in the content of a row, None where it has none.
        put: Returns the content with another sealed value in place of its own.
        mend: The next step for one that does not open.
    """

    name: str
    purpose: str
    row: type[ResealedRow]
    mend: str
    find: Callable[[bytes], bytes | None] = _whole
    put: Callable[[bytes, bytes], bytes] = _replaced


PARTS = (
    Part("device keys", keys_record.PURPOSE, ResealedKeysRow, "import the device's provisioning record again"),
    Part(
        "Wi-Fi passphrases",
        shadow_sealing.PURPOSE,
        ResealedSettingsRow,
        "set the device's wifi again",
        shadow_sealing.sealed_in,
        shadow_sealing.with_sealed,
    ),
    Part("LoRaWAN sessions", sessions.PURPOSE, ResealedSessionRow, "switch the device off and on, so that it joins"),
)


class Source(Protocol):
    """The journal, as it is on disk."""

    def count(self, part: Part) -> int:
        """Return how many rows it has for `part`."""
        ...

    def rows(self, part: Part, device: str, number: int, max_rows: int) -> Sequence[SealedRow]:
        """Return the rows behind (`device`, `number`), in this order, at most `max_rows`."""
        ...


@dataclass(slots=True)
class Count:
    """How far a part is.

    Attributes:
        rows: On disk when the pass began.
        passed: Of these, in this pass.
        anew: Values sealed anew, in all passes.
        closed: Values that do not open, in this pass.
    """

    rows: int = 0
    passed: int = 0
    anew: int = 0
    closed: int = 0


class Rotation:
    """See above. `counts` tells of each part, in the order of `PARTS`."""

    def __init__(self, source: Source, keyring: Keyring, resealed: Callable[[ResealedRow], None]) -> None:
        """Nothing is read before the first step.

        Args:
            source: What is to be sealed anew.
            keyring: Has the newest key already.
            resealed: Told of each row once it is on disk.
        """
        self._source = source
        self._keyring = keyring
        self._resealed = resealed
        self.counts = tuple(Count() for _ in PARTS)
        self.held: dict[bytes, None] = {}  # ids of the keys that what does not open is under
        self.faults: list[str] = []  # why, of the first ones
        self._pass_due = True
        self._found = False  # something to seal anew, in this pass
        self._begin_part(0)

    @property
    def is_over(self) -> bool:
        """Whether a whole pass has found nothing to seal anew."""
        return self._index == len(PARTS) and not self._pass_due

    def step(self) -> Change:
        """Return the next change, which may have no rows, as long as it is not over.

        It has to be applied before the next step; where it could not be committed, the next step is the same again.
        """
        if self._pass_due:
            self._begin_pass()
        part = PARTS[self._index]
        stored = self._source.rows(part, *self._behind, limits.RESEALED_AT_ONCE)
        anew: list[ResealedRow] = []
        closed: list[tuple[bytes, str]] = []
        for row in stored:
            sealed = part.find(row.content)
            if sealed is None or self._keyring.is_newest(sealed):
                continue
            try:
                anew.append(self._anew(part, row, sealed))
            except KeyringError as error:
                closed.append((id_in(sealed), f"{str(error).rpartition('; ')[0]}; {part.mend}"))
        return Change(tuple(anew), lambda: self._stepped(stored, anew, closed))

    def _anew(self, part: Part, row: SealedRow, sealed: bytes) -> ResealedRow:
        clear = self._keyring.open(row.device, part.purpose, sealed)
        again = self._keyring.seal(row.device, part.purpose, clear)
        return part.row(row.device, row.number, row.content, part.put(row.content, again))

    def _stepped(
        self, stored: Sequence[SealedRow], anew: Sequence[ResealedRow], closed: Sequence[tuple[bytes, str]]
    ) -> None:
        count = self.counts[self._index]
        count.passed += len(stored)
        count.anew += len(anew)
        count.closed += len(closed)
        self._found = self._found or bool(anew)
        for row in anew:
            self._resealed(row)
        for key, why in closed:
            self.held[key] = None
            if len(self.faults) < limits.CLOSED_TOLD:
                self.faults.append(why)
        if len(stored) == limits.RESEALED_AT_ONCE:
            self._behind = (stored[-1].device, stored[-1].number)
        else:
            self._begin_part(self._index + 1)
            self._pass_due = self._found and self._index == len(PARTS)

    def _begin_pass(self) -> None:
        rows = [self._source.count(part) for part in PARTS]
        for count, found in zip(self.counts, rows, strict=True):
            count.rows, count.passed, count.closed = found, 0, 0
        self.held, self.faults = {}, []
        self._pass_due = self._found = False
        self._begin_part(0)

    def _begin_part(self, index: int) -> None:
        self._index = index
        self._behind = ("", -1)
