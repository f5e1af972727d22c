"""Adaptive data rate on a bay: a parked car costs 10 to 20 dB, and no link may be lost to one.

The common algorithm stands beside ours: highest SNR of 20 frames, 10 dB of margin, steps of 3 dB spent on data rate and
then on power (Semtech's rate control, as ChirpStack's `adr/default.rs` has it).
"""

import random
from dataclasses import dataclass, replace

import pytest
from lorawan_support import NEAR, Site, event_of, mac_of

from pave_gateway.core.lorawan import adr
from pave_gateway.core.lorawan.links import Link, Links, of_text
from pave_gateway.core.lorawan.mac import AdrTarget
from pave_gateway.core.lorawan.parameters import Parameters
from pave_gateway.core.lorawan.radio import REQUIRED_SNR_DB, Reception, Uplink
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import mac_commands, region
from pave_wire.lorawan import ADR, ADR_ACK_REQ, UP

MARGIN_DB = 5.0
EVENT_BYTES = 21
FRAMES = 600


def reception_of(snr_db: float, data_rate: int) -> Reception:
    reception = Reception(b"", 0)
    reception.add(Uplink(b"", NEAR, 0, 868_100_000, data_rate, -100.0, snr_db), 0)
    return reception


def ours(link: Link, parameters: Parameters, history: list[float]) -> AdrTarget | None:
    del history
    return adr.target(link, parameters, LorawanSettings().adr_margin_db)


def common(link: Link, parameters: Parameters, history: list[float]) -> AdrTarget | None:
    del link
    if len(history) < 20:
        return None
    steps = int((max(history[-20:]) - REQUIRED_SNR_DB[parameters.data_rate] - 10) / 3)
    data_rate, tx_power = parameters.data_rate, parameters.tx_power
    while steps > 0:
        data_rate, tx_power = (data_rate + 1, tx_power) if data_rate < 5 else (data_rate, min(7, tx_power + 1))
        steps -= 1
    while steps < 0:
        tx_power, steps = max(0, tx_power - 1), steps + 1
    return AdrTarget(data_rate, tx_power, 1)


@dataclass
class Outcome:
    """What became of the frames of one sensor."""

    sent: int = 0
    lost: int = 0
    arrivals: int = 0
    arrivals_lost: int = 0
    longest: int = 0  # frames lost in a row
    airtime_s: float = 0.0
    data_rate: int = 0
    tx_power: int = 0


def parking(algorithm, vacant_db: float, car_db: float, seed: int, sigma_db: float = 2.5) -> Outcome:
    """Send heartbeats and changes of a bay that is occupied a fifth of the time; a change is sent in its new state."""
    rng = random.Random(seed)
    link, parameters, outcome = Link(), Parameters(), Outcome()
    history: list[float] = []
    occupied, missed, row, since = False, 0, 0, 0
    for _ in range(FRAMES):
        since += 1
        changes = rng.random() < (0.4 if occupied else 0.1)
        occupied ^= changes
        level_db = vacant_db - car_db * occupied + rng.gauss(0, sigma_db)
        snr_db = level_db - 2 * parameters.tx_power
        outcome.sent += 1
        outcome.arrivals += changes and occupied
        outcome.airtime_s += region.frame_time_us(parameters.data_rate, EVENT_BYTES) / 1e6
        if snr_db < REQUIRED_SNR_DB[parameters.data_rate]:
            outcome.lost += 1
            outcome.arrivals_lost += changes and occupied
            missed, row = missed + 1, row + 1
            outcome.longest = max(outcome.longest, row)
            continue
        link.heard(reception_of(snr_db, parameters.data_rate), parameters.tx_power, int(occupied), missed, 0)
        history.append(snr_db)
        missed = row = 0
        target = algorithm(link, parameters, history)
        if target is not None:
            parameters = replace(parameters, data_rate=target.data_rate, tx_power=target.tx_power)
    outcome.data_rate, outcome.tx_power = parameters.data_rate, parameters.tx_power
    return outcome


CASES = [(vacant_db, car_db) for vacant_db in (10.0, 5.0, 0.0) for car_db in (10.0, 15.0, 20.0)]


@pytest.mark.parametrize(("vacant_db", "car_db"), CASES)
def test_no_link_is_lost_when_a_car_parks(vacant_db: float, car_db: float) -> None:
    outcomes = [parking(ours, vacant_db, car_db, seed) for seed in range(5)]
    sent, lost = sum(o.sent for o in outcomes), sum(o.lost for o in outcomes)
    reachable = vacant_db - car_db - 3 * 2.5 >= REQUIRED_SNR_DB[0]
    if reachable:  # at SF12, where less than one frame in 500 would be lost
        assert lost <= 0.02 * sent and max(o.longest for o in outcomes) <= 3
    assert all(o.data_rate == 0 for o in outcomes) or reachable


