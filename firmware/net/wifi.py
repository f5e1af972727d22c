"""Waiting for Wi-Fi."""

import asyncio

import network

CONNECT_TIMEOUT_MS = 10_000
_POLL_MS = 50


class WifiError(OSError):
    """No connection within CONNECT_TIMEOUT_MS; `args` are the message and the radio's status (network.STAT_...)."""


def stop():
    """Switch the radio off; ESP-IDF wants that before deep sleep."""
    network.WLAN(network.STA_IF).active(False)


def rssi_dbm():
    """Return the level of the access point that is joined."""
    return network.WLAN(network.STA_IF).status("rssi")


async def connect(ssid, key):
    """Join the access point `ssid`, unless joined already.

    Raises:
        WifiError: not connected in time; says the status the radio gave.
    """
    wlan = network.WLAN(network.STA_IF)
    if wlan.isconnected():
        return
    wlan.active(True)
    wlan.connect(ssid, key)
    for _ in range(CONNECT_TIMEOUT_MS // _POLL_MS):
        if wlan.isconnected():
            return
        await asyncio.sleep_ms(_POLL_MS)
    status = wlan.status()
    wlan.active(False)  # give up at once: an idle search costs as much as a connection
    raise WifiError(
        "no Wi-Fi %s after %d ms, status %d; check name, key and signal" % (ssid, CONNECT_TIMEOUT_MS, status), status
    )
