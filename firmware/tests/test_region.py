from checks import raised

from pave_wire import region
from pave_wire.errors import RegionError
from pave_wire.region import DutyCycle

# Time on air (us) for an explicit header: (sf, bandwidth, bytes, crc, coding rate, preamble, us)
TIMES = [
    # The Things Network, lorawan-stack, pkg/toa/toa_test.go
    (7, 125_000, 10, True, 1, 8, 41216),
    (8, 125_000, 10, True, 1, 8, 72192),
    (9, 125_000, 10, True, 1, 8, 144384),
    (10, 125_000, 10, True, 1, 8, 288768),
    (11, 125_000, 10, True, 1, 8, 577536),
    (12, 125_000, 10, True, 1, 8, 991232),
    (7, 250_000, 10, True, 1, 8, 20608),
    (7, 500_000, 10, True, 1, 8, 10304),
    (7, 125_000, 10, True, 2, 8, 45312),
    (7, 125_000, 10, True, 3, 8, 49408),
    (7, 125_000, 10, True, 4, 8, 53504),
    (7, 125_000, 13, True, 1, 8, 46336),
    (7, 125_000, 19, True, 1, 8, 51456),
    # avbentem/airtime-calculator, src/lora/Airtime.test.ts
    (7, 125_000, 25, True, 1, 8, 61696),
    (7, 250_000, 25, True, 1, 8, 30848),
    (7, 250_000, 25, True, 4, 8, 43136),
    (8, 125_000, 14, True, 1, 8, 82432),
    (8, 125_000, 25, True, 1, 8, 113152),
    (11, 125_000, 14, True, 1, 8, 659456),
    (11, 125_000, 25, True, 1, 8, 823296),
    # Semtech's SX1261 LoRa Calculator, as recorded in micropython-lib, lora/tests/test_time_on_air.py
    (12, 500_000, 1, True, 1, 8, 206848),
    (12, 500_000, 64, True, 1, 12, 649216),
    (12, 500_000, 1, False, 1, 8, 165888),
    (12, 500_000, 192, True, 1, 8, 1476608),
    (8, 125_000, 1, True, 2, 8, 53760),
    (8, 125_000, 3, True, 2, 8, 66048),
    (8, 125_000, 3, False, 2, 8, 53760),
    (8, 125_000, 253, True, 2, 8, 827904),
    (8, 125_000, 253, False, 2, 8, 827904),
]


def test_time_on_air_is_that_of_three_other_calculators():
    for sf, bandwidth_hz, size, crc, coding_rate, preamble, us in TIMES:
        got = region.time_on_air_us(sf, bandwidth_hz, size, crc, coding_rate, preamble)
        assert got == us, (sf, bandwidth_hz, size, got, us)


def test_a_frames_time_follows_its_data_rate():
    assert region.frame_time_us(5, 24) == region.time_on_air_us(7, 125_000, 24)
    assert region.frame_time_us(0, 16, False) == region.time_on_air_us(12, 125_000, 16, False)
    assert region.frame_time_us(7, 200) == 33760  # FSK: lorawan-stack, pkg/toa/toa_test.go
    for data_rate in (-1, 8):
        assert "DR" in str(raised(RegionError, region.frame_time_us, data_rate, 10))
    for sf, bandwidth_hz in ((6, 125_000), (13, 125_000), (7, 62_500)):
        raised(RegionError, region.time_on_air_us, sf, bandwidth_hz, 10)


def test_payload_sizes_are_those_of_the_regional_parameters():
    # RP002-1.0.4, 2.4.6: N, without and with a repeater
    assert [region.max_payload_bytes(dr) for dr in range(8)] == [51, 51, 51, 115, 242, 242, 242, 242]
    assert [region.max_payload_bytes(dr, 0, True) for dr in range(8)] == [51, 51, 51, 115, 222, 222, 222, 222]
    assert region.max_payload_bytes(0, 15) == 36
    raised(RegionError, region.max_payload_bytes, 8)


