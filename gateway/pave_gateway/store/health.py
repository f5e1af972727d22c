"""What is wrong with the journal, in the operator's words. The writer's thread writes it, others read it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """Each line is empty while there is nothing to say.

    Attributes:
        failing: Why the newest transaction failed; nothing is acknowledged until one succeeds.
        behind: Why the write-ahead log cannot be brought into the file.
        full: What the disk cap does to readings.
        damaged: What a salvage of the file found; stays until an operator has seen it.
    """

    failing: str = ""
    behind: str = ""
    full: str = ""
    damaged: str = ""
    lost: dict[str, int] = field(default_factory=dict[str, int])  # sink: readings that it will never get

    def lines(self) -> list[str]:
        """Return all there is to say."""
        losses = [f"{count} readings that sink {sink} will never get were removed" for sink, count in self.lost.items()]
        return [line for line in (self.failing, self.damaged, self.full, self.behind, *losses) if line]
