"""LoRa arithmetic against figures of others: time on air, path loss, noise, limits, isolation."""

import math

import pytest

from pave_emulator.air.airtime import airtime, needs_low_data_rate, time_on_air_s
from pave_emulator.air.interference import CAPTURE_DB, in_band_db, required_sir_db
from pave_emulator.air.propagation import (
    SNR_LIMIT_DB,
    PathLoss,
    header_success,
    noise_floor_dbm,
    normal,
    payload_success,
    sum_dbm,
    symbol_error_rate,
    uniform,
)
from pave_emulator.air.radio import Modulation

# Shown by Semtech's "SX1261 LoRa Calculator", as micropython-lib's lora/tests/test_time_on_air.py (MIT) recorded it:
# SF, bandwidth, coding rate, LDRO; preamble, payload, explicit header, CRC; ms.
CALCULATOR = [
    (12, 500_000, 5, False, 8, 1, True, True, 206.848),
    (12, 500_000, 5, False, 12, 64, True, True, 649.216),
    (12, 500_000, 5, False, 8, 1, True, False, 165.888),
    (12, 500_000, 5, False, 8, 192, True, True, 1476.608),
    (12, 500_000, 5, False, 12, 16, False, False, 280.576),
    (8, 125_000, 6, False, 8, 1, True, True, 53.760),
    (8, 125_000, 6, False, 8, 3, True, True, 66.048),
    (8, 125_000, 6, False, 8, 4, True, False, 53.760),
    (8, 125_000, 6, False, 8, 253, True, True, 827.904),
    (8, 125_000, 6, False, 12, 10, False, True, 86.528),
    (8, 125_000, 6, False, 12, 253, False, True, 823.808),
    (5, 500_000, 5, False, 2, 1, True, False, 1.360),
    (5, 500_000, 5, False, 2, 1, True, True, 1.680),
    (5, 500_000, 5, False, 12, 253, False, True, 34.000),
    (5, 125_000, 8, False, 12, 253, False, True, 213.568),
    (12, 7_810, 8, True, 128, 253, True, True, 287532.907),
    (11, 10_420, 7, True, 25, 16, True, True, 12824.568),
    (11, 10_420, 7, True, 25, 16, False, False, 11448.752),
]


@pytest.mark.parametrize("case", CALCULATOR)
def test_time_on_air_is_that_of_semtechs_calculator(case):
    sf, bandwidth_hz, coding_rate, ldro, preamble, payload, explicit, crc, expected_ms = case
    modulation = Modulation(868_100_000, sf, bandwidth_hz, coding_rate, preamble, explicit, crc, low_data_rate=ldro)
    assert time_on_air_s(modulation, payload) * 1000 == pytest.approx(expected_ms, rel=1e-5)


def test_time_on_air_of_a_lorawan_frame_without_payload():
    # The Things Network's airtime spreadsheet (formulas of AN1200.13): SF9, 13 bytes, 28 payload symbols.
    assert time_on_air_s(Modulation(868_100_000, 9, 125_000), 13) * 1000 == pytest.approx(164.864)


def test_a_packet_has_preamble_sync_word_and_header_where_the_datasheet_has_them():
    times = airtime(Modulation(868_100_000, 7, 125_000), 23)
    symbols = [t / times.symbol_s for t in (times.preamble_s, times.sync_s, times.header_s, times.total_s)]
    assert symbols == pytest.approx([8, 12.25, 20.25, 20.25 + 5 * times.payload_blocks])
    fast = Modulation(868_100_000, 5, 125_000)
    assert airtime(fast, 23).sync_s == pytest.approx(14.25 * 32 / 125_000)
    assert airtime(Modulation(868_100_000, 5, 125_000, low_data_rate=True), 23) == airtime(fast, 23)


@pytest.mark.parametrize(
    ("modulation", "size", "what"),
    [
        (Modulation(868_100_000, 4, 125_000), 1, "spreading factor 4"),
        (Modulation(868_100_000, 7, 125_000, coding_rate=9), 1, "coding rate 4/9"),
        (Modulation(868_100_000, 7, 125_000), 256, "256 bytes"),
    ],
)
def test_what_lora_has_not_is_refused_by_name(modulation, size, what):
    with pytest.raises(ValueError, match=what):
        airtime(modulation, size)


