"""What a way between a device and its network does to datagrams: loss, delay, duplication, reordering, an end of it.

Theory of operation. Each device has two paths, "up" and "down". A path keeps the order of what it carries: jitter
delays the followers of a late datagram too. One that is reordered is held back alone, and others overtake it. Draws
come from one generator per path, five per datagram whatever the quality, so that a change of one figure does not change
the fate of what another decides. Streams (TCP) are never lost: what is lost costs a retransmission.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

UP, DOWN = "up", "down"
WAYS = (UP, DOWN)
RETRANSMIT_S = 1.5  # CONFIG_LWIP_TCP_RTO_TIME of ESP-IDF, ms / 1000
MAX_RETRANSMITS = 12  # CONFIG_LWIP_TCP_MAXRTX of ESP-IDF
SHARES = ("loss", "duplicate", "reorder")


@dataclass(frozen=True)
class Quality:
    """How a path is. Shares are of datagrams, 0 to 1; times are seconds.

    Attributes:
        delay_s: what each takes. jitter_s: what each takes more, uniform from 0.
        reorder: share held back by `reorder_s`, so that followers overtake it.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.05

    def __post_init__(self) -> None:
        for name in SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)}: a share is between 0 and 1")
        for name in ("delay_s", "jitter_s", "reorder_s"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} {getattr(self, name)}: nothing arrives before it was sent")


class Path:
    """One direction of one device. `quality` and `cut` may change at any time; what is on its way arrives."""

    def __init__(self, seed: str, quality: Quality | None = None) -> None:
        self.quality = quality or Quality()
        self.cut = False
        self._random = random.Random(seed)
        self._last_s = 0.0

    def plan(self, now_s: float) -> tuple[float, ...]:
        """When a datagram sent now arrives: nothing if it is lost, twice if it is duplicated. Seconds."""
        lost, late, twice, twice_late, held = (self._random.random() for _ in range(5))
        quality = self.quality
        if self.cut or lost < quality.loss:
            return ()
        if held < quality.reorder:
            return (now_s + quality.delay_s + late * quality.jitter_s + quality.reorder_s,)
        first_s = self._in_order(now_s, now_s + quality.delay_s + late * quality.jitter_s)
        if twice >= quality.duplicate:
            return (first_s,)
        return (first_s, first_s + twice_late * max(quality.jitter_s, quality.delay_s))

    def plan_stream(self, now_s: float) -> float | None:
        """When a segment of a stream sent now arrives, with its retransmissions; None if it never does."""
        if self.cut:
            return None
        late_s = self._random.random() * self.quality.jitter_s
        for attempt in range(MAX_RETRANSMITS + 1):
            if self._random.random() >= self.quality.loss:
                return self._in_order(now_s, now_s + self.quality.delay_s + late_s + attempt * RETRANSMIT_S)
        return None

    def _in_order(self, now_s: float, arrival_s: float) -> float:
        if self._last_s > now_s and arrival_s <= self._last_s:
            arrival_s = math.nextafter(self._last_s, math.inf)  # timers of one instant keep no order
        self._last_s = max(self._last_s, arrival_s)
        return arrival_s


class Paths:
    """The paths of all devices, made when they are first asked for. `seed` decides every draw."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._paths: dict[tuple[str, str], Path] = {}

    def of(self, device: str, way: str) -> Path:
        """The path of a device in one direction ("up" or "down")."""
        if way not in WAYS:
            raise ValueError(f"way {way!r}: it is one of {WAYS}")
        if (device, way) not in self._paths:
            self._paths[device, way] = Path(f"{self._seed}:path:{device}:{way}")
        return self._paths[device, way]

    def impair(self, device: str, way: str | None = None, **figures: float) -> None:
        """Change figures of `Quality` from now on, in one direction or both. Raise TypeError, ValueError."""
        for path in self._both(device, way):
            path.quality = replace(path.quality, **figures)

    def cut(self, device: str, way: str | None = None) -> None:
        """Let nothing through until `heal`."""
        for path in self._both(device, way):
            path.cut = True

    def heal(self, device: str, way: str | None = None) -> None:
        """End a cut. The quality stays as it is."""
        for path in self._both(device, way):
            path.cut = False

    def _both(self, device: str, way: str | None) -> list[Path]:
        return [self.of(device, one) for one in ((way,) if way else WAYS)]
