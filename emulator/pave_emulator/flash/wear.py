"""How worn a flash is: erases per sector since its image was opened, by partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pave_emulator.flash.partitions import Partition
from pave_emulator.flash.timing import ENDURANCE_ERASES


@dataclass(frozen=True)
class Wear:
    """Erases of a region: its most worn sector and all its sectors together."""

    max_erases: int
    total_erases: int

    @property
    def share_of_life(self) -> float:
        """The most worn sector against the endurance of the datasheet; 1.0 is worn out."""
        return self.max_erases / ENDURANCE_ERASES


def report(
    erases: Mapping[int, int], partitions: Iterable[Partition], sector_bytes: int
) -> tuple[Wear, dict[str, Wear]]:
    """The whole chip's wear and each partition's. `erases` maps a sector's address to its count."""
    by_label = {
        p.label: _region([erases.get(at, 0) for at in range(p.offset, p.offset + p.size, sector_bytes)])
        for p in partitions
    }
    return _region(list(erases.values())), by_label


def _region(counts: list[int]) -> Wear:
    return Wear(max(counts, default=0), sum(counts))
