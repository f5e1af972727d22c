"""Time on air that outlives deep sleep, resets and cuts of power, in little memory.

`region.DutyCycle` keeps the law's hour in grains of two minutes. Here it is packed for RTC memory into at most
`limits.LORA_GRAINS` entries: where there are more, the oldest joins the next one of its sub-band, so it counts longer
than it must, never shorter.

After a cut of power RTC memory is empty, and nobody knows how long the power was gone. So non-volatile memory holds a
bound: `reserved_ms`, which no sub-band's hour exceeds. It is raised, a step of `limits.LORA_AIRTIME_STEP_MS` at a time,
before a frame that would exceed it; and without RTC memory every sub-band counts as used up to the bound, a moment ago.
A sensor uses a second or two an hour: the bound is written once and never again. One that browns out in each
transmission and so forgets all the time climbs to the law's limit, then waits an hour.
"""

import struct

from app import limits
from pave_wire import region

_HEAD = "<QII"  # end of the frame whose time off ends last, its us on air, newest grain
_ENTRY = "<BBH"  # grains before the newest, sub-band, units on air
_UNIT_US = 10_000
_HOUR_GRAINS = region.HOUR_MS // region.GRAIN_MS + 2


class Airtime:
    """What this device has sent in the last hour.

    Args:
        state: what `state` gave, or None after a cut of power.
        reserved_ms: the bound in non-volatile memory.
        now_ms: as for `region.DutyCycle`.
    """

    def __init__(self, state, reserved_ms, now_ms):
        self.reserved_ms = reserved_ms
        if state is None:
            grain = now_ms // region.GRAIN_MS
            spent = [(grain, band, reserved_ms * 1000) for band in range(len(region.SUB_BANDS)) if reserved_ms]
            self._duty_cycle = region.DutyCycle(((0, 0), spent))
        else:
            self._duty_cycle = region.DutyCycle(_unpacked(state))

    def set_max_duty_cycle(self, exponent):
        """Obey a DutyCycleReq: after a frame, silence for 2**exponent - 1 times its length."""
        self._duty_cycle.max_duty_cycle = exponent

    def next_allowed_ms(self, frequency_hz, data_rate, airtime_us, now_ms):
        """Return when a frame may start, `now_ms` or later; raises RegionError as `DutyCycle.next_allowed_ms`."""
        return self._duty_cycle.next_allowed_ms(
            frequency_hz, region.occupied_hz(data_rate), _guarded(airtime_us), now_ms
        )

    def record(self, frequency_hz, data_rate, airtime_us, now_ms):
        """Count a frame that is to start at `now_ms`; return whether `reserved_ms` has to be stored before it does."""
        width_hz = region.occupied_hz(data_rate)
        self._duty_cycle.record(frequency_hz, width_hz, _guarded(airtime_us), now_ms)
        band = region.sub_band(frequency_hz, width_hz)
        spent_us = sum([us for _, of, us in self._duty_cycle.state[1] if of == band])
        if spent_us <= self.reserved_ms * 1000:
            return False
        step_ms = limits.LORA_AIRTIME_STEP_MS
        self.reserved_ms = -(-spent_us // (step_ms * 1000)) * step_ms
        return True

    def state(self):
        """Return all of it but the bound as bytes, for RTC memory: 16, and 4 for each of `limits.LORA_GRAINS`."""
        (ended_ms, airtime_us), spent = self._duty_cycle.state
        spent = _merged(list(spent))
        newest = spent[-1][0] if spent else 0
        data = struct.pack(_HEAD, ended_ms, airtime_us, newest)
        for grain, band, us in spent:
            data += struct.pack(_ENTRY, newest - grain, band, min(0xFFFF, -(-us // _UNIT_US)))
        return data


def _guarded(airtime_us):
    """Return a frame's time with what the device's clock may be wrong by, 3 %: its hour is not quite the law's."""
    return airtime_us + airtime_us // 32


def _merged(spent):
    """Return `spent`, (grain, sub-band, us) with the oldest first, with no more entries than are kept."""
    newest = spent[-1][0] if spent else 0
    spent = [entry for entry in spent if newest - entry[0] <= _HOUR_GRAINS]
    while len(spent) > limits.LORA_GRAINS:
        for at in range(len(spent)):
            _, band, us = spent[at]
            later = [n for n in range(at + 1, len(spent)) if spent[n][1] == band]
            if later:
                grain, _, more_us = spent[later[0]]
                spent[later[0]] = (grain, band, us + more_us)
                del spent[at]
                break
    return spent


def _unpacked(data):
    head = struct.calcsize(_HEAD)
    ended_ms, airtime_us, newest = struct.unpack(_HEAD, data[:head])
    spent = []
    for at in range(head, len(data), struct.calcsize(_ENTRY)):
        before, band, units = struct.unpack(_ENTRY, data[at : at + 4])
        spent.append((newest - before, band, units * _UNIT_US))
    return (ended_ms, airtime_us), spent