def test_rx1_follows_the_uplink_and_its_offset():
    # RP002-1.0.4, 2.4.7; also brocaar/lorawan, band_eu863_870.go
    for uplink, downlinks in [
        (0, [0, 0, 0, 0, 0, 0]),
        (1, [1, 0, 0, 0, 0, 0]),
        (3, [3, 2, 1, 0, 0, 0]),
        (5, [5, 4, 3, 2, 1, 0]),
        (7, [7, 6, 5, 4, 3, 2]),
    ]:
        assert [region.rx1_data_rate(uplink, offset) for offset in range(6)] == downlinks
    raised(RegionError, region.rx1_data_rate, 5, 6)
    assert (region.RX2_FREQUENCY_HZ, region.DATA_RATES[region.RX2_DATA_RATE]) == (869_525_000, (12, 125_000))


def test_power_falls_by_2_db_a_step_from_16_dbm():
    assert [region.eirp_dbm(step) for step in range(8)] == [16, 14, 12, 10, 8, 6, 4, 2]
    raised(RegionError, region.eirp_dbm, 8)


def test_each_frequency_has_the_duty_cycle_of_its_sub_band():
    for frequency_hz, thousandths in [
        (863_000_000, 1),
        (864_900_000, 1),
        (865_000_000, 10),
        (867_900_000, 10),
        (868_100_000, 10),
        (868_500_000, 10),
        (868_800_000, 1),
        (869_525_000, 100),
        (869_850_000, 10),
    ]:
        assert region.SUB_BANDS[region.sub_band(frequency_hz)][2] == thousandths, frequency_hz
    assert region.sub_band(867_900_000) != region.sub_band(868_100_000)
    for frequency_hz in (862_999_999, 868_600_000, 869_300_000, 869_650_000, 870_000_000):
        raised(RegionError, region.sub_band, frequency_hz)


def test_a_full_sub_band_waits_until_what_was_sent_is_an_hour_old():
    duty = DutyCycle()
    assert duty.next_allowed_ms(868_100_000, 36_000_000, 5000) == 5000
    duty.record(868_100_000, 36_000_000, 5000)  # a whole hour's worth, ends at 41 s: grain 0
    free_ms = region.GRAIN_MS + region.HOUR_MS
    assert duty.next_allowed_ms(868_500_000, 1, 50_000) == free_ms
    assert duty.next_allowed_ms(868_500_000, 1, free_ms - 1) == free_ms
    assert duty.next_allowed_ms(868_500_000, 1, free_ms) == free_ms
    assert duty.state == []


def test_a_frame_counts_with_the_grain_in_which_it_ended():
    duty = DutyCycle()
    duty.record(868_100_000, 36_000_000, region.GRAIN_MS - 10)
    assert duty.next_allowed_ms(868_100_000, 1, 200_000) == 2 * region.GRAIN_MS + region.HOUR_MS


def test_sub_bands_do_not_share_their_time():
    duty = DutyCycle()
    duty.record(868_100_000, 36_000_000, 0)
    for frequency_hz in (867_100_000, 869_525_000, 868_800_000):
        assert duty.next_allowed_ms(frequency_hz, 1_000_000, 60_000) == 60_000


