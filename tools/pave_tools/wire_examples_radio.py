"""LoRaWAN in docs/WIRE.md: a join, an event and its acknowledgement byte by byte, MAC commands, and the plan EU868."""

import struct
from collections.abc import Callable

from pave_tools.wire_examples import DEVICE, LEFT, LORAWAN_BYTES, fenced, fields, hexed, table
from pave_wire import event, event_encode, lorawan, lorawan_join, mac_commands, region
from pave_wire.aes import encryptor
from pave_wire.cmac import Cmac

APP_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # of FIPS 197 and RFC 4493
JOIN_EUI, DEV_EUI = bytes.fromhex("0200000000000001"), bytes.fromhex(DEVICE)
DEV_NONCE = 7
CHANNELS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
ACCEPT = lorawan_join.JoinAccept(3, 0, 0x01A2B3C4, frequencies_hz=CHANNELS_HZ)
SESSION = lorawan_join.session_of(APP_KEY, ACCEPT, DEV_NONCE)
UPLINK_FCNT, DOWNLINK_FCNT = 65_538, 9
_JOIN_REQUEST_BYTES = 23
_COMMANDS = {
    mac_commands.LINK_CHECK: "LinkCheck",
    mac_commands.LINK_ADR: "LinkADR",
    mac_commands.DUTY_CYCLE: "DutyCycle",
    mac_commands.RX_PARAM_SETUP: "RXParamSetup",
    mac_commands.DEV_STATUS: "DevStatus",
    mac_commands.NEW_CHANNEL: "NewChannel",
    mac_commands.RX_TIMING_SETUP: "RXTimingSetup",
    mac_commands.TX_PARAM_SETUP: "TxParamSetup",
    mac_commands.DL_CHANNEL: "DlChannel",
    mac_commands.DEVICE_TIME: "DeviceTime",
}
_ASKED_BY_DEVICE = (mac_commands.LINK_CHECK, mac_commands.DEVICE_TIME)


def join_request() -> str:
    """A Join-Request."""
    data = lorawan_join.encode_join_request(APP_KEY, JOIN_EUI, DEV_EUI, DEV_NONCE)
    if lorawan_join.decode_join_request(APP_KEY, data, DEV_NONCE - 1) != DEV_NONCE:
        raise ValueError("the Join-Request came out as another")
    parts = (
        (1, "MHDR: Join-Request, major version 0"), (8, f"JoinEUI {JOIN_EUI.hex()}"), (8, f"DevEUI {DEVICE}"),
        (2, f"DevNonce {DEV_NONCE}"), (4, "MIC: CMAC under AppKey of all before it, first 4 bytes"),
    )  # fmt: skip
    return fenced(f"{'AppKey':<8}{hexed(APP_KEY)}\n\n{len(data)} bytes:\n\n{fields(data, parts)}")


def join_accept() -> str:
    """A Join-Accept with five more channels, in clear and as it travels, and the keys of the session."""
    data = lorawan_join.encode_join_accept(APP_KEY, ACCEPT)
    got = lorawan_join.decode_join_accept(APP_KEY, data)
    clear = data[:1] + encryptor(APP_KEY)(data[1:])
    parts = [
        (1, "MHDR: Join-Accept"), (3, f"JoinNonce {got.join_nonce}"), (3, f"NetID {got.net_id:06x}"),
        (4, f"DevAddr {got.dev_addr:08x}"), (1, "DLSettings: RX1DROffset 0, RX2 at DR0"), (1, "RxDelay: RX1 after 1 s"),
    ]  # fmt: skip
    channels = list(enumerate(got.frequencies_hz, len(region.DEFAULT_CHANNELS_HZ)))
    parts += [(3, f"channel {channel}: {hz / 1e6:.1f} MHz, in 100 Hz") for channel, hz in channels]
    parts += [(1, "CFList of type 0: frequencies"), (4, "MIC: CMAC under AppKey of all before it")]
    seed = struct.pack("<I", got.join_nonce)[:3] + struct.pack("<I", got.net_id)[:3] + struct.pack("<H", DEV_NONCE)
    blocks = [bytes((kind,)) + seed + bytes(7) for kind in (1, 2)]
    session = lorawan_join.session_of(APP_KEY, got, DEV_NONCE)
    if [encryptor(APP_KEY)(block) for block in blocks] != [session.nwk_skey, session.app_skey]:
        raise ValueError("the session's keys are not derived as the page says")
    return fenced(
        f"{len(data)} bytes, in clear:\n\n{fields(clear, parts)}\n\n"
        f"as they travel:\n\n{fields(data, ((1, ''), (len(data) - 1, 'AES decryption, block by block')))}\n\n"
        f"the session: AES under AppKey of 01 or 02, JoinNonce, NetID, DevNonce, zeros\n\n"
        f"NwkSKey {hexed(session.nwk_skey)}  of {hexed(blocks[0])}\n"
        f"AppSKey {hexed(session.app_skey)}  of {hexed(blocks[1])}"
    )


