"""Between a LoRa transceiver and the air: what each may ask of the other. One side is a chip, the other `air.lora`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Modulation:
    """LoRa parameters of a transmission or of a receiver.

    Attributes:
        frequency_hz: carrier.
        spreading_factor: 5 to 12.
        bandwidth_hz: 7,810 to 500,000.
        coding_rate: 5 to 8, for 4/5 to 4/8.
        preamble_symbols: as programmed, without the 4.25 of the sync word.
        explicit_header: False for implicit header mode.
        crc: payload CRC present.
        inverted_iq: downlinks of LoRaWAN are.
        sync_word: one byte as SX127x has it: 0x34 public, 0x12 private.
        low_data_rate: low data rate optimisation.
        payload_bytes: length in implicit header mode, 0 otherwise.
    """

    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    coding_rate: int = 5
    preamble_symbols: int = 8
    explicit_header: bool = True
    crc: bool = True
    inverted_iq: bool = False
    sync_word: int = 0x34
    low_data_rate: bool = False
    payload_bytes: int = 0

    @property
    def symbol_s(self) -> float:
        """Duration of a symbol: 2^SF / BW."""
        return (1 << self.spreading_factor) / self.bandwidth_hz


class RadioListener(Protocol):
    """What the air tells a transceiver that listens."""

    def preamble_detected(self, now_s: float) -> None:
        """Enough of a preamble was heard: the receiver has locked and stays until the packet ends.

        One with another sync word, or with the other polarity of I and Q, is not heard at all.
        """

    def header_received(self, now_s: float, valid: bool) -> None:
        """The explicit header has ended."""

    def packet_received(self, payload: bytes, crc_ok: bool, rssi_dbm: float, snr_db: float, now_s: float) -> None:
        """The packet has ended. `rssi_dbm` is the power in the channel, noise included.

        `crc_ok` is False when a collision or noise has spoiled it; a packet without CRC is spoiled unnoticed.
        """


class Radio(Protocol):
    """A transceiver's antenna on the air."""

    def attach(self, listener: RadioListener) -> None:
        """Tell `listener` from now on."""

    def transmit(self, modulation: Modulation, payload: bytes, power_dbm: float, now_s: float) -> float:
        """Begin to send; return when it ends (s). The receiver is off meanwhile."""
        ...

    def abort(self, now_s: float) -> None:
        """Break off what is being sent (standby or a reset in mid-air): nobody receives it."""

    def listen(self, modulation: Modulation, now_s: float) -> None:
        """Receive with these parameters from now on; again with others re-tunes."""

    def stop_listening(self, now_s: float) -> None:
        """The receiver is off; a packet it had locked on is lost."""

    def rssi_dbm(self, frequency_hz: int, bandwidth_hz: int, now_s: float) -> float:
        """What the receiver measures at this instant: noise floor and whoever sends."""
        ...
