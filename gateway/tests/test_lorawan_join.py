"""Activation over the air: who may join, with which nonces, in which window, and what is on disk before the accept."""

import random

import pytest
from lorawan_support import FAR, NEAR, Device, Site, Store, delay_ms_of, event_of, hello_of

from pave_gateway.core import limits
from pave_gateway.core.keys import LoraKeys, Secrets
from pave_gateway.core.lorawan.rows import JoinRow, LoraSessionRow
from pave_gateway.core.lorawan.sessions import LoraSession, NoAddressError, Sessions
from pave_gateway.core.lorawan.settings import LorawanSettings, check, net_id_prefix
from pave_wire import lorawan_join
from pave_wire.errors import ReplayError


def test_a_registered_device_joins_in_rx1_with_the_channels_and_windows_of_the_site() -> None:
    site = Site()
    device, tmst = site.devices[0], site.tmst()
    site.hear(device.join_request(), data_rate=2)
    site.run(10_000)
    (accept,) = site.sent
    assert (delay_ms_of(accept, tmst), accept.frequency_hz, accept.data_rate) == (5000, 868_100_000, 2)
    device.join(accept.phy)
    assert device.accept is not None
    assert tuple(device.accept.frequencies_hz) == site.settings.channels_hz
    assert (device.accept.rx2_data_rate, device.accept.rx_delay_s, device.accept.net_id) == (3, 1, 0)
    assert device.accept.dev_addr in site.settings.addresses


def test_nonces_and_session_are_on_disk_before_the_accept_leaves() -> None:
    site = Site(delay_ms=700)
    site.hear(site.devices[0].join_request())
    site.run(limits.LORAWAN_JOIN_HOLD_MS + 699)
    assert not site.sent and not site.store.groups
    site.run(1)
    assert len(site.sent) == 1
    assert [type(row) for row in site.store.groups[0]] == [JoinRow, LoraSessionRow]


def test_a_commit_that_comes_late_moves_the_accept_to_rx2_and_one_later_still_to_the_next_request() -> None:
    site = Site(delay_ms=4_000)
    tmst = site.tmst()
    site.hear(site.devices[0].join_request())
    site.run(10_000)
    (accept,) = site.sent
    assert (delay_ms_of(accept, tmst), accept.frequency_hz, accept.data_rate) == (6000, 869_525_000, 0)
    site.store.delay_ms = 5_000
    site.hear(site.devices[0].join_request())
    site.run(10_000)
    assert len(site.sent) == 1 and site.server.counters.joins_deferred == 1


def test_a_commit_that_fails_or_is_not_taken_is_answered_by_silence() -> None:
    site = Site()
    site.store.failing = True
    site.hear(site.devices[0].join_request())
    site.run(10_000)
    site.store.failing, site.store.busy = False, True
    site.hear(site.devices[0].join_request())
    site.run(10_000)
    assert not site.sent and site.server.counters.not_stored == 2
    site.store.busy = False
    site.hear(site.devices[0].join_request())
    site.run(10_000)
    site.devices[0].join(site.sent[0].phy)


def test_who_is_not_of_the_site_meets_silence() -> None:
    site = Site()
    stranger = Device(0x999)
    impostor = Device(0x100)
    impostor.app_key = bytes(16)
    elsewhere = lorawan_join.encode_join_request(
        site.devices[0].app_key, bytes(8), bytes.fromhex(site.devices[0].eui), 0
    )
    for phy in (stranger.join_request(), impostor.join_request(), elsewhere):
        site.hear(phy)
    site.run(10_000)
    assert not site.sent and not site.store.groups
    assert (site.server.counters.foreign, site.server.counters.forged) == (2, 1)


def test_a_join_request_counts_once_also_after_a_restart() -> None:
    site = Site()
    request = site.devices[0].join_request()
    site.hear(request)
    site.run(10_000)
    site.hear(request)
    site.run(10_000)
    assert len(site.sent) == 1 and site.server.counters.joins_replayed == 1
    site.start()
    site.hear(request)
    site.run(10_000)
    assert not site.sent and site.server.counters.joins_replayed == 1


def test_join_nonces_rise_for_the_device_whatever_the_gateway_has_forgotten() -> None:
    site = Site()
    device = site.joined()
    for _ in range(3):
        site.store = Store(site.world)  # another gateway, with the provisioning records alone
        site.start()
        site.hear(device.join_request())
        site.run(10_000)
        device.join(site.sent[-1].phy)  # raises ReplayError if JoinNonce went back
        site.hear(device.uplink(3, hello_of()))
        site.run(10_000)
        assert device.hear(site.sent[-1].phy).port == 9


