"""A transceiver's side of its antenna: whether it sends or listens, and silence where there is no air."""

from __future__ import annotations

from pave_emulator.air.airtime import time_on_air_s
from pave_emulator.air.propagation import noise_floor_dbm
from pave_emulator.air.radio import Modulation, Radio, RadioListener

NOISE_FIGURE_DB = 6.0  # AN1200.22: of the SX127x; the SX126x is not worse
ACTIVITY_DB = 3.0  # above the noise floor: what counts as somebody sending


class Antenna:
    """Without a radio, packets go nowhere and the noise floor is all that is heard."""

    def __init__(self, radio: Radio | None) -> None:
        self._radio = radio
        self.listening = False
        self.sending = False

    def attach(self, listener: RadioListener) -> None:
        """Have the air tell `listener`."""
        if self._radio is not None:
            self._radio.attach(listener)

    def transmit(self, modulation: Modulation, payload: bytes, power_dbm: float, now_s: float) -> float:
        """Begin to send; return when it ends (s)."""
        self.sending = True
        if self._radio is None:
            return now_s + time_on_air_s(modulation, len(payload))
        return self._radio.transmit(modulation, payload, power_dbm, now_s)

    def listen(self, modulation: Modulation, now_s: float) -> None:
        """Receive from now on."""
        self.listening = True
        if self._radio is not None:
            self._radio.listen(modulation, now_s)

    def sent(self) -> None:
        """What was being sent has ended by itself."""
        self.sending = False

    def silence(self, now_s: float) -> None:
        """Neither send nor receive from now on."""
        if self._radio is not None and self.sending:
            self._radio.abort(now_s)
        if self._radio is not None and self.listening:
            self._radio.stop_listening(now_s)
        self.sending = self.listening = False

    def rssi_dbm(self, frequency_hz: int, bandwidth_hz: int, now_s: float) -> float:
        """What the receiver measures at this instant."""
        if self._radio is None:
            return noise_floor_dbm(bandwidth_hz, NOISE_FIGURE_DB)
        return self._radio.rssi_dbm(frequency_hz, bandwidth_hz, now_s)

    def active(self, frequency_hz: int, bandwidth_hz: int, now_s: float) -> bool:
        """Whether the channel is clearly above its noise floor."""
        measured_dbm = self.rssi_dbm(frequency_hz, bandwidth_hz, now_s)
        return measured_dbm >= noise_floor_dbm(bandwidth_hz, NOISE_FIGURE_DB) + ACTIVITY_DB
