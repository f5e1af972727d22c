"""Uplinks: copies, whose they are, what is old, what NbTrans repeats, and bytes that are nobody's."""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf, nan
from typing import Any

from lorawan_support import FAR, NEAR, Device, Site, Store, eui, event_of, hello_of

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Outcome
from pave_gateway.core.lorawan.radio import Uplink
from pave_gateway.core.lorawan.rows import FcntUpRow, ProgressRow, SessionStartRow
from pave_gateway.core.rows import ReadingRow
from pave_wire import lorawan
from pave_wire.lorawan import Session


def test_a_reading_its_frame_counter_and_where_its_device_stands_are_one_transaction() -> None:
    site = Site()
    device = site.joined()
    site.store.groups.clear()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    (group,) = [group for group in site.store.groups if any(isinstance(row, ReadingRow) for row in group)]
    assert [type(row) for row in group] == [ReadingRow, FcntUpRow, ProgressRow]


def test_the_first_frame_starts_its_session_in_its_own_transaction() -> None:
    site = Site()
    device = site.joined(greet=False)
    site.hear(device.uplink())
    site.run(5_000)
    assert [type(row) for row in site.store.groups[-1]][:2] == [SessionStartRow, FcntUpRow]
    assert [type(notice).__name__ for notice in site.notices] == ["Joined"]


def test_copies_from_several_concentrators_are_one_frame_answered_by_the_best() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy, {NEAR: -9.0})
    site.run(120)
    assert not site.sent  # the frame is on disk; its copies are waited for
    site.hear(phy, {FAR: -2.0})
    site.run(5_000)
    assert [downlink.gateway_id for downlink in site.sent] == [FAR]
    link = site.server.links.of(device.eui)
    assert (link.gateways, link.gateway_id, link.snr_db) == (2, FAR, -2.0)
    assert site.server.counters.uplinks == 2 and len(site.store.readings) == 1


def test_when_every_concentrator_has_spoken_nobody_is_waited_for() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy, {NEAR: 1.0, FAR: 0.0})
    assert [downlink.gateway_id for downlink in site.sent] == [NEAR]


def test_rssi_decides_where_snr_says_no_more() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    for gateway_id, rssi_dbm, snr_db in ((NEAR, -80.0, 9.0), (FAR, -60.0, 7.5)):
        uplink = Uplink(phy, gateway_id, site.tmst(), 868_100_000, 3, rssi_dbm, snr_db)
        site.server.receive_uplink(uplink, site.world.now_ms)
    assert [downlink.gateway_id for downlink in site.sent] == [FAR]


def test_a_ghost_on_another_channel_and_a_frame_played_back_at_once_do_not_move_the_windows() -> None:
    site = Site()
    device = site.joined()
    phy, tmst = device.uplink(1, event_of(device.eui, 0)), site.tmst()
    ghost = Uplink(phy, NEAR, tmst + 2_000, 868_300_000, 3, -120.0, -12.0)
    real = Uplink(phy, NEAR, tmst, 868_100_000, 3, -80.0, 4.0)
    played = Uplink(phy, NEAR, tmst + 90_000, 868_500_000, 3, -40.0, 5.0)
    for uplink in (ghost, real, played):
        site.server.receive_uplink(uplink, site.world.now_ms)
    site.run(5_000)
    (downlink,) = site.sent
    assert (downlink.tmst, downlink.frequency_hz) == (tmst + 1_000_000, 868_100_000)


def test_two_sessions_with_one_address_are_told_apart_by_their_mic() -> None:
    site = Site(devices=2)
    one, other = site.joined(0), site.joined(1)
    assert one.session is not None and other.session is not None
    other.session = Session(one.session.dev_addr, other.session.nwk_skey, other.session.app_skey)
    site.store.db.execute("UPDATE lora_session SET dev_addr = ?", (one.session.dev_addr,))
    site.start()
    for device in (other, one):
        site.hear(device.uplink(1, event_of(device.eui, 0)))
        site.run(10_000)
        assert (device.eui, 1, 0) in site.store.readings


def test_a_frame_counts_once_also_after_a_restart() -> None:
    site = Site()
    device = site.joined()
    first, second = [device.uplink(1, event_of(device.eui, seq)) for seq in (0, 1)]
    site.hear(first)
    site.run(10_000)
    site.hear(second)
    site.run(10_000)
    groups = len(site.store.groups)
    for phy in (first, second):
        site.hear(phy)
        site.run(10_000)
    site.start()
    for phy in (first, second):
        site.hear(phy)
        site.run(10_000)
    readings = [row for group in site.store.groups[groups:] for row in group if isinstance(row, FcntUpRow)]
    assert not readings and site.server.counters.replayed == 2 and not site.sent


