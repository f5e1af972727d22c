"""MAC commands: what is answered, what is asked until it is answered, and what an answer changes at once."""

from dataclasses import asdict, replace

import pytest
from lorawan_support import FAR, NEAR, Device, Site, delay_ms_of, event_of, mac_of

from pave_gateway.core import limits
from pave_gateway.core.lorawan import mac
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.parameters import Parameters, of_text
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import mac_commands
from pave_wire.lorawan import ADR_ACK_REQ, UP

LINK_CHECK, DEVICE_TIME = b"\x02", b"\x0d"


def answers(*commands: tuple[int, dict[str, int]]) -> bytes:
    return mac_commands.encode(UP, commands)


def changed(site: Site, **settings: object) -> None:
    """Start the gateway again with other settings."""
    site.settings = LorawanSettings(**{**asdict(site.settings), **settings})  # pyright: ignore[reportArgumentType]
    site.start()


def exchanged(site: Site, device: Device, fopts: bytes = b"", **arguments: object) -> list[tuple[int, dict[str, int]]]:
    """Let the device send and return the MAC commands of what it hears, but for DevStatusReq."""
    site.sent.clear()
    site.keep_alive()
    site.hear(device.uplink(fopts=fopts), **arguments)  # pyright: ignore[reportArgumentType]
    site.run(10_000)
    heard = [command for downlink in site.sent for command in mac_of(device.hear(downlink.phy))]
    site.asked_status = (mac_commands.DEV_STATUS, {}) in heard  # pyright: ignore[reportAttributeAccessIssue]
    return [command for command in heard if command[0] != mac_commands.DEV_STATUS]


def asks_status(site: Site, device: Device) -> bool:
    exchanged(site, device, LINK_CHECK)
    return site.asked_status  # pyright: ignore[reportAttributeAccessIssue]


def parameters(site: Site) -> Parameters:
    """Return what the device has agreed to, as it is on disk and in memory."""
    (session,) = site.server.sessions
    stored = of_text(site.store.db.execute("SELECT parameters FROM lora_session").get)
    assert replace(stored, data_rate=0) == replace(session.parameters, data_rate=0)
    return session.parameters


def test_a_link_check_is_answered_with_the_margin_and_the_number_of_concentrators() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(fopts=LINK_CHECK), {NEAR: -4.0, FAR: 2.0}, data_rate=3)
    site.run(10_000)
    (command,) = mac_of(device.hear(site.sent[0].phy))
    assert command == (mac_commands.LINK_CHECK, {"margin_db": 14, "gateways": 2})  # 2 dB; SF9 needs -12.5


def test_the_time_is_told_while_it_is_known() -> None:
    """The third line of brocaar/lorawan's gps_test.go: 2025-07-14 00:00 UTC is GPS second 1,436,486,418."""
    assert mac.device_time(1_752_451_200_250) == (13, {"gps_s": 1_436_486_418, "fraction_256": 64})
    site = Site()
    device = site.joined()
    expected = mac.device_time(site.now().ms)
    assert exchanged(site, device, DEVICE_TIME) == [expected]
    site.synchronized = False
    assert exchanged(site, device, DEVICE_TIME) == []


def test_questions_are_answered_together_and_once() -> None:
    site = Site()
    device = site.joined()
    heard = exchanged(site, device, LINK_CHECK + DEVICE_TIME + LINK_CHECK)
    assert [cid for cid, _ in heard] == [mac_commands.LINK_CHECK, mac_commands.DEVICE_TIME]
    assert exchanged(site, device) == []


def test_commands_on_port_0_count_as_those_in_fopts() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(0, LINK_CHECK))
    site.run(10_000)
    assert mac_of(device.hear(site.sent[0].phy))[0][0] == mac_commands.LINK_CHECK


def test_an_unknown_command_ends_the_parse_and_what_came_before_counts() -> None:
    site = Site()
    device = site.joined()
    heard = exchanged(site, device, LINK_CHECK + b"\x7f" + DEVICE_TIME)
    assert heard[0][0] == mac_commands.LINK_CHECK and mac_commands.DEVICE_TIME not in [cid for cid, _ in heard]
    assert site.server.counters.mac_unknown == 1
    assert exchanged(site, device, b"\x06\xff") == [] and site.server.counters.mac_unknown == 2  # cut off


