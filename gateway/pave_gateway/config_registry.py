"""[registry] of the site file: the key file, and whose provisioning records are believed."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from pave_gateway.config_table import File, Folder, Table, Text
from pave_gateway.core.weak_keys import is_small_order

_KEY = "64 hexadecimal digits, letters small, as pave-flash shows them"


def _public_key(text: str) -> str:
    if is_small_order(bytes.fromhex(text)):
        raise ValueError("write the key that pave-flash shows: anybody can sign under this one, a point of small order")
    return text


class TechnicianConfig(Table):
    """[[registry.technician]]: who may provision devices; `key` as `pave-flash` shows it."""

    name: Text
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description=_KEY), AfterValidator(_public_key)]


class RegistryConfig(Table):
    """[registry]: paths are relative to the current directory.

    `key_file` is `<journal>.keys` beside the journal if not given; `records`, the folder that provisioning records are
    put into, is `records` there.
    """

    key_file: File | None = None
    records: Folder | None = None
    technician: Annotated[tuple[TechnicianConfig, ...], Field(strict=False)] = ()

    def key_path(self, journal: Path) -> Path:
        """Return where the key file is for this journal."""
        return self.key_file if self.key_file is not None else journal.with_name(journal.name + ".keys")

    def records_path(self, journal: Path) -> Path:
        """Return where provisioning records are looked for."""
        return self.records if self.records is not None else journal.with_name("records")

    def public_path(self, journal: Path) -> Path:
        """Return where the gateway leaves what technicians need: its public key and its ID."""
        return journal.with_name("gateway.json")

    def technicians(self) -> dict[str, str]:
        """Return the name of each public key."""
        return {technician.key: technician.name for technician in self.technician}