def test_a_counter_that_memory_has_forgotten_is_refused_by_the_disk() -> None:
    """Compare and swap: whatever the server believes, the row of a passed counter keeps the reading out."""
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy)
    site.run(10_000)
    (session,) = site.server.sessions
    session.heard = session.fcnt_up = -1
    before = dict(site.store.readings)
    sent = len(site.sent)
    site.hear(phy)
    site.run(10_000)
    assert site.application.counters.replayed == 1 and site.store.readings == before and len(site.sent) == sent


def test_a_repetition_under_nb_trans_is_answered_again_and_no_other() -> None:
    site = Site()
    device = site.joined()
    (session,) = site.server.sessions
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy)
    site.run(3_000)
    site.hear(phy)  # nobody asked for repetitions: somebody plays it back
    site.run(3_000)
    assert (len(site.sent), site.server.counters.replayed) == (1, 1)
    session.parameters = type(session.parameters)(**{**asdict(session.parameters), "nb_trans": 2})
    site.hear(phy)
    site.run(3_000)
    site.hear(phy)
    site.run(3_000)
    assert (len(site.sent), site.server.counters.repeated) == (2, 1)
    assert [device.hear(downlink.phy).payload for downlink in site.sent] == [bytes.fromhex("010000")] * 2
    assert len(site.store.readings) == 1


def test_a_copy_that_dawdled_is_not_a_repetition() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy)
    site.run(900)
    site.hear(phy, {FAR: 3.0})
    site.run(5_000)
    assert site.server.counters.late_copies == 1 and len(site.sent) == 1


def test_a_gap_in_fcnt_is_noticed() -> None:
    site = Site()
    device = site.joined()
    device.fcnt += 5
    site.hear(device.uplink(1, event_of(device.eui, 5)))
    site.run(5_000)
    assert site.server.counters.frames_missed == 5 and site.server.links.of(device.eui).missed == 5


def test_a_frame_that_the_disk_did_not_take_is_refused_and_welcome_again() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.store.failing = True
    site.hear(phy)
    site.run(5_000)
    assert [device.hear(downlink.phy).port for downlink in site.sent] == [19]  # 5.03
    site.store.failing = False
    site.hear(phy)  # the same frame, as NbTrans would send it
    site.run(5_000)
    assert device.hear(site.sent[-1].phy).port == 6 and (device.eui, 1, 0) in site.store.readings


def test_a_commit_that_seemed_to_fail_and_did_not_keeps_nobody_out() -> None:
    """COMMIT may return an error after its bytes have reached the disk."""
    site = Site()
    device = site.joined(greet=False)
    write, lies = site.store.write, []

    def lying(rows: Sequence[Any]) -> Outcome:
        outcome = write(rows)
        lies.append(rows)
        return CommitFailed("i/o error") if len(lies) % 2 else outcome

    site.store.write = lying  # type: ignore[method-assign]
    for seq in range(120):  # a session starts, counters are reserved, all of it twice
        site.keep_alive()
        site.hear(
            device.uplink(3, hello_of()) if seq < 2 else device.uplink(1, event_of(device.eui, seq), b"", 0, True)
        )
        site.run(20_000)
    assert len(site.store.readings) > 100 and site.server.counters.sessions == 1
    used = [device.hear(downlink.phy).fcnt for downlink in site.sent]
    assert used == sorted(set(used)) and len(used) > 60


def test_frames_that_overtake_a_slow_disk_are_all_admitted_in_order() -> None:
    site = Site()
    device = site.joined()
    site.store.delay_ms = 3_000
    for seq in range(4):
        site.hear(device.uplink(1, event_of(device.eui, seq)))
        site.run(500)
    site.run(20_000)
    assert sorted(site.store.readings) == [(device.eui, 1, seq) for seq in range(4)]
    fcnts = [row.fcnt for group in site.store.groups for row in group if isinstance(row, FcntUpRow)]
    assert fcnts == [0, 1, 2, 3, 4]


def test_a_session_that_starts_while_the_disk_is_slow_starts_once() -> None:
    site = Site()
    device = site.joined(greet=False)
    site.store.delay_ms = 2_000
    site.hear(device.uplink(3, hello_of()))
    site.run(500)
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(20_000)
    assert (device.eui, 1, 0) in site.store.readings and site.server.counters.sessions == 1


def test_more_frames_of_one_device_than_may_wait_are_refused_and_nothing_grows() -> None:
    site = Site()
    device = site.joined()
    site.store.delay_ms = 60_000
    for seq in range(limits.LORAWAN_FRAMES_WAITING + 4):
        site.hear(device.uplink(1, event_of(device.eui, seq)))
        site.run(100)
    assert site.application.counters.not_stored == 3


def snapshot(site: Site) -> tuple[object, ...]:
    """Return all that hostile frames must not change."""
    tables = [list(site.store.db.execute(f"SELECT * FROM {name}")) for name in ("lora_device", "lora_session")]
    sessions = [(s.device, s.number, s.heard, s.fcnt_up, s.fcnt_down, s.parameters) for s in site.server.sessions]
    return tables, sessions, dict(site.store.readings), len(site.store.groups), len(site.sent), len(site.notices)


