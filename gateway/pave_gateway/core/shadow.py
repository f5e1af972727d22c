"""The shadow: the settings each device is to have (desired), and those it says it has (reported).

People change the desired ones by name, with a version that counts the changes: whoever names the version he has seen
(`if_version`) cannot undo what somebody else did meanwhile. A device on IP fetches the document or observes it; a
device behind LoRaWAN gets in parts what differs from its report, after its uplinks. Its report ends it: what it
reported as desired, or said that it refuses, is not sent again.

    edit -> rows -> committed -> in memory, observers told -> device fetches -> report -> rows -> committed
                                                                                      -> Wi-Fi moves on, same group

Passphrases are sealed before they enter a row, opened only in the bytes that go to their own device, and shown to
nobody. Two edits of one device at a time: the second is refused by the journal (`core.committer.Outdated`).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pave_gateway.core import limits, shadow_sealing, shadow_wifi
from pave_gateway.core.change import Change
from pave_gateway.core.instant import Now
from pave_gateway.core.keys_rows import ResealedRow
from pave_gateway.core.keys_sealed import Keyring
from pave_gateway.core.shadow_rows import DesiredRow, ReportedRow
from pave_gateway.core.shadow_view import Values, View, choices_of, name_of, named
from pave_gateway.core.shadow_wifi import Rotation
from pave_wire import cbor, shadow
from pave_wire.errors import ModelError
from pave_wire.shadow import Document

ETAG_BYTES = 4


class VersionError(Exception):
    """The desired settings have changed since they were read; read them again, then decide again."""


@dataclass(slots=True)
class _Shadow:
    version: int
    desired: Values
    etag: bytes
    reported_version: int
    reported: Values
    refused: tuple[int, ...]
    sends: int = 0  # of parts, since one was taken
    resend_ms: int | None = None


Observer = Callable[[str], None]


class Shadows:
    """The shadows of all devices."""

    def __init__(self, desired: Iterable[DesiredRow], reported: Iterable[ReportedRow], keyring: Keyring) -> None:
        """Take what the journal has."""
        self._keyring = keyring
        self._shadows: dict[str, _Shadow] = {}
        self._observers: list[Observer] = []
        self._report_observers: list[Observer] = []
        for row in desired:
            self._keep_desired(row)
        for row in reported:
            self._keep_reported(row)

    def subscribe(self, observer: Observer) -> None:
        """Call `observer(device)` whenever the desired settings of a device are others, after they are on disk."""
        self._observers.append(observer)

    def subscribe_reports(self, observer: Observer) -> None:
        """Call `observer(device)` whenever a device has reported its settings, after that is on disk."""
        self._report_observers.append(observer)

    def edit(self, device: str, kind: int, changes: Mapping[str, Any], if_version: int | None = None) -> Change:
        """Return the change that gives settings of a device other values; None brings a setting back to its default.

        A choice is given by its text. `wifi` is {"ssid": ..., "key": ...}, which begins a rotation of credentials, or
        None, which cancels one (`core.shadow_wifi`).

        Raises:
            VersionError: `if_version` is not the version of now.
            ModelError: no such setting, or a value out of its range; says which, and what is allowed.
        """
        known = self._of(device)
        if if_version is not None and if_version != known.version:
            raise VersionError(f"version {if_version} was read, it is {known.version} now; read again, then decide")
        values = dict(known.desired)
        for name, value in changes.items():
            self._set(device, kind, known, values, name, value)
        occupied_nt, vacant_nt = values.get(shadow.OCCUPIED_NT), values.get(shadow.VACANT_NT)
        if occupied_nt is not None and vacant_nt is not None and vacant_nt >= occupied_nt:
            raise ModelError(f"vacant_nt is {vacant_nt}; less than occupied_nt, {occupied_nt}")
        values = dict(sorted(values.items()))
        shadow.pack(Document(known.version + 1, values))  # whether it fits in one block
        return self._desire(device, known, values)

    def version(self, device: str) -> int:
        """Return the version of the desired settings, 0 when none were ever set."""
        return self._of(device).version

    def etag(self, device: str) -> bytes:
        """Return what tells one desired document from another, as the hello's answer carries it: 4 bytes."""
        return self._of(device).etag

    def payload(self, device: str, secure: bool) -> bytes:
        """Return the whole desired document for the device itself; `secure` False leaves Wi-Fi out: it is not sealed.

        So does a passphrase that cannot be opened: the device keeps the Wi-Fi it has.
        """
        known = self._of(device)
        values = dict(known.desired)
        wifi = values.pop(shadow.WIFI, None)
        opened = shadow_sealing.opened(self._keyring, device, wifi) if secure else None
        if opened is not None:
            values[shadow.WIFI] = opened
        return shadow.pack(Document(known.version, values))

    def next_part(self, device: str, max_bytes: int, now: Now) -> bytes | None:
        """Return what to tell a device behind LoRaWAN that can be reached now, at most `max_bytes`; None: nothing.

        At growing distances as long as the device takes none.
        """
        known = self._of(device)
        if known.resend_ms is not None and now.monotonic_ms < known.resend_ms:
            return None
        part: Values = {}
        for number in self._differing(known):
            value = known.desired.get(number)
            if number == shadow.WIFI:
                value = shadow_sealing.opened(self._keyring, device, value)
            if number != shadow.WIFI or value is not None:
                longer = {**part, number: value}
                part = longer if len(_part(known.version, longer)) <= max_bytes else part
        if not part:
            return None
        known.resend_ms = now.monotonic_ms + min(limits.RESEND_MAX_MS, limits.SHADOW_RESEND_MS << known.sends)
        known.sends += 1
        return _part(known.version, part)

    def report(self, device: str, kind: int, payload: bytes, now: Now) -> Change:
        """Return the change that follows from what a device says of its settings, whole or in part.

        What it says of settings that are not known here is left out: it may be newer than this gateway.

        Raises:
            CborError, ModelError: it is no such document.
        """
        document = shadow.unpack(payload)
        known = self._of(device)
        reported = dict(known.reported) if document.part else {}
        reported.update({n: _reported(n, v) for n, v in document.values.items() if _is_of(n, kind)})
        reported = {number: value for number, value in sorted(reported.items()) if value is not None}
        refused = {number for number in document.refused if _is_of(number, kind)}
        if document.part and document.version == known.reported_version:
            refused |= set(known.refused) - set(document.values)
        row = ReportedRow(device, document.version, cbor.dumps(reported), cbor.dumps(sorted(refused)), now.ms)
        wifi = shadow_wifi.after_report(known.desired.get(shadow.WIFI), reported.get(shadow.WIFI))
        if wifi is None:
            return Change((row,), lambda: self._keep_reported(row))
        moved = self._desire(device, known, {**known.desired, shadow.WIFI: wifi})

        def apply() -> None:
            self._keep_reported(row)
            moved.apply()

        return Change((row, *moved.rows), apply)

    def resealed(self, row: ResealedRow) -> None:
        """Take settings whose passphrase is on disk under another seal; their device fetches them once more."""
        known = self._of(row.device)
        if known.version == row.number:
            known.desired, known.etag = cbor.loads(row.content), _etag(row.number, row.content)

    def setting(self, device: str, name: str) -> Any:
        """Return the value of a setting as the device last reported it, None where it did not."""
        entry = shadow.find(name)
        return None if entry is None else self._of(device).reported.get(entry[0])

    def view(self, device: str) -> View:
        """Return a device's shadow for people."""
        known = self._of(device)
        wifi, reported_wifi = known.desired.get(shadow.WIFI), known.reported.get(shadow.WIFI)
        return View(
            version=known.version,
            desired=named(known.desired),
            reported=named(known.reported),
            reported_version=known.reported_version,
            differing=[name_of(number) for number in self._differing(known)],
            refused=[name_of(number) for number in known.refused],
            wifi=shadow_wifi.state_of(wifi, reported_wifi),
            wifi_failure=shadow_wifi.failure(reported_wifi),
        )

    def _of(self, device: str) -> _Shadow:
        return self._shadows.get(device) or _Shadow(0, {}, _etag(0, b"\xa0"), 0, {}, ())

    def _set(self, device: str, kind: int, known: _Shadow, values: Values, name: str, value: Any) -> None:
        """Put one setting into `values`, checked, as it travels; a passphrase sealed."""
        entry = shadow.find(name)
        if entry is None or entry[1] != name:
            names = ", ".join(each[1] for each in shadow.SETTINGS if each[2] & kind)
            raise ModelError(f"{name!r} is not a setting; known: {names}")
        number: int = entry[0]
        if number == shadow.WIFI:
            values[number] = self._rotated(device, kind, known, value)
            return
        choices = choices_of(number)
        if choices and value is not None:
            if value not in choices:
                raise ModelError(f"{name} is {value!r}; one of {', '.join(choices)}")
            value = choices.index(value)
        shadow.check(number, kind, value)
        values.pop(number, None)
        if value is not None:
            values[number] = value

    def _rotated(self, device: str, kind: int, known: _Shadow, value: Any) -> shadow_wifi.Wifi:
        desired, reported = known.desired.get(shadow.WIFI), known.reported.get(shadow.WIFI)
        if value is None:
            return shadow_wifi.cancel(desired, reported)
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if sorted(given) != ["key", "ssid"]:
            raise ModelError('wifi is {"ssid": ..., "key": ...}, or null to cancel a rotation')
        wifi = shadow_wifi.begin(desired, reported, given["ssid"], given["key"])
        shadow.check(shadow.WIFI, kind, wifi)
        return shadow_sealing.sealed(self._keyring, device, wifi)

    def _desire(self, device: str, known: _Shadow, values: Values) -> Change:
        values = shadow_sealing.under_newest(self._keyring, device, values)
        row = DesiredRow(device, known.version + 1, cbor.dumps(values))

        def apply() -> None:
            self._keep_desired(row)
            for observer in self._observers:
                observer(device)

        return Change((row,), apply)

    def _differing(self, known: _Shadow) -> list[int]:
        """Return the settings that the device neither has as desired nor refused in this version."""
        refused = known.refused if known.reported_version == known.version else ()
        numbers = [number for number in known.desired if not _is_met(known, number)]
        numbers += [number for number in known.reported if number not in known.desired and number != shadow.WIFI]
        return [number for number in numbers if number not in refused]

    def _keep_desired(self, row: DesiredRow) -> None:
        known = self._shadows.setdefault(row.device, self._of(row.device))
        known.version, known.desired = row.version, cbor.loads(row.values)
        known.etag = _etag(row.version, row.values)
        known.sends, known.resend_ms = 0, None

    def _keep_reported(self, row: ReportedRow) -> None:
        known = self._shadows.setdefault(row.device, self._of(row.device))
        before = (known.reported_version, known.reported, known.refused)
        known.reported_version, known.reported = row.version, cbor.loads(row.values)
        known.refused = tuple(cbor.loads(row.refused))
        if before != (known.reported_version, known.reported, known.refused):  # else it does not take what it is told
            known.sends, known.resend_ms = 0, None
        for observer in self._report_observers:
            observer(row.device)