def test_a_device_sees_a_join_nonce_that_goes_back() -> None:
    """The control of the test above: `Device.join` would notice."""
    site = Site()
    device = site.devices[0]
    site.hear(device.join_request())
    site.run(10_000)
    device.join(site.sent[0].phy)
    with pytest.raises(ReplayError):
        device.join(site.sent[0].phy)


def test_the_session_in_use_stays_valid_until_the_first_uplink_of_the_new_one() -> None:
    site = Site()
    device = site.joined()
    before, old_fcnt = device.session, device.fcnt
    site.hear(device.join_request())
    site.run(10_000)
    accept = site.sent[-1].phy
    site.hear(device.uplink(1, event_of(device.eui, 0)))  # the accept was lost: it goes on as before
    site.run(10_000)
    assert (device.eui, 1, 0) in site.store.readings and len(site.server.sessions) == 2
    device.join(accept)
    site.hear(device.uplink(3, hello_of()))
    site.run(10_000)
    assert len(site.server.sessions) == 1
    device.session, device.fcnt = before, old_fcnt + 1
    site.hear(device.uplink(1, event_of(device.eui, 1)))
    site.run(10_000)
    assert (device.eui, 1, 1) not in site.store.readings and site.server.counters.foreign == 1


def test_an_offer_that_was_never_used_gives_way_to_the_next() -> None:
    site = Site()
    device = site.joined()
    for _ in range(3):
        site.hear(device.join_request())
        site.run(10_000)
    assert len(site.server.sessions) == 2
    assert site.store.db.execute("SELECT count(*) FROM lora_session").get == 2
    device.join(site.sent[-1].phy)
    site.hear(device.uplink(3, hello_of()))
    site.run(10_000)
    assert site.store.db.execute("SELECT count(*) FROM lora_session").get == 1


def test_sessions_survive_a_restart_and_are_left_after_a_restored_backup() -> None:
    site = Site()
    device = site.joined()
    site.start()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    device.hear(site.sent[0].phy)
    assert (device.eui, 1, 0) in site.store.readings
    site.era += 1
    site.start()
    site.hear(device.uplink(1, event_of(device.eui, 1)))
    site.run(10_000)
    assert (device.eui, 1, 1) not in site.store.readings and not site.sent
    site.hear(device.join_request())
    site.run(10_000)
    device.join(site.sent[0].phy)
    site.hear(device.uplink(3, hello_of(1, 2)))
    site.run(10_000)
    site.start()  # the new session is of this era
    site.hear(device.uplink(1, event_of(device.eui, 2)))
    site.run(10_000)
    assert (device.eui, 1, 2) in site.store.readings


def test_session_keys_lie_sealed_on_disk() -> None:
    site = Site()
    device = site.joined()
    assert device.session is not None
    everything = b"".join(bytes(row[0]) for row in site.store.db.execute("SELECT sealed_keys FROM lora_session"))
    assert everything and device.session.nwk_skey not in everything and device.session.app_skey not in everything


def test_keys_that_the_key_file_does_not_open_are_counted_and_the_device_can_join_again() -> None:
    site = Site()
    device = site.joined()
    site.store.db.execute("UPDATE lora_session SET sealed_keys = x'00'")
    site.start()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    assert site.server.counters.sealed == 1 and not site.store.readings
    site.hear(device.join_request())
    site.run(10_000)
    device.join(site.sent[0].phy)


def test_a_retired_device_is_not_heard_and_its_nonces_stay() -> None:
    site = Site()
    device = site.joined()
    keys = site.table.secrets(device.eui)
    assert keys is not None
    site.table.remove(device.eui)
    site.server.forget(device.eui)
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.hear(device.join_request())
    site.run(10_000)
    assert not site.sent and not site.store.readings and len(site.server.sessions) == 0
    site.table.put(device.eui, keys)
    site.start()
    assert site.store.db.execute("SELECT dev_nonce FROM lora_device").get == 0
    site.hear(device.join_request())
    site.run(10_000)
    device.join(site.sent[0].phy)


def test_the_best_concentrator_answers_a_join_and_copies_count_once() -> None:
    site = Site()
    site.hear(site.devices[0].join_request(), {NEAR: -3.0, FAR: 4.0})
    site.run(10_000)
    assert [downlink.gateway_id for downlink in site.sent] == [FAR]
    assert site.server.counters.join_requests == 1


