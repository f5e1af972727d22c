"""What one look of the radar in the road shows.

Theory of operation. The echo of a wide reflector falls with the square of its distance, so echoes are compared as if
they came from 0.2 m (`level`). There a car's floor gives about 20 dB, some dB more or less from one to the next, and a
person 16 less: legs scatter and shoes are small. FLOOR_MDB lies between. Water takes 26 dB a millimetre one way
(permittivity 10.9 - j19.7 at 60 GHz, 20 degrees: Liebe, Hufford, Manabe 1991) and shows as an echo nearer than can be
measured. Behind the 0.3 mm that rain leaves on a flat lid a floor is 16 dB weaker, still above FILM_MDB. Leaves take
8 dB both ways and are not seen themselves; slush more. So a single echo in between is a floor if a second look shows it
at the same distance, which neither drops nor feet do, and the field has changed. A weak echo no farther than SNOW_MM
with nothing as strong behind it is the surface of snow; dry snow gives less than SNOW_MDB and hides nothing.
"""

from micropython import const

FLOOR, NOTHING, COVERED, SILENT, FAINT = const(0), const(1), const(2), const(3), const(4)
FLOOR_MDB = const(9000)
LEAVES_MDB = const(3500)
FILM_MDB = const(-8000)
SLUSH_MDB = const(-6000)
SNOW_MDB = const(-12000)
ALONE_MDB = const(8000)  # how much stronger than the next an echo must be to be the only one
LOWEST_MM = const(140)  # no floor is lower: 0.12 m over the road, and the lid
SNOW_MM = const(250)


def look(peaks, near_edge):
    """Return what a look shows, and how far away its strongest echo is (mm)."""
    if peaks is None:
        return SILENT, 0
    best = second = -99000
    at_mm = 0
    for mm, strength_mdb in peaks:
        mdb = level(mm, strength_mdb)
        if mdb > best:
            best, second, at_mm = mdb, best, mm
        elif mdb > second:
            second = mdb
    if best >= FLOOR_MDB:
        return FLOOR, at_mm
    alone = best - second >= ALONE_MDB
    if near_edge:
        return (FAINT if alone and at_mm >= LOWEST_MM and best >= FILM_MDB else COVERED), at_mm
    if alone and best >= (LEAVES_MDB if at_mm <= SNOW_MM else SLUSH_MDB) and at_mm >= LOWEST_MM:
        return FAINT, at_mm
    if alone and best >= SNOW_MDB and at_mm <= SNOW_MM:
        return COVERED, at_mm
    return NOTHING, at_mm


def level(mm, strength_mdb):
    """Return what strength (dB/1000) the echo would have at 0.2 m; log2 by chords, 0.5 dB low at most."""
    octave_mm = 200
    while mm >= 2 * octave_mm:
        octave_mm *= 2
        strength_mdb += 6021
    while mm < octave_mm and octave_mm > 25:
        octave_mm //= 2
        strength_mdb -= 6021
    return strength_mdb + 6021 * (mm - octave_mm) // octave_mm
