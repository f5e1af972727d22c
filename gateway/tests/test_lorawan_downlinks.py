"""Downlinks: in which window, by which concentrator, in which order, under which counter, and within the law."""

import pytest
from lorawan_support import FAR, NEAR, Site, airtime_us, delay_ms_of, event_of

from pave_gateway.core import limits
from pave_gateway.core.lorawan.concentrators import UNSAVED_US, budget_us
from pave_gateway.core.lorawan.downlinks import Fate, Message, Priority, QueueFull
from pave_gateway.core.lorawan.radio import Downlink, TxResult
from pave_gateway.core.lorawan.server import MessageTold
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import lorawan
from pave_wire.lorawan import ACK, PENDING

COMMAND = Message(12, b"\x01\xa1\x00\x01", Priority.COMMAND)
BOTH = {NEAR: 4.0, FAR: 2.0}


def fates(site: Site) -> list[tuple[int, Fate]]:
    """Return what became of messages that the test queued (answers of the application have lower numbers)."""
    return [(notice.number, notice.fate) for notice in site.notices if isinstance(notice, MessageTold)]


@pytest.mark.parametrize(
    ("delay_ms", "window"), [(0, 1), (600, 1), (840, 1), (860, 2), (1_800, 2), (1_860, None), (5_000, None)]
)
def test_the_window_is_the_first_that_the_commit_leaves_time_for(delay_ms: int, window: int | None) -> None:
    """RX1 opens after 1,000 ms and a forwarder wants its frame 150 ms earlier."""
    site = Site()
    device = site.joined()
    site.store.delay_ms = delay_ms
    tmst = site.tmst()
    site.hear(device.uplink(1, event_of(device.eui, 0)), data_rate=5)
    site.run(10_000)
    assert (device.eui, 1, 0) in site.store.readings
    if window is None:
        assert not site.sent and site.server.counters.no_window
        return
    (downlink,) = site.sent
    where = (delay_ms_of(downlink, tmst), downlink.frequency_hz, downlink.data_rate, downlink.power_dbm)
    assert where == ((1000, 868_100_000, 5, 16) if window == 1 else (2000, 869_525_000, 3, 27))


def test_what_no_window_could_carry_goes_out_after_the_next_uplink() -> None:
    site = Site()
    device = site.joined()
    site.store.delay_ms = 5_000
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    assert not site.sent
    site.store.delay_ms = 0
    site.hear(device.uplink())  # nothing in it
    site.run(5_000)
    assert device.hear(site.sent[0].phy).payload == bytes.fromhex("010000")


