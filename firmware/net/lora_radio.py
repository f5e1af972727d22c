"""Sending a frame and listening in its receive windows (LoRaWAN class A), asleep in between.

    |-- frame --|                     RX1                    RX2
                |---- delay -------|  |------|          |  |------|
                TxDone, polled     |  opens `early`     |
                                   sleeps, the radio in warm sleep

A window opens so much early, and lasts so much longer, as the clock may be wrong meanwhile: `_MARGIN_US`, and one part
in `_DRIFT` of the delay for the slow clock that counts in light sleep, 20 ms at RX1. A receiver locks on five symbols
of the preamble's eight, so it may open two symbols into it: at slow data rates that is all the margin there is.

The heap is collected before the frame goes out; until the last window is closed nothing is stored, and what is
allocated is little: neither garbage collection nor flash may hold up a window.
"""

import gc
import time

import machine
from micropython import const

from pave_wire import region

BUSY, SENT, RECEIVED = 0, 1, 2  # of the drivers' `poll`

_MARGIN_US = const(15_000)
_DRIFT = const(200)
_SYMBOLS_LATE = const(2)
_SYMBOLS_MIN = const(7)
_SETUP_US = const(1_000)  # to tell the radio
_LIGHT_SLEEP_MIN_US = const(8_000)  # falling asleep and waking cost some of it
_WAKES_EARLY_US = const(3_000)
_POLL_MS = const(10)
_LONGEST_PACKET_MS = const(3_000)  # 51 bytes at SF12
_STUCK_MS = const(500)  # beyond its airtime


class LinkError(OSError):
    """The radio did not do as it was told; the message says what."""


def exchange(radio, uplink, accepts, antenna_gain_dbi=0):
    """Send `uplink` (an `app.lora_mac.Uplink`) and listen in its windows until `accepts(phy)` takes what came.

    `radio` has been started, and is in warm sleep afterwards.

    Returns:
        Whether something was accepted; its levels are `radio.rssi_dbm` and `radio.snr_db`.

    Raises:
        LinkError: the radio does not end sending.
        OSError: the radio does not answer.
    """
    sf, bandwidth_hz = region.DATA_RATES[uplink.data_rate]
    power_dbm = uplink.eirp_dbm - max(0, antenna_gain_dbi)
    power_dbm = max(radio.min_power_dbm, min(radio.max_power_dbm, power_dbm))
    gc.collect()
    radio.configure(uplink.frequency_hz, sf, bandwidth_hz, power_dbm)
    radio.start_send(uplink.phy)
    ended_us = _sent(radio, uplink.airtime_us)
    try:
        for delay_ms, frequency_hz, data_rate in uplink.windows:
            if _listen(radio, ended_us, delay_ms, frequency_hz, data_rate):
                phy = radio.read()
                if accepts(phy):
                    return True
        return False
    finally:
        radio.sleep(warm=True)


def idle_until(at_us):
    """Wait until `time.ticks_us` is `at_us`: in light sleep, the last bit awake."""
    while True:
        left_us = time.ticks_diff(at_us, time.ticks_us())
        if left_us < _LIGHT_SLEEP_MIN_US:
            break
        machine.lightsleep((left_us - _WAKES_EARLY_US) // 1000)
    if left_us > 0:
        time.sleep_us(left_us)


def _sent(radio, airtime_us):
    """Sleep while the frame is on air; return `ticks_us` of its end."""
    began_us = time.ticks_us()
    idle_until(time.ticks_add(began_us, airtime_us - _LIGHT_SLEEP_MIN_US))
    while radio.poll() != SENT:
        if time.ticks_diff(time.ticks_us(), began_us) > airtime_us + _STUCK_MS * 1000:
            raise LinkError("no TxDone %d ms after the frame's end; check the radio's supply" % _STUCK_MS)
        time.sleep_us(200)
    return time.ticks_us()


def _listen(radio, ended_us, delay_ms, frequency_hz, data_rate):
    """Listen in one window; return whether a packet came."""
    sf, bandwidth_hz = region.DATA_RATES[data_rate]
    symbol_us = (1 << sf) * 1_000_000 // bandwidth_hz
    margin_us = _MARGIN_US + delay_ms * 1000 // _DRIFT
    opens_us = time.ticks_add(ended_us, delay_ms * 1000 - margin_us + _SYMBOLS_LATE * symbol_us)
    if time.ticks_diff(opens_us, time.ticks_us()) < 0:
        return False  # a packet in RX1 that was not ours has lasted too long
    # Everything is set before the gap: what is left to do then takes a millisecond or two, whoever runs it.
    radio.configure(frequency_hz, sf, bandwidth_hz)
    symbols = max(_SYMBOLS_MIN, 2 * margin_us // symbol_us + 6)
    radio.prepare_receive(symbols, inverted_iq=True)
    radio.sleep(warm=True)
    idle_until(time.ticks_add(opens_us, -radio.rx_start_us - _SETUP_US))
    radio.start_receive()
    return _received(radio, symbols * symbol_us)


def _received(radio, window_us):
    """Sleep until the window is over, then for as long as a packet comes in; return whether one did."""
    idle_until(time.ticks_add(time.ticks_us(), window_us))
    for _ in range(_LONGEST_PACKET_MS // _POLL_MS):
        found = radio.poll()
        if found != BUSY:
            return found == RECEIVED
        machine.lightsleep(_POLL_MS)
    return False
