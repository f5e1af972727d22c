from checks import raised

from pave_wire import region
from pave_wire.errors import RegionError
from pave_wire.region import DutyCycle

WIDE_HZ = 125_000

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


def test_data_rates_are_those_of_the_regional_parameters():
    # RP002-1.0.4, 2.4.3 and 2.4.6: spreading factor, bandwidth, N without and with a repeater
    plan = [
        (12, 125_000, 51, 51),
        (11, 125_000, 51, 51),
        (10, 125_000, 51, 51),
        (9, 125_000, 115, 115),
        (8, 125_000, 242, 222),
        (7, 125_000, 242, 222),
        (7, 250_000, 242, 222),
        (None, 100_000, 242, 222),  # FSK at 50 kbit/s, deviation 25 kHz
    ]
    for data_rate in range(8):
        sf, wide_hz, payload, repeated = plan[data_rate]
        assert sf is None or region.DATA_RATES[data_rate] == (sf, wide_hz)
        assert region.occupied_hz(data_rate) == wide_hz
        assert region.max_payload_bytes(data_rate) == payload
        assert region.max_payload_bytes(data_rate, 0, True) == repeated
    assert len(region.DATA_RATES) == 7 and region.FSK_DATA_RATE == 7
    assert region.max_payload_bytes(0, 15) == 36
    for data_rate in (-1, 8):
        raised(RegionError, region.max_payload_bytes, data_rate)
        raised(RegionError, region.occupied_hz, data_rate)


def test_channels_and_delays_are_those_of_the_regional_parameters():
    # RP002-1.0.4, 2.4
    assert region.DEFAULT_CHANNELS_HZ == (868_100_000, 868_300_000, 868_500_000)
    assert (region.CHANNELS_MAX, region.MAX_EIRP_DBM) == (16, 16)
    assert (region.RX2_FREQUENCY_HZ, region.RX2_DATA_RATE) == (869_525_000, 0)
    assert (region.RECEIVE_DELAY1_MS, region.RECEIVE_DELAY2_MS) == (1000, 2000)
    assert (region.JOIN_ACCEPT_DELAY1_MS, region.JOIN_ACCEPT_DELAY2_MS) == (5000, 6000)
    assert (region.ADR_ACK_LIMIT, region.ADR_ACK_DELAY) == (64, 32)
    assert (region.HOUR_MS, region.GRAIN_MS) == (3_600_000, 120_000)


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


def test_a_channel_lies_in_one_sub_band_with_the_whole_of_its_bandwidth():
    # ETSI EN 300 220-2 V3.2.1, annex B, K to Q: edges, duty cycle in thousandths, ERP in dBm
    bands = [
        (863_000_000, 865_000_000, 1, 14),
        (865_000_000, 868_000_000, 10, 14),
        (868_000_000, 868_600_000, 10, 14),
        (868_700_000, 869_200_000, 1, 14),
        (869_400_000, 869_650_000, 100, 27),
        (869_700_000, 870_000_000, 10, 14),
    ]
    assert list(region.SUB_BANDS) == bands
    for index in range(6):
        for wide_hz in (125_000, 250_000):
            first_hz, last_hz = bands[index][0] + wide_hz // 2, bands[index][1] - wide_hz // 2
            assert region.sub_band(first_hz, wide_hz) == region.sub_band(last_hz, wide_hz) == index
            raised(RegionError, region.sub_band, first_hz - 1, wide_hz)
            raised(RegionError, region.sub_band, last_hz + 1, wide_hz)
    for frequency_hz in (868_650_000, 869_300_000, 862_999_999, 870_000_001):
        raised(RegionError, region.sub_band, frequency_hz, 1000)


def test_the_channel_of_rx2_fits_its_sub_band_exactly_at_250_khz():
    assert region.sub_band(869_525_000, 250_000) == 4
    for frequency_hz, wide_hz in ((869_525_000, 250_001), (869_524_999, 250_000), (869_525_001, 250_000)):
        assert "%d Hz wide" % wide_hz in str(raised(RegionError, region.sub_band, frequency_hz, wide_hz))
    assert region.sub_band(868_525_000, 125_000) == 2  # narrow enough
    raised(RegionError, DutyCycle().next_allowed_ms, 868_525_000, 250_000, 1000, 0)
    raised(RegionError, DutyCycle().record, 868_525_000, 250_000, 1000, 0)


def test_a_full_sub_band_waits_until_what_was_sent_is_an_hour_old():
    duty = DutyCycle()
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 36_000_000, 5000) == 5000
    duty.record(868_100_000, WIDE_HZ, 36_000_000, 5000)  # a whole hour's worth, ends at 41 s: grain 0
    free_ms = region.GRAIN_MS + region.HOUR_MS
    assert duty.next_allowed_ms(868_500_000, WIDE_HZ, 1, 50_000) == free_ms
    assert duty.next_allowed_ms(868_500_000, WIDE_HZ, 1, free_ms - 1) == free_ms
    assert duty.next_allowed_ms(868_500_000, WIDE_HZ, 1, free_ms) == free_ms
    assert duty.state[1] == []