@pytest.mark.parametrize(
    ("result", "then"),
    [
        (TxResult.TOO_LATE, (FAR, 1)),
        (TxResult.TOO_EARLY, (FAR, 1)),
        (TxResult.COLLISION_PACKET, (FAR, 1)),
        (TxResult.COLLISION_BEACON, (FAR, 1)),
        (TxResult.TX_FREQ, (FAR, 1)),
        (TxResult.TX_POWER, (FAR, 1)),
        (TxResult.GPS_UNLOCKED, (FAR, 1)),
        (TxResult.UNREACHABLE, (FAR, 1)),
    ],
)
def test_a_frame_that_is_refused_goes_to_the_next_concentrator_as_it_is(result: TxResult, then: object) -> None:
    site = Site()
    device = site.joined()
    site.results = lambda downlink: result if downlink.gateway_id == NEAR else TxResult.OK
    tmst = site.tmst()
    site.hear(device.uplink(1, event_of(device.eui, 0)), BOTH)
    site.run(10_000)
    first, second = site.sent
    assert first.gateway_id == NEAR and (second.gateway_id, delay_ms_of(second, tmst) // 1000) == then
    assert first.phy == second.phy
    device.hear(second.phy)


def test_a_frame_that_all_refuse_in_rx1_goes_to_rx2_and_then_back_into_the_queue() -> None:
    site = Site()
    device = site.joined()
    site.results = lambda downlink: TxResult.COLLISION_PACKET
    tmst = site.tmst()
    site.hear(device.uplink(1, event_of(device.eui, 0)), BOTH)
    site.run(10_000)
    tried = [(downlink.gateway_id, delay_ms_of(downlink, tmst)) for downlink in site.sent]
    assert tried == [(NEAR, 1000), (FAR, 1000), (NEAR, 2000), (FAR, 2000)]
    assert len({downlink.phy for downlink in site.sent}) == 1
    site.results = lambda downlink: TxResult.OK
    refused = site.sent[-1].phy
    site.sent.clear()
    site.hear(device.uplink(), BOTH)
    site.run(10_000)
    (again,) = site.sent
    assert again.phy != refused  # the counter of a frame that may have been on air is not used again
    assert device.hear(again.phy).payload == bytes.fromhex("010000")


def test_a_forwarder_that_says_too_late_gets_its_frames_earlier() -> None:
    site = Site(delay_ms=700)
    device = site.joined()
    late = {"count": 0}

    def result(downlink: Downlink) -> TxResult:
        late["count"] += 1
        return TxResult.TOO_LATE if late["count"] <= 4 else TxResult.OK

    site.results = result
    windows: list[int] = []
    for seq in range(6):
        tmst = site.tmst()
        site.hear(device.uplink(1, event_of(device.eui, seq)))
        site.run(10_000)
        windows.append(delay_ms_of(site.sent[-1], tmst))
    near = site.server.concentrators.find(NEAR)
    assert near is not None and 150 < near.lead_ms <= 350
    assert windows[-1] == 2000  # 700 ms of commit and 340 of lead leave no RX1
    assert site.server.counters.downlinks_refused == 4


def test_power_and_frequencies_that_a_concentrator_refuses_are_remembered() -> None:
    site = Site()
    device = site.joined()
    site.results = lambda downlink: (
        TxResult.TX_POWER if downlink.power_dbm > 20
        else TxResult.TX_FREQ if downlink.frequency_hz == 868_100_000 else TxResult.OK
    )  # fmt: skip
    for seq in range(5):
        site.hear(device.uplink(1, event_of(device.eui, seq)))
        site.run(10_000)
    assert [(downlink.frequency_hz, downlink.power_dbm) for downlink in site.sent] == [
        (868_100_000, 16), (869_525_000, 27), (869_525_000, 24), (869_525_000, 21), (869_525_000, 18),
        (869_525_000, 18),
    ]  # fmt: skip


def test_a_forwarder_that_names_the_power_it_used_is_asked_for_that_one() -> None:
    site = Site(delay_ms=1_000)
    device = site.joined()
    site.results = lambda downlink: None
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(1_200)
    site.server.transmitted(site.sent[0].token, TxResult.OK, site.world.now_ms, power_dbm=14)
    site.run(10_000)
    site.hear(device.uplink(1, event_of(device.eui, 1)))
    site.run(10_000)
    assert [downlink.power_dbm for downlink in site.sent] == [27, 14]


def test_a_forwarder_that_never_says_anything_is_believed_to_send() -> None:
    site = Site()
    device = site.joined()
    number = site.server.enqueue(device.eui, COMMAND, site.world.now_ms)
    site.results = lambda downlink: None
    site.hear(device.uplink())
    site.run(10_000)
    assert (number, Fate.SENT) in fates(site)
    near = site.server.concentrators.find(NEAR)
    assert near is not None and sum(us for _, _, us in near.duty.state[1]) >= airtime_us(site.sent[0])


def test_nothing_is_sent_through_a_forwarder_that_does_not_pull() -> None:
    site = Site()
    device = site.joined()
    site.server.concentrator_lost(NEAR)
    site.hear(device.uplink(1, event_of(device.eui, 0)), BOTH)
    site.run(10_000)
    assert [downlink.gateway_id for downlink in site.sent] == [FAR]
    site.run(limits.LORAWAN_CONCENTRATOR_SILENT_MS)
    site.hear(device.uplink(1, event_of(device.eui, 1)), BOTH)
    site.run(10_000)
    assert len(site.sent) == 1 and (device.eui, 1, 1) in site.store.readings


def test_one_concentrator_sends_one_frame_at_a_time() -> None:
    site = Site(devices=3)
    devices = [site.joined(number) for number in range(3)]
    for device in devices:
        site.hear(device.uplink(1, event_of(device.eui, 0)), BOTH)
    site.run(10_000)
    assert [(downlink.gateway_id, downlink.frequency_hz) for downlink in site.sent] == [
        (NEAR, 868_100_000), (FAR, 868_100_000), (NEAR, 869_525_000),
    ]  # fmt: skip


def test_messages_go_by_priority_then_age_and_the_device_hears_that_more_waits() -> None:
    site = Site()
    device = site.joined()
    shadow = Message(13, b"\x02\xa0", Priority.SHADOW)
    other = Message(12, b"\x03\xa0", Priority.COMMAND)
    for message in (shadow, COMMAND, other):
        site.server.enqueue(device.eui, message, site.world.now_ms)
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    for _ in range(4):
        site.hear(device.uplink())
        site.run(10_000)
    heard = [device.hear(downlink.phy) for downlink in site.sent]
    assert [frame.port for frame in heard] == [6, 12, 12, 13]
    assert [frame.payload[0] for frame in heard[1:]] == [1, 3, 2]
    assert [bool(frame.flags & PENDING) for frame in heard] == [True, True, True, False]


def test_a_message_queued_while_the_windows_are_open_goes_out_at_once() -> None:
    site = Site()
    device = site.joined()
    tmst = site.tmst()
    site.hear(device.uplink())
    site.run(600)
    number = site.server.enqueue(device.eui, COMMAND, site.world.now_ms)
    site.run(10_000)
    assert [delay_ms_of(downlink, tmst) for downlink in site.sent] == [1000]
    assert fates(site)[-1] == (number, Fate.SENT)
    site.hear(device.uplink())
    site.run(2_100)
    site.server.enqueue(device.eui, COMMAND, site.world.now_ms)  # they are closed
    site.run(10_000)
    assert len(site.sent) == 1


def test_a_message_that_has_expired_is_not_sent_and_told() -> None:
    site = Site()
    device = site.joined()
    message = Message(12, b"\x01\xa0", Priority.COMMAND, expires_ms=site.world.now_ms + 5_000)
    number = site.server.enqueue(device.eui, message, site.world.now_ms)
    site.run(5_000)
    site.hear(device.uplink())
    site.run(10_000)
    assert not site.sent and fates(site)[-1] == (number, Fate.EXPIRED)


def test_a_message_taken_back_is_not_sent() -> None:
    site = Site()
    device = site.joined()
    number = site.server.enqueue(device.eui, COMMAND, site.world.now_ms)
    assert site.server.cancel(device.eui, number)
    site.hear(device.uplink())
    site.run(10_000)
    assert not site.sent and not site.server.cancel(device.eui, number)


def test_a_queue_that_is_full_says_so() -> None:
    site = Site()
    device = site.joined()
    for _ in range(limits.LORAWAN_DOWNLINKS_QUEUED):
        site.server.enqueue(device.eui, COMMAND, site.world.now_ms)
    with pytest.raises(QueueFull, match="16 messages wait"):
        site.server.enqueue(device.eui, COMMAND, site.world.now_ms)


def test_a_message_too_long_for_the_data_rate_waits_for_a_faster_one_and_lets_others_pass() -> None:
    site = Site()
    device = site.joined()
    long = Message(12, bytes(60), Priority.COMMAND)
    site.server.enqueue(device.eui, long, site.world.now_ms)
    site.server.enqueue(device.eui, Message(13, b"\x01\xa0", Priority.SHADOW), site.world.now_ms)
    site.hear(device.uplink(), data_rate=0)  # RX1 has room for 51
    site.run(10_000)
    site.hear(device.uplink(), data_rate=5)
    site.run(10_000)
    assert [device.hear(downlink.phy).port for downlink in site.sent] == [13, 12]


def test_a_confirmed_message_is_sent_until_the_device_confirms_it() -> None:
    site = Site()
    device = site.joined()
    message = Message(12, b"\x01\xa0", Priority.COMMAND, confirmed=True)
    number = site.server.enqueue(device.eui, message, site.world.now_ms)
    for flags in (0, 0, ACK):
        site.hear(device.uplink(flags=flags))
        site.run(10_000)
    frames = [device.hear(downlink.phy) for downlink in site.sent]
    assert [(frame.confirmed, frame.fcnt) for frame in frames] == [(True, 1), (True, 2)]
    assert fates(site)[-1] == (number, Fate.DELIVERED)


def test_a_confirmed_message_that_nobody_confirms_is_given_up_and_told() -> None:
    site = Site()
    device = site.joined()
    message = Message(12, b"\x01\xa0", Priority.COMMAND, confirmed=True)
    number = site.server.enqueue(device.eui, message, site.world.now_ms)
    for _ in range(limits.LORAWAN_DOWNLINK_TRIES + 2):
        site.keep_alive()
        site.hear(device.uplink())
        site.run(10_000)
    assert len(site.sent) == limits.LORAWAN_DOWNLINK_TRIES and fates(site)[-1] == (number, Fate.FAILED)


def test_a_confirmed_uplink_is_acknowledged_after_the_commit_and_not_before() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(confirmed=True))
    site.run(10_000)
    assert device.hear(site.sent[-1].phy).flags & ACK
    site.store.failing = True
    site.hear(device.uplink(confirmed=True))
    site.run(10_000)
    assert len(site.sent) == 1


