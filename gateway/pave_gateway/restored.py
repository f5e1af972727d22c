"""What a restore brings back that was otherwise since, for who restores, and for the start behind it.

What was decided after the backup is known from the journal that the restore sets aside, if that one went on from where
the backup ends: the newest act of the backup is in its trail. Otherwise only the notes in the records folder tell, and
of retirements alone (`core.registry_differences`). What the journal that is set aside knows of those is noted there, so
that the start knows it too.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pave_gateway.config import Config
from pave_gateway.core import limits
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.registry import RETIRED, Registry
from pave_gateway.core.registry_differences import Difference, Retirement, differences, retirements, revived
from pave_gateway.records_folder import note, noted
from pave_gateway.store import meta, registry_tables
from pave_gateway.store.errors import JournalError
from pave_gateway.store.reader import JournalReader

_UNKNOWN = (
    "What was decided since is not known here. A device that was retired since is in use again: see"
    " pave-gateway devices list, and retire it: pave-gateway devices retire DEVICE"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A backup beside what is known of the time since.

    Attributes:
        as_of: Of the newest reading or act in the backup, RFC 3339.
        devices_in_use: In it.
        is_complete: All that was decided since is known.
        differences: What the backup has otherwise, in an order in which the next steps can be taken.
        retired: What is known of retirements.
    """

    as_of: str
    devices_in_use: int
    is_complete: bool
    differences: list[Difference]
    retired: list[Retirement]

    def as_json(self) -> dict[str, Any]:
        """Return it for an answer in JSON."""
        return {
            "as_of": self.as_of,
            "devices_in_use": self.devices_in_use,
            "all_is_known": self.is_complete,
            "differences": [asdict(one) for one in self.differences],
        }

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        yield f"The backup is as of {self.as_of}, with {self.devices_in_use} devices in use."
        if self.differences:
            yield "It was otherwise since; once the gateway runs:"
        elif self.is_complete:
            yield "No device was retired, moved, added or flashed anew since."
        for one in self.differences[: limits.DIFFERENCES_TOLD]:
            yield f"- {one.what}"
            yield f"  -> {one.next_step}"
        more = len(self.differences) - limits.DIFFERENCES_TOLD
        if more > 0:
            yield f"- and {more} more"
        if not self.is_complete:
            yield _UNKNOWN


def compare(config: Config, backup: Path) -> Comparison | None:
    """Compare `backup` with the journal that it is to replace, and with the notes in the records folder.

    None if it cannot be read, or is of before there was a registry.
    """
    journal, folder = config.journal.path, config.registry.records_path(config.journal.path)
    try:
        with closing(JournalReader(backup)) as reader:
            old = _registry(reader)
            as_of_ms = reader.read(meta.as_of_ms)
            newest_act = reader.read(registry_tables.acts, old.last_act - 1, 1)
            era = reader.era()
    except JournalError:
        return None
    later: Registry | None = None
    is_complete = False
    with suppress(JournalError), closing(JournalReader(journal)) as reader:  # it may not be there, or not be readable
        if reader.read(registry_tables.acts, old.last_act - 1, 1) == newest_act:
            later = _registry(reader)
            # What was itself restored since does not know what was decided in between.
            is_complete = reader.era() == era and reader.read(meta.text, "copy") is None
    found = [] if later is None else differences(old, later)
    told = {one.device for one in found}
    found += [one for one in revived(old, noted(folder, config.site.id)) if one.device not in told]
    in_use = sum(old.state(row.device) != RETIRED for row in old.devices())
    retired = [] if later is None else list(retirements(later))
    return Comparison(iso_utc(as_of_ms), in_use, is_complete, found, retired)


def note_retired(config: Config, retired: list[Retirement]) -> None:
    """Note retirements in the records folder that it does not have.

    Raises:
        OSError: one cannot be written.
    """
    folder = config.registry.records_path(config.journal.path)
    known = noted(folder, config.site.id)
    note(folder, config.site.id, [one for one in retired if one.device not in known])


def _registry(reader: JournalReader) -> Registry:
    stored = reader.read(registry_tables.load)
    registry = Registry(())
    registry.restore(stored.devices, stored.assignments, stored.last_act)
    return registry
