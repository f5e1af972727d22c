"""[journal] of the site file."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from pave_gateway.config_table import File, Table
from pave_gateway.store import retention

Days = Annotated[int, Field(ge=1, le=36_500)]


class TtlDaysConfig(Table):
    """[journal.ttl_days]: how long a reading is kept once every sink has it, by its class."""

    alarm: Days = retention.TTL_DAYS["alarm"]
    presence: Days = retention.TTL_DAYS["presence"]
    health: Days = retention.TTL_DAYS["health"]
    diagnostics: Days = retention.TTL_DAYS["diagnostics"]


class JournalConfig(Table):
    """[journal]: where it is, how long a commit waits for company, what may be used of the disk.

    `path` is relative to the current directory. At the cap `at_cap` decides, see `store.retention`.
    """

    path: File
    commit_interval_ms: Annotated[int, Field(ge=0, le=2000)] = 200
    disk_cap_mb: Annotated[int, Field(ge=64, le=100_000_000)] = retention.CAP_BYTES // 1_000_000
    at_cap: Literal["keep-newest", "keep-oldest", "refuse"] = retention.REFUSE
    ttl_days: TtlDaysConfig = TtlDaysConfig()

    def policy(self, sinks: Sequence[str]) -> retention.Policy:
        """Return what to keep; `sinks` are the names of those that are configured."""
        return retention.Policy(self.ttl_days.model_dump(), self.disk_cap_mb * 1_000_000, self.at_cap, tuple(sinks))
