"""The site file's sections on clock and silence."""

from typing import Annotated

from pydantic import Field

from pave_gateway.config_table import Table

Interval = Annotated[int, Field(ge=10, le=604_800)]


class ClockConfig(Table):
    """[clock]: `trusted = true` believes the machine's clock without NTP (a GPS receiver, a battery-backed clock)."""

    trusted: bool = False


class SilenceConfig(Table):
    """[silence]: how often a device that has not reported its own interval is expected to be heard, in seconds."""

    presence_s: Interval = 3600
    kiosk_s: Interval = 600
