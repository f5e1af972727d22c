"""MAC commands (TS001-1.0.4, 5), as the network server.

What is asked of a device is not a list to work off: it is the difference between what the settings and ADR want and
what the device has agreed to. So a request is repeated by itself until it is answered, a restart forgets none, and a
changed setting reaches devices that joined long ago. `MacState` only remembers what cannot be told from that
difference: what was sent last, what a device refused, and how often it did not answer.

The answers to RXParamSetupReq and RXTimingSetupReq decide where the device listens *now*: they count for the windows of
the very frame that brings them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pave_gateway.core import limits
from pave_gateway.core.lorawan.parameters import FIRST_ADDED_CHANNEL, Parameters
from pave_gateway.core.lorawan.radio import REQUIRED_SNR_DB, Reception
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import mac_commands as mac
from pave_wire import region
from pave_wire.lorawan import DOWN, UP, Frame

Command = tuple[int, dict[str, int]]

GPS_EPOCH_S = 315_964_800  # 1980-01-06, in seconds since 1970
LEAP_SECONDS = 18  # GPS is ahead of UTC by so much since 2017
MARGIN_MAX_DB = 254
HIGHEST_DATA_RATE, LOWEST_POWER = 5, 7


@dataclass(frozen=True, slots=True)
class AdrTarget:
    """What a device is to send with."""

    data_rate: int
    tx_power: int
    nb_trans: int


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """DevStatusAns: battery 0 external, 1 to 254 of 254, 255 unknown; SNR of the last downlink."""

    battery: int
    snr_db: int


@dataclass(slots=True)
class MacState:
    """Of one session; not on disk.

    Attributes:
        sent: CID to the fields of the requests that wait for an answer, as sent.
        tries: CID to how often it was sent without one.
        paused_until: CID to the FCnt before which it is not sent again.
        highest_data_rate: That the device takes in a LinkADRReq.
        lowest_power: The highest TXPower that it takes.
        refused: What it said no to.
        status_due_ms: When its battery and margin are asked for next, by the monotonic clock.
    """

    sent: dict[int, list[dict[str, int]]] = field(default_factory=dict[int, list[dict[str, int]]])
    tries: dict[int, int] = field(default_factory=dict[int, int])
    paused_until: dict[int, int] = field(default_factory=dict[int, int])
    highest_data_rate: int = HIGHEST_DATA_RATE
    lowest_power: int = LOWEST_POWER
    refused: list[Command] = field(default_factory=list[Command])
    status_due_ms: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the commands of one uplink came to."""

    parameters: Parameters
    asked: tuple[int, ...]
    status: DeviceStatus | None
    refused: int
    complete: bool


def hear(frame: Frame, parameters: Parameters, state: MacState, settings: LorawanSettings) -> Heard:
    """Take the commands of an uplink: answers change the parameters, questions are returned by CID."""
    commands, why = mac.decode(UP, frame.fopts if frame.port != 0 else frame.payload)
    asked: list[int] = []
    status = None
    refused = 0
    for cid, fields in commands:
        if cid in (mac.LINK_CHECK, mac.DEVICE_TIME):
            asked.append(cid)
        elif cid == mac.DEV_STATUS:
            state.sent.pop(cid, None)
            status = DeviceStatus(fields["battery"], fields["snr_db"])
        else:
            agreed = _answered(cid, fields, parameters, state, settings)
            refused += agreed is None
            parameters = agreed or parameters
    return Heard(parameters, tuple(dict.fromkeys(asked)), status, refused, why == mac.COMPLETE)


def requests(
    parameters: Parameters, state: MacState, settings: LorawanSettings, target: AdrTarget | None, fcnt: int
) -> list[Command]:
    """Return what is still to be asked of a device whose last uplink was `fcnt`, the most pressing first."""
    wanted = [
        *_rx_param_setup(parameters, settings),
        *_rx_timing_setup(parameters, settings),
        *_link_adr(parameters, target, state),
        *_duty_cycle(parameters, settings),
        *_new_channels(parameters, settings),
    ]
    return [
        (cid, fields)
        for cid, fields in wanted
        if fcnt >= state.paused_until.get(cid, 0) and (cid, fields) not in state.refused
    ]


def note_sent(state: MacState, commands: Sequence[Command], fcnt: int) -> None:
    """Remember what went out after the uplink `fcnt`."""
    for cid in dict.fromkeys(cid for cid, _ in commands):
        state.sent[cid] = [fields for other, fields in commands if other == cid]
        state.tries[cid] = state.tries.get(cid, 0) + 1
        if state.tries[cid] >= limits.LORAWAN_DOWNLINK_TRIES:
            state.tries[cid] = 0
            state.paused_until[cid] = fcnt + limits.LORAWAN_MAC_PAUSE_UPLINKS


def link_check(reception: Reception, data_rate: int) -> Command:
    """Return LinkCheckAns: by how much the best copy was above what it needs, and how many concentrators heard it."""
    margin_db = round(reception.best.snr_db - REQUIRED_SNR_DB[data_rate])
    return mac.LINK_CHECK, {"margin_db": min(max(margin_db, 0), MARGIN_MAX_DB), "gateways": len(reception.copies)}


