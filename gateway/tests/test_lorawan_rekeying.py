"""A device's LoRaWAN keys become others, or go: its sessions end, DevNonce counts anew, nothing on its way counts."""

import pytest
from lorawan_support import JOIN_EUI, Device, Site, event_of, hello_of

from pave_gateway.core import limits
from pave_gateway.core.keys import LoraKeys, Secrets
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.radio import TxResult
from pave_gateway.core.lorawan.roots import root_of
from pave_gateway.core.lorawan.rows import JoinRow

NEW_KEY = bytes(range(16))


def new_keys(site: Site, device: Device) -> Device:
    """Put other keys of `device` into effect; return it as it is after it was flashed with them."""
    flashed = Device(int(device.eui, 16) & 0xFFF)
    flashed.app_key = NEW_KEY
    site.table.put(device.eui, Secrets(None, LoraKeys(device.eui, JOIN_EUI, NEW_KEY)))
    return flashed


def rekeyed(site: Site, device: Device) -> Device:
    """The same as the gateway does it: told before and after."""
    site.server.forget(device.eui)
    flashed = new_keys(site, device)
    site.server.forget(device.eui)
    return flashed


def is_heard(site: Site, device: Device, seq: int) -> bool:
    """Let `device` report; return whether that is on disk and acknowledged, or neither."""
    before = len(site.sent)
    site.keep_alive()
    site.hear(device.uplink(1, event_of(device.eui, seq)))
    site.run(10_000)
    stored, answered = (device.eui, 1, seq) in site.store.readings, len(site.sent) > before
    assert stored == answered
    return stored


def joins(site: Site, device: Device) -> bool:
    """Let `device` ask to join, and say hello if it may."""
    before = len(site.sent)
    site.keep_alive()
    site.hear(device.join_request())
    site.run(10_000)
    if len(site.sent) == before:
        return False
    device.join(site.sent[-1].phy)
    site.hear(device.uplink(3, hello_of()))
    site.run(60_000)
    return True


def sessions_on_disk(site: Site) -> int:
    return site.store.db.execute("SELECT count(*) FROM lora_session").get


@pytest.mark.parametrize("restarted", [False, True])
def test_under_a_new_app_key_the_old_session_is_over_and_dev_nonce_counts_from_0(restarted: bool) -> None:
    site = Site()
    old = site.joined()
    for _ in range(3):
        assert joins(site, old)
    before = old.join_nonce
    new = rekeyed(site, old)
    assert sessions_on_disk(site) == len(site.server.sessions) == 0
    if restarted:
        site.start()
    assert not is_heard(site, old, 0) and not joins(site, old)
    assert joins(site, new) and new.dev_nonce == 0 and new.join_nonce > before
    assert is_heard(site, new, 1) and not is_heard(site, old, 2)
    site.start()
    assert is_heard(site, new, 3) and not is_heard(site, old, 4) and not site.server.counters.joins_replayed


def test_dev_nonce_counts_on_under_the_same_keys() -> None:
    """The control: a device that is told of and has the same keys after all joins again, and nobody replays it."""
    site = Site()
    device = site.joined()
    played_back = Device(0x100)
    site.server.forget(device.eui)
    assert not is_heard(site, device, 0)
    assert not joins(site, played_back) and site.server.counters.joins_replayed == 1
    assert joins(site, device) and is_heard(site, device, 1)


def test_killed_between_the_new_keys_and_the_end_of_the_sessions_nothing_of_the_old_comes_back() -> None:
    site = Site()
    old = site.joined()
    new = new_keys(site, old)  # on disk, and then the gateway dies
    assert sessions_on_disk(site) == 1
    site.start()
    assert sessions_on_disk(site) == len(site.server.sessions) == 0
    assert not is_heard(site, old, 0)
    assert joins(site, new) and is_heard(site, new, 1)


def test_killed_between_the_end_of_the_sessions_and_the_new_keys_the_device_joins_again_with_those_it_has() -> None:
    site = Site()
    device = site.joined()
    site.server.forget(device.eui)
    site.start()
    assert not is_heard(site, device, 0)
    assert joins(site, device) and is_heard(site, device, 1)


def test_an_end_that_the_disk_did_not_take_is_made_up_for_at_the_next_start() -> None:
    site = Site()
    old = site.joined()
    site.store.failing = True
    new = rekeyed(site, old)
    site.store.failing = False
    assert sessions_on_disk(site) == 1 and not is_heard(site, old, 0)
    site.start()
    assert sessions_on_disk(site) == 0 and not is_heard(site, old, 1)
    assert joins(site, new) and is_heard(site, new, 2)