def test_downlink_counters_are_reserved_on_disk_in_blocks_and_never_come_back() -> None:
    site = Site()
    device = site.joined()
    used: list[int] = []
    for _ in range(4):
        for _ in range(70):
            site.keep_alive()
            site.hear(device.uplink(confirmed=True), data_rate=5)
            site.run(30_000)
        used += [device.hear(downlink.phy).fcnt for downlink in site.sent]
        reserved = site.store.db.execute("SELECT fcnt_down FROM lora_device").get
        assert max(used) < reserved <= max(used) + 2 * limits.LORAWAN_FCNT_DOWN_BLOCK
        assert len(site.sent) == 70  # the first one after a start as well: its uplink reserved a block
        site.start()
    assert used == sorted(set(used))
    reservations = sum(type(row).__name__ == "LoraDownRow" for group in site.store.groups for row in group)
    assert reservations <= 10


def test_nothing_is_sent_under_a_counter_that_is_not_reserved() -> None:
    site = Site()
    device = site.joined()
    (session,) = site.server.sessions
    session.fcnt_down = session.reserved
    session.reserving = True  # as if the reservation hung
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    assert not site.sent and (device.eui, 1, 0) in site.store.readings


def test_no_sub_band_of_a_concentrator_is_on_air_longer_than_the_law_allows() -> None:
    """Uplinks at SF12 on one channel, each asking for an answer: 36 s of RX1 in the hour, then RX2."""
    site = Site(settings=LorawanSettings(rx2_data_rate=0))
    device = site.joined()
    times: dict[int, list[tuple[int, int]]] = {868_100_000: [], 869_525_000: []}
    for _ in range(700):
        site.keep_alive()
        site.sent.clear()
        site.hear(device.uplink(confirmed=True), data_rate=0)
        site.run(10_000)
        for downlink in site.sent:
            times[downlink.frequency_hz].append((site.world.now_ms, airtime_us(downlink)))
    for frequency_hz, band in ((868_100_000, 2), (869_525_000, 4)):
        sent = times[frequency_hz]
        for start_ms, _ in sent:
            hour = sum(us for ms, us in sent if start_ms <= ms < start_ms + 3_600_000)
            assert hour <= budget_us(band)
    per_hour = [sum(us for ms, us in times[hz] if ms < times[hz][0][0] + 3_600_000) / 1e6 for hz in times]
    assert 34 < per_hour[0] <= 36 and 310 < per_hour[1] <= 360  # and the law is made use of


