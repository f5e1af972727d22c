"""One measurement with the radar, waiting included: out of sleep, configured when it has forgotten, and asleep again.

The module stays supplied, asleep, through deep sleep: it keeps its calibration then, which takes longer than
a hundred measurements. One that fails loses its supply, so that it starts afresh when it is asked next.
"""

import machine
from micropython import const

from drivers import xm125

# As far as a vehicle's floor can be, and as near as the module's own reflection lets it look.
_START_MM = const(50)
_END_MM = const(1200)
_SIGNAL_QUALITY = const(15_000)
_MAX_PROFILE = const(3)
_POLL_MS = const(5)
_OFF_MS = const(20)  # for its capacitors
_ETIMEDOUT = const(116)


def measure(i2c, pause, wake_up, mcu_int, supply, address):
    """Return (peaks, near_edge) as `app.presence` takes them; `pause(ms)` waits, the pins are numbers of GPIOs.

    Raises:
        OSError: it does not answer, or not as it should; it is off then.
    """
    machine.Pin(supply, machine.Pin.OUT, value=1, hold=True)  # pyright: ignore[reportCallIssue]  the ESP32 has it
    wake = machine.Pin(wake_up, machine.Pin.OUT, value=0)
    radar = xm125.XM125(i2c, wake, machine.Pin(mcu_int, machine.Pin.IN), address)
    try:
        radar.wake()
        _until(pause, radar.is_awake, xm125.WAKE_MAX_MS, "awake")
        if not radar.is_configured():
            _configure(radar, pause)
        radar.start_measurement()
        _until(pause, radar.poll, xm125.MEASURE_MAX_MS, "done")
        near_edge, calibration_needed, _, peaks = radar.read_result()
        if calibration_needed:
            radar.start_recalibration()
            _until(pause, radar.poll, xm125.CALIBRATE_MAX_MS, "calibrated")
        radar.sleep()
    except OSError:
        wake.value(0)
        machine.Pin(supply, machine.Pin.OUT, value=0, hold=False)  # pyright: ignore[reportCallIssue]
        pause(_OFF_MS)
        raise
    return peaks, near_edge


def _configure(radar, pause):
    radar.check()
    radar.configure(
        start_mm=_START_MM,
        end_mm=_END_MM,
        signal_quality=_SIGNAL_QUALITY,
        max_profile=_MAX_PROFILE,
        threshold_method=xm125.CFAR,
        peak_sorting=xm125.CLOSEST,
    )
    radar.start_calibration()
    _until(pause, radar.poll, xm125.CALIBRATE_MAX_MS, "calibrated")


def _until(pause, done, at_most_ms, what):
    for _ in range(at_most_ms // _POLL_MS):
        if done():
            return
        pause(_POLL_MS)
    raise OSError(_ETIMEDOUT, "the XM125 is not %s after %d ms; check its supply and WAKE_UP" % (what, at_most_ms))
