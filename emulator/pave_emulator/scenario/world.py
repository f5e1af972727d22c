"""The world of one site under one scenario: what every board feels, and the truth.

Theory of operation. Nothing is simulated step by step. Each quantity is a function of time, drawn from the scenario's
seed as far as it is asked for; steps of the scenario set some of them from their time on. Time is an argument (seconds,
from 0). A vehicle has stopped at `arrive_s`, has gone at `leave_s`: these two instants are the truth.

A board that was told that its field stays quiet sleeps on it. A step that changes the field breaks that promise: those
in `disturbed` are then called with the bay and the time, to ask again. What was before that time stays what it was.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pave_emulator.air.radio import Radio
from pave_emulator.chips.environment import Echo, Environment, Vector
from pave_emulator.nearest import hint
from pave_emulator.scenario.calendar import Calendar
from pave_emulator.scenario.check import check_places
from pave_emulator.scenario.climate import Climate
from pave_emulator.scenario.events import world_record
from pave_emulator.scenario.field import Neighbour, PlaceField
from pave_emulator.scenario.laying import Laid
from pave_emulator.scenario.model import Scenario, ScenarioError
from pave_emulator.scenario.noise import Noise, key_of, uniform
from pave_emulator.scenario.passers import Lanes, PasserStream
from pave_emulator.scenario.persons import Happening, Kiosk, Persons
from pave_emulator.scenario.radar import Cover, echoes
from pave_emulator.scenario.site import NEIGHBOUR_M, Bay, Row, rows
from pave_emulator.scenario.slow import SlowField, Trains
from pave_emulator.scenario.stays import Stay, Track, stays_beside
from pave_emulator.scenario.street import Change, Street
from pave_emulator.trace import Record

__all__ = ["Bay", "Change", "Happening", "World", "record_of"]

_ANTENNA_M = 3.0  # a vehicle whose middle is farther away takes nothing from an antenna
_KIOSK_OVER_AIR_K = 5.0  # what its own losses warm a closed box


class World:
    """The bays and kiosks of one site under one scenario."""

    def __init__(self, scenario: Scenario, bays: Sequence[Bay], kiosks: Sequence[str] = ()) -> None:
        """Raise ScenarioError when the scenario names what is not there."""
        check_places(scenario, bays, kiosks)
        self.scenario = scenario
        self.disturbed: list[Callable[[str, float], None]] = []
        self.calendar = Calendar(scenario.start)
        self.climate = Climate(scenario.weather, scenario.seed, self.calendar)
        self._street = Street(scenario, bays, self.calendar)
        self._recordings = {recording.bay: recording for recording in scenario.recordings}
        self._fields: dict[str, PlaceField] = {}
        self._noises = {bay.id: Noise(scenario.seed, f"{bay.id}:noise", scenario.noise_ut) for bay in bays}
        self._laid = {bay.id: Laid(scenario.laying, scenario.seed, bay.id) for bay in bays}
        self._kinds = {bay.id: bay.kind for bay in bays}
        self._rows = rows(bays)
        for row in self._rows:
            self._fields |= self._row_fields(row)
        people, seed = scenario.people, scenario.seed
        self._persons = {
            bay.id: Persons(people.on_bay_per_day, seed, bay.id, self.calendar, pressing=False) for bay in bays
        }
        self.kiosks = {place: Kiosk(people.at_kiosk_per_day, seed, place, self.calendar) for place in kiosks}

    # What a board feels

    def environment(self, place: str, radio: Radio | None = None) -> Environment:
        """What the chips of a board at a bay or kiosk feel. Raise KeyError with the nearest name."""
        if place in self.kiosks:
            return Environment(
                temperature_c=lambda now_s: self.climate.air_c(now_s) + _KIOSK_OVER_AIR_K,
                humidity_pct=self.climate.humidity_pct,
                illuminance_lux=self.climate.illuminance_lux,
                radio=radio,
            )

        return Environment(
            field_ut=self.sensor(place),
            field_stays_until_s=functools.partial(self.field_stays_until_s, place),
            temperature_c=self.climate.road_c,
            humidity_pct=self.climate.humidity_pct,
            illuminance_lux=lambda now_s: 0.0,
            echoes=lambda now_s: self.echoes(place, now_s),
            radio=radio,
        )

    def field_ut(self, place: str, now_s: float) -> Vector:
        """Field at a bay's sensor without noise, uT, in its axes: x north, y east, z down where it lies straight."""
        return self._laid[place].seen(self._fields[place].at(now_s), now_s)

    def field_stays_until_s(self, place: str, now_s: float, low_ut: Vector, high_ut: Vector) -> float:
        """See `Environment.field_stays_until_s`."""
        recording = self._recordings.get(place)
        if recording is not None:
            return recording.quiet_until_s(now_s)
        (x, y, z), (a, b, c), noise_ut = low_ut, high_ut, self._noises[place].bound_ut
        low_ut, high_ut = (x + noise_ut, y + noise_ut, z + noise_ut), (a - noise_ut, b - noise_ut, c - noise_ut)
        field, laid = self._fields[place], self._laid[place]
        if laid.straight:
            return field.stays_until_s(now_s, low_ut, high_ut)
        room = laid.room(field.at(now_s), now_s, low_ut, high_ut)
        return now_s if room is None else min(laid.next_s(now_s), field.stays_until_s(now_s, *room))

    def sensor(self, place: str) -> Callable[[float], Vector]:
        """The field at a bay as one sensor measures it, with noise that belongs to the sample's instant."""
        if place not in self._fields:
            raise KeyError(f"no bay {place!r}: {hint(place, self._fields)}")
        if place in self._recordings:
            return self._recordings[place].field_ut
        noise = self._noises[place].at
        field, laid = self._fields[place].at, self._laid[place]

        def measure(now_s: float) -> Vector:
            x, y, z = field(now_s) if laid.straight else laid.seen(field(now_s), now_s)
            a, b, c = noise(now_s)
            return (x + a, y + b, z + c)

        return measure

    def echoes(self, place: str, now_s: float) -> tuple[Echo, ...]:
        """What a radar in the road of a bay sees above itself."""
        stay, _, _ = self._street.tracks[place].at(now_s)
        floor_m, gain_db = None, 0.0
        if stay is not None and self._over_m(place, now_s) < stay.vehicle.reach_m + 0.5:
            floor_m, gain_db = stay.vehicle.clearance_m, self._reflection_db(place, stay, now_s)
        snow_cm, cold = self.climate.snow_cm(now_s), self.climate.air_c(now_s) < 0
        rain_mmph = self.climate.rain_mmph(now_s)
        cover = Cover(self.climate.water_mm(now_s), snow_cm, not cold, self.climate.leaves(now_s))
        drops = random.Random(f"{self.scenario.seed}:{place}:drops:{round(now_s * 1e6)}") if rain_mmph else None
        return echoes(cover, floor_m, self._persons[place].present(now_s), drops, gain_db)

    def _reflection_db(self, place: str, stay: Stay, now_s: float) -> float:
        """How much better a vehicle reflects than others, at this look."""
        spread, key = self.scenario.reflection, key_of(self.scenario.seed, f"{place}:reflection")
        look = 2 * uniform(key, round(now_s * 1e6)) - 1
        return spread.vehicle_db * (2 * uniform(key, -1 - stay.n) - 1) + spread.look_db * look

    def attenuation_db(self, place: str, now_s: float) -> float:
        """What a vehicle over a bay takes from the signal of the antenna below: 10 to 20 dB where it stands."""
        stay, _, _ = self._street.tracks[place].at(now_s)
        if stay is None:
            return 0.0
        share = max(0.0, 1 - max(0.0, self._over_m(place, now_s) - 1.0) / (_ANTENNA_M - 1.0))
        return stay.vehicle.attenuation_db * share

    def _over_m(self, place: str, now_s: float) -> float:
        stay, moves, _ = self._street.tracks[place].at(now_s)
        if stay is None:
            return math.inf
        return math.hypot(*(stay.position_m(now_s) if moves else stay.vehicle.stop_m))

    # What happens

    def advance(self, now_s: float) -> list[Change]:
        """The changes of bays due up to `now_s` that were not given yet, in order of time."""
        return self._street.advance(now_s)

    def next_change_s(self) -> float | None:
        """When the next change of a bay is due; None when nothing will ever change again."""
        return self._street.next_change_s()

    def happenings(self, now_s: float) -> list[Happening]:
        """What has happened at kiosks up to `now_s` and was not given yet, in order of time."""
        return sorted(happening for kiosk in self.kiosks.values() for happening in kiosk.advance(now_s))

    def next_happening_s(self) -> float | None:
        """When to ask for `happenings` next; None at a site without kiosks."""
        return min((kiosk.next_s() for kiosk in self.kiosks.values()), default=None)

    def stop_traffic(self, now_s: float) -> None:
        """From now on no vehicle begins to move; those on the move finish, and their changes are still given."""
        self._street.stop(now_s)
        for field in self._fields.values():
            field.forget()

    # What steps do

    def act(self, action: str, arguments: Mapping[str, Any], now_s: float) -> None:
        """Do one of `steps.WORLD_ACTIONS`. Raise ScenarioError when it cannot be done now."""
        getattr(self, f"_do_{action}")(now_s, **arguments)

    def _do_arrive(self, now_s: float, bay: str, vehicle: str, manoeuvre: str) -> None:
        self._street.arrive(bay, vehicle, manoeuvre, now_s)
        self._disturb(bay, now_s)

    def _do_leave(self, now_s: float, bay: str) -> None:
        self._street.leave(bay, now_s)
        self._disturb(bay, now_s)

    def _do_shift_field(self, now_s: float, bay: str, x_ut: float, y_ut: float, z_ut: float) -> None:
        x, y, z = self._fields[bay].shift_ut.at(now_s)
        self._fields[bay].shift_ut.set(now_s, (x + x_ut, y + y_ut, z + z_ut))
        self._disturb(bay, now_s)

    def _do_turn(self, now_s: float, bay: str, yaw_deg: float, tilt_deg: float) -> None:
        self._laid[bay].turn(now_s, yaw_deg, tilt_deg)
        self._disturb(bay, now_s)

    def _do_temperature(self, now_s: float, c: float) -> None:
        self.climate.set.temperature_c.set(now_s, c)

    def _do_usual_weather(self, now_s: float) -> None:
        override = self.climate.set
        for forced in (override.temperature_c, override.rain_mmph, override.water_mm):
            forced.set(now_s, None)
        override.snow_cm.set(now_s, 0.0)
        override.leaves.set(now_s, False)

    def _do_rain(self, now_s: float, mm_per_h: float) -> None:
        self.climate.set.rain_mmph.set(now_s, mm_per_h)

    def _do_water_film(self, now_s: float, mm: float) -> None:
        self.climate.set.water_mm.set(now_s, mm)

    def _do_snow(self, now_s: float, cm: float) -> None:
        self.climate.set.snow_cm.set(now_s, cm)

    def _do_leaves(self, now_s: float, on: bool) -> None:
        self.climate.set.leaves.set(now_s, on)

    def _do_person(self, now_s: float, place: str, s: float) -> None:
        if place in self.kiosks:
            kiosk = self.kiosks[place]
            kiosk.persons.add(now_s, now_s + s)
            kiosk.plan(Happening(now_s, place, "person"))
            kiosk.plan(Happening(now_s + s, place, "person", False))
        else:
            self._persons[place].add(now_s, now_s + s)

    def _do_press(self, now_s: float, place: str) -> None:
        self._kiosk(place).plan(Happening(now_s, place, "press"))

    def _do_lid(self, now_s: float, place: str, open: bool) -> None:
        self._level(place, "lid", open, now_s)

    def _do_mains(self, now_s: float, place: str, on: bool) -> None:
        self._level(place, "mains", on, now_s)

    def _do_pc(self, now_s: float, place: str, alive: bool) -> None:
        self._level(place, "pc", alive, now_s)

    def _level(self, place: str, of: str, on: bool, now_s: float) -> None:
        kiosk = self._kiosk(place)
        kiosk.levels[of].set(now_s, on)
        kiosk.plan(Happening(now_s, place, "level", on, of))

    def _kiosk(self, place: str) -> Kiosk:
        if place not in self.kiosks:
            raise ScenarioError(f"no kiosk {place!r}: {hint(place, self.kiosks)}")
        return self.kiosks[place]

    def _disturb(self, bay: str, now_s: float) -> None:
        """The field of a bay, and of those beside it, is no longer what was promised."""
        for near in next(row.along_m for row in self._rows if bay in row.along_m):
            self._fields[near].forget()
            for tell in self.disturbed:
                tell(near, now_s)

    # Building

    def _row_fields(self, row: Row) -> dict[str, PlaceField]:
        scenario, seed = self.scenario, self.scenario.seed
        stream = PasserStream(scenario.passers, seed, row.name, self.calendar) if scenario.passers else None
        return {
            bay: PlaceField(
                scenario.earth_field_ut,
                self._neighbours(row, bay),
                row.heading_rad,
                Lanes(stream, along_m, self._street.begins) if stream else None,
                [Trains(line, seed, self.calendar) for line in scenario.metro if bay in line.bays],
                SlowField(scenario.drift, seed, bay, self.climate.road_c),
            )
            for bay, along_m in row.along_m.items()
        }

    def _neighbours(self, row: Row, bay: str) -> list[Neighbour]:
        """The bay itself, then those of its row that are felt on it."""
        found: list[Neighbour] = []
        for other in sorted(row.along_m, key=lambda name: name != bay):
            along_m, across_m = row.along_m[other] - row.along_m[bay], row.across_m[other] - row.across_m[bay]
            if math.hypot(along_m, across_m) < NEIGHBOUR_M:
                found.append(Neighbour(self._street.tracks[other], along_m, across_m))
        for n, beside in enumerate(self.scenario.beside):
            if beside.traffic.kind == self._kinds[bay]:
                source = stays_beside(beside.traffic, self.calendar, f"{self.scenario.seed}:{bay}:beside:{n}")
                found.append(Neighbour(Track(source, self._street.begins), 0.0, beside.across_m))
        return found


def record_of(what: Change | Happening) -> Record:
    """The record of something the world did, for a trace, a director or a checker."""
    if isinstance(what, Change):
        return world_record(what.t_s, "arrives" if what.occupied else "leaves", {"bay": what.bay, "n": what.n})
    of = {"of": what.of} if what.of else {}
    on = {} if what.what == "press" else {"on": what.on}
    return world_record(what.t_s, what.what, {"place": what.place, **of, **on})
