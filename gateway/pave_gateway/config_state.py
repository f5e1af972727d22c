"""The site file's sections on clock and silence."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Interval = Annotated[int, Field(ge=10, le=604_800)]


class ClockConfig(BaseModel):
    """[clock]: `trusted = true` believes the machine's clock without NTP (a GPS receiver, a battery-backed clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trusted: bool = False


class SilenceConfig(BaseModel):
    """[silence]: how often a device that has not reported its own interval is expected to be heard, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    presence_s: Interval = 3600
    kiosk_s: Interval = 600
