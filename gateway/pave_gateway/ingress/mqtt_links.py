"""What the links of devices behind another's network server are like, kept as for our own (`core.lorawan.links`).

That server does ADR; here it is for people. Nothing is lost with a sample that does not reach the disk.
"""

from collections.abc import Callable, Mapping

from pave_gateway.core import limits
from pave_gateway.core.committer import Committer, CommitterBusy, Outcome
from pave_gateway.core.lorawan.links import Link, Links
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.core.lorawan.radio import Copy, Reception, Uplink
from pave_gateway.ingress.mqtt_events import ExternalFrame


class ExternalLinks:
    """Of all devices."""

    def __init__(self, committer: Committer, later: Callable[[int, Callable[[], None]], None]) -> None:
        """`later` calls a function after so many milliseconds."""
        self._links = Links()
        self._committer = committer
        self._later = later
        self._is_due = False

    def restore(self, links: Mapping[str, str]) -> None:
        """Take up what is on disk: {device: `Link.text`}."""
        self._links.restore(links)

    def of(self, device: str) -> Link:
        """Return the link of `device`, to be read."""
        return self._links.of(device)

    def heard(self, frame: ExternalFrame, state: int, missed: int, received_ms: int) -> None:
        """Take a frame that is on disk, before which `missed` were lost; `state` of the bay as in `Link.heard`."""
        if frame.data_rate is None or not frame.heard:
            return
        reception = Reception(b"", received_ms)
        for heard in frame.heard:
            copy = Uplink(b"", heard.gateway_id, 0, frame.frequency_hz, frame.data_rate, heard.rssi_dbm, heard.snr_db)
            reception.copies.setdefault(heard.gateway_id, Copy(copy, received_ms))
        self._links.changed(frame.device).heard(reception, 0, state, missed, received_ms)
        self._changed()

    def told(self, device: str, status: DeviceStatus, now_ms: int) -> None:
        """Take a DevStatusAns."""
        self._links.changed(device).told(status, now_ms)
        self._changed()

    def write(self) -> None:
        """Hand to the disk what it does not have yet; also when the gateway stops."""
        self._is_due = False
        rows = self._links.rows()
        if rows:
            try:
                self._committer.submit(rows, _nothing)
            except CommitterBusy:
                pass  # the next samples come

    def _changed(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._later(limits.LORAWAN_LINK_FLUSH_MS, self.write)


def _nothing(outcome: Outcome) -> None:
    del outcome
