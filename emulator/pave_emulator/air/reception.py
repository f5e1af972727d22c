"""A LoRa demodulator on the air: it searches, locks, and the world decides what comes out.

Theory of operation. A demodulator needs five symbols of preamble. It then follows that packet to its end; while the
sync word has not passed, a packet at least 6 dB stronger whose own preamble has been heard takes it over. From the last
five symbols of the preamble on, every overlap counts: one that is too strong for its chirp rate spoils the header (the
demodulator lets go and searches again) or the payload (a CRC error). What noise does is drawn per packet and receiver.

Sources: Bor et al., "Do LoRa Low-Power Wide-Area Networks Scale?" (MSWiM 2016) section 3.2 for the five symbols;
Rahmadhani and Kuipers, "When LoRaWAN Frames Collide" (WiNTECH 2018) for who survives by time of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pave_emulator.air.interference import CAPTURE_DB, in_band_db, required_sir_db
from pave_emulator.air.packet import Reception, Site, Transmission
from pave_emulator.air.propagation import (
    DETECTION_MARGIN_DB,
    SNR_CEILING_DB,
    SNR_LIMIT_DB,
    header_success,
    noise_floor_dbm,
    payload_success,
    sum_dbm,
    uniform,
)
from pave_emulator.air.radio import Modulation
from pave_emulator.clock import Timer


class Output(Protocol):
    """Whoever owns a demodulator."""

    def locked(self, transmission: Transmission, now_s: float) -> bool:
        """It has found a preamble. False: nothing can take the packet."""
        ...

    def header(self, transmission: Transmission, valid: bool, now_s: float) -> None:
        """The explicit header has ended; when it is not valid the demodulator searches again."""

    def received(self, reception: Reception, now_s: float) -> None:
        """The packet has ended; the demodulator searches again."""


class Medium(Protocol):
    """The air as a demodulator sees it."""

    seed: int

    def level_dbm(self, transmission: Transmission, site: Site) -> float:
        """Level of a transmission at a site's receiver."""
        ...

    def overlapping(self, from_s: float, to_s: float) -> Iterable[Transmission]:
        """Transmissions with signal in this interval."""
        ...

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """The clock's."""
        ...

    def lost(self, transmission: Transmission, site: Site, reason: str, now_s: float) -> None:
        """Record that a packet it could have had was lost."""

    def heard(self, reception: Reception, site: Site, now_s: float) -> None:
        """Record that a packet was received."""


