"""`pave-gateway backup` and `restore`: copies of the journal."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pave_gateway import restored
from pave_gateway.cli_common import REFUSED, AsJson, Site, read_site, refuse, show_json
from pave_gateway.config import Config
from pave_gateway.store import backup as copies
from pave_gateway.store.errors import JournalError
from pave_gateway.store.key_file import KeyFileError, load_key_file, missing
from pave_gateway.store.reader import JournalReader
from pave_gateway.store.sealed import SealedIn

_Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]

CONSEQUENCES = (
    "What devices were told since the backup was taken is not in it. So, at the next start:",
    "- a new era begins: the gateway draws another ID, and with it new keys; no nonce is used twice",
    "- every device on IP is asked once to prove that it is fresh (Echo), then goes on as before",
    "- LoRaWAN devices join again, by themselves",
    "- readings acknowledged since the backup are missing here; sinks that had them have them",
)


def backup(
    site: Site,
    file: Annotated[Path, typer.Argument(help="Where to.")],
    force: _Force = False,
    as_json: AsJson = False,
) -> None:
    """Copy the journal to a file, while the gateway runs or not; it appears only whole and checked."""
    config = read_site(site)
    _refuse_own_files(site, config, file)
    try:
        size = copies.backup(config.journal.path, file, force)
    except JournalError as error:
        refuse(str(error), REFUSED)
    key_file = _key_file(config)
    if as_json:
        show_json({"file": str(file), "bytes": size, "key_file": key_file})
        return
    print(f"{file}: {size:,} bytes, checked")
    print(f"It opens with the key file of today alone, which is not in it; keep a copy of that elsewhere: {key_file}")


def restore(
    site: Site,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    force: _Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup the journal; the gateway must not run. With --force the one there is set aside, dated."""
    config = read_site(site)
    journal = config.journal.path
    _refuse_foreign_owner(journal)
    compared = restored.compare(config, file)
    try:
        copies.restore(file, journal, force)
    except JournalError as error:
        refuse(str(error), REFUSED)
    _note_retired(config, compared)
    key_file = _key_file(config)
    is_missing = not Path(key_file).exists()
    lacks = "" if is_missing else _lacks(config)
    if as_json:
        found = {"key_file": key_file, "key_file_missing": is_missing, "key_file_lacks": lacks}
        show_json({"journal": str(journal), **found, "backup": None if compared is None else compared.as_json()})
        return
    print(f"{journal}: restored from {file}")
    print("\n".join(CONSEQUENCES))
    for line in () if compared is None else compared.lines():
        print(line)
    if is_missing:
        print(f"Before you start the gateway, put the copy of the key file back: {key_file}")
    elif lacks:
        print(f"Before you start the gateway: {lacks}")


def _note_retired(config: Config, compared: restored.Comparison | None) -> None:
    """Have the start know what the journal that was set aside knew of retirements."""
    try:
        restored.note_retired(config, [] if compared is None else compared.retired)
    except OSError as error:
        print(f"records folder: {error}; the next start cannot name the devices that were retired", file=sys.stderr)


def _refuse_own_files(site: Path, config: Config, file: Path) -> None:
    """End where a copy would take the place of what it is a copy of, or of what opens it; --force or not."""
    journal, target = config.journal.path.resolve(), file.resolve()
    own = (site, config.registry.key_path(journal), config.registry.public_path(journal))
    is_journals = target.parent == journal.parent and target.name.startswith(journal.name)
    if is_journals or target in [path.resolve() for path in own]:
        refuse(f"{file} belongs to the gateway itself; name a file of its own for the copy", REFUSED)


def _key_file(config: Config) -> str:
    return str(config.registry.key_path(config.journal.path))


def _lacks(config: Config) -> str:
    """Return what the key file needs before it opens the journal that was put back, "" if nothing."""
    path = config.registry.key_path(config.journal.path)
    try:
        with closing(JournalReader(config.journal.path)) as reader:
            return missing(path, load_key_file(path), SealedIn(reader).keys_used())
    except (JournalError, KeyFileError) as error:
        return str(error)


def _refuse_foreign_owner(journal: Path) -> None:
    """End where the restored file would belong to another user than the gateway's."""
    try:
        owner = journal.parent.stat().st_uid
    except OSError:
        return  # `restore` says what is wrong with it, or makes it
    if owner != os.geteuid():
        refuse(f"{journal.parent}: it is of user {owner}, whom the gateway runs as; do this as that user", REFUSED)
