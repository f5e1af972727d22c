from app import lora_mac
from app.lora_mac import Mac
from pave_wire import lorawan, mac_commands, region
from pave_wire.lorawan_join import JoinAccept

SESSION = lorawan.Session(0x01020304, bytes(range(16)), bytes(range(1, 17)))
ACCEPT = JoinAccept(256, 0, SESSION.dev_addr, 0, 3, 1, (867_100_000, 867_300_000, 0, 0, 0))
ADR = {"tx_power": 2, "data_rate": 3, "channel_mask": 0x1F, "nb_trans": 2, "mask_control": 0}


class Link:
    """A device's MAC, and the network that commands it."""

    def __init__(self):
        self.mac = Mac(lora_mac.agreed_of(ACCEPT, SESSION), 0, -1, 5)
        self.down = -1

    def hear(self, *commands):
        """Send these down; return (answers of the next frame, what `receive` gave)."""
        self.down += 1
        data = mac_commands.encode(lorawan.DOWN, commands)
        in_fopts = len(data) <= 15
        phy = lorawan.encode_downlink(
            SESSION, self.down, None if in_fopts else 0, *((b"", data) if in_fopts else (data,))
        )
        result = self.mac.receive(self.mac.decode(phy), 7, 200)
        return self.answers(), result

    def answers(self):
        frame = lorawan.decode_uplink(SESSION, self.mac.uplink(1, b"x", 0, 0).phy, self.mac.fcnt_up - 2)
        return mac_commands.decode(lorawan.UP, frame.fopts)[0]


def adr_answer(mask, rate, power):
    return (mac_commands.LINK_ADR, {"channel_mask_ok": mask, "data_rate_ok": rate, "tx_power_ok": power})


def test_channels_are_the_regions_and_those_of_the_join_accept():
    mac = Link().mac
    assert mac.channels(5) == [0, 1, 2, 3, 4]
    assert [mac.agreed[lora_mac.CHANNELS][n][0] for n in (0, 3, 4)] == [868_100_000, 867_100_000, 867_300_000]


def test_link_adr_is_obeyed_and_answered():
    link = Link()
    answers, (changed, _) = link.hear((mac_commands.LINK_ADR, ADR))
    assert answers == [adr_answer(1, 1, 1)] and not changed
    mac = link.mac
    assert (mac.data_rate, mac.tx_power, mac.nb_trans, mac.mask) == (3, 2, 2, 0x1F)
    assert mac.uplink(1, b"", 3, 0).eirp_dbm == 12
    link.hear((mac_commands.LINK_ADR, dict(ADR, tx_power=15, data_rate=15, nb_trans=0, mask_control=6)))
    assert (mac.data_rate, mac.tx_power, mac.nb_trans, mac.mask) == (3, 2, 1, 0x1F)


def test_contiguous_link_adr_are_obeyed_whole_or_not_at_all():
    link = Link()
    answers, _ = link.hear(
        (mac_commands.LINK_ADR, dict(ADR, channel_mask=0x07)), (mac_commands.LINK_ADR, dict(ADR, channel_mask=0xFF))
    )
    assert answers == [adr_answer(0, 1, 1)] * 2
    assert (link.mac.data_rate, link.mac.mask) == (5, 0x1F)
    answers, _ = link.hear(
        (mac_commands.LINK_ADR, ADR), (mac_commands.DEV_STATUS, {}), (mac_commands.LINK_ADR, dict(ADR, data_rate=9))
    )
    assert answers[0] == adr_answer(1, 1, 1) and answers[2] == adr_answer(1, 0, 1)
    assert answers[1] == (mac_commands.DEV_STATUS, {"battery": 200, "snr_db": 7})
    assert link.mac.data_rate == 3


def test_what_cannot_be_is_refused_by_name():
    for fields, answer in (
        ({"channel_mask": 0}, (0, 0, 1)),
        ({"channel_mask": 0x20}, (0, 0, 1)),
        ({"mask_control": 5}, (0, 1, 1)),
        ({"tx_power": 8}, (1, 1, 0)),
        ({"data_rate": 6}, (1, 0, 1)),
    ):
        link = Link()
        answers, _ = link.hear((mac_commands.LINK_ADR, dict(ADR, **fields)))
        assert answers == [adr_answer(*answer)]
        assert (link.mac.data_rate, link.mac.tx_power, link.mac.mask) == (5, 0, 0x1F)


def test_answers_about_windows_are_repeated_until_a_downlink_comes():
    link = Link()
    setup = {"rx2_data_rate": 4, "rx1_dr_offset": 2, "frequency_hz": 869_525_000}
    answers, (changed, _) = link.hear(
        (mac_commands.RX_PARAM_SETUP, setup),
        (mac_commands.RX_TIMING_SETUP, {"delay_s": 5}),
        (mac_commands.DEV_STATUS, {}),
    )
    assert changed
    assert [cid for cid, _ in answers] == [mac_commands.RX_PARAM_SETUP, mac_commands.RX_TIMING_SETUP, 0x06]
    assert [cid for cid, _ in link.answers()] == [mac_commands.RX_PARAM_SETUP, mac_commands.RX_TIMING_SETUP]
    uplink = link.mac.uplink(1, b"x", 5, 0)
    assert uplink.windows == ((5000, 868_100_000, 3), (6000, 869_525_000, 4))
    link.hear()
    assert link.answers() == []