def uplink() -> str:
    """The event in a frame."""
    payload = event.encode(LEFT, True)
    data = lorawan.encode_uplink(SESSION, UPLINK_FCNT, event_encode.FPORT, payload, b"", lorawan.ADR)
    got = lorawan.decode_uplink(SESSION, data, UPLINK_FCNT - 1)
    if (got.fcnt, got.payload) != (UPLINK_FCNT, payload):
        raise ValueError("the uplink came out as another")
    return _frame(data, "unconfirmed uplink", "ADR", UPLINK_FCNT, "event", payload, lorawan.UP)


def downlink() -> str:
    """The acknowledgement in a frame."""
    payload = event.encode_acknowledgement(LEFT.epoch, LEFT.seq)
    data = lorawan.encode_downlink(SESSION, DOWNLINK_FCNT, event_encode.FPORT_ACKNOWLEDGEMENT, payload)
    got = lorawan.decode_downlink(SESSION, data, DOWNLINK_FCNT - 1)
    if (got.fcnt, got.payload) != (DOWNLINK_FCNT, payload):
        raise ValueError("the downlink came out as another")
    return _frame(data, "unconfirmed downlink", "no flag", DOWNLINK_FCNT, "acknowledgement", payload, lorawan.DOWN)


def _frame(data: bytes, kind: str, flags: str, fcnt: int, what: str, payload: bytes, direction: int) -> str:
    parts = (
        (1, f"MHDR: {kind}, major version 0"), (4, f"DevAddr {SESSION.dev_addr:08x}"), (1, f"FCtrl: {flags}, no FOpts"),
        (2, f"FCnt {fcnt}, low 16 bits"), (1, f"FPort: {what}"), (len(payload), "FRMPayload"),
        (lorawan.MIC_BYTES, "MIC"),
    )  # fmt: skip
    address_and_count = struct.pack("<BII", direction, SESSION.dev_addr, fcnt)
    first = b"\1" + bytes(4) + address_and_count + b"\0\1"
    opening = b"\x49" + bytes(4) + address_and_count + bytes((0, len(data) - lorawan.MIC_BYTES))
    if Cmac(SESSION.nwk_skey).digest(opening + data[:-4])[:4] != data[-4:]:
        raise ValueError("the MIC is not made as the page says")
    stream = encryptor(SESSION.app_skey)(first)[: len(payload)]
    if bytes(a ^ b for a, b in zip(payload, stream, strict=True)) != data[9:-4]:
        raise ValueError("the payload is not enciphered as the page says")
    return fenced(
        f"{len(data)} bytes:\n\n{fields(data, parts)}\n\n"
        f"{hexed(payload):<24}{what}\n{hexed(stream):<24}AES under AppSKey of A1\n{hexed(data[9:-4]):<24}FRMPayload\n\n"
        f"A1  {hexed(first)}\nB0  {hexed(opening)}"
    )


def commands() -> str:
    """The MAC commands, both ways."""
    layouts = mac_commands._LAYOUTS
    rows: list[tuple[object, ...]] = []
    for cid, name in _COMMANDS.items():
        cells = [_layout(layouts[cid, direction]) for direction in (lorawan.DOWN, lorawan.UP)]
        rows.append((f"`{cid:02x}`", name, "device" if cid in _ASKED_BY_DEVICE else "network", *cells))
    if {cid for cid, _ in layouts} != set(_COMMANDS):
        raise ValueError("MAC commands without a name on the page")
    return table(("CID", "command", "asked by", "down", "up"), rows)


def _layout(layout: "mac_commands.Layout") -> str:
    words = [f"{name or 'zero'} {abs(bits)}{' signed' if bits < 0 else ''}" for name, bits in layout]
    return ", ".join(words) or "-"