class Receiver:
    """One demodulator, tuned to one modulation. Off until `start`."""

    def __init__(self, air: Medium, site: Site, tuning: Modulation, output: Output) -> None:
        self.site, self.tuning = site, tuning
        self._air, self._output = air, output
        self._on = False
        self._why_off = ""
        self._epoch = 0
        self._held: Transmission | None = None
        self._pending: list[Transmission] = []
        self._waiting: list[Transmission] = []

    def hears(self, modulation: Modulation) -> bool:
        """Whether a packet is meant for this tuning: its carrier may be off by a quarter of the bandwidth."""
        offset_hz = abs(modulation.frequency_hz - self.tuning.frequency_hz)
        return offset_hz <= self.tuning.bandwidth_hz / 4

    def start(self, now_s: float) -> None:
        """Search from now on."""
        self._on = True
        self._epoch += 1
        waiting, self._waiting = self._waiting, []
        for transmission in waiting:
            self._offer(transmission, now_s, self._why_off)

    def stop(self, now_s: float, reason: str) -> None:
        """Search no more; a packet that was followed is lost for `reason`, and so is what begins until `start`."""
        self._on, self._why_off = False, reason
        self._epoch += 1
        self._waiting += self._pending
        self._pending = []
        if self._held:
            self._air.lost(self._held, self.site, reason, now_s)
            self._held = None

    def offer(self, transmission: Transmission, now_s: float) -> None:
        """A packet of this tuning is on the air."""
        if self._on:
            self._offer(transmission, now_s, "late")
        else:
            self._waiting.append(transmission)

    def _offer(self, transmission: Transmission, now_s: float, reason: str) -> None:
        lock_s = max(transmission.start_s, now_s) + transmission.lock_s
        if lock_s > transmission.lock_until_s + 1e-9:
            self._air.lost(transmission, self.site, reason, now_s)
        elif self._snr_db(transmission) < SNR_LIMIT_DB[self.tuning.spreading_factor] - DETECTION_MARGIN_DB:
            self._air.lost(transmission, self.site, "weak", now_s)
        else:
            self._pending.append(transmission)
            self._at(lock_s, lambda: self._found(transmission, lock_s))

    def _at(self, when_s: float, callback: Callable[[], None]) -> None:
        epoch = self._epoch
        self._air.call_at(when_s, lambda: callback() if epoch == self._epoch else None)

    def _found(self, transmission: Transmission, now_s: float) -> None:
        self._pending.remove(transmission)
        held = self._held
        if transmission.silent_from_s < now_s:
            self._air.lost(transmission, self.site, "aborted", now_s)
        elif held is None:
            if self._output.locked(transmission, now_s):
                self._follow(transmission)
            else:
                self._air.lost(transmission, self.site, "demodulators", now_s)
        elif now_s < held.start_s + held.times.sync_s and self._margin_db(transmission, held) >= CAPTURE_DB:
            self._air.lost(held, self.site, "captured", now_s)
            self._follow(transmission)
        else:
            self._waiting.append(transmission)

    def _follow(self, transmission: Transmission) -> None:
        self._held = transmission
        header_s = transmission.start_s + transmission.times.header_s
        if self.tuning.explicit_header:
            self._at(header_s, lambda: self._header(transmission, header_s))
        self._at(transmission.end_s, lambda: self._finish(transmission, transmission.end_s))

    def _header(self, transmission: Transmission, now_s: float) -> None:
        if self._held is not transmission:
            return
        spoiled = self._spoiled_header(transmission)
        if not spoiled:
            self._output.header(transmission, True, now_s)
            return
        self._held = None
        self._air.lost(transmission, self.site, f"header {spoiled}", now_s)
        self._resume(now_s, lambda: self._output.header(transmission, False, now_s))

    def _finish(self, transmission: Transmission, now_s: float) -> None:
        if self._held is not transmission:
            return
        self._held = None
        spoiled = self._spoiled_payload(transmission)
        has_crc = transmission.modulation.crc if self.tuning.explicit_header else self.tuning.crc
        reception = self._reception(transmission, bool(spoiled), not spoiled or not has_crc)
        if spoiled:
            self._air.lost(transmission, self.site, f"payload {spoiled}", now_s)
        else:
            self._air.heard(reception, self.site, now_s)
        self._resume(now_s, lambda: self._output.received(reception, now_s))

    def _resume(self, now_s: float, tell: Callable[[], None]) -> None:
        epoch = self._epoch
        tell()
        if epoch == self._epoch:
            waiting, self._waiting = self._waiting, []
            for transmission in waiting:
                self._offer(transmission, now_s, "busy")

    def _spoiled_header(self, transmission: Transmission) -> str:
        begin_s = transmission.lock_until_s - transmission.lock_s
        end_s = transmission.start_s + transmission.times.header_s
        if transmission.silent_from_s < end_s:
            return "aborted"
        if not transmission.modulation.explicit_header and self.tuning.explicit_header:
            return "format"
        if self._collides(transmission, begin_s, end_s):
            return "collision"
        success = header_success(transmission.modulation, self._snr_db(transmission))
        return "" if self._draw("header", transmission) < success else "noise"

    def _spoiled_payload(self, transmission: Transmission) -> str:
        sent, tuning = transmission.modulation, self.tuning
        if transmission.silent_from_s < transmission.end_s:
            return "aborted"
        formats = [(m.explicit_header, m.low_data_rate) for m in (sent, tuning)]
        implicit = [(m.coding_rate, m.crc) for m in (sent, tuning)]
        length_differs = tuning.payload_bytes != len(transmission.payload)
        if formats[0] != formats[1] or (not tuning.explicit_header and (implicit[0] != implicit[1] or length_differs)):
            return "format"
        spoiled = "" if tuning.explicit_header else self._spoiled_header(transmission)
        if spoiled:
            return spoiled
        if self._collides(transmission, transmission.start_s + transmission.times.header_s, transmission.end_s):
            return "collision"
        success = payload_success(sent, len(transmission.payload), self._snr_db(transmission))
        return "" if self._draw("payload", transmission) < success else "noise"

    def _collides(self, transmission: Transmission, from_s: float, to_s: float) -> bool:
        wanted = transmission.modulation
        for other in self._air.overlapping(from_s, to_s):
            if other is transmission or other.site.name == self.site.name:
                continue
            share_db = in_band_db(wanted.frequency_hz, wanted.bandwidth_hz, other.modulation)
            if self._margin_db(transmission, other) - share_db < required_sir_db(wanted, other.modulation):
                return True
        return False

    def _margin_db(self, wanted: Transmission, other: Transmission) -> float:
        return self._air.level_dbm(wanted, self.site) - self._air.level_dbm(other, self.site)

    def _snr_db(self, transmission: Transmission) -> float:
        noise_dbm = noise_floor_dbm(self.tuning.bandwidth_hz, self.site.noise_figure_db)
        return self._air.level_dbm(transmission, self.site) - noise_dbm

    def _draw(self, what: str, transmission: Transmission) -> float:
        return uniform(self._air.seed, what, transmission.key, self.site.name)

    def _reception(self, transmission: Transmission, spoiled: bool, crc_ok: bool) -> Reception:
        signal_dbm = self._air.level_dbm(transmission, self.site)
        noise_dbm = noise_floor_dbm(self.tuning.bandwidth_hz, self.site.noise_figure_db)
        payload = transmission.payload
        if not self.tuning.explicit_header:
            payload = payload[: self.tuning.payload_bytes].ljust(self.tuning.payload_bytes, b"\x00")
        if spoiled and payload:
            place = int(self._draw("damage", transmission) * len(payload))
            payload = bytes(byte ^ (0xFF if i >= place else 0) for i, byte in enumerate(payload))
        rssi_dbm = sum_dbm(signal_dbm, noise_dbm)
        snr_db = min(signal_dbm - noise_dbm, SNR_CEILING_DB)
        return Reception(transmission, payload, crc_ok, rssi_dbm, signal_dbm, snr_db)
