"""[lorawan] of the site file: the built-in network server, and what its devices are told."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from pave_gateway.config_table import Table
from pave_gateway.core.lorawan import settings
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import region
from pave_wire.lorawan_join import CF_LIST_CHANNELS


def _addresses(text: str) -> str:
    found = re.fullmatch(r"([0-9a-f]{8})/([0-9]{1,2})", text)
    if found is None or not 7 <= int(found[2]) <= 32 or int(found[1], 16) % (1 << 32 - int(found[2])):
        raise ValueError('write the first DevAddr and how many bits are fixed, such as "01a20000/16"')
    return text


def _channel(frequency_hz: int) -> int:
    region.sub_band(frequency_hz, region.occupied_hz(0))
    if frequency_hz % 100 or frequency_hz in region.DEFAULT_CHANNELS_HZ:
        raise ValueError(f"{frequency_hz} Hz: a multiple of 100 that is none of the three every device has")
    return frequency_hz


Addresses = Annotated[str, AfterValidator(_addresses)]
Channel = Annotated[int, AfterValidator(_channel)]
DataRate = Annotated[int, Field(ge=0, le=5)]


class LorawanConfig(Table):
    """[lorawan]: with it the gateway is the network server of its devices; see `LorawanSettings` for each key."""

    net_id: Annotated[str, Field(pattern="^[0-9a-f]{6}$", description="6 hexadecimal digits, letters small")] = "000000"
    addresses: Addresses | None = None
    channels_hz: Annotated[tuple[Channel, ...], Field(strict=False, max_length=CF_LIST_CHANNELS)] = (
        LorawanSettings().channels_hz
    )
    rx1_dr_offset: Annotated[int, Field(ge=0, le=5)] = 0
    rx2_data_rate: DataRate = LorawanSettings().rx2_data_rate
    rx_delay_s: Annotated[int, Field(ge=1, le=15)] = 1
    max_duty_cycle: Annotated[int, Field(ge=0, le=15)] = 0
    dedup_ms: Annotated[int, Field(ge=0, le=500)] = LorawanSettings().dedup_ms
    lead_ms: Annotated[int, Field(ge=50, le=600)] = LorawanSettings().lead_ms
    eirp_dbm: Annotated[int, Field(ge=0, le=16)] = LorawanSettings().eirp_dbm
    rx2_eirp_dbm: Annotated[int, Field(ge=0, le=29)] = LorawanSettings().rx2_eirp_dbm
    join_share: Annotated[float, Field(gt=0, le=1)] = LorawanSettings().join_share
    adr_margin_db: Annotated[float, Field(ge=0, le=30)] = LorawanSettings().adr_margin_db
    heartbeats_per_ack: Annotated[int, Field(ge=1, le=10)] = LorawanSettings().heartbeats_per_ack

    def settings(self, devices: int) -> LorawanSettings:
        """Return what the network server is made with.

        Raises:
            ValueError: addresses that are not of the NetID, or too few for `devices`.
        """
        prefix, bits = settings.net_id_prefix(int(self.net_id, 16))
        if self.addresses is not None:
            prefix, bits = int(self.addresses[:8], 16), int(self.addresses[9:])
        unused = CF_LIST_CHANNELS - len(self.channels_hz)
        made = LorawanSettings(
            net_id=int(self.net_id, 16),
            address_prefix=prefix,
            address_bits=bits,
            channels_hz=self.channels_hz + (0,) * unused,
            rx1_dr_offset=self.rx1_dr_offset,
            rx2_data_rate=self.rx2_data_rate,
            rx_delay_s=self.rx_delay_s,
            max_duty_cycle=self.max_duty_cycle,
            dedup_ms=self.dedup_ms,
            lead_ms=self.lead_ms,
            eirp_dbm=self.eirp_dbm,
            rx2_eirp_dbm=self.rx2_eirp_dbm,
            join_share=self.join_share,
            adr_margin_db=self.adr_margin_db,
            heartbeats_per_ack=self.heartbeats_per_ack,
        )
        settings.check(made, devices)
        return made
