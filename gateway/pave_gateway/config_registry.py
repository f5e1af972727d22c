"""[registry] of the site file: the key file, and whose provisioning records are believed."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pave_gateway.config_journal import File

_KEY = "64 hexadecimal digits, letters small, as pave-flash shows them"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TechnicianConfig(_Strict):
    """[[registry.technician]]: who may provision devices; `key` as `pave-flash` shows it."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description=_KEY)]


class RegistryConfig(_Strict):
    """[registry]: paths are relative to the current directory.

    `key_file` is `<journal>.keys` beside the journal if not given; `records`, the folder that provisioning records are
    put into, is `records` there.
    """

    key_file: File | None = None
    records: Path | None = None
    technician: tuple[TechnicianConfig, ...] = ()

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
