from presence_bay import CAR, EMPTY, FLOOR, PERSON, Bay, plus

from app import presence_baseline as baseline
from app import presence_judge as judge
from app import presence_radar as radar
from app.presence import BLIND, OCCUPIED, VACANT, Detector

BETWEEN = plus(EMPTY, (20, 15, 15))  # 4.4 uT: a weak vehicle, or somebody beside
BEHIND_FILM = ((200, 4400),)  # a floor through 0.3 mm of water
SNOW = ((70, 2000),)


def test_echoes_are_compared_as_if_from_one_distance():
    for mm, strength_mdb in ((100, 26021), (200, 20000), (400, 13979), (750, 8519)):
        assert abs(radar.level(mm, strength_mdb) - 20000) < 700


def test_the_root_is_the_integer_square_root():
    for value in (0, 1, 2, 3, 4, 99, 100, 120_000, (1 << 40) - 1):
        found = baseline.root(value)
        assert found * found <= value < (found + 1) * (found + 1)


def test_a_person_over_the_sensor_is_no_vehicle_even_beside_a_lorry():
    bay = Bay()
    bay.becomes(BETWEEN, PERSON)
    bay.wait(3600)
    assert bay.said == [VACANT]


def test_a_drop_is_seen_once_at_each_place_and_is_no_floor():
    bay = Bay()
    bay.field, bay.near_edge = BETWEEN, True
    places = [300, 500]

    class Drops(Detector):
        def ranged(self, peaks, near_edge, now_ms):
            super().ranged(((places.pop(), -4000),), near_edge, now_ms)

    detector = Drops(bay.state)
    detector.woken("interrupt", bay.now_ms)
    while detector.next != 2:
        bay.now_ms += 100
        if detector.next == 0:
            detector.sampled(BETWEEN, 15, bay.now_ms)
        else:
            detector.ranged((), True, bay.now_ms)
    assert detector.said == BLIND and places == []


def test_a_floor_behind_a_film_of_rain_is_seen():
    bay = Bay()
    (arrival,) = bay.becomes(BETWEEN, BEHIND_FILM, near_edge=True)
    assert arrival.state == OCCUPIED


def test_a_film_through_which_a_floor_was_seen_hides_none():
    bay = Bay()
    bay.becomes(CAR, BEHIND_FILM, near_edge=True)
    bay.becomes(BETWEEN, (), near_edge=True)
    assert bay.said == [VACANT, OCCUPIED, VACANT]
    bay = Bay()
    bay.becomes(CAR, (), near_edge=True)
    bay.becomes(BETWEEN, (), near_edge=True)
    assert bay.said == [VACANT, OCCUPIED, BLIND]


def test_what_a_film_let_through_is_forgotten_after_an_hour():
    bay = Bay()
    bay.becomes(CAR, BEHIND_FILM, near_edge=True)
    bay.now_ms += (judge.THROUGH_S + 1) * 1000
    bay.becomes(BETWEEN, (), near_edge=True)
    assert bay.said[-1] == BLIND


def test_behind_water_or_snow_an_unclear_field_is_blind_and_not_vacant():
    for peaks, near_edge in (((), True), (SNOW, False)):
        bay = Bay()
        (blind,) = bay.becomes(BETWEEN, peaks, near_edge)
        assert blind.state == BLIND
        assert bay.wait(600) == []
        (seen,) = bay.becomes(plus(BETWEEN, (20, 0, 0)), (), near_edge=False)
        assert seen.state == VACANT


def test_behind_a_cover_a_vehicles_field_is_a_vehicle_and_none_is_an_empty_bay():
    bay = Bay()
    bay.becomes(CAR, (), near_edge=True)
    bay.becomes(EMPTY, (), near_edge=True)
    assert bay.said == [VACANT, OCCUPIED, VACANT]


def test_behind_a_cover_a_quarter_of_what_stood_there_is_an_empty_bay():
    bay = Bay()
    bay.becomes(CAR, FLOOR)
    (departure,) = bay.becomes(plus(EMPTY, (16, 10, 8)), (), near_edge=True)
    assert departure.state == VACANT and departure.confidence < 0.9


def test_a_cover_that_comes_by_itself_changes_nothing():
    bay = Bay()
    bay.becomes(BETWEEN, ())
    bay.near_edge = True
    bay.wait(4 * 3600)
    assert bay.said == [VACANT]


def test_dry_snow_and_leaves_hide_no_floor():
    for peaks in (((70, -8000), (230, 17000)), ((200, 6000),)):
        bay = Bay()
        (arrival,) = bay.becomes(BETWEEN, peaks)
        assert arrival.state == OCCUPIED
    bay = Bay()
    bay.becomes(BETWEEN, ((70, -8000),))
    assert bay.said == [VACANT] and bay.looks == 1