@pytest.mark.parametrize("delay_ms", [0, 3000])
@pytest.mark.parametrize("gone", [False, True])
def test_a_join_that_is_held_or_on_its_way_to_the_disk_is_dropped_when_the_keys_change(
    delay_ms: int, gone: bool
) -> None:
    site = Site(delay_ms=delay_ms)
    device = site.devices[0]
    site.hear(device.join_request())
    site.run(limits.LORAWAN_JOIN_HOLD_MS + delay_ms // 2 - (0 if delay_ms else 1))
    if gone:
        site.table.remove(device.eui)
        site.server.forget(device.eui)
    else:
        rekeyed(site, device)
    site.run(20_000)
    assert not site.sent and len(site.server.sessions) == sessions_on_disk(site) == len(site.server.joins.gate) == 0
    assert site.server.counters.joins_rekeyed == 1


def test_a_join_is_dropped_for_its_keys_alone_also_before_the_server_is_told() -> None:
    site = Site()
    device = site.devices[0]
    site.hear(device.join_request())
    site.table.remove(device.eui)
    site.run(20_000)
    assert not site.sent and site.server.counters.joins_rekeyed == 1 and not site.store.groups


def test_a_join_under_the_old_keys_that_reaches_the_disk_behind_the_new_ones_offers_nothing() -> None:
    site = Site(delay_ms=1500)
    old = site.devices[0]
    site.server.forget(old.eui)
    site.hear(old.join_request())
    site.run(limits.LORAWAN_JOIN_HOLD_MS + 500)  # handed to the disk
    new = new_keys(site, old)
    site.run(1500)  # there; and the gateway dies before it is told of the keys
    assert sessions_on_disk(site) == 1 and not site.sent
    site.store.generation += 1
    site.store.delay_ms = 0
    site.start()
    assert sessions_on_disk(site) == len(site.server.sessions) == 0
    before = site.store.db.execute("SELECT join_nonce FROM lora_device").get
    assert joins(site, new) and new.join_nonce > before and is_heard(site, new, 0)


def test_a_frame_that_waits_for_the_disk_behind_the_end_of_its_session_is_not_admitted() -> None:
    site = Site()
    device = site.joined()
    site.store.delay_ms = 300
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.hear(device.uplink(1, event_of(device.eui, 1)))  # waits for the one before
    site.run(100)
    site.server.forget(device.eui)
    site.run(20_000)
    assert list(site.store.readings) == [(device.eui, 1, 0)]  # handed to the disk before
    assert not site.sent and len(site.server.sessions) == 0


def test_a_first_frame_on_its_way_to_the_disk_begins_no_session_that_has_ended() -> None:
    for ended in (False, True):
        site = Site()
        device = site.joined(greet=False)
        site.store.delay_ms = 300
        site.hear(device.uplink(3, hello_of()))
        site.run(100)
        if ended:
            site.server.forget(device.eui)
        site.run(20_000)
        assert (site.server.counters.sessions, len(site.notices)) == ((0, 0) if ended else (1, 2))


def test_a_frame_that_the_concentrator_refuses_is_not_sent_again_under_a_session_that_has_ended() -> None:
    for ended in (False, True):
        site = Site()
        device = site.joined()
        site.results = lambda downlink: None
        site.hear(device.uplink(1, event_of(device.eui, 0)))
        site.run(500)
        (first,) = site.sent
        if ended:
            site.server.forget(device.eui)
        site.server.transmitted(first.token, TxResult.TOO_LATE, site.world.now_ms)
        site.run(10_000)
        assert len(site.sent) == (1 if ended else 2)


def test_what_the_device_has_not_confirmed_goes_out_under_its_new_keys() -> None:
    site = Site()
    old = site.joined()
    site.server.enqueue(old.eui, Message(20, b"stay", Priority.COMMAND, confirmed=True), site.world.now_ms)
    site.hear(old.uplink(None, b"", confirmed=True))
    site.run(10_000)
    assert old.hear(site.sent[-1].phy).payload == b"stay"
    new = rekeyed(site, old)
    assert joins(site, new)
    new.hear(site.sent[-1].phy)  # the welcome
    site.keep_alive()
    site.hear(new.uplink(None, b"", confirmed=True))
    site.run(10_000)
    assert new.hear(site.sent[-1].phy).payload == b"stay"


def test_root_keys_are_told_apart_by_either_part_and_their_name_has_no_secret() -> None:
    keys = LoraKeys("24a160fffe000100", JOIN_EUI, NEW_KEY)
    others = [LoraKeys(keys.dev_eui, bytes(8), NEW_KEY), LoraKeys(keys.dev_eui, JOIN_EUI, bytes(16))]
    assert len({root_of(each) for each in (keys, *others)}) == 3
    assert root_of(keys).startswith(JOIN_EUI.hex()) and NEW_KEY.hex()[:8] not in root_of(keys)


def test_the_row_of_a_join_names_the_keys_it_was_made_under() -> None:
    site = Site()
    device = site.joined()
    (row,) = [row for group in site.store.groups for row in group if isinstance(row, JoinRow)]
    keys = site.table.lora(device.eui)
    assert keys is not None and row.root == root_of(keys)