def test_low_data_rate_optimisation_is_for_the_slow_ones():
    slow = [(sf, bw) for bw in (125_000, 250_000, 500_000) for sf in range(5, 13) if needs_low_data_rate(sf, bw)]
    assert slow == [(11, 125_000), (12, 125_000), (12, 250_000)]


def test_path_loss_is_the_oulu_model_at_its_own_points():
    loss = PathLoss()
    assert loss.mean_db(1000) == pytest.approx(128.95)
    assert loss.mean_db(10_000) == pytest.approx(128.95 + 23.2)
    assert loss.mean_db(100) == pytest.approx(128.95 - 23.2)
    assert PathLoss(127.41, 40.0, 2.08).mean_db(40) == pytest.approx(127.41)  # Bor et al. 2016
    assert loss.mean_db(0) == loss.mean_db(1)


def test_sensitivity_is_within_two_db_of_the_datasheet():
    # SX1261/2 datasheet table 3-9, 125 kHz, boosted gain: -124 dBm at SF7, -137 dBm at SF12.
    noise_dbm = noise_floor_dbm(125_000, 6.0)
    assert noise_dbm == pytest.approx(-117.03, abs=0.01)
    assert noise_dbm + SNR_LIMIT_DB[7] == pytest.approx(-124, abs=2)
    assert noise_dbm + SNR_LIMIT_DB[12] == pytest.approx(-137, abs=2)
    assert sum_dbm(-100, -100) == pytest.approx(-96.99, abs=0.01)


@pytest.mark.parametrize("sf", range(5, 13))
def test_at_its_limit_one_packet_of_64_bytes_in_a_hundred_fails(sf):
    modulation = Modulation(868_100_000, sf, 125_000, low_data_rate=sf >= 11)
    limit_db = SNR_LIMIT_DB[sf]
    success = [header_success(modulation, snr) * payload_success(modulation, 64, snr) for snr in (limit_db,)]
    assert success[0] == pytest.approx(0.99, abs=0.001)
    assert payload_success(modulation, 64, limit_db + 2) > 0.9999
    assert payload_success(modulation, 64, limit_db - 4) < 0.02


def test_stronger_codes_mend_a_symbol():
    error = symbol_error_rate(9, SNR_LIMIT_DB[9] - 1.5)
    plain, coded = (
        payload_success(Modulation(868_100_000, 9, 125_000, cr), 40, SNR_LIMIT_DB[9] - 1.5) for cr in (5, 8)
    )
    assert 0.001 < error < 0.1
    assert plain < 0.8 < 0.98 < coded


def test_isolation_is_croces_table_and_six_db_on_the_diagonal():
    def required(wanted, other):
        return required_sir_db(Modulation(868_100_000, wanted, 125_000), Modulation(868_100_000, other, 125_000))

    assert [required(sf, sf) for sf in range(7, 13)] == [CAPTURE_DB] * 6
    assert [required(7, sf) for sf in (8, 12)] == [-8, -9]
    assert [required(12, sf) for sf in (7, 8, 9, 10, 11)] == [-25, -25, -25, -24, -23]
    assert required(9, 7) == -15
    assert required(6, 9) == -6.5


def test_chirps_collide_by_slope_and_not_by_spreading_factor():
    narrow, wide = Modulation(868_100_000, 7, 125_000), Modulation(868_100_000, 9, 250_000)
    assert required_sir_db(narrow, wide) == CAPTURE_DB
    assert required_sir_db(narrow, Modulation(868_100_000, 7, 250_000)) == -8
    assert required_sir_db(narrow, Modulation(868_100_000, 7, 125_000, inverted_iq=True)) == -8


def test_a_signal_beside_the_channel_counts_by_the_part_that_overlaps():
    def share(frequency_hz, bandwidth_hz=125_000):
        return in_band_db(868_100_000, 125_000, Modulation(frequency_hz, 7, bandwidth_hz))

    assert share(868_100_000) == pytest.approx(0)
    assert share(868_162_500) == pytest.approx(-3.01, abs=0.01)
    assert share(868_300_000) == -math.inf
    assert share(868_100_000, 250_000) == pytest.approx(-3.01, abs=0.01)


def test_draws_depend_on_their_labels_alone_and_are_spread_as_they_should():
    assert uniform(1, "a") == uniform(1, "a") != uniform(2, "a")
    values = [normal("spread", i) for i in range(4000)]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    assert abs(mean) < 0.05
    assert abs(deviation - 1) < 0.05
