"""A journal with secrets of every kind, and whether they open; for the tests of the sealing key's rotation."""

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from registry_support import content, signed

from pave_gateway.core.change import submit
from pave_gateway.core.committer import Row
from pave_gateway.core.keys_record import PURPOSE
from pave_gateway.core.keys_rotation import PARTS, Rotation
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.lorawan import sessions
from pave_gateway.core.lorawan.rows import JoinRow, LoraSessionRow
from pave_gateway.core.registry_rows import KeyRow
from pave_gateway.core.shadow_rows import DesiredRow
from pave_gateway.core.shadow_sealing import PURPOSE as WIFI
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.key_file import add_sealing_key, drop_sealing_keys, load_key_file, open_key_file
from pave_gateway.store.sealed import SealedIn
from pave_wire import cbor, shadow

NOW_MS = 1_795_000_000_000
JOURNAL = "journal.sqlite"
KEYS = "journal.sqlite.keys"
Secrets = dict[tuple[str, str, int], bytes]


def eui(number: int) -> str:
    return f"24a160fffe{number:06x}"


def settings(keyring: AesKeyring, device: str, version: int, passphrase: str | None) -> DesiredRow:
    """Return desired settings as the shadow writes them."""
    values: dict[int, Any] = {2: 1}  # led
    if passphrase is not None:
        values[shadow.WIFI] = {0: 1, 1: "Bercy", 2: keyring.seal(device, WIFI, passphrase.encode()), 3: True}
    return DesiredRow(device, version, cbor.dumps(values))


def session(keyring: AesKeyring, device: str, number: int, era: int) -> list[Row]:
    """Return what a join writes."""
    sealed = keyring.seal(device, sessions.PURPOSE, bytes([number]) * 32)
    return [JoinRow(device, "root", number, number), LoraSessionRow(device, number, number, sealed, "{}", 64, era)]


def made(folder: Path, devices: int) -> Path:
    """Make a key file, and a journal with the keys of `devices` devices, settings of half of them, and sessions."""
    keyring = open_key_file(folder / KEYS, "lab", [], NOW_MS, random.Random(1).randbytes).keyring()
    with closing(Journal(folder / JOURNAL)) as journal:
        for number in range(devices):
            device = eui(number)
            record = signed(content(device))
            rows: list[Row] = [KeyRow(device, keyring.seal(device, PURPOSE, record))]
            if number % 2:
                rows.append(settings(keyring, device, 1, f"correct horse {number}" if number % 4 == 1 else None))
            else:
                rows += session(keyring, device, 1 + number % 200, number % 3)
            journal.write([rows])
    return folder


def opened(folder: Path) -> Secrets:
    """Return all secrets, as the key file opens them; raises KeyringError if it does not open one."""
    keyring = load_key_file(folder / KEYS).keyring()
    found: Secrets = {}
    with closing(JournalReader(folder / JOURNAL)) as reader:
        for part in PARTS:
            for row in SealedIn(reader).rows(part, "", -1, 1_000_000):
                sealed = part.find(row.content)
                if sealed is not None:
                    found[part.name, row.device, row.number] = keyring.open(row.device, part.purpose, sealed)
    return found


def used(folder: Path) -> list[str]:
    """Return the ids of the keys that something is sealed under."""
    with closing(JournalReader(folder / JOURNAL)) as reader:
        return sorted(key.hex() for key in SealedIn(reader).keys_used())


def sealing(folder: Path) -> list[str]:
    """Return the ids of the sealing keys in the key file."""
    return [key.id.hex() for key in load_key_file(folder / KEYS).sealing]


def rotate(folder: Path, between: Callable[[Journal, Rotation], None] = lambda journal, rotation: None) -> Rotation:
    """Rotate as the gateway does, without one; `between` is called before each step."""
    path, source = folder / KEYS, random.Random(2)
    file = add_sealing_key(path, load_key_file(path), NOW_MS, source.randbytes)
    with closing(Journal(folder / JOURNAL)) as journal, closing(JournalReader(folder / JOURNAL)) as reader:
        rotation = Rotation(SealedIn(reader), file.keyring(source.randbytes), lambda row: None)
        committer = InlineCommitter(journal)
        while not rotation.is_over:
            between(journal, rotation)
            change = rotation.step()
            if change.rows:
                submit(committer, change, lambda outcome: None)
            else:
                change.apply()
    drop_sealing_keys(path, file, rotation.held, NOW_MS + 1000)
    return rotation