def test_status_is_asked_for_once_a_day_when_a_frame_goes_out_anyway() -> None:
    site = Site()
    device = site.joined(greet=False)
    exchanged(site, device)
    assert not site.sent  # not for its own sake
    assert asks_status(site, device)
    assert not asks_status(site, device)  # an hour is left for the answer
    site.run(3_600_000)
    assert asks_status(site, device)
    exchanged(site, device, answers((mac_commands.DEV_STATUS, {"battery": 200, "snr_db": -7})))
    link = site.server.links.of(device.eui)
    assert (link.battery, link.downlink_snr_db, link.status_ms > 0) == (200, -7, True)
    site.run(23 * 3_600_000)
    assert not asks_status(site, device)
    site.run(3_600_000)
    assert asks_status(site, device)


def test_where_a_device_listens_is_asked_until_it_answers_and_holds_from_that_very_frame() -> None:
    site = Site()
    device = site.joined()
    changed(site, rx2_data_rate=0, rx1_dr_offset=2)
    fields = {"rx2_data_rate": 0, "rx1_dr_offset": 2, "frequency_hz": 869_525_000}
    for _ in range(2):  # the first is lost
        assert exchanged(site, device) == [(mac_commands.RX_PARAM_SETUP, fields)]
        assert site.sent[0].data_rate == 3
    yes = {"frequency_ok": 1, "rx2_data_rate_ok": 1, "rx1_dr_offset_ok": 1}
    heard = exchanged(site, device, LINK_CHECK + answers((mac_commands.RX_PARAM_SETUP, yes)))
    assert mac_commands.RX_PARAM_SETUP not in [cid for cid, _ in heard] and site.sent[0].data_rate == 1
    assert exchanged(site, device, answers((mac_commands.RX_PARAM_SETUP, yes))) == []  # repeated until a downlink
    site.start()
    assert exchanged(site, device) == []  # and it is on disk
    site.store.delay_ms = 1_200
    exchanged(site, device, LINK_CHECK)
    assert (site.sent[0].frequency_hz, site.sent[0].data_rate) == (869_525_000, 0)


def test_what_a_device_agreed_to_is_on_disk_before_a_downlink_relies_on_it() -> None:
    site = Site()
    device = site.joined()
    changed(site, rx_delay_s=3)
    assert exchanged(site, device) == [(mac_commands.RX_TIMING_SETUP, {"delay_s": 3})]
    site.store.failing = True
    tmst = site.tmst()
    yes = answers((mac_commands.RX_TIMING_SETUP, {}))
    exchanged(site, device, yes + LINK_CHECK)
    assert not site.sent  # the frame is not on disk, so nothing is answered
    site.store.failing = False
    tmst = site.tmst()
    exchanged(site, device, yes + LINK_CHECK)
    assert delay_ms_of(site.sent[0], tmst) == 3000


def test_an_answer_to_what_was_asked_before_a_restart_counts() -> None:
    site = Site()
    device = site.joined()
    changed(site, rx_delay_s=3)
    exchanged(site, device)
    site.start()
    tmst = site.tmst()
    exchanged(site, device, answers((mac_commands.RX_TIMING_SETUP, {})) + LINK_CHECK)
    assert delay_ms_of(site.sent[0], tmst) == 3000


def test_a_new_channel_and_a_duty_cycle_reach_devices_that_joined_before() -> None:
    site = Site()
    device = site.joined()
    changed(site, channels_hz=(867_100_000, 867_300_000, 0, 867_700_000, 868_800_000), max_duty_cycle=4)
    heard = exchanged(site, device)
    assert [(cid, fields.get("channel"), fields.get("frequency_hz")) for cid, fields in heard] == [
        (mac_commands.DUTY_CYCLE, None, None),
        (mac_commands.NEW_CHANNEL, 5, 0),
        (mac_commands.NEW_CHANNEL, 7, 868_800_000),
    ]
    yes = {"frequency_ok": 1, "data_rate_ok": 1}
    reply = answers((mac_commands.DUTY_CYCLE, {}), (mac_commands.NEW_CHANNEL, yes), (mac_commands.NEW_CHANNEL, yes))
    assert exchanged(site, device, reply) == []
    assert parameters(site).channels_hz == site.settings.channels_hz and parameters(site).max_duty_cycle == 4
    assert parameters(site).channel_mask == 0b1101_1111


