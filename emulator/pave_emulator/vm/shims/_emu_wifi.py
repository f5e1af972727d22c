"""How the port turns what the network stack says into exceptions (ports/esp32/network_common.c)."""

import _emu_rpc as rpc

_WIFI_TEXTS = {
    -0x3001: "Wifi Not Initialized",
    -0x3002: "Wifi Not Started",
    -0x3006: "Wifi Internal State Error",
    -0x3007: "Wifi Internal Error",
    -0x300F: "Wifi Not Connected",
}


def wifi_call(op, fields=(), tail=b""):
    """One call; what the Wi-Fi driver refuses is an OSError with the port's text and no number."""
    try:
        return rpc.call(op, fields, tail)
    except OSError as error:
        if error.errno in _WIFI_TEXTS:
            raise OSError(_WIFI_TEXTS[error.errno])
        raise