def device_time(ended_ms: int) -> Command:
    """Return DeviceTimeAns for an uplink that ended at `ended_ms`, milliseconds since 1970."""
    gps_ms = ended_ms - 1000 * (GPS_EPOCH_S - LEAP_SECONDS)
    return mac.DEVICE_TIME, {"gps_s": gps_ms // 1000 & 0xFFFFFFFF, "fraction_256": gps_ms % 1000 * 256 // 1000}


def fitting(commands: Sequence[Command], room_bytes: int) -> tuple[list[Command], bytes]:
    """Return those of `commands`, from the first on, that fit, and their bytes."""
    taken: list[Command] = []
    data = b""
    for command in commands:
        more = mac.encode(DOWN, [command])
        if len(data) + len(more) <= room_bytes:
            taken.append(command)
            data += more
    return taken, data


def _answered(
    cid: int, fields: dict[str, int], parameters: Parameters, state: MacState, settings: LorawanSettings
) -> Parameters | None:
    """Return the parameters after an answer, or None after a no."""
    waiting = state.sent.get(cid) or _unasked(cid, parameters, settings)
    if not waiting:
        return parameters  # repeated until a downlink comes, or from before a restart
    asked = waiting.pop(0)
    if not waiting:
        state.sent.pop(cid, None)
        state.tries.pop(cid, None)
    if all(fields.values()):
        return _agreed(cid, asked, parameters)
    if cid == mac.LINK_ADR:
        _learn_bounds(state, fields, asked)
    if (cid, asked) not in state.refused:
        state.refused = [*state.refused, (cid, asked)][-limits.LORAWAN_DOWNLINK_TRIES :]
    return None


def _agreed(cid: int, asked: dict[str, int], parameters: Parameters) -> Parameters:
    if cid == mac.LINK_ADR:
        return replace(parameters, data_rate=asked["data_rate"], tx_power=asked["tx_power"], nb_trans=asked["nb_trans"])
    if cid == mac.RX_PARAM_SETUP:
        return replace(parameters, rx2_data_rate=asked["rx2_data_rate"], rx1_dr_offset=asked["rx1_dr_offset"])
    if cid == mac.RX_TIMING_SETUP:
        return replace(parameters, rx_delay_s=asked["delay_s"])
    if cid == mac.DUTY_CYCLE:
        return replace(parameters, max_duty_cycle=asked["max_duty_cycle"])
    index = asked["channel"] - FIRST_ADDED_CHANNEL
    channels = [*parameters.channels_hz, *[0] * (index + 1 - len(parameters.channels_hz))]
    channels[index] = asked["frequency_hz"]
    return replace(parameters, channels_hz=tuple(channels))


def _unasked(cid: int, parameters: Parameters, settings: LorawanSettings) -> list[dict[str, int]]:
    """What a device answers that was asked before a restart: only where it listens matters."""
    if cid == mac.RX_PARAM_SETUP:
        return [fields for _, fields in _rx_param_setup(parameters, settings)]
    if cid == mac.RX_TIMING_SETUP:
        return [fields for _, fields in _rx_timing_setup(parameters, settings)]
    return []


def _learn_bounds(state: MacState, answer: dict[str, int], asked: dict[str, int]) -> None:
    if not answer["data_rate_ok"]:
        state.highest_data_rate = max(0, min(state.highest_data_rate, asked["data_rate"] - 1))
    if not answer["tx_power_ok"]:
        state.lowest_power = max(0, min(state.lowest_power, asked["tx_power"] - 1))


def _link_adr(parameters: Parameters, target: AdrTarget | None, state: MacState) -> list[Command]:
    if target is None:
        return []
    data_rate = min(target.data_rate, state.highest_data_rate)
    tx_power = min(target.tx_power, state.lowest_power)
    if (data_rate, tx_power, target.nb_trans) == (parameters.data_rate, parameters.tx_power, parameters.nb_trans):
        return []
    fields = {"data_rate": data_rate, "tx_power": tx_power, "nb_trans": target.nb_trans}
    return [(mac.LINK_ADR, {**fields, "channel_mask": parameters.channel_mask, "mask_control": 0})]


def _rx_param_setup(parameters: Parameters, settings: LorawanSettings) -> list[Command]:
    wanted = settings.rx2_data_rate, settings.rx1_dr_offset
    if wanted == (parameters.rx2_data_rate, parameters.rx1_dr_offset):
        return []
    fields = {"rx2_data_rate": wanted[0], "rx1_dr_offset": wanted[1], "frequency_hz": region.RX2_FREQUENCY_HZ}
    return [(mac.RX_PARAM_SETUP, fields)]


def _rx_timing_setup(parameters: Parameters, settings: LorawanSettings) -> list[Command]:
    if settings.rx_delay_s == parameters.rx_delay_s:
        return []
    return [(mac.RX_TIMING_SETUP, {"delay_s": settings.rx_delay_s})]


def _duty_cycle(parameters: Parameters, settings: LorawanSettings) -> list[Command]:
    if settings.max_duty_cycle == parameters.max_duty_cycle:
        return []
    return [(mac.DUTY_CYCLE, {"max_duty_cycle": settings.max_duty_cycle})]


def _new_channels(parameters: Parameters, settings: LorawanSettings) -> list[Command]:
    known = dict(enumerate(parameters.channels_hz))
    return [
        (
            mac.NEW_CHANNEL,
            {
                "channel": FIRST_ADDED_CHANNEL + index,
                "frequency_hz": frequency_hz,
                "min_data_rate": 0,
                "max_data_rate": HIGHEST_DATA_RATE,
            },
        )
        for index, frequency_hz in enumerate(settings.channels_hz)
        if known.get(index, 0) != frequency_hz
    ]
