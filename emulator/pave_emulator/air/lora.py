"""The LoRa air: who sends, who listens, at which level each hears the other.

Theory of operation. A transmission is offered to the demodulators tuned to its chirp and sync word, and to no other;
what each makes of it is `air.reception`. Levels are computed when somebody needs them and kept with the transmission.
The last transmissions stay listed as long as they may overlap with one that is still followed.

A packet with a foreign sync word or the other polarity of IQ is only interference: a real demodulator may report its
preamble.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from pave_emulator import trace as traces
from pave_emulator.air.airtime import airtime
from pave_emulator.air.interference import in_band_db
from pave_emulator.air.packet import Reception, Site, Transmission
from pave_emulator.air.police import Police
from pave_emulator.air.propagation import PathLoss, Position, noise_floor_dbm, normal, sum_dbm
from pave_emulator.air.radio import Modulation, RadioListener
from pave_emulator.air.reception import Receiver
from pave_emulator.clock import Clock, Timer
from pave_emulator.trace import Trace

__all__ = ["Antenna", "LoraAir", "Site"]

_LONGEST_KEPT_S = 1.0  # a transmission that ended so long ago is followed by nobody: the last callbacks have run
_DIPOLE_GAIN_DBI = 2.15  # ERP is against a half-wave dipole, EIRP against an isotropic radiator

Chirp = tuple[int, int, bool, int]


class LoraAir:
    """The medium all radios of a run share.

    Args:
        clock: when things happen.
        seed: of shadowing, fading and noise.
        trace: where transmissions, receptions and losses go (kind `lora`).
        path_loss: what distance costs.
        police: told of each transmission; None where nobody minds.
    """

    def __init__(
        self, clock: Clock, seed: int, trace: Trace, path_loss: PathLoss | None = None, police: Police | None = None
    ) -> None:
        self.clock, self.seed, self.trace, self.police = clock, seed, trace, police
        self.path_loss = path_loss or PathLoss()
        self._sites: dict[str, Site] = {}
        self._sent: dict[str, int] = {}
        self._receivers: dict[Chirp, list[Receiver]] = {}
        self._recent: list[Transmission] = []
        self._link_loss_db: dict[tuple[str, str], float] = {}

    def radio(
        self,
        name: str,
        position_m: Position,
        antenna_gain_dbi: float = 0.0,
        noise_figure_db: float = 6.0,
        extra_loss_db: Callable[[float], float] = lambda _now_s: 0.0,
    ) -> Antenna:
        """The antenna of a device's transceiver. Raise ValueError for a name that is taken."""
        return Antenna(self, self.place(Site(name, position_m, antenna_gain_dbi, noise_figure_db, extra_loss_db)))

    def place(self, site: Site) -> Site:
        """Put an antenna somewhere. Raise ValueError for a name that is taken."""
        if site.name in self._sites:
            raise ValueError(f"there is already an antenna named {site.name!r} on the air")
        self._sites[site.name] = site
        return site

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """The clock's."""
        return self.clock.call_at(when_s, callback)

    def send(self, site: Site, modulation: Modulation, payload: bytes, power_dbm: float, now_s: float) -> Transmission:
        """Radiate a packet with `power_dbm` at the antenna's connector. Raise ValueError for what LoRa does not
        have.
        """
        times = airtime(modulation, len(payload))
        number = self._sent[site.name] = self._sent.get(site.name, 0) + 1
        transmission = Transmission(
            f"{site.name}#{number}", site, modulation, payload, power_dbm, now_s, times, site.extra_loss_db(now_s)
        )
        self._forget(now_s)
        self._recent.append(transmission)
        fields = {"power_dbm": round(power_dbm, 1), "airtime_us": round(times.total_s * 1e6)}
        self._record(transmission, site.name, now_s, what="tx", **fields)
        if self.police:
            erp_dbm = power_dbm + site.antenna_gain_dbi - _DIPOLE_GAIN_DBI
            self.police.observe(site.name, modulation, erp_dbm, now_s, transmission.end_s)
        for receiver in list(self._receivers.get(_chirp(modulation), ())):
            if receiver.site is not site and receiver.hears(modulation):
                receiver.offer(transmission, now_s)
        return transmission

    def add(self, receiver: Receiver, now_s: float) -> None:
        """A demodulator begins to search; it may catch a preamble that is on the air."""
        self._receivers.setdefault(_chirp(receiver.tuning), []).append(receiver)
        receiver.start(now_s)
        for transmission in self._recent:
            ours = _chirp(transmission.modulation) == _chirp(receiver.tuning)
            if ours and transmission.silent_from_s > now_s and receiver.hears(transmission.modulation):
                receiver.offer(transmission, now_s)

    def remove(self, receiver: Receiver, now_s: float) -> None:
        """A demodulator is off for good."""
        receiver.stop(now_s, "stopped")
        self._receivers[_chirp(receiver.tuning)].remove(receiver)

    def overlapping(self, from_s: float, to_s: float) -> Iterable[Transmission]:
        """Transmissions with signal in this interval."""
        return [t for t in self._recent if t.start_s < to_s and t.silent_from_s > from_s]

    def level_dbm(self, transmission: Transmission, site: Site) -> float:
        """Level of a transmission at a site's receiver."""
        level_dbm = transmission.levels_dbm.get(site.name)
        if level_dbm is None:
            sender = transmission.site
            loss_db = self.link_loss_db(sender, site) + transmission.sender_loss_db
            loss_db += site.extra_loss_db(transmission.start_s)
            loss_db += self.path_loss.fading_db * normal(self.seed, "fading", transmission.key, site.name)
            level_dbm = transmission.power_dbm + sender.antenna_gain_dbi + site.antenna_gain_dbi - loss_db
            transmission.levels_dbm[site.name] = level_dbm
        return level_dbm

    def link_loss_db(self, one: Site, other: Site) -> float:
        """Path loss and shadowing between two places, the same both ways, in dB."""
        pair = (min(one.name, other.name), max(one.name, other.name))
        if pair not in self._link_loss_db:
            shadowing_db = self.path_loss.shadowing_db * normal(self.seed, "shadowing", *pair)
            mean_db = self.path_loss.mean_db(math.dist(one.position_m, other.position_m))
            self._link_loss_db[pair] = mean_db + shadowing_db
        return self._link_loss_db[pair]

    def rssi_dbm(self, site: Site, frequency_hz: int, bandwidth_hz: int, now_s: float) -> float:
        """Power in a channel at an instant: the noise floor and whoever sends."""
        levels_dbm = [noise_floor_dbm(bandwidth_hz, site.noise_figure_db)]
        for transmission in self._recent:
            share_db = in_band_db(frequency_hz, bandwidth_hz, transmission.modulation)
            on_air = transmission.start_s <= now_s < transmission.silent_from_s
            if on_air and transmission.site is not site and share_db > -math.inf:
                levels_dbm.append(self.level_dbm(transmission, site) + share_db)
        return sum_dbm(*levels_dbm)

    def heard(self, reception: Reception, site: Site, now_s: float) -> None:
        """Record that a packet was received."""
        sender = reception.transmission.site.name
        fields = {"rssi_dbm": round(reception.rssi_dbm, 1), "snr_db": round(reception.snr_db, 1), "sender": sender}
        self._record(reception.transmission, site.name, now_s, what="rx", **fields)

    def lost(self, transmission: Transmission, site: Site, reason: str, now_s: float) -> None:
        """Record that a packet was lost."""
        self._record(transmission, site.name, now_s, what="lost", reason=reason, sender=transmission.site.name)

    def _record(self, transmission: Transmission, device: str, now_s: float, **fields: object) -> None:
        modulation = transmission.modulation
        self.trace.record(
            now_s,
            device,
            traces.LORA,
            frequency_hz=modulation.frequency_hz,
            sf=modulation.spreading_factor,
            bw_hz=modulation.bandwidth_hz,
            cr=modulation.coding_rate,
            iq=modulation.inverted_iq,
            sync_word=modulation.sync_word,
            crc=modulation.crc,
            implicit=not modulation.explicit_header,
            payload=transmission.payload,
            **fields,
        )

    def _forget(self, now_s: float) -> None:
        followed = [t.start_s for t in self._recent if t.end_s > now_s - _LONGEST_KEPT_S]
        oldest_s = min(followed, default=now_s)
        self._recent = [t for t in self._recent if t.end_s > oldest_s]