def _is_met(known: _Shadow, number: int) -> bool:
    if number == shadow.WIFI:
        state = shadow_wifi.state_of(known.desired[number], known.reported.get(number))
        return state not in (Rotation.OFFERED, Rotation.WITHDRAWING)
    return number in known.reported and known.reported[number] == known.desired[number]


def _is_of(number: int, kind: int) -> bool:
    entry = shadow.find(number)
    return entry is not None and bool(entry[2] & kind)


def _reported(number: int, value: Any) -> Any:
    """Return a value that a device reported, checked as far as this gateway can.

    Raises:
        ModelError: not a value of a setting.
    """
    if number == shadow.WIFI:
        return shadow_wifi.reported_wifi(value)
    if isinstance(value, str) and not shadow.is_printable(value):
        raise ModelError(f"{name_of(number)} is reported as {value!r}; a text without control characters")
    if value is not None and not isinstance(value, int | str):
        raise ModelError(f"{name_of(number)} is reported as {type(value).__name__}; an integer or a text")
    return value


def _part(version: int, values: Values) -> bytes:
    return shadow.pack(Document(version, values, part=True))


def _etag(version: int, values: bytes) -> bytes:
    return hashlib.sha256(version.to_bytes(4, "big") + values).digest()[:ETAG_BYTES]