@pytest.mark.parametrize(("vacant_db", "car_db"), [(10.0, 15.0), (10.0, 20.0), (5.0, 15.0), (0.0, 15.0)])
def test_the_common_algorithm_loses_the_cars_that_it_is_there_for(vacant_db: float, car_db: float) -> None:
    theirs = [parking(common, vacant_db, car_db, seed) for seed in range(5)]
    own = [parking(ours, vacant_db, car_db, seed) for seed in range(5)]
    lost = sum(o.arrivals_lost for o in theirs) / sum(o.arrivals for o in theirs)
    assert lost > 0.3 and lost > 10 * sum(o.arrivals_lost for o in own) / sum(o.arrivals for o in own)
    assert max(o.longest for o in theirs) > 5


def test_a_good_link_is_made_use_of() -> None:
    """What the margin for cars costs: a bay near the concentrator still ends at SF7, one in reach of SF9 at SF9."""
    near = parking(ours, 18.0, 12.0, 1)
    assert near.data_rate == 5
    middle = parking(ours, 6.0, 10.0, 1)
    assert middle.data_rate == 3
    fixed = FRAMES * region.frame_time_us(0, EVENT_BYTES) / 1e6
    assert near.airtime_s < 0.2 * fixed and middle.airtime_s < 0.35 * fixed


def filled(occupied: list[float], vacant: list[float]) -> Link:
    link = Link()
    link.occupied.extend(occupied)
    link.vacant.extend(vacant)
    return link


def test_of_a_device_that_has_just_joined_the_worst_frame_counts_and_nothing_makes_it_faster() -> None:
    fast = replace(Parameters(), data_rate=5)
    assert adr.target(Link(), fast, MARGIN_DB) is None
    assert adr.target(filled([], [9.0]), fast, MARGIN_DB) == AdrTarget(1, 0, 1)  # 9 less 20 and 5: SF11
    assert adr.target(filled([3.0, -6.0], [20.0]), fast, MARGIN_DB) == AdrTarget(3, 0, 1)
    assert adr.target(filled([9.0] * 11, [9.0] * 11), Parameters(), MARGIN_DB) == AdrTarget(0, 0, 1)


def test_a_bay_that_was_never_occupied_is_taken_to_lose_twenty_decibels() -> None:
    assert adr.worst_case_db(filled([], [10.0] * 12)) == -10.0
    assert adr.worst_case_db(filled([4.0] * 12, [10.0] * 12)) == 4.0
    assert adr.worst_case_db(filled([4.0] * 12, [])) == 4.0
    assert adr.worst_case_db(filled([4.0] * 12, [-3.0] * 12)) == -3.0


def test_the_low_percentile_counts_and_not_the_best_or_the_mean() -> None:
    assert adr.worst_case_db(filled([10.0] * 36 + [-8.0] * 5, [10.0] * 40)) == -8.0
    assert adr.worst_case_db(filled([10.0] * 38 + [-8.0] * 3, [10.0] * 40)) == 10.0


def test_slower_at_once_and_faster_only_with_something_to_spare() -> None:
    """SF9 needs -12.5 dB, and 5 dB of margin are kept."""
    slow, fast = replace(Parameters(), data_rate=2), replace(Parameters(), data_rate=4)
    assert adr.target(filled([-7.4] * 12, [0.0] * 12), fast, MARGIN_DB) == AdrTarget(3, 0, 1)
    assert adr.target(filled([-7.4] * 12, [0.0] * 12), slow, MARGIN_DB) == AdrTarget(2, 0, 1)
    assert adr.target(filled([-5.9] * 12, [0.0] * 12), slow, MARGIN_DB) == AdrTarget(3, 0, 1)


def test_power_is_lowered_at_the_fastest_rate_alone_and_full_power_comes_back_with_a_slower_one() -> None:
    fast = replace(Parameters(), data_rate=5)
    assert adr.target(filled([5.5] * 12, [9.0] * 12), fast, MARGIN_DB) == AdrTarget(5, 3, 1)
    assert adr.target(filled([-4.0] * 12, [9.0] * 12), replace(fast, tx_power=3), MARGIN_DB) == AdrTarget(4, 0, 1)


def test_lost_frames_make_the_rate_slower_although_those_that_arrive_look_good() -> None:
    link, parameters = Link(), replace(Parameters(), data_rate=5)
    for _ in range(20):
        link.heard(reception_of(8.0, 5), 0, 0, 0, 0)
        link.heard(reception_of(6.0, 5), 0, 1, 0, 0)
    good = adr.target(link, parameters, MARGIN_DB)
    assert good is not None and good.data_rate == 5
    for _ in range(3):
        link.heard(reception_of(8.0, 5), 0, 0, 2, 0)
    worse = adr.target(link, parameters, MARGIN_DB)
    assert worse is not None and worse.data_rate < 5


def test_frames_are_repeated_at_the_slowest_rate_when_many_are_lost() -> None:
    link = filled([-18.0] * 12, [-10.0] * 12)
    link.frames, link.missed, link.recent = 32, 0, 0b1111
    assert adr.target(link, Parameters(), MARGIN_DB) == AdrTarget(0, 0, 2)
    link.recent = (1 << 16) - 1
    assert adr.target(link, Parameters(), MARGIN_DB) == AdrTarget(0, 0, 3)
    link.recent = 0
    assert adr.target(link, Parameters(), MARGIN_DB) == AdrTarget(0, 0, 1)