def data_rates() -> str:
    """Data rates with what they carry."""
    rows: list[tuple[object, ...]] = []
    for data_rate in range(region.FSK_DATA_RATE + 1):
        modulation = "FSK, 50 kbit/s"
        if data_rate != region.FSK_DATA_RATE:
            sf, bandwidth_hz = region.DATA_RATES[data_rate]
            modulation = f"SF{sf}, {bandwidth_hz // 1000} kHz"
        payload = region.max_payload_bytes(data_rate), region.max_payload_bytes(data_rate, repeater=True)
        answers = " ".join(str(region.rx1_data_rate(data_rate, offset)) for offset in range(6))
        rows.append((f"DR{data_rate}", modulation, *payload, answers))
    return table(("", "modulation", "payload, bytes", "behind a repeater", "RX1 at RX1DROffset 0 to 5: DR"), rows)


def channels() -> str:
    """Channels and receive windows."""
    rows: list[tuple[object, ...]] = [
        (number, f"{hz / 1e6:.3f}", "every device; joins at DR0 to DR5", _band(hz, 0))
        for number, hz in enumerate(region.DEFAULT_CHANNELS_HZ)
    ]
    rows += [
        (number, f"{hz / 1e6:.3f}", "example's CFList", _band(hz, 0))
        for number, hz in enumerate(CHANNELS_HZ, len(region.DEFAULT_CHANNELS_HZ))
    ]
    rx2_hz, rx2_rate = region.RX2_FREQUENCY_HZ, region.RX2_DATA_RATE
    rows.append(("RX2", f"{rx2_hz / 1e6:.3f}", f"DR{rx2_rate} until told", _band(rx2_hz, rx2_rate)))
    return table(("channel", "MHz", "", "sub-band"), rows)


def _band(frequency_hz: int, data_rate: int) -> str:
    return "KLMNPQ"[region.sub_band(frequency_hz, region.occupied_hz(data_rate))]


def sub_bands() -> str:
    """Sub-bands with their duty cycles."""
    rows = [
        (name, f"{first / 1e6:.3f} to {end / 1e6:.3f}", f"{share / 10:g} %", f"{3.6 * share:g}", erp)
        for name, (first, end, share, erp) in zip("KLMNPQ", region.SUB_BANDS, strict=True)
    ]
    return table(("sub-band", "MHz", "duty cycle", "s in any hour", "ERP, dBm"), rows)


def airtime() -> str:
    """Time on air, and what an hour holds."""
    rows: list[tuple[object, ...]] = []
    up_bytes, down_bytes = LORAWAN_BYTES + event.BYTES, LORAWAN_BYTES + event.ACKNOWLEDGEMENT_BYTES
    one = region.SUB_BANDS[region.sub_band(region.DEFAULT_CHANNELS_HZ[0], region.occupied_hz(0))][2]
    ten = region.SUB_BANDS[region.sub_band(region.RX2_FREQUENCY_HZ, region.occupied_hz(region.RX2_DATA_RATE))][2]
    for data_rate in range(5, -1, -1):
        up_us = region.frame_time_us(data_rate, up_bytes)
        down_us = region.frame_time_us(data_rate, down_bytes, crc=False)
        join_us = region.frame_time_us(data_rate, _JOIN_REQUEST_BYTES)
        hour = [f"{region.HOUR_MS * share // us:,}" for share, us in ((one, up_us), (one, down_us), (ten, down_us))]
        times = [f"{us / 1000:.1f}" for us in (join_us, up_us, down_us)]
        rows.append((f"SF{region.DATA_RATES[data_rate][0]}", *times, *hour))
    return table(
        ("", "Join-Request, ms", "event, ms", "acknowledgement, ms", "events in an hour, 1 %",
         "acknowledgements in an hour, 1 %", "in RX2, 10 %"),
        rows,
    )  # fmt: skip


BLOCKS: dict[str, Callable[[], str]] = {
    "lorawan-join-request": join_request,
    "lorawan-join-accept": join_accept,
    "lorawan-uplink": uplink,
    "lorawan-downlink": downlink,
    "mac-commands": commands,
    "eu868-channels": channels,
    "eu868-data-rates": data_rates,
    "eu868-sub-bands": sub_bands,
    "eu868-airtime": airtime,
}