def test_windows_that_the_device_does_not_have_are_refused():
    link = Link()
    setup = {"rx2_data_rate": 7, "rx1_dr_offset": 6, "frequency_hz": 915_000_000}
    answers, (changed, _) = link.hear((mac_commands.RX_PARAM_SETUP, setup))
    assert answers[0][1] == {"frequency_ok": 0, "rx2_data_rate_ok": 0, "rx1_dr_offset_ok": 0} and not changed


def test_channels_come_and_go_but_not_the_regions_own():
    link = Link()
    new = {"channel": 5, "frequency_hz": 867_500_000, "min_data_rate": 0, "max_data_rate": 5}
    answers, (changed, _) = link.hear((mac_commands.NEW_CHANNEL, new))
    assert answers[0][1] == {"frequency_ok": 1, "data_rate_ok": 1} and changed
    assert link.mac.channels(5) == [0, 1, 2, 3, 4, 5]
    link.hear((mac_commands.NEW_CHANNEL, dict(new, frequency_hz=0)))
    assert link.mac.channels(5) == [0, 1, 2, 3, 4]
    for fields in ({"channel": 2}, {"channel": 16}, {"frequency_hz": 868_650_000}):
        answers, (changed, _) = link.hear((mac_commands.NEW_CHANNEL, dict(new, **fields)))
        assert answers[0][1]["frequency_ok"] == 0 and not changed


def test_rx1_may_have_a_frequency_of_its_own():
    link = Link()
    answers, _ = link.hear((mac_commands.DL_CHANNEL, {"channel": 1, "frequency_hz": 869_525_000}))
    assert answers[0][1] == {"frequency_ok": 1, "uplink_exists": 1}
    uplink = link.mac.uplink(1, b"x", 5, 1)
    assert (uplink.frequency_hz, uplink.windows[0][1]) == (868_300_000, 869_525_000)
    answers, _ = link.hear((mac_commands.DL_CHANNEL, {"channel": 9, "frequency_hz": 869_525_000}))
    assert answers[0][1]["uplink_exists"] == 0


def test_duty_cycle_and_link_check_are_told():
    link = Link()
    answers, (changed, margin) = link.hear(
        (mac_commands.DUTY_CYCLE, {"max_duty_cycle": 7}), (mac_commands.LINK_CHECK, {"margin_db": 20, "gateways": 2})
    )
    assert answers == [(mac_commands.DUTY_CYCLE, {})] and changed and margin == (20, 2)
    assert link.mac.agreed[lora_mac.MAX_DUTY_CYCLE] == 7


def test_what_is_for_other_regions_is_not_answered():
    link = Link()
    command = (mac_commands.TX_PARAM_SETUP, {"max_eirp": 1, "uplink_dwell": 0, "downlink_dwell": 0})
    assert link.hear(command)[0] == []


def test_adr_back_off_asks_then_gets_louder_then_slower():
    link = Link()
    mac = link.mac
    mac.tx_power, mac.data_rate, mac.mask = 3, 2, 0x18
    asks = []
    for n in range(region.ADR_ACK_LIMIT + 6 * region.ADR_ACK_DELAY):
        phy = mac.uplink(1, b"x", 0, 0).phy
        asks.append(bool(phy[5] & lorawan.ADR_ACK_REQ))
        if n == region.ADR_ACK_LIMIT + region.ADR_ACK_DELAY - 1:
            assert (mac.tx_power, mac.data_rate) == (0, 2)
        if n == region.ADR_ACK_LIMIT + 3 * region.ADR_ACK_DELAY - 1:
            assert (mac.data_rate, mac.mask) == (0, 0x18)
    assert asks.index(True) == region.ADR_ACK_LIMIT and all(asks[region.ADR_ACK_LIMIT :])
    assert mac.mask == 0x1F
    link.hear()
    assert not mac.uplink(1, b"x", 0, 0).phy[5] & lorawan.ADR_ACK_REQ


def test_state_makes_the_same_mac_again():
    link = Link()
    link.hear((mac_commands.LINK_ADR, ADR), (mac_commands.RX_TIMING_SETUP, {"delay_s": 2}))
    again = Mac(link.mac.agreed, link.mac.fcnt_up, link.mac.fcnt_down, 0, link.mac.state())
    assert again.state() == link.mac.state()
    assert again.uplink(1, b"x", 3, 0).phy == link.mac.uplink(1, b"x", 3, 0).phy


def test_a_frame_that_was_heard_is_not_heard_again():
    link = Link()
    phy = lorawan.encode_downlink(SESSION, 0, None)
    link.mac.receive(link.mac.decode(phy), 0, 255)
    try:
        link.mac.decode(phy)
    except lorawan.ReplayError:
        return
    raise AssertionError("a replay was taken")