def test_time_on_air_survives_a_restart() -> None:
    site = Site()
    device = site.joined()
    for _ in range(60):
        site.keep_alive()
        site.hear(device.uplink(confirmed=True), data_rate=0)
        site.run(10_000)
    near = site.server.concentrators.find(NEAR)
    assert near is not None
    before = {(grain, band): us for grain, band, us in near.duty.state[1]}
    site.start()
    near = site.server.concentrators.find(NEAR)
    assert near is not None
    after = {(grain, band): us for grain, band, us in near.duty.state[1]}
    more = {key: after[key] - before.get(key, 0) for key in after}
    assert all(before[key] <= after[key] for key in before)
    assert sorted(us for us in more.values() if us) == [UNSAVED_US] * 3  # what the last second may have held
    site.hear(device.uplink(confirmed=True), data_rate=0)
    site.run(10_000)
    assert not [downlink for downlink in site.sent if downlink.frequency_hz == 868_100_000]


def test_restarts_alone_do_not_use_up_the_hour() -> None:
    site = Site()
    device = site.joined()
    for _ in range(200):
        site.start()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    assert [downlink.frequency_hz for downlink in site.sent] == [868_100_000]


def test_time_on_air_that_no_longer_counts_leaves_the_disk() -> None:
    site = Site()
    device = site.joined()
    for _ in range(50):
        site.keep_alive()
        site.hear(device.uplink(confirmed=True), data_rate=5)
        site.run(600_000)
    assert site.store.db.execute("SELECT count(*) FROM lora_airtime").get < 10


