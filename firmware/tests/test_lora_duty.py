from app import limits
from app.lora_duty import Airtime
from pave_wire import region

HZ = 868_100_000
SECOND_US = 1_000_000


def allowed(airtime, now_ms, airtime_us=SECOND_US, hz=HZ):
    return airtime.next_allowed_ms(hz, 0, airtime_us, now_ms) == now_ms


def spend(airtime, now_ms, seconds, hz=HZ):
    for _ in range(seconds):
        airtime.record(hz, 0, SECOND_US, now_ms)


def test_a_fresh_device_may_send_36_seconds_less_what_its_clock_may_be_wrong_by():
    airtime = Airtime(None, 0, 0)
    spend(airtime, 0, 33)
    assert allowed(airtime, 1000)
    spend(airtime, 1000, 1)
    assert not allowed(airtime, 2000)
    assert allowed(airtime, 2000, hz=867_100_000)
    assert allowed(airtime, region.HOUR_MS + 2 * region.GRAIN_MS)


def test_the_hour_goes_on_after_deep_sleep():
    airtime = Airtime(None, 0, 0)
    spend(airtime, 0, 34)
    again = Airtime(airtime.state(), airtime.reserved_ms, 60_000)
    assert not allowed(again, 60_000)
    assert allowed(again, region.HOUR_MS + 2 * region.GRAIN_MS)


def test_state_stays_small_and_never_allows_more():
    airtime = Airtime(None, 0, 0)
    for grain in range(29):
        for hz in (HZ, 867_100_000):
            airtime.record(hz, 0, SECOND_US, grain * region.GRAIN_MS)
    now_ms = 29 * region.GRAIN_MS
    state = airtime.state()
    assert len(state) == 16 + 4 * limits.LORA_GRAINS
    again = Airtime(state, airtime.reserved_ms, now_ms)
    for airtime_us in range(SECOND_US, 20 * SECOND_US, SECOND_US):
        before = airtime.next_allowed_ms(HZ, 0, airtime_us, now_ms)
        assert again.next_allowed_ms(HZ, 0, airtime_us, now_ms) >= before


def test_packing_again_and_again_changes_nothing():
    airtime = Airtime(None, 0, 0)
    airtime.record(HZ, 0, 185_344, 5000)
    state = airtime.state()
    for _ in range(5):
        again = Airtime(state, 0, 6000).state()
        assert again == state or len(again) == len(state)
        state = again
    assert Airtime(state, 0, 6000).state() == state


def test_after_a_power_cut_what_was_reserved_counts_as_just_spent():
    airtime = Airtime(None, 0, 0)
    assert airtime.record(HZ, 0, SECOND_US, 0)
    assert airtime.reserved_ms == limits.LORA_AIRTIME_STEP_MS
    assert not airtime.record(HZ, 0, SECOND_US, 1000)
    again = Airtime(None, airtime.reserved_ms, 0)
    assert not allowed(again, 0, 27 * SECOND_US)
    assert allowed(again, 0, 26 * SECOND_US)


def test_a_device_that_forgets_in_every_frame_ends_at_the_limit():
    reserved_ms = frames = 0
    while True:
        airtime = Airtime(None, reserved_ms, 0)
        if not allowed(airtime, 0):
            break
        airtime.record(HZ, 0, SECOND_US, 0)
        reserved_ms = airtime.reserved_ms
        frames += 1
    assert frames == 4 and reserved_ms == 36_000
    assert allowed(Airtime(None, reserved_ms, 0), region.HOUR_MS + 2 * region.GRAIN_MS)


def test_a_duty_cycle_request_delays():
    airtime = Airtime(None, 0, 0)
    airtime.set_max_duty_cycle(4)
    airtime.record(HZ, 0, SECOND_US, 0)
    assert not allowed(airtime, 10_000, hz=867_100_000)
    again = Airtime(airtime.state(), 0, 10_000)
    again.set_max_duty_cycle(4)
    assert not allowed(again, 10_000)
    assert allowed(again, 17_000)
