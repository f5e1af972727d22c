"""What a scenario file says, checked: plain values, without the world that they make."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from pave_emulator.scenario.calendar import DEFAULT_START
from pave_emulator.scenario.devices import DeviceEntry
from pave_emulator.scenario.motion import MANOEUVRES
from pave_emulator.scenario.properties import Property
from pave_emulator.scenario.recording import Recording
from pave_emulator.scenario.steps import Step

Vector = tuple[float, float, float]
Range = tuple[float, float]
NO_FIELD: Vector = (0.0, 0.0, 0.0)


class ScenarioError(ValueError):
    """`file:line: what was wrong: the nearest valid key`."""


@dataclass(frozen=True)
class Traffic:
    """Random traffic on the bays of one kind; means of exponential times, neither below `min_s` (seconds).

    Attributes:
        kind: of the bays.
        gap_s: mean time free, in seconds of mean traffic: longer at night where the profile says so.
        stay_s: mean stay.
        min_s: no gap and no stay is shorter.
        profile: one of `calendar.PROFILES`.
        manoeuvres: name and share of each, of `motion.MANOEUVRES`.
        vehicles: name and share of each, of `vehicle.KINDS`.
        from_s: no first gap begins before.
        off_m: how much farther along the street than usual drivers stop, to either side; two bays may be straddled.
        where: file and line, for errors; empty where there is no file.
    """

    kind: str
    gap_s: float
    stay_s: float
    min_s: float
    profile: str = "flat"
    manoeuvres: tuple[tuple[str, float], ...] = (("quick", 1.0),)
    vehicles: tuple[tuple[str, float], ...] = (("car", 1.0),)
    from_s: float = 0.0
    off_m: Range = (0.0, 0.0)
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Beside:
    """Vehicles that stop next to the bays of one kind and never on them: in the lane, or on a place across the kerb.

    Attributes:
        traffic: when and what.
        across_m: how far to the right of the bay's middle theirs is; negative is to the left.
    """

    traffic: Traffic
    across_m: float


@dataclass(frozen=True)
class Visit:
    """A vehicle that has stopped on a bay at `arrive_s` and has gone at `leave_s` (world time; infinity: never)."""

    bay: str
    arrive_s: float
    leave_s: float = math.inf
    vehicle: str = "car"
    manoeuvre: str = "quick"
    where: str = field(default="", compare=False)

    @property
    def moving_s(self) -> float:
        """How much of the stay it takes to leave; a stay is no shorter than that and its arrival together."""
        way = MANOEUVRES[self.manoeuvre]
        return way.in_s + way.out_s


@dataclass(frozen=True)
class Passers:
    """Vehicles that pass by in the lanes beside the bays.

    Attributes:
        per_day: past one bay on a weekday.
        lane_m: how far across from a sensor their middle is.
        speed_mps: their speed.
        vehicles: name and share of each, of `vehicle.KINDS`.
        profile: one of `calendar.PROFILES`.
    """

    per_day: float
    lane_m: Range = (2.4, 5.5)
    speed_mps: Range = (4.0, 13.0)
    vehicles: tuple[tuple[str, float], ...] = (("car", 0.75), ("van", 0.12), ("two-wheeler", 0.07), ("truck", 0.06))
    profile: str = "street"


@dataclass(frozen=True)
class Metro:
    """A line under some bays: each train that draws its current there gives one slow swell of the field.

    Attributes:
        line: its name.
        bays: where it is felt.
        field_ut: peak of a mean train, per axis.
        headway_s: between trains, both directions together.
        swell_s: how long one lasts.
        hours: local hours of first and last train; past 24 is after midnight.
    """

    line: str
    bays: tuple[str, ...]
    field_ut: Vector
    headway_s: float
    swell_s: float = 40.0
    hours: Range = (5.5, 25.0)
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Drift:
    """Slow changes of what a sensor feels with nothing there: of the sensor with temperature, of its ground with time.

    Attributes:
        temperature_ut_per_k: size of a sensor's temperature coefficient on an axis, drawn up to this.
        wander_ut: how far the field at rest wanders from its mean.
        days: in which time it wanders that far.
        hard_iron_ut: constant field of what the sensor is built into, drawn up to this on an axis.
    """

    temperature_ut_per_k: float = 0.0
    wander_ut: float = 0.0
    days: float = 5.0
    hard_iron_ut: float = 0.0


@dataclass(frozen=True)
class Weather:
    """Climate of the place. Temperatures in degrees Celsius.

    Attributes:
        mean_c: mean of the year.
        seasonal_c: how much warmer than that July is.
        daily_c: how much warmer than its mean a clear afternoon is.
        asphalt_c: how much warmer than the air the road is below a high clear sun.
        rain_days_per_month: days with a spell of rain.
        latitude_deg: for the sun.
    """

    mean_c: float = 15.0
    seasonal_c: float = 0.0
    daily_c: float = 0.0
    asphalt_c: float = 0.0
    rain_days_per_month: float = 0.0
    latitude_deg: float = 48.84


@dataclass(frozen=True)
class Laying:
    """How sensors were laid into the road: turned by any angle if `any_yaw`, and tilted by up to `tilt_deg`."""

    any_yaw: bool = False
    tilt_deg: float = 0.0


@dataclass(frozen=True)
class Reflection:
    """How much radar echoes of vehicles differ: from one to the next (dB to either side), and from look to look."""

    vehicle_db: float = 0.0
    look_db: float = 0.0


@dataclass(frozen=True)
class People:
    """Persons a weekday: who come to a kiosk and press its button now and then, who stand on a bay for a while."""

    at_kiosk_per_day: float = 0.0
    on_bay_per_day: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """A checked scenario file. A bay with scripted visits, or steps that make vehicles come, has no random traffic."""

    name: str
    seed: int
    earth_field_ut: Vector
    noise_ut: float
    traffic: tuple[Traffic, ...] = ()
    visits: tuple[Visit, ...] = ()
    start: datetime = DEFAULT_START
    passers: Passers | None = None
    metro: tuple[Metro, ...] = ()
    drift: Drift = field(default_factory=Drift)
    weather: Weather = field(default_factory=Weather)
    people: People = field(default_factory=People)
    beside: tuple[Beside, ...] = ()
    laying: Laying = field(default_factory=Laying)
    reflection: Reflection = field(default_factory=Reflection)
    recordings: tuple[Recording, ...] = ()
    devices: tuple[DeviceEntry, ...] = ()
    steps: tuple[Step, ...] = ()
    properties: tuple[Property, ...] = ()
