"""How a site's network server is set up, and the addresses that its NetID gives it."""

from dataclasses import dataclass

from pave_wire import region
from pave_wire.lorawan_join import CF_LIST_CHANNELS

# (bits of the type prefix, bits of NwkID) by the type of a NetID, its top 3 bits (LoRaWAN Backend Interfaces 1.0, 6.1).
_ADDRESS_BITS = ((1, 6), (2, 6), (3, 9), (4, 11), (5, 12), (6, 13), (7, 15), (8, 17))
NET_ID_MAX = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class LorawanSettings:
    """Of one site. What a device is told of it reaches the ones that joined earlier by MAC commands.

    Attributes:
        net_id: 0 and 1 are for experiments and private networks; else the one that the LoRa Alliance gave.
        address_prefix: DevAddr that the site's addresses begin with, and of how many bits.
        address_bits: How many of its bits count.
        channels_hz: Of channels 3 to 7: five, 0 for an unused one.
        rx1_dr_offset: How far RX1's data rate is below the uplink's, 0 to 5.
        rx2_data_rate: Of 869.525 MHz.
        rx_delay_s: From an uplink to RX1, 1 to 15.
        max_duty_cycle: Exponent of DutyCycleReq; 0: devices obey the law alone.
        dedup_ms: How long copies of a frame are waited for.
        lead_ms: How early a downlink leaves for its forwarder: round trip, and 43 ms in which it is prepared.
        eirp_dbm: Of a concentrator, in the sub-bands of 14 dBm ERP.
        rx2_eirp_dbm: The same at 869.525 MHz, where 27 dBm ERP are allowed.
        join_share: Of each sub-band's duty cycle, what Join-Accepts may take.
        adr_margin_db: What a link shall have in reserve, beyond the low percentile of what it showed.
        heartbeats_per_ack: Heartbeats and diagnostics that one acknowledgement answers.
    """

    net_id: int = 0
    address_prefix: int = 0
    address_bits: int = 7
    channels_hz: tuple[int, ...] = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
    rx1_dr_offset: int = 0
    rx2_data_rate: int = 3
    rx_delay_s: int = 1
    max_duty_cycle: int = 0
    dedup_ms: int = 200
    lead_ms: int = 150
    eirp_dbm: int = 16
    rx2_eirp_dbm: int = 27
    join_share: float = 0.5
    adr_margin_db: float = 3.0
    heartbeats_per_ack: int = 4

    @property
    def addresses(self) -> range:
        """Every DevAddr of the site."""
        count = 1 << 32 - self.address_bits
        return range(self.address_prefix, self.address_prefix + count)


def net_id_prefix(net_id: int) -> tuple[int, int]:
    """Return (DevAddr, bits) that every address under `net_id` (24 bits) begins with.

    Raises:
        ValueError: not 24 bits.
    """
    if not 0 <= net_id <= NET_ID_MAX:
        raise ValueError(f"NetID {net_id:#x} has more than 24 bits; use 0 or 1 for a private network")
    kind = net_id >> 21
    kind_bits, id_bits = _ADDRESS_BITS[kind]
    prefix = ((1 << kind) - 1) << 1  # as many ones as the type says, then a zero
    address = prefix << id_bits | net_id & (1 << id_bits) - 1
    return address << 32 - kind_bits - id_bits, kind_bits + id_bits


def check(settings: LorawanSettings, devices: int) -> None:
    """Refuse settings that cannot work.

    Raises:
        ValueError: what, the value, and the next step.
    """
    own, own_bits = net_id_prefix(settings.net_id)
    prefix, bits = settings.address_prefix, settings.address_bits
    if not own_bits <= bits <= 32 or prefix >> 32 - own_bits != own >> 32 - own_bits or prefix % (1 << 32 - bits):
        raise ValueError(
            f"addresses {prefix:08x}/{bits} are not of NetID {settings.net_id:06x}; take a part of {own:08x}/{own_bits}"
        )
    if len(settings.addresses) < 2 * devices:  # a device that joins anew has two for a while
        raise ValueError(f"{len(settings.addresses)} addresses for {devices} devices; shorten the prefix /{bits}")
    if len(settings.channels_hz) != CF_LIST_CHANNELS:
        raise ValueError(f"{len(settings.channels_hz)} channels; give 5, with 0 for an unused one")
    for frequency_hz in settings.channels_hz:
        if frequency_hz:
            region.sub_band(frequency_hz, region.occupied_hz(0))  # its error is a ValueError and names the channel
