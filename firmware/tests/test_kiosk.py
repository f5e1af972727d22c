from app import kiosk, kiosk_fan, kiosk_light, limits
from app.kiosk_fan import FanControl
from app.kiosk_light import LightControl
from app.kiosk_pc import PcWatchdog
from app.kiosk_reports import Reports
from pave_wire.reading import class_of

BOOT_MS = limits.KIOSK_PC_BOOT_S * 1000
FIRST_MS = limits.KIOSK_PC_FIRST_BOOT_S * 1000
DAY_MS = 86_400_000


def reports(**values):
    made = Reports()
    made.take("screen-free", 22)
    for name, value in values.items():
        made.take(name, value)
    return made


def test_pauses_double_with_each_failure_up_to_a_limit_and_are_spread_over_a_quarter():
    pauses_s = [kiosk.pause_ms(failures, 0) / 1000 for failures in range(1, 8)]
    assert pauses_s == [2, 4, 8, 16, 30, 30, 30]
    assert kiosk.pause_ms(100_000, 0) == limits.KIOSK_RETRY_MAX_S * 1000
    assert 1.2 * 16_000 < kiosk.pause_ms(4, 1023) <= 1.25 * 16_000


def test_nothing_is_reported_before_the_gateway_has_said_what_is_free():
    made = Reports()
    made.take("temperature", 21.5)
    assert made.due_ms() is None


def test_the_first_report_is_due_at_once_and_the_next_with_a_change_but_not_too_soon():
    made = reports(temperature=21.5)
    assert made.due_ms() <= 0
    assert made.reading(1000) == {"screen-free": 22, "temperature": 21.5, "reason": "boot"}
    made.take("screen-free", 0)
    assert made.due_ms() == 1000 + limits.KIOSK_REPORT_EVERY_S * 1000
    assert made.reading(20_000)["reason"] == "heartbeat"
    assert made.due_ms() == 20_000 + limits.KIOSK_HEARTBEAT_S * 1000


def test_a_measurement_is_reported_once_it_has_left_its_dead_band():
    for name, said, inside, outside in (
        ("temperature", 21.0, 21.5, 22.0), ("humidity", 50, 54, 45), ("illuminance", 1000, 1499, 500),
        ("illuminance", 0, 19, 20), ("fan-rpm", 2000, 1701, 1700),
    ):  # fmt: skip
        made = reports()
        made.take(name, said)
        made.reading(0)
        made.take(name, inside)
        assert made.due_ms() == limits.KIOSK_HEARTBEAT_S * 1000, name
        made.take(name, outside)
        assert made.due_ms() == limits.KIOSK_MEASURED_EVERY_S * 1000, name


def test_tamper_mains_pc_and_faults_are_said_at_once_and_alone():
    made = reports(tamper=False, mains=True)
    made.reading(0)
    made.take("tamper", False)
    assert not made.is_pressing()
    made.take("tamper", True)
    assert made.due_ms() == 0 and made.reading(5) == {"tamper": True}
    made.fault("light", True)
    made.fault("climate", True)
    assert made.reading(5) == {"fault": "climate light"}
    made.fault("light", False)
    made.fault("climate", False)
    assert made.reading(5) == {"fault": "none"}
    assert made.due_ms() == limits.KIOSK_HEARTBEAT_S * 1000


def test_what_is_not_known_any_more_is_not_said():
    made = reports(temperature=21.5)
    made.reading(0)
    made.take("temperature", None)
    assert "temperature" not in made.reading(1)