class Antenna:
    """A device's place on the air: `air.radio.Radio` for its transceiver."""

    def __init__(self, air: LoraAir, site: Site) -> None:
        self.site = site
        self._air = air
        self._listener: RadioListener | None = None
        self._receiver: Receiver | None = None
        self._sending: Transmission | None = None

    def attach(self, listener: RadioListener) -> None:
        """Tell `listener` from now on."""
        self._listener = listener

    def transmit(self, modulation: Modulation, payload: bytes, power_dbm: float, now_s: float) -> float:
        """Begin to send; return when it ends (s). Raise ValueError while it sends, and for what LoRa does not have."""
        if self._sending and now_s < self._sending.silent_from_s:
            raise ValueError(f"{self.site.name} sends until {self._sending.silent_from_s:.6f} s, it is {now_s:.6f} s")
        self.stop_listening(now_s)
        self._sending = self._air.send(self.site, modulation, payload, power_dbm, now_s)
        return self._sending.end_s

    def abort(self, now_s: float) -> None:
        """Break off what is being sent."""
        if self._sending and now_s < self._sending.silent_from_s:
            self._sending.cut_s = now_s
        self._sending = None

    def listen(self, modulation: Modulation, now_s: float) -> None:
        """Receive with these parameters from now on."""
        self.stop_listening(now_s)
        self._receiver = Receiver(self._air, self.site, modulation, self)
        self._air.add(self._receiver, now_s)

    def stop_listening(self, now_s: float) -> None:
        """The receiver is off; a packet it had locked on is lost."""
        if self._receiver:
            self._air.remove(self._receiver, now_s)
        self._receiver = None

    def rssi_dbm(self, frequency_hz: int, bandwidth_hz: int, now_s: float) -> float:
        """What the receiver measures at this instant."""
        return self._air.rssi_dbm(self.site, frequency_hz, bandwidth_hz, now_s)

    def locked(self, transmission: Transmission, now_s: float) -> bool:
        """From the demodulator: a preamble was found."""
        if self._listener:
            self._listener.preamble_detected(now_s)
        return True

    def header(self, transmission: Transmission, valid: bool, now_s: float) -> None:
        """From the demodulator: the explicit header has ended."""
        if self._listener:
            self._listener.header_received(now_s, valid)

    def received(self, reception: Reception, now_s: float) -> None:
        """From the demodulator: the packet has ended."""
        if self._listener:
            self._listener.packet_received(
                reception.payload, reception.crc_ok, reception.rssi_dbm, reception.snr_db, now_s
            )


def _chirp(modulation: Modulation) -> Chirp:
    return (modulation.spreading_factor, modulation.bandwidth_hz, modulation.inverted_iq, modulation.sync_word)
