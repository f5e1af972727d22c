"""The field of one magnetic dipole, in the textbook's form: what vehicles are compared with."""

import math

from pave_emulator.scenario.vehicle import MU0_OVER_4PI_UT, Vector


def dipole_ut(moment_am2: Vector, r_m: Vector) -> Vector:
    """Field in uT of a magnetic dipole at distance vector r: mu0/4pi (3 (m.r) r / r5 - m / r3)."""
    mx, my, mz = moment_am2
    rx, ry, rz = r_m
    r2 = rx * rx + ry * ry + rz * rz
    scale = MU0_OVER_4PI_UT / (r2 * math.sqrt(r2))
    along = 3 * (mx * rx + my * ry + mz * rz) / r2
    return (scale * (along * rx - mx), scale * (along * ry - my), scale * (along * rz - mz))
