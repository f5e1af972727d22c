"""The registry for others: as a list without secrets, or as provisioning records sealed for another gateway."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from pave_gateway.core.instant import iso_utc
from pave_gateway.core.keys_record import PURPOSE, flashed_at, parse
from pave_gateway.core.keys_sealed import Keyring
from pave_gateway.core.registry import Registry
from pave_gateway.provisioning import SUFFIX, seal_record

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out

Entry = dict[str, str]
COLUMNS: tuple[str, ...] = (
    "device", "state", "place", "since", "kind", "board", "firmware", "flashed", "technician", "note", "added",
    "retired",
)  # fmt: skip


def entries(registry: Registry) -> list[Entry]:
    """Return every device, retired ones too, with what `COLUMNS` names; "" where there is nothing to say."""
    return [entry(registry, device.device) for device in registry.devices()]


def as_json(registry: Registry) -> str:
    """Return `entries` and the history of each place, as JSON."""
    history = {place: [asdict(period) for period in registry.history(place)] for place in registry.places}
    return json.dumps({"devices": entries(registry), "places": history}, indent=1, ensure_ascii=False) + "\n"


def as_csv(registry: Registry) -> str:
    """Return `entries` as CSV (RFC 4180) with a header."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for entry in entries(registry):
        writer.writerow({name: f"'{value}" if value.startswith(_FORMULA) else value for name, value in entry.items()})
    return out.getvalue()


def sealed_records(
    sealed: Iterable[tuple[str, bytes]], keyring: Keyring, readers: Sequence[X25519PublicKey]
) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, record) for every device with keys, as the technician signed it, sealed for `readers`.

    Args:
        sealed: (device, sealed keys) as the tables hold them.
        keyring: Opens them.
        readers: Who shall be able to import them.

    Raises:
        KeyringError: one does not open.
    """
    for device, value in sealed:
        content = parse(keyring.open(device, PURPOSE, value))
        yield f"{device}-{content.epoch}{SUFFIX}", seal_record(content, readers)


def entry(registry: Registry, device: str) -> Entry:
    """Return what `COLUMNS` names of a device that the registry has."""
    known = registry.device(device)
    assert known is not None
    standing = registry.standing(device)
    return {
        "device": device,
        "state": registry.state(device) or "",
        "place": "" if standing is None else standing.place,
        "since": "" if standing is None else iso_utc(standing.from_ms),
        "kind": known.kind,
        "board": known.board,
        "firmware": known.firmware,
        "flashed": "" if known.epoch < 0 else flashed_at(known.epoch),
        "technician": known.technician,
        "note": known.note,
        "added": iso_utc(known.added_ms),
        "retired": "" if known.retired_ms is None else iso_utc(known.retired_ms),
    }
