"""What goes to the disk in its own time: time on air within a second, what links are like within minutes."""

from collections.abc import Sequence

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Committer, CommitterBusy, Outcome, Row
from pave_gateway.core.lorawan.concentrators import Concentrators
from pave_gateway.core.lorawan.links import Links
from pave_gateway.core.lorawan.timers import Timers


class Housekeeping:
    """Writes what nobody waits for."""

    def __init__(self, committer: Committer, concentrators: Concentrators, links: Links, timers: Timers) -> None:
        """All of them are the network server's."""
        self._committer = committer
        self._concentrators = concentrators
        self._links = links
        self._timers = timers
        self._airtime_due = False
        self._links_due = False

    def frame_was_sent(self, now_ms: int) -> None:
        """See to it that the time on air is written."""
        if not self._airtime_due:
            self._airtime_due = True
            self._timers.at(now_ms + limits.LORAWAN_AIRTIME_FLUSH_MS, self._write_airtime)

    def link_changed(self, now_ms: int) -> None:
        """See to it that links are written."""
        if not self._links_due:
            self._links_due = True
            self._timers.at(now_ms + limits.LORAWAN_LINK_FLUSH_MS, self._write_links)

    def write(self, rows: Sequence[Row]) -> None:
        """Hand `rows` to the disk."""
        try:
            self._committer.submit(rows, self._written)
        except CommitterBusy:
            self._concentrators.write_all()

    def close(self) -> None:
        """Write what there is: the gateway stops."""
        rows = [*self._concentrators.rows(), *self._links.rows()]
        if rows:
            self.write(rows)

    def _write_airtime(self, now_ms: int) -> None:
        self._airtime_due = False
        rows = self._concentrators.rows()
        if rows:
            self.write(rows)

    def _write_links(self, now_ms: int) -> None:
        self._links_due = False
        rows = self._links.rows()
        if rows:
            self.write(rows)

    def _written(self, outcome: Outcome) -> None:
        """Time on air that did not reach the disk goes there with the next; a link's samples may be lost."""
        if not isinstance(outcome, Committed):
            self._concentrators.write_all()
