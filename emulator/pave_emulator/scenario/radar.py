"""What a 60 GHz radar in the road sees above itself: a vehicle's floor, a person, and what lies on its lid.

Theory of operation. Strengths are in dB of the XM125's own scale, where a car's floor at 20 cm is taken for 20 dB and
free air for nothing; they fall with the square of distance, as over an extended reflector. Water takes most: at 60 GHz
and 20 degrees its permittivity is 10.9 - j19.7 (Liebe, Hufford, Manabe, Int. J. Infrared Millimeter Waves 12, 1991):
26 dB a millimetre one way, and half of what arrives is reflected. Wet snow holds some percent of water by volume; dry
leaves are thin. An echo behind a film is weaker by twice the film's loss; below FLOOR_DB it is not given at all, so a
drenched sensor sees its own lid and nothing else.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from pave_emulator.chips.environment import Echo

FLOOR_DB = -30.0
LID_M = 0.03
FLOOR_OF_CAR_DB, REFERENCE_M = 20.0, 0.2
PERSON_DB, PERSON_M = 4.0, (0.1, 0.5)  # soles, knees
WATER_DB_PER_MM = 26.0
SNOW_WATER = 0.04  # liquid water by volume in wet snow
DRY_SNOW_DB_PER_CM = 0.1
LEAVES_DB = 4.0
DROP_DB = -12.0


@dataclass(frozen=True)
class Cover:
    """What lies on the lid: mm of water, cm of snow at a temperature, leaves."""

    water_mm: float = 0.0
    snow_cm: float = 0.0
    snow_wet: bool = False
    leaves: bool = False

    @property
    def loss_db(self) -> float:
        """What it takes from a signal that passes once."""
        water_mm = self.water_mm + (self.snow_cm * 10 * SNOW_WATER if self.snow_wet else 0.0)
        dry_db = self.snow_cm * DRY_SNOW_DB_PER_CM
        return water_mm * WATER_DB_PER_MM + dry_db + (LEAVES_DB if self.leaves else 0.0)


def echoes(
    cover: Cover, floor_m: float | None, person: bool, drops: random.Random | None, floor_gain_db: float = 0.0
) -> tuple[Echo, ...]:
    """What is seen, nearest first. `floor_m` is how far above the road a vehicle's floor is, None
    without one, and `floor_gain_db` how much better it reflects than others; `drops` is where a drop in the air may
    be, None when it does not rain.
    """
    found: list[Echo] = []
    if cover.water_mm > 0.01:
        found.append(Echo(LID_M, FLOOR_OF_CAR_DB - 3.2))
    if cover.snow_cm > 0:
        found.append(Echo(LID_M + cover.snow_cm / 100, 2.0 if cover.snow_wet else -8.0))
    if cover.leaves:
        found.append(Echo(LID_M + 0.01, -4.0))
    behind_db = 2 * cover.loss_db
    if floor_m is not None:
        at_m = LID_M + floor_m
        found.append(Echo(at_m, FLOOR_OF_CAR_DB + floor_gain_db - _spread_db(at_m) - behind_db))
    elif person:
        found += [Echo(LID_M + at_m, PERSON_DB - _spread_db(LID_M + at_m) - behind_db) for at_m in PERSON_M]
    elif drops is not None:
        at_m = drops.uniform(0.1, 0.8)
        found.append(Echo(at_m, DROP_DB - behind_db + drops.uniform(-3, 3)))
    return tuple(sorted((echo for echo in found if echo.strength_db > FLOOR_DB), key=lambda echo: echo.distance_m))


def _spread_db(distance_m: float) -> float:
    return 20 * math.log10(distance_m / REFERENCE_M)
