"""LoRaWAN MAC commands (TS001-1.0.4, 5), both directions, from FOpts or the payload of port 0.

A command is (cid, fields): its identifier and a dict of integers. One table gives the layout of each, and everything
here reads it: a command is a little-endian number, its fields are listed from the least significant bit. A request and
its answer share one identifier and differ by direction: UP is sent by the device, DOWN by the network server.

Lengths do not travel, so a parse cannot step over a command it does not know: it ends there, what came before counts,
and the second result says why (COMPLETE, UNKNOWN, TRUNCATED, TOO_MANY).

What the device owes (5.2 to 5.8): contiguous LinkADRReq are one atomic block, each answered; the answers to
RXParamSetup, RXTimingSetup and DlChannel are repeated in every uplink until a downlink arrives; TX_PARAM_SETUP is for
regions with dwell times: in EU868 it is neither obeyed nor answered.
"""

from pave_wire import limits
from pave_wire.errors import LorawanError
from pave_wire.lorawan import DOWN, UP

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Sequence

    Command = tuple[int, dict[str, int]]
    Layout = tuple[tuple[str, int], ...]

LINK_CHECK = 0x02
LINK_ADR = 0x03
DUTY_CYCLE = 0x04
RX_PARAM_SETUP = 0x05
DEV_STATUS = 0x06
NEW_CHANNEL = 0x07
RX_TIMING_SETUP = 0x08
TX_PARAM_SETUP = 0x09
DL_CHANNEL = 0x0A
DEVICE_TIME = 0x0D

NOT_FOR_EU868 = (TX_PARAM_SETUP,)  # RP002-1.0.4, 2.4: known, so that a parse goes on; never answered
KEEP = 15  # as data_rate or tx_power of LINK_ADR: as it is
BATTERY_EXTERNAL, BATTERY_UNKNOWN = 0, 255

COMPLETE, UNKNOWN, TRUNCATED, TOO_MANY = 0, 1, 2, 3

_RFU = ""
_SIGNED = -1  # bits below 0 are those of a signed number
# (cid, direction): fields of (name, bits) from the least significant bit; a name that ends in _hz counts 100 Hz.
_LAYOUTS: "dict[tuple[int, int], Layout]" = {
    (LINK_CHECK, UP): (),
    (LINK_CHECK, DOWN): (("margin_db", 8), ("gateways", 8)),
    (LINK_ADR, DOWN): (
        ("tx_power", 4),
        ("data_rate", 4),
        ("channel_mask", 16),
        ("nb_trans", 4),
        ("mask_control", 3),
        (_RFU, 1),
    ),
    (LINK_ADR, UP): (("channel_mask_ok", 1), ("data_rate_ok", 1), ("tx_power_ok", 1), (_RFU, 5)),
    (DUTY_CYCLE, DOWN): (("max_duty_cycle", 4), (_RFU, 4)),  # 1 / 2**max_duty_cycle
    (DUTY_CYCLE, UP): (),
    (RX_PARAM_SETUP, DOWN): (("rx2_data_rate", 4), ("rx1_dr_offset", 3), (_RFU, 1), ("frequency_hz", 24)),
    (RX_PARAM_SETUP, UP): (("frequency_ok", 1), ("rx2_data_rate_ok", 1), ("rx1_dr_offset_ok", 1), (_RFU, 5)),
    (DEV_STATUS, DOWN): (),
    (DEV_STATUS, UP): (("battery", 8), ("snr_db", 6 * _SIGNED), (_RFU, 2)),
    (NEW_CHANNEL, DOWN): (("channel", 8), ("frequency_hz", 24), ("min_data_rate", 4), ("max_data_rate", 4)),
    (NEW_CHANNEL, UP): (("frequency_ok", 1), ("data_rate_ok", 1), (_RFU, 6)),
    (RX_TIMING_SETUP, DOWN): (("delay_s", 4), (_RFU, 4)),  # 0 is 1 s as well
    (RX_TIMING_SETUP, UP): (),
    (TX_PARAM_SETUP, DOWN): (("max_eirp", 4), ("uplink_dwell", 1), ("downlink_dwell", 1), (_RFU, 2)),
    (TX_PARAM_SETUP, UP): (),
    (DL_CHANNEL, DOWN): (("channel", 8), ("frequency_hz", 24)),
    (DL_CHANNEL, UP): (("frequency_ok", 1), ("uplink_exists", 1), (_RFU, 6)),
    (DEVICE_TIME, UP): (),
    (DEVICE_TIME, DOWN): (("gps_s", 32), ("fraction_256", 8)),  # since 1980-01-06, at the end of the uplink
}


def decode(direction: int, data: bytes) -> "tuple[list[Command], int]":
    """Return the commands in `data` (bytes) sent in `direction`, and why the parse ended.

    Returns:
        A list of (cid, {field: int}), then COMPLETE, UNKNOWN (the first command not in the table, and all after it, are
        left out), TRUNCATED (the last one is incomplete), or TOO_MANY (over `limits.MAC_COMMANDS`). Never raises.
    """
    commands: "list[Command]" = []
    at = 0
    while at < len(data):
        layout = _LAYOUTS.get((data[at], direction))
        if layout is None:
            return commands, UNKNOWN
        end = at + 1 + _size(layout)
        if end > len(data):
            return commands, TRUNCATED
        if len(commands) == limits.MAC_COMMANDS:
            return commands, TOO_MANY
        commands.append((data[at], _unpack(layout, int.from_bytes(data[at + 1 : end], "little"))))
        at = end
    return commands, COMPLETE


def encode(direction: int, commands: "Sequence[Command]") -> bytes:
    """Return `commands`, a sequence of (cid, {field: int}) with every field of its layout, as bytes.

    Raises:
        LorawanError: an unknown command, a field missing or too many, or a value that does not fit.
    """
    out = b""
    for cid, fields in commands:
        layout = _LAYOUTS.get((cid, direction))
        if layout is None:
            raise LorawanError("MAC command 0x%02x is not sent %s" % (cid, "down" if direction else "up"))
        names = [name for name, _ in layout if name]
        if len(names) != len(fields) or not all(name in fields for name in names):
            raise LorawanError("MAC command 0x%02x has the fields %s" % (cid, ", ".join(names)))
        out += bytes((cid,)) + _pack(layout, fields).to_bytes(_size(layout), "little")
    return out


def _size(layout: "Layout") -> int:
    return sum([abs(bits) for _, bits in layout]) // 8


def _unpack(layout: "Layout", number: int) -> dict[str, int]:
    fields: dict[str, int] = {}
    for name, bits in layout:
        width = abs(bits)
        value = number & (1 << width) - 1
        number >>= width
        if bits < 0 and value >> width - 1:
            value -= 1 << width
        if name:
            fields[name] = value * _unit(name)
    return fields


def _pack(layout: "Layout", fields: dict[str, int]) -> int:
    number = shift = 0
    for name, bits in layout:
        width = abs(bits)
        value, rest = divmod(fields[name], _unit(name)) if name else (0, 0)
        lowest = -1 << width - 1 if bits < 0 else 0
        if rest or not lowest <= value < lowest + (1 << width):
            raise LorawanError("%s of %d does not fit %d bits of %d" % (name, fields[name], width, _unit(name)))
        number |= (value & (1 << width) - 1) << shift
        shift += width
    return number


def _unit(name: str) -> int:
    return 100 if name.endswith("_hz") else 1
