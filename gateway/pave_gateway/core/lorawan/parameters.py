"""What a session's device was told of the radio, and has agreed to."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import region

FIRST_ADDED_CHANNEL = len(region.DEFAULT_CHANNELS_HZ)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Agreed by a Join-Accept, and since then by MAC commands that the device has answered.

    Attributes:
        rx1_dr_offset: 0 to 5.
        rx2_data_rate: Of 869.525 MHz.
        rx_delay_s: 1 to 15.
        channels_hz: Of channels 3, 4, ...; 0 for an unused one.
        max_duty_cycle: Exponent of DutyCycleReq.
        data_rate: That of the device's uplinks, as last heard.
        tx_power: TXPower 0 (16 dBm EIRP) to 7 (2 dBm).
        nb_trans: How often it sends each frame at most.
    """

    rx1_dr_offset: int = 0
    rx2_data_rate: int = region.RX2_DATA_RATE
    rx_delay_s: int = 1
    channels_hz: tuple[int, ...] = ()
    max_duty_cycle: int = 0
    data_rate: int = 0
    tx_power: int = 0
    nb_trans: int = 1

    @property
    def channel_mask(self) -> int:
        """Every channel there is, as LinkADRReq counts them."""
        mask = (1 << FIRST_ADDED_CHANNEL) - 1
        for index, frequency_hz in enumerate(self.channels_hz):
            if frequency_hz:
                mask |= 1 << FIRST_ADDED_CHANNEL + index
        return mask

    def text(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def of_text(text: str) -> Parameters:
    """Return what `Parameters.text` wrote."""
    fields: dict[str, Any] = json.loads(text)
    fields["channels_hz"] = tuple(fields["channels_hz"])
    return Parameters(**fields)


def of_join(settings: LorawanSettings, data_rate: int) -> Parameters:
    """Return what a device that joined at `data_rate` takes from its Join-Accept."""
    return Parameters(
        rx1_dr_offset=settings.rx1_dr_offset,
        rx2_data_rate=settings.rx2_data_rate,
        rx_delay_s=settings.rx_delay_s,
        channels_hz=settings.channels_hz,
        data_rate=data_rate,
    )