def test_a_frame_counts_with_the_grain_in_which_it_ended():
    duty = DutyCycle()
    duty.record(868_100_000, WIDE_HZ, 36_000_000, region.GRAIN_MS - 10)
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1, 200_000) == 2 * region.GRAIN_MS + region.HOUR_MS


def test_sub_bands_do_not_share_their_time():
    duty = DutyCycle()
    duty.record(868_100_000, WIDE_HZ, 36_000_000, 0)
    for frequency_hz in (867_100_000, 869_525_000, 868_800_000):
        assert duty.next_allowed_ms(frequency_hz, WIDE_HZ, 1_000_000, 60_000) == 60_000


def test_only_as_much_is_waited_for_as_the_next_frame_needs():
    duty = DutyCycle()
    for minute in (0, 10, 20):
        duty.record(868_100_000, WIDE_HZ, 12_000_000, minute * 60_000)
    free_ms = [(minute // 2 * 2 + 2) * 60_000 + region.HOUR_MS for minute in (0, 10, 20)]
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 12_000_000, 1_300_000) == free_ms[0]
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 12_000_001, 1_300_000) == free_ms[1]
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 36_000_000, 1_300_000) == free_ms[2]


def test_a_frame_that_no_hour_allows_is_refused():
    assert "36000001 us" in str(raised(RegionError, DutyCycle().next_allowed_ms, 868_100_000, WIDE_HZ, 36_000_001, 0))
    raised(RegionError, DutyCycle().next_allowed_ms, 868_800_000, WIDE_HZ, 3_600_001, 0)
    raised(RegionError, DutyCycle().record, 868_650_000, WIDE_HZ, 1, 0)


def test_a_limit_set_by_the_network_is_time_off_after_each_frame_in_any_sub_band():
    duty = DutyCycle(max_duty_cycle=10)  # 1/1024
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 2_000_000, 5000) == 5000
    duty.record(868_100_000, WIDE_HZ, 2_000_000, 5000)
    free_ms = 7001 + 1023 * 2000
    for frequency_hz, airtime_us in ((868_100_000, 1), (867_100_000, 1_000_000), (869_525_000, 2_000_000)):
        assert duty.next_allowed_ms(frequency_hz, WIDE_HZ, airtime_us, 8000) == free_ms
        assert duty.next_allowed_ms(frequency_hz, WIDE_HZ, airtime_us, free_ms - 1) == free_ms
        assert duty.next_allowed_ms(frequency_hz, WIDE_HZ, airtime_us, free_ms + 1) == free_ms + 1
    duty.max_duty_cycle = 0
    assert duty.next_allowed_ms(867_100_000, WIDE_HZ, 1, 8000) == 8000
    duty.max_duty_cycle = 1  # off as long as on
    assert duty.next_allowed_ms(867_100_000, WIDE_HZ, 1, 8000) == 9001


def test_the_strictest_limit_of_the_network_delays_the_longest_frame_and_never_refuses_it():
    longest_us = region.frame_time_us(0, 64)  # 51 bytes of payload at DR0
    for exponent in (12, 13, 14, 15):
        duty = DutyCycle(max_duty_cycle=exponent)
        now_ms = 0
        for _ in range(3):
            assert duty.next_allowed_ms(868_100_000, WIDE_HZ, longest_us, now_ms) == now_ms
            duty.record(868_100_000, WIDE_HZ, longest_us, now_ms)
            duty = DutyCycle(duty.state, exponent)
            end_ms = now_ms + -(-longest_us // 1000)
            now_ms = duty.next_allowed_ms(868_100_000, WIDE_HZ, longest_us, end_ms)
            off_us = longest_us * (2**exponent - 1)
            assert off_us <= (now_ms - end_ms) * 1000 <= off_us + 2000


def test_a_short_frame_does_not_end_the_time_off_of_a_long_one():
    duty = DutyCycle(max_duty_cycle=8)
    duty.record(868_100_000, WIDE_HZ, 2_000_000, 0)
    duty.record(868_100_000, WIDE_HZ, 1000, 3000)
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1, 4000) == 2001 + 255 * 2000
    duty.record(868_100_000, WIDE_HZ, 3_000_000, 5000)
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1, 9000) == 8001 + 255 * 3000


def test_a_clock_that_starts_again_begins_the_time_off_anew_and_ends_it():
    old = DutyCycle(max_duty_cycle=10)
    old.record(868_100_000, WIDE_HZ, 2_000_000, 10**10)
    for now_ms in (0, 10**6):
        duty = DutyCycle(old.state, 10)
        free_ms = now_ms + 2001 + 1023 * 2000
        assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1, now_ms) == free_ms
        assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1, free_ms) == free_ms