def test_a_sensor_that_starts_behind_a_cover_says_blind_and_learns_nothing():
    bay = Bay()
    bay.state, bay.near_edge, bay.said = None, True, []
    bay.wake("power-on")
    assert bay.said == [BLIND] and not bay.detector.known
    bay.near_edge = False
    bay.wait(3600)
    assert bay.said == [BLIND, VACANT] and bay.detector.known


def test_a_sensor_that_starts_below_a_vehicle_learns_the_baseline_when_it_has_left():
    bay = Bay()
    bay.state, bay.said, bay.field, bay.peaks = None, [], CAR, FLOOR
    bay.wake("power-on")
    assert bay.said == [OCCUPIED] and not bay.detector.known
    bay.becomes(EMPTY, ())
    assert bay.said == [OCCUPIED, VACANT] and bay.detector.known
    (arrival,) = bay.becomes(CAR, FLOOR)
    assert abs(arrival.deviation - 150) < 3


def test_without_an_answer_of_the_radar_the_field_decides_with_hysteresis():
    bay = Bay()
    strong, middle = plus(EMPTY, (60, 0, 0)), plus(EMPTY, (43, 0, 0))
    bay.becomes(middle, None)
    bay.becomes(strong, None)
    assert bay.said == [VACANT, OCCUPIED]
    bay.field = middle
    bay.wake()
    assert bay.said == [VACANT, OCCUPIED] and bay.looks == 1
    bay.becomes(EMPTY, None)
    assert bay.said == [VACANT, OCCUPIED, VACANT]


def test_a_strong_field_without_a_floor_is_looked_at_three_times():
    bay = Bay()
    bay.becomes(plus(EMPTY, (0, 10, 90)), ())
    assert bay.looks == judge.LOOKS and bay.said == [VACANT]


def test_a_doubtful_verdict_is_looked_at_again_soon_and_then_less_and_less_often():
    bay = Bay()
    bay.becomes(BETWEEN, ())
    waits_s = []
    for _ in range(5):
        waits_s.append((bay.detector.until_ms - bay.now_ms) // 1000)
        bay.now_ms = bay.detector.until_ms
        bay.wake("timer")
    assert abs(waits_s[0] - judge.DOUBT_S) < 2 and abs(waits_s[1] - 2 * judge.DOUBT_S) < 2
    assert waits_s[4] < judge.CHECK_S and bay.said == [VACANT]


def test_slow_drift_is_followed_while_the_bay_is_empty_and_not_below_a_vehicle():
    bay = Bay()
    for step in range(60):
        bay.becomes(plus(EMPTY, (2 * step, step, 0)), ())
        bay.wait(2400)
    bay.becomes(plus(CAR, (118, 59, 0)), FLOOR)
    assert abs(bay.detector.stood - 150) < 20
    before = bay.detector.bx
    for _ in range(20):
        bay.field = plus(bay.field, (1, 0, 0))
        bay.wait(2400)
    assert bay.detector.bx == before


def test_a_neighbour_does_not_become_the_baseline_within_the_hour_but_a_plate_does():
    bay = Bay()
    bay.becomes(BETWEEN, ())
    bay.wait(baseline.WORKS_S - 900)
    assert abs(bay.detector.bx - 8 * EMPTY[0]) < 8
    bay.wait(3 * baseline.WORKS_S)
    assert abs(bay.detector.bx - 8 * BETWEEN[0]) < 8


def test_the_slope_of_the_temperature_is_learned_and_bounded():
    for per_k in (1, -1, 5):
        bay = Bay()
        for _ in range(12):
            for celsius in (18, 21, 24, 21, 18, 15):
                bay.celsius = celsius
                bay.field = plus(EMPTY, (per_k * (celsius - 15), 0, 0))
                bay.wait(2400)
        bay.detector.celsius = 35
        warmer = 35 - bay.detector.bt
        learned = (baseline.expected(bay.detector)[0] - bay.detector.bx) // 8
        if abs(per_k) == 1:
            assert abs(learned - per_k * warmer) < warmer // 3 + 1
        else:
            assert learned <= warmer


def test_a_baseline_is_learned_anew_on_command():
    bay = Bay()
    bay.field = BETWEEN
    bay.detector.relearn(bay.now_ms)
    bay.state = bay.detector.state()
    bay.wake("timer")
    assert bay.detector.known and abs(bay.detector.bx - 8 * BETWEEN[0]) < 8 and bay.said == [VACANT]
