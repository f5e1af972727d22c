"""What a device does when its network tells it so: the MAC commands of LoRaWAN 1.0.4 (5.2 to 5.8) for EU863-870.

Loaded when a frame brings commands. Every request is answered; one that cannot be obeyed whole is not obeyed at all,
and the answer says why. The answers to RXParamSetup, RXTimingSetup and DlChannel are repeated in each frame until a
downlink comes, as only that proves that both sides listen and send alike.
"""

from app import lora_mac
from pave_wire import lorawan, mac_commands, region

_STICKY = (mac_commands.RX_PARAM_SETUP, mac_commands.RX_TIMING_SETUP, mac_commands.DL_CHANNEL)
_MASK_AS_SAID, _MASK_ALL = 0, 6  # ChMaskCntl of EU863-870 (RP002-1.0.4, 2.4.5)


def obey(mac, data, battery):
    """Do what the MAC commands in `data` say to `mac`, a `lora_mac.Mac`; as `Mac.receive`."""
    before = repr(mac.agreed)
    link = None
    answers = []
    commands, _ = mac_commands.decode(lorawan.DOWN, data)
    at = 0
    while at < len(commands):
        cid, fields = commands[at]
        if cid == mac_commands.LINK_ADR:
            block = _adr_block(commands[at:])
            answers += [(cid, _link_adr(mac, block))] * len(block)
            at += len(block)
            continue
        at += 1
        if cid == mac_commands.LINK_CHECK:
            link = (fields["margin_db"], fields["gateways"])
        elif cid in _REQUESTS:
            answers.append((cid, _REQUESTS[cid](mac, fields)))
        elif cid == mac_commands.DEV_STATUS:
            answers.append((cid, {"battery": battery, "snr_db": max(-32, min(31, mac.snr_db))}))
    mac.sticky = mac_commands.encode(lorawan.UP, [answer for answer in answers if answer[0] in _STICKY])
    mac.answers = mac_commands.encode(lorawan.UP, [answer for answer in answers if answer[0] not in _STICKY])
    return repr(mac.agreed) != before, link


def _adr_block(commands):
    """Return the fields of the LinkADRReq at the beginning: contiguous ones are one request (5.3)."""
    block = []
    for cid, fields in commands:
        if cid != mac_commands.LINK_ADR:
            break
        block.append(fields)
    return block


def _link_adr(mac, block):
    mask = mac.mask
    mask_ok = True
    for fields in block:
        if fields["mask_control"] == _MASK_AS_SAID:
            mask = fields["channel_mask"]
        elif fields["mask_control"] == _MASK_ALL:
            mask = mac.all_channels()
        else:
            mask_ok = False
    last = block[-1]
    rate = mac.data_rate if last["data_rate"] == mac_commands.KEEP else last["data_rate"]
    power = mac.tx_power if last["tx_power"] == mac_commands.KEEP else last["tx_power"]
    mask_ok = mask_ok and mask != 0 and not mask & ~mac.all_channels()
    rate_ok = any(
        mask >> number & 1 and channel[1] <= rate <= channel[2]
        for number, channel in enumerate(mac.agreed[lora_mac.CHANNELS])
        if channel[0]
    )
    power_ok = power <= 7
    if mask_ok and rate_ok and power_ok:
        mac.mask, mac.data_rate, mac.tx_power = mask, rate, power
        mac.nb_trans = last["nb_trans"] or 1
    return {"channel_mask_ok": int(mask_ok), "data_rate_ok": int(rate_ok), "tx_power_ok": int(power_ok)}


def _duty_cycle(mac, fields):
    mac.agreed[lora_mac.MAX_DUTY_CYCLE] = fields["max_duty_cycle"]
    return {}


def _rx_param_setup(mac, fields):
    frequency_ok = lora_mac.is_legal(fields["frequency_hz"])
    rate_ok = fields["rx2_data_rate"] <= 6
    offset_ok = fields["rx1_dr_offset"] <= 5
    if frequency_ok and rate_ok and offset_ok:
        mac.agreed[lora_mac.RX1_OFFSET] = fields["rx1_dr_offset"]
        mac.agreed[lora_mac.RX2_RATE] = fields["rx2_data_rate"]
        mac.agreed[lora_mac.RX2_HZ] = fields["frequency_hz"]
    return {"frequency_ok": int(frequency_ok), "rx2_data_rate_ok": int(rate_ok), "rx1_dr_offset_ok": int(offset_ok)}


def _new_channel(mac, fields):
    number, hz = fields["channel"], fields["frequency_hz"]
    known = mac.agreed[lora_mac.CHANNELS]
    frequency_ok = lora_mac.DEFAULT_CHANNELS <= number < region.CHANNELS_MAX and (not hz or lora_mac.is_legal(hz))
    rates_ok = fields["min_data_rate"] <= fields["max_data_rate"] <= lora_mac.HIGHEST_RATE
    if frequency_ok and rates_ok:
        while len(known) <= number:
            known.append([0, 0, 0, 0])
        known[number] = [hz, fields["min_data_rate"], fields["max_data_rate"], 0]
        if hz:
            mac.mask |= 1 << number
        else:
            mac.mask &= ~(1 << number)
    return {"frequency_ok": int(frequency_ok), "data_rate_ok": int(rates_ok)}


def _rx_timing_setup(mac, fields):
    mac.agreed[lora_mac.RX_DELAY_S] = fields["delay_s"] or 1
    return {}


def _dl_channel(mac, fields):
    known = mac.agreed[lora_mac.CHANNELS]
    exists = fields["channel"] < len(known) and known[fields["channel"]][0] != 0
    frequency_ok = lora_mac.is_legal(fields["frequency_hz"])
    if exists and frequency_ok:
        known[fields["channel"]][3] = fields["frequency_hz"]
    return {"frequency_ok": int(frequency_ok), "uplink_exists": int(exists)}


_REQUESTS = {
    mac_commands.DUTY_CYCLE: _duty_cycle,
    mac_commands.RX_PARAM_SETUP: _rx_param_setup,
    mac_commands.NEW_CHANNEL: _new_channel,
    mac_commands.RX_TIMING_SETUP: _rx_timing_setup,
    mac_commands.DL_CHANNEL: _dl_channel,
}