def test_a_frame_ends_within_a_grain_of_its_start():
    longest_us, late_ms = region.GRAIN_MS * 1000 - 1, region.GRAIN_MS - 1
    for airtime_us in (-1, longest_us + 1):
        for call in (DutyCycle().record, DutyCycle().next_allowed_ms):
            assert "%d us" % airtime_us in str(raised(RegionError, call, 869_525_000, WIDE_HZ, airtime_us, 0))
    duty = DutyCycle()
    assert duty.next_allowed_ms(869_525_000, WIDE_HZ, longest_us, late_ms) == late_ms
    duty.record(869_525_000, WIDE_HZ, longest_us, late_ms)
    duty.next_allowed_ms(869_525_000, WIDE_HZ, 1, late_ms)
    assert duty.state[1] == [(1, 4, longest_us)]


def test_the_state_survives_a_reboot():
    duty = DutyCycle()
    for minute in range(50):
        duty.record(868_100_000, WIDE_HZ, 700_000, minute * 60_000)
        duty.record(869_525_000, WIDE_HZ, 7_000_000, minute * 60_000)
    last, spent = duty.state
    again = DutyCycle([list(last), [list(entry) for entry in spent]])  # as CBOR gives it back
    assert again.state == duty.state and last == (49 * 60_000 + 7001, 7_000_000)
    now_ms = 50 * 60_000
    for airtime_us in (1_000_000, 2_000_000, 30_000_000):
        assert again.next_allowed_ms(868_100_000, WIDE_HZ, airtime_us, now_ms) == duty.next_allowed_ms(
            868_100_000, WIDE_HZ, airtime_us, now_ms
        )
    for spent in ([(0, 6, 1)], [(0, -1, 1)], [(0, 0, -1)]):
        raised(RegionError, DutyCycle, ((0, 0), spent))
    raised(RegionError, DutyCycle, ((0, -1), ()))


def test_a_clock_that_starts_again_closes_a_band_for_an_hour_and_not_for_ever():
    duty = DutyCycle()
    for minute in range(40):
        duty.record(868_100_000, WIDE_HZ, 900_000, 10**10 + minute * 60_000)
    assert duty.next_allowed_ms(868_100_000, WIDE_HZ, 1_000_000, 0) == 2 * region.GRAIN_MS + region.HOUR_MS
    assert len(duty.state[1]) == 1


def test_a_clock_that_starts_again_late_closes_a_band_from_then_on():
    duty = DutyCycle()
    duty.record(868_100_000, WIDE_HZ, 36_000_000, 10**10)
    state, now_ms = duty.state, 10**6  # grain 8
    free_ms = 10 * region.GRAIN_MS + region.HOUR_MS
    assert DutyCycle(state).next_allowed_ms(868_100_000, WIDE_HZ, 1, now_ms) == free_ms
    assert DutyCycle(state).next_allowed_ms(867_100_000, WIDE_HZ, 1, now_ms) == now_ms


def test_a_frame_recorded_first_after_a_restart_adds_to_what_was_sent_before():
    duty = DutyCycle()
    duty.record(868_100_000, WIDE_HZ, 30_000_000, 10**10)
    again = DutyCycle(duty.state)
    again.record(868_100_000, WIDE_HZ, 6_000_000, 10**6)
    assert again.state[1] == [(8, 2, 6_000_000), (9, 2, 30_000_000)]
    assert again.next_allowed_ms(868_100_000, WIDE_HZ, 1, 1_010_000) == 9 * region.GRAIN_MS + region.HOUR_MS
    assert again.next_allowed_ms(868_100_000, WIDE_HZ, 6_000_001, 1_010_000) == 10 * region.GRAIN_MS + region.HOUR_MS


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
            now_ms = duty.next_allowed_ms(frequency_hz, WIDE_HZ, airtime_us, now_ms)
            duty.record(frequency_hz, WIDE_HZ, airtime_us, now_ms)
            duty = DutyCycle(duty.state)
            end_us = now_ms * 1000 + airtime_us
            sent.append((now_ms * 1000, end_us))
            begin_us = end_us - 3_600_000_000
            while sent[0][1] <= begin_us:
                del sent[0]
            inside_us = sum(end for _, end in sent) - sum(max(start, begin_us) for start, _ in sent)
            assert inside_us <= budget_us, (now_ms, inside_us)
            now_ms = -(-end_us // 1000)
        assert len(duty.state[1]) <= 33
        # Asking without pause for an hour and a half gives at least 30 of 32 grains' worth of the allowance.
        start_ms, spent_us = now_ms, 0
        while now_ms < start_ms + 3 * region.HOUR_MS:
            now_ms = duty.next_allowed_ms(frequency_hz, WIDE_HZ, budget_us // 300, now_ms)
            duty.record(frequency_hz, WIDE_HZ, budget_us // 300, now_ms)
            spent_us += budget_us // 300
            now_ms += budget_us // 300_000 + 1
        assert spent_us >= 3 * budget_us * 30 // 32 - budget_us // 10, spent_us