def test_an_outage_of_the_gateway_is_not_taken_for_a_bad_link() -> None:
    link = Link()
    for _ in range(40):
        link.heard(reception_of(8.0, 5), 0, 1, 0, 0)
    link.heard(reception_of(8.0, 5), 0, 1, 5_000, 0)
    assert list(link.occupied).count(REQUIRED_SNR_DB[5] - 1) == 8 and link.missed == 5_000


def test_a_device_that_asked_whether_anybody_hears_it_gets_more_margin_up_to_a_bound() -> None:
    link = filled([-4.0] * 12, [0.0] * 12)
    rates = []
    for _ in range(5):
        found = adr.target(link, replace(Parameters(), data_rate=5), MARGIN_DB)
        rates.append(found.data_rate if found else None)
        adr.fell_back(link)
    assert rates == [4, 3, 2, 0, 0] and link.penalty_db == 9


def test_a_link_is_the_same_after_a_round_through_text_and_only_changes_are_written() -> None:
    link = Link()
    for number in range(60):
        link.heard(reception_of(number / 10, 3), 2, number % 2, number % 3, 1_000 + number)
    assert of_text(link.text()) == link and len(link.text()) < 900
    links = Links()
    links.restore({"a": link.text()})
    assert links.of("a") == link and links.rows() == []
    links.changed("b").frames = 3
    assert [row.device for row in links.rows()] == ["b"] and links.rows() == []


def test_a_device_is_asked_and_what_it_answers_holds() -> None:
    site = Site()
    device = site.joined()
    asked: list[dict[str, int]] = []
    data_rate, fopts = 0, b""
    for seq in range(60):
        site.keep_alive()
        site.sent.clear()
        occupied = seq % 2 == 1
        data = event_of(device.eui, seq, occupied, lasted=60)
        site.hear(device.uplink(1, data, fopts, ADR), 8.0 - 12.0 * occupied, data_rate)
        site.run(30_000)
        fopts = b""
        for cid, fields in [command for d in site.sent for command in mac_of(device.hear(d.phy))]:
            if cid == mac_commands.LINK_ADR:
                asked.append(fields)
                data_rate = fields["data_rate"]
                yes = {"channel_mask_ok": 1, "data_rate_ok": 1, "tx_power_ok": 1}
                fopts = mac_commands.encode(UP, [(mac_commands.LINK_ADR, yes)])
    assert data_rate == 4 and len(asked) <= 3  # -4 dB under the car, less 3 and 1.5 to spare: SF8
    assert asked[-1]["channel_mask"] == 0xFF and asked[-1]["nb_trans"] == 1
    site.start()
    (session,) = site.server.sessions
    assert (session.parameters.data_rate, session.parameters.tx_power) == (4, 0)


def test_a_device_without_the_adr_bit_is_not_asked() -> None:
    site = Site()
    device = site.joined()
    for seq in range(40):
        site.keep_alive()
        site.hear(device.uplink(1, event_of(device.eui, seq, seq % 2 == 1, lasted=60)), 10.0, 0)
        site.run(30_000)
    heard = [cid for downlink in site.sent for cid, _ in mac_of(device.hear(downlink.phy))]
    assert mac_commands.LINK_ADR not in heard


def test_a_device_that_fell_back_by_itself_is_believed() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(1, event_of(device.eui, 0), flags=ADR | ADR_ACK_REQ), data_rate=0)
    site.run(10_000)
    (session,) = site.server.sessions
    assert session.parameters.data_rate == 0 and site.server.links.of(device.eui).penalty_db == 3
    assert len(site.sent) == 1


def test_a_power_that_a_device_cannot_do_is_not_asked_again() -> None:
    site = Site()
    device = site.joined()
    asked: list[tuple[int, int]] = []
    fopts, data_rate = b"", 5
    for seq in range(120):
        site.keep_alive()
        site.sent.clear()
        site.hear(device.uplink(1, event_of(device.eui, seq, seq % 2 == 1, lasted=9), fopts, ADR), 11.0, data_rate)
        site.run(30_000)
        fopts = b""
        for cid, fields in [command for d in site.sent for command in mac_of(device.hear(d.phy))]:
            if cid == mac_commands.LINK_ADR:
                asked.append((fields["data_rate"], fields["tx_power"]))
                able = int(fields["tx_power"] <= 2)
                data_rate = fields["data_rate"] if able else data_rate
                reply = {"channel_mask_ok": 1, "data_rate_ok": 1, "tx_power_ok": able}
                fopts = mac_commands.encode(UP, [(mac_commands.LINK_ADR, reply)])
    powers = [power for rate, power in asked if rate == 5 and power]
    assert powers == list(range(powers[0], 1, -1)) and powers[0] > 3