def test_only_as_much_is_waited_for_as_the_next_frame_needs():
    duty = DutyCycle()
    for minute in (0, 10, 20):
        duty.record(868_100_000, 12_000_000, minute * 60_000)
    free_ms = [(minute // 2 * 2 + 2) * 60_000 + region.HOUR_MS for minute in (0, 10, 20)]
    assert duty.next_allowed_ms(868_100_000, 12_000_000, 1_300_000) == free_ms[0]
    assert duty.next_allowed_ms(868_100_000, 12_000_001, 1_300_000) == free_ms[1]
    assert duty.next_allowed_ms(868_100_000, 36_000_000, 1_300_000) == free_ms[2]


def test_a_frame_that_no_hour_allows_is_refused():
    assert "36000001 us" in str(raised(RegionError, DutyCycle().next_allowed_ms, 868_100_000, 36_000_001, 0))
    raised(RegionError, DutyCycle().next_allowed_ms, 868_800_000, 3_600_001, 0)
    raised(RegionError, DutyCycle().record, 868_650_000, 1, 0)


def test_a_limit_set_by_the_network_counts_every_sub_band():
    duty = DutyCycle((), 10)  # 1/1024: 3,515,625 us in an hour
    duty.record(868_100_000, 2_000_000, 0)
    duty.record(869_525_000, 1_000_000, 200_000)
    assert duty.next_allowed_ms(867_100_000, 515_625, 300_000) == 300_000
    assert duty.next_allowed_ms(867_100_000, 515_626, 300_000) == region.GRAIN_MS + region.HOUR_MS
    duty.max_duty_cycle = 0
    assert duty.next_allowed_ms(867_100_000, 515_626, 300_000) == 300_000


def test_the_state_survives_a_reboot():
    duty = DutyCycle()
    for minute in range(50):
        duty.record(868_100_000, 700_000, minute * 60_000)
        duty.record(869_525_000, 7_000_000, minute * 60_000)
    again = DutyCycle([list(entry) for entry in duty.state])
    assert again.state == duty.state
    now_ms = 50 * 60_000
    for airtime_us in (1_000_000, 2_000_000, 30_000_000):
        assert again.next_allowed_ms(868_100_000, airtime_us, now_ms) == duty.next_allowed_ms(
            868_100_000, airtime_us, now_ms
        )
    for state in ([(0, 6, 1)], [(0, -1, 1)], [(0, 0, -1)]):
        raised(RegionError, DutyCycle, state)


def test_a_clock_that_starts_again_closes_a_band_for_an_hour_and_not_for_ever():
    duty = DutyCycle()
    for minute in range(40):
        duty.record(868_100_000, 900_000, 10**10 + minute * 60_000)
    assert duty.next_allowed_ms(868_100_000, 1_000_000, 0) == 2 * region.GRAIN_MS + region.HOUR_MS
    assert len(duty.state) == 1


def test_no_hour_ever_holds_more_than_the_law_allows_and_little_is_given_away():
    # Against the law itself: every window that ends with a frame, counted exactly from the list of all frames.
    seed = 20240
    for frequency_hz, thousandths in ((868_100_000, 10), (869_525_000, 100)):
        duty = DutyCycle()
        budget_us = 3_600_000 * thousandths
        sent = []  # (start us, end us)
        now_ms = 0
        for _ in range(400):
            seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
            airtime_us = budget_us // 200 + seed % (budget_us // 50)
            now_ms += seed % 90_000
            now_ms = duty.next_allowed_ms(frequency_hz, airtime_us, now_ms)
            duty.record(frequency_hz, airtime_us, now_ms)
            duty = DutyCycle(duty.state)
            end_us = now_ms * 1000 + airtime_us
            sent.append((now_ms * 1000, end_us))
            begin_us = end_us - 3_600_000_000
            while sent[0][1] <= begin_us:
                del sent[0]
            inside_us = sum(end for _, end in sent) - sum(max(start, begin_us) for start, _ in sent)
            assert inside_us <= budget_us, (now_ms, inside_us)
            now_ms = -(-end_us // 1000)
        assert len(duty.state) <= 33
        # Asking without pause for an hour and a half gives at least 30 of 32 grains' worth of the allowance.
        start_ms, spent_us = now_ms, 0
        while now_ms < start_ms + 3 * region.HOUR_MS:
            now_ms = duty.next_allowed_ms(frequency_hz, budget_us // 300, now_ms)
            duty.record(frequency_hz, budget_us // 300, now_ms)
            spent_us += budget_us // 300
            now_ms += budget_us // 300_000 + 1
        assert spent_us >= 3 * budget_us * 30 // 32 - budget_us // 10, spent_us