def test_addresses_begin_as_the_net_id_says() -> None:
    """Of NetID 00003f ChirpStack's lrwn says so (devaddr.rs), of 000013 The Things Network, of c00053 Helium."""
    for net_id, low, high in (
        (0x000000, 0x00000000, 0x01FFFFFF),
        (0x00003F, 0x7E000000, 0x7FFFFFFF),
        (0x000013, 0x26000000, 0x27FFFFFF),
        (0xC00053, 0xFC014C00, 0xFC014FFF),
    ):
        prefix, bits = net_id_prefix(net_id)
        assert (prefix, prefix + (1 << 32 - bits) - 1) == (low, high), hex(net_id)
    with pytest.raises(ValueError, match="24 bits"):
        net_id_prefix(1 << 24)


def test_settings_that_cannot_work_are_refused_by_name() -> None:
    check(LorawanSettings(), 50)
    check(LorawanSettings(net_id=1, address_prefix=0x02A00000, address_bits=12), 50)
    with pytest.raises(ValueError, match="not of NetID 000001; take a part of 02000000/7"):
        check(LorawanSettings(net_id=1), 50)
    with pytest.raises(ValueError, match="64 addresses for 50 devices; shorten the prefix /26"):
        check(LorawanSettings(address_bits=26), 50)
    with pytest.raises(ValueError, match="give 5"):
        check(LorawanSettings(channels_hz=(867_100_000,)), 50)
    with pytest.raises(ValueError, match="in no sub-band"):
        check(LorawanSettings(channels_hz=(868_650_000, 0, 0, 0, 0)), 50)


def test_no_address_is_given_twice_while_one_is_free() -> None:
    sessions, source = Sessions(), random.Random(1)
    site = Site()
    addresses = range(16)
    for number in range(16):
        address = sessions.free_address(addresses, source)
        sessions.offer(LoraSessionRow(f"{number:016x}", 0, address, b"", site_parameters(site), 64, 0))
        assert len(sessions.at(address)) == 1
    with pytest.raises(NoAddressError, match="shorten"):
        sessions.free_address(addresses, source)


def site_parameters(site: Site) -> str:
    site.joined()
    session: LoraSession = next(iter(site.server.sessions))
    return session.parameters.text()


def test_dev_nonce_counts_anew_under_another_join_eui() -> None:
    site = Site()
    device = site.joined()
    device.dev_nonce = 500
    site.hear(device.join_request())
    site.run(10_000)
    device.join(site.sent[-1].phy)
    other = bytes.fromhex("0200000000000002")
    site.table.put(device.eui, Secrets(None, LoraKeys(device.eui, other, device.app_key)))
    device.dev_nonce = 0
    site.hear(lorawan_join.encode_join_request(device.app_key, other, bytes.fromhex(device.eui), 0))
    site.run(10_000)
    device.join(site.sent[-1].phy)
    assert site.server.counters.join_requests == 3 and len(site.sent) == 2


def test_a_device_that_has_used_up_its_join_nonces_is_counted_and_not_answered() -> None:
    site = Site()
    device = site.joined()
    site.store.db.execute("UPDATE lora_device SET join_nonce = 16777215")
    site.start()
    site.hear(device.join_request())
    site.run(10_000)
    assert not site.sent and site.server.counters.joins_exhausted == 1


def crowded() -> Site:
    """Return a site that has room for one Join-Accept at SF12 in an hour, and has just given it away."""
    site = Site(devices=4, settings=LorawanSettings(join_share=2.0 / 36))
    near = site.server.concentrators.find(NEAR)
    assert near is not None
    near.refused_hz.add(869_525_000)
    asks(site, 0)
    assert len(site.sent) == 1
    return site


def asks(site: Site, number: int) -> bool:
    """Let a device ask; return whether it was answered."""
    site.keep_alive()
    before = len(site.sent)
    site.hear(site.devices[number].join_request(), data_rate=0)
    site.run(10_000)
    return len(site.sent) > before


def test_room_is_kept_for_the_device_that_has_waited_longest() -> None:
    site = crowded()
    assert not asks(site, 1) and not asks(site, 2)
    for _ in range(14):  # until the hour is over
        site.run(250_000)
        waiting = [asks(site, number) for number in (2, 1)]
        if any(waiting):
            break
    assert waiting == [False, True]


def test_a_device_that_does_not_come_back_loses_its_place() -> None:
    site = crowded()
    assert not asks(site, 1) and not asks(site, 2)
    for _ in range(15):
        site.run(250_000)
        if asks(site, 2):
            break
    assert len(site.sent) == 2 and len(site.server.joins.gate) == 0