def hostile_frames(site: Site, device: Device, captured: list[bytes], rng: random.Random) -> list[bytes]:
    assert device.session is not None
    address = device.session.dev_addr
    forged = Session(address, rng.randbytes(16), rng.randbytes(16))
    foreign = Session(rng.randrange(1 << 32), rng.randbytes(16), rng.randbytes(16))
    changed = bytearray(rng.choice(captured))
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    impostor = Device(0x100)
    impostor.app_key, impostor.dev_nonce = rng.randbytes(16), rng.randrange(0xFFFF)
    return [
        rng.randbytes(rng.randrange(256)),
        bytes([rng.choice([0x40, 0x80, 0x00])]) + rng.randbytes(rng.randrange(40)),
        bytes([0x40]) + address.to_bytes(4, "little") + rng.randbytes(rng.randrange(7, 40)),
        lorawan.encode_uplink(forged, rng.randrange(1 << 20), rng.randrange(256), rng.randbytes(8)),
        lorawan.encode_uplink(foreign, rng.randrange(1 << 20), 1, rng.randbytes(8)),
        bytes(changed),
        rng.choice(captured),
        impostor.join_request(),
        Device(rng.randrange(0x1000, 0x2000)).join_request(),
    ]


def test_hostile_frames_change_nothing_but_counters() -> None:
    site, rng = Site(), random.Random(7)
    device = site.devices[0]
    request = device.join_request()
    site.hear(request)
    site.run(10_000)
    device.join(site.sent[-1].phy)
    captured = [request, device.uplink(3, hello_of()), *[device.uplink(1, event_of(eui(0x100), n)) for n in range(5)]]
    for phy in captured[1:]:
        site.hear(phy)
        site.run(10_000)
    site.run(400_000)  # links and time on air have been written
    before = snapshot(site)
    count = 0
    for _ in range(300):
        for phy in hostile_frames(site, device, captured, rng):
            site.hear(phy, data_rate=rng.randrange(8))
            count += 1
        site.run(rng.randrange(3_000))
    assert snapshot(site) == before
    counters = site.server.counters
    refused = (
        counters.malformed + counters.not_ours + counters.foreign + counters.forged + counters.replayed
        + counters.joins_replayed + counters.late_copies
    )  # fmt: skip
    assert (refused, count) == (count, 2_700)
    site.hear(device.uplink(1, event_of(device.eui, 5)))  # and the device is heard as ever
    site.run(10_000)
    assert (device.eui, 1, 5) in site.store.readings


def test_a_frame_that_is_said_to_have_been_heard_impossibly_is_not_taken() -> None:
    """Who can send datagrams can say anything of a frame that he has captured."""
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0), fopts=b"\x02")
    honest = Uplink(phy, NEAR, site.tmst(), 868_100_000, 3, -100.0, 3.0)
    for lie in (
        {"frequency_hz": 0}, {"frequency_hz": 868_650_000}, {"data_rate": 8}, {"data_rate": -1}, {"snr_db": nan},
        {"rssi_dbm": nan}, {"snr_db": inf}, {"rssi_dbm": -inf}, {"tmst": -1}, {"tmst": 1 << 32},
    ):  # fmt: skip
        site.server.receive_uplink(replace(honest, **lie), site.world.now_ms)  # type: ignore[arg-type]
    site.run(5_000)
    assert site.server.counters.malformed == 10 and not site.sent and not site.store.readings
    site.hear(phy)
    site.run(5_000)
    assert (device.eui, 1, 0) in site.store.readings


def test_the_check_for_hostile_frames_sees_a_server_that_forgets_its_counters() -> None:
    site = Site()
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy)
    site.run(400_000)
    before = snapshot(site)
    site.store.db.execute("UPDATE lora_device SET fcnt_up = -1")  # a window outside the transaction
    site.start()
    site.hear(phy)
    site.run(400_000)
    assert snapshot(site) != before


def test_an_unknown_concentrator_beyond_the_limit_is_not_listened_to() -> None:
    site = Site()
    device = site.joined()
    for number in range(limits.LORAWAN_CONCENTRATORS + 5):
        uplink = Uplink(b"\x40", f"{number:016x}", 0, 868_100_000, 3, -100.0, 0.0)
        site.server.receive_uplink(uplink, site.world.now_ms)
    assert len(list(site.server.concentrators)) == limits.LORAWAN_CONCENTRATORS
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    assert (device.eui, 1, 0) in site.store.readings


def test_a_fresh_store_knows_nobody() -> None:
    """The control of the restarts above: they read the disk, not this process."""
    site = Site()
    device = site.joined()
    site.store = Store(site.world)
    site.start()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    assert site.server.counters.foreign == 1 and not site.store.readings