def test_what_a_device_refuses_is_not_asked_again() -> None:
    site = Site()
    device = site.joined()
    changed(site, channels_hz=(867_100_000, 867_300_000, 867_500_000, 867_700_000, 868_800_000))
    assert [cid for cid, _ in exchanged(site, device)] == [mac_commands.NEW_CHANNEL]
    no = {"frequency_ok": 0, "data_rate_ok": 1}
    assert exchanged(site, device, answers((mac_commands.NEW_CHANNEL, no))) == []
    assert exchanged(site, device) == [] and site.server.counters.mac_refused == 1
    assert parameters(site).channels_hz[4] == 867_900_000


def test_a_device_that_never_answers_is_left_alone_for_a_while() -> None:
    site = Site()
    device = site.joined()
    changed(site, rx_delay_s=3)
    asked = [bool(exchanged(site, device)) for _ in range(limits.LORAWAN_DOWNLINK_TRIES + 70)]
    first = limits.LORAWAN_DOWNLINK_TRIES
    assert all(asked[:first]) and not any(asked[first : first + limits.LORAWAN_MAC_PAUSE_UPLINKS - 1]) and asked[-1]


def test_mac_commands_go_before_a_command_and_behind_an_acknowledgement() -> None:
    site = Site()
    device = site.joined()
    changed(site, rx_delay_s=3)
    site.server.enqueue(device.eui, Message(12, bytes(50), Priority.COMMAND), site.world.now_ms)
    site.hear(device.uplink(1, event_of(device.eui, 0)), data_rate=0)
    site.run(10_000)
    frame = device.hear(site.sent[-1].phy)
    assert (frame.port, mac_of(frame)[0][0]) == (6, mac_commands.RX_TIMING_SETUP)
    site.hear(device.uplink(), data_rate=0)  # 50 bytes of command leave one of 51 for FOpts: too few
    site.run(10_000)
    frame = device.hear(site.sent[-1].phy)
    assert (frame.port, mac_of(frame)[0][0]) == (6, mac_commands.RX_TIMING_SETUP)
    site.hear(device.uplink(fopts=answers((mac_commands.RX_TIMING_SETUP, {}))), data_rate=0)
    site.run(10_000)
    assert device.hear(site.sent[-1].phy).port == 12


def test_a_device_that_asks_whether_anybody_hears_it_is_answered() -> None:
    site = Site()
    device = site.joined()
    site.hear(device.uplink(flags=ADR_ACK_REQ))
    site.run(10_000)
    device.hear(site.sent[0].phy)
    assert site.server.links.of(device.eui).penalty_db == 3


@pytest.mark.parametrize("cid", [mac_commands.LINK_ADR, mac_commands.NEW_CHANNEL, mac_commands.DUTY_CYCLE])
def test_an_answer_to_nothing_changes_nothing(cid: int) -> None:
    site = Site()
    device = site.joined()
    before = parameters(site)
    reply = {
        mac_commands.LINK_ADR: {"channel_mask_ok": 1, "data_rate_ok": 1, "tx_power_ok": 1},
        mac_commands.NEW_CHANNEL: {"frequency_ok": 1, "data_rate_ok": 1},
        mac_commands.DUTY_CYCLE: {},
    }[cid]
    assert exchanged(site, device, answers((cid, reply))) == [] and parameters(site) == before


def test_parameters_are_the_same_after_a_round_through_text() -> None:
    known = Parameters(2, 0, 3, (867_100_000, 0, 868_800_000), 4, 5, 3, 2)
    assert of_text(known.text()) == known and known.channel_mask == 0b101111