def test_a_day_without_the_gateway_fits_the_outbox_with_its_alarms():
    made = reports(temperature=20.0, tamper=False)
    count, now_ms = 0, 0
    while now_ms < DAY_MS:
        made.take("temperature", now_ms // 600_000 % 20)
        made.reading(now_ms)
        count += 1
        now_ms = max(now_ms + 1, made.due_ms())
    assert 24 <= count <= limits.KIOSK_OUTBOX_READINGS - 20, count
    made.taken(now_ms)
    assert made.due_ms() - now_ms <= limits.KIOSK_HEARTBEAT_S * 1000


def test_a_change_of_lid_or_mains_is_an_alarm_and_a_sign_of_life_is_none():
    assert class_of({"tamper": True}) == class_of({"mains": False}) == "alarm"
    assert class_of({"tamper": False, "screen-free": 3, "reason": "heartbeat"}) == "health"
    assert class_of({"pc-alive": False}) == class_of({"fault": "fan"}) == "health"


def test_a_pc_that_is_heard_or_merely_starts_keeps_its_power():
    pc = PcWatchdog(0)
    assert not pc.is_due(FIRST_MS - 1) and pc.is_alive is None
    pc.heard(FIRST_MS - 1)
    assert pc.is_alive and not pc.is_due(FIRST_MS)
    assert not pc.is_due(FIRST_MS - 1 + limits.KIOSK_PC_SILENT_S * 1000) and pc.is_alive is False
    assert not pc.is_due(FIRST_MS - 1 + BOOT_MS - 1)
    assert pc.is_due(FIRST_MS - 1 + BOOT_MS)


def test_power_cycles_back_off_and_have_a_limit_a_day():
    pc = PcWatchdog(0)
    pc.heard(0)
    cycled_s = []
    for now_s in range(0, 2 * 86_400, 10):
        if pc.is_due(now_s * 1000):
            pc.cycled(now_s * 1000)
            cycled_s.append(now_s)
    gaps_s = [cycled_s[at] - cycled_s[at - 1] for at in range(1, len(cycled_s))]
    assert gaps_s[:3] == [600, 1200, 2400] and len(cycled_s) == 2 * limits.KIOSK_PC_CYCLES_A_DAY, gaps_s
    assert pc.cycles == len(cycled_s)
    pc.heard(0)
    assert not pc.is_due(BOOT_MS - 1)


def test_people_may_cycle_the_power_whenever_they_like():
    pc = PcWatchdog(0)
    for _ in range(10):
        pc.cycled(0, commanded=True)
    assert pc.cycles == 10 and pc.is_due(BOOT_MS)


def test_the_fan_follows_the_temperature_and_does_not_hunt():
    fan = FanControl()
    for celsius, percent in (
        (None, kiosk_fan.SAFE_PERCENT), (20.0, 0), (31.0, 0), (33.0, 30), (31.0, 30), (29.5, 0), (48.0, 100),
        (40.5, 65), (40.0, 65), (60.0, 100),
    ):  # fmt: skip
        fan.update(celsius, 1500, 0)
        assert fan.percent == percent, celsius


def test_a_fan_that_does_not_turn_is_a_fault_until_it_turns():
    fan = FanControl()
    for now_s, rpm, stalled in ((0, 1000, 0), (30, 0, 0), (60, 0, 0), (90, 0, 1), (120, 300, 0)):
        fan.update(35.0, rpm, now_s * 1000)
        assert fan.is_stalled == bool(stalled), now_s
        assert fan.percent == 100 or not stalled
    fan.update(20.0, 0, 0)
    fan.update(20.0, 0, 10_000_000)
    assert not fan.is_stalled, "it is off"


def test_brightness_follows_the_light_between_night_and_day():
    light = LightControl(80, 16)
    light.update(None, 0)
    assert light.target_percent == 80
    found = []
    for lux in (5000, 2000, 640, 160, 40, 10):
        light.update(lux, 0)
        found.append(light.target_percent)
    assert found == sorted(found, reverse=True) and found[0] == 80 and found[-1] == 16, found


def test_it_is_night_only_after_a_while_and_headlights_do_not_end_it():
    light = LightControl(80, 15)
    light.update(2, 0)
    light.update(2, kiosk_light.DWELL_MS - 1)
    assert not light.is_night
    light.update(2, kiosk_light.DWELL_MS)
    assert light.is_night and light.target_percent == 15
    light.update(500, kiosk_light.DWELL_MS + 1000)
    light.update(2, kiosk_light.DWELL_MS + 2000)
    light.update(500, 3 * kiosk_light.DWELL_MS)
    assert light.is_night
    light.update(500, 4 * kiosk_light.DWELL_MS)
    assert not light.is_night


def test_brightness_changes_in_small_steps():
    light = LightControl(81, 15)
    seen = [light.percent]
    while light.step() is not None:
        seen.append(light.percent)
    seen.append(light.percent)
    steps = [seen[at] - seen[at - 1] for at in range(1, len(seen))]
    assert seen[-1] == 81 and 0 < max(steps) <= kiosk_light.STEP_PERCENT