def test_time_on_air_that_the_disk_did_not_take_goes_there_later() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(confirmed=True))
    site.run(1_500)
    site.store.busy = True
    site.run(5_000)
    site.store.busy = False
    before = site.store.db.execute("SELECT total(spent_us) FROM lora_airtime").get
    site.hear(device.uplink(confirmed=True))
    site.run(5_000)
    after = site.store.db.execute("SELECT total(spent_us) FROM lora_airtime").get
    assert after - before == sum(airtime_us(downlink) for downlink in site.sent)


def test_rx1_follows_the_offset_and_rx2_the_settings() -> None:
    site = Site(settings=LorawanSettings(rx1_dr_offset=2, rx2_data_rate=0, rx_delay_s=5))
    device = site.joined()
    assert device.accept is not None and device.accept.rx_delay_s == 5
    for delay_ms, expected in ((0, (5000, 868_100_000, 3)), (5_000, (6000, 869_525_000, 0))):
        site.store.delay_ms = delay_ms
        site.sent.clear()
        tmst = site.tmst()
        site.hear(device.uplink(confirmed=True), data_rate=5)
        site.run(10_000)
        (downlink,) = site.sent
        assert (delay_ms_of(downlink, tmst), downlink.frequency_hz, downlink.data_rate) == expected


def test_tmst_wraps() -> None:
    site = Site()
    device = site.joined()
    wrap_ms = (1 << 32) // 1000
    site.run(wrap_ms - site.world.now_ms % wrap_ms - 300)
    site.keep_alive()
    tmst = site.tmst()
    site.hear(device.uplink(confirmed=True))
    site.run(5_000)
    assert site.sent[0].tmst < tmst and delay_ms_of(site.sent[0], tmst) == 1000


def test_a_downlink_is_one_that_lorawan_reads() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    assert lorawan.frame_type(site.sent[0].phy) == lorawan.UNCONFIRMED_DOWN and len(site.sent[0].phy) == 16


def test_a_way_that_is_found_closed_while_a_frame_is_handed_over_leads_to_the_next_at_once() -> None:
    site = Site()
    device = site.joined()
    transmit = site.server._transmitter._transmit  # pyright: ignore[reportPrivateUsage]

    def closed(downlink: Downlink) -> None:
        if downlink.gateway_id == NEAR:
            site.server.transmitted(downlink.token, TxResult.UNREACHABLE, site.world.now_ms)
        else:
            transmit(downlink)

    site.server._transmitter._transmit = closed  # pyright: ignore[reportPrivateUsage]
    site.hear(device.uplink(1, event_of(device.eui, 0)), BOTH)
    assert [downlink.gateway_id for downlink in site.sent] == [FAR]
    site.run(10_000)
    assert device.hear(site.sent[0].phy).payload == bytes.fromhex("010000")
    near = site.server.concentrators.find(NEAR)
    assert near is not None and not near.is_reachable(site.world.now_ms)
