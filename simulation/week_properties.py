"""What must hold of a week of a site, judged from what was seen of it. Pure: `simulation.week` hands in the records.

    right      a bay that has stood still for STILL_S is at the gateway as it is in the street, in RIGHT_SHARE of all
               looks, never wrong for longer than STUCK_S, and everywhere at the end; not asked while something is
               taken away, nor within RECOVERY_S after it
    lost       the readings of a device leave no hole: epochs without a gap, seq from 0 without a gap in each
    twice      no identity is in the journal twice
    duty       the radio police has seen nothing: duty cycle, power, band
    energy     every metered sensor lasts YEARS on its cell, by the emulator's projection of what it drew
    crashes    no exception, no watchdog reset, no crash report
    fresh      while no news can reach a kiosk, its panel shows nothing that it showed when news did

What a look finds wrong is the detector's mistake or the link's; RIGHT_SHARE is the goal of the detector alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

STILL_S = 300.0  # a minute to be detected, and two repeats of an uplink that was lost
RECOVERY_S = 3900.0  # a heartbeat: the latest a sensor tries again
RIGHT_SHARE = 0.995
STUCK_S = 7200.0
YEARS = 10.0
UNHEARD_S = 120.0  # after this a kiosk says how old its news is
Identity = tuple[str, int, int]
"""(device, epoch, seq)."""


@dataclass(frozen=True)
class Outage:
    """Something is taken away from `from_s` to `to_s`; `device` empty: from all of the site."""

    from_s: float
    to_s: float
    device: str = ""


class Looks:
    """Bays as they are and as the gateway has them, looked at every now and then."""

    def __init__(self, outages: Sequence[Outage]) -> None:
        self.judged = 0
        self.wrong = 0
        self.longest_s: dict[str, float] = {}
        """The longest that a bay was found wrong, by bay."""
        self.at_end: list[str] = []
        """Bays that were wrong at the last look."""
        self._outages = outages
        self._since_s: dict[str, float] = {}

    def look(self, now_s: float, bay: str, true: bool, since_s: float, held: bool | None) -> None:
        """`true` has lasted since `since_s`; `held` is what the gateway says, None for nothing."""
        excused = any(
            outage.from_s <= now_s < outage.to_s + RECOVERY_S and outage.device in ("", bay) for outage in self._outages
        )
        if now_s - since_s < STILL_S or excused:
            self._since_s.pop(bay, None)
            return
        self.judged += 1
        if held is true:
            self._since_s.pop(bay, None)
            return
        self.wrong += 1
        began_s = self._since_s.setdefault(bay, now_s)
        self.longest_s[bay] = max(self.longest_s.get(bay, 0.0), now_s - began_s)

    def end(self) -> None:
        """No look follows."""
        self.at_end = sorted(self._since_s)


class Panels:
    """What kiosks show, by a digest of the picture. A dark panel says nothing and is passed over."""

    def __init__(self, unheard: Sequence[Outage], dark: Iterable[bytes] = ()) -> None:
        """`unheard`: when no news can reach a kiosk."""
        self.looked = 0
        self.stale: list[str] = []
        self._unheard = unheard
        self._dark = set(dark)
        self._fresh: defaultdict[str, set[bytes]] = defaultdict(set)

    def look(self, now_s: float, kiosk: str, picture: bytes) -> None:
        """A kiosk shows this."""
        if picture in self._dark:
            return
        for outage in self._unheard:
            if outage.from_s - STILL_S <= now_s < outage.from_s:
                self._fresh[kiosk].add(picture)
            elif outage.from_s + UNHEARD_S <= now_s < outage.to_s:
                self.looked += 1
                if picture in self._fresh[kiosk]:
                    self.stale.append(f"{kiosk} at {now_s:.0f} s")
            elif outage.to_s <= now_s < outage.to_s + STILL_S:
                self._fresh[kiosk].clear()


@dataclass
class Evidence:
    """All that was seen. `years` by metered sensor; `crashes` in words."""

    looks: Looks
    panels: Panels
    identities: list[Identity] = field(default_factory=list[Identity])
    violations: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    years: dict[str, float] = field(default_factory=dict[str, float])
    crashes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Verdict:
    """One property: `checked` is how much was judged, `found` what broke it, at most a few."""

    name: str
    checked: int
    found: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """A property that was not put to the test does not hold."""
        return self.checked > 0 and not self.found


def judge(seen: Evidence) -> list[Verdict]:
    """Return every property."""
    short = {name: years for name, years in seen.years.items() if years < YEARS}
    return [
        Verdict("right", seen.looks.judged, tuple(_not_right(seen.looks))),
        Verdict("lost", len(seen.identities), tuple(holes(seen.identities))),
        Verdict("twice", len(seen.identities), tuple(_twice(seen.identities))),
        Verdict(
            "duty", len(seen.years), tuple(f"{who} {rule}: {n} times" for (who, rule), n in seen.violations.items())
        ),
        Verdict("energy", len(seen.years), tuple(f"{name}: {years:.1f} years" for name, years in short.items())),
        Verdict("crashes", len(seen.identities), tuple(seen.crashes)),
        Verdict("fresh", seen.panels.looked, tuple(seen.panels.stale)),
    ]


def holes(identities: Iterable[Identity]) -> list[str]:
    """Return what is missing between the readings of each device, in words."""
    seqs: defaultdict[str, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for device, epoch, seq in identities:
        seqs[device][epoch].add(seq)
    found: list[str] = []
    for device, epochs in sorted(seqs.items()):
        lacking = sorted(set(range(min(epochs), max(epochs))) - epochs.keys())
        found += [f"{device} epoch {epoch}: nothing of it" for epoch in lacking]
        for epoch, there in sorted(epochs.items()):
            gaps = sorted(set(range(max(there))) - there)
            if gaps:
                found.append(f"{device} epoch {epoch}: {len(gaps)} of {max(there) + 1}, first seq {gaps[0]}")
    return found


def _not_right(looks: Looks) -> list[str]:
    found: list[str] = []
    if looks.judged and looks.wrong > (1 - RIGHT_SHARE) * looks.judged:
        found.append(f"wrong in {looks.wrong} of {looks.judged} looks")
    found += [f"{bay} wrong for {s:.0f} s" for bay, s in sorted(looks.longest_s.items()) if s > STUCK_S]
    return found + [f"{bay} wrong at the end" for bay in looks.at_end]


def _twice(identities: Iterable[Identity]) -> list[str]:
    return [f"{one}: {count} times" for one, count in sorted(Counter(identities).items()) if count > 1]
