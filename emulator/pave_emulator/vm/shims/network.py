"""`network`: `WLAN` as station and access point, `LAN` over a W5500, host name and country."""

from _emu_lan import (  # noqa: F401
    ETH_CONNECTED,
    ETH_DISCONNECTED,
    ETH_GOT_IP,
    ETH_INITIALIZED,
    ETH_STARTED,
    ETH_STOPPED,
    LAN,
    PHY_DM9051,
    PHY_DP83848,
    PHY_GENERIC,
    PHY_IP101,
    PHY_KSZ8041,
    PHY_KSZ8081,
    PHY_KSZ8851SNL,
    PHY_LAN8710,
    PHY_LAN8720,
    PHY_RTL8201,
    PHY_W5500,
)
from _emu_wlan import (  # noqa: F401
    AP_IF,
    AUTH_OPEN,
    AUTH_WPA2_PSK,
    AUTH_WPA2_WPA3_PSK,
    AUTH_WPA3_PSK,
    AUTH_WPA_PSK,
    AUTH_WPA_WPA2_PSK,
    MODE_11B,
    MODE_11G,
    MODE_11N,
    MODE_LR,
    STA_IF,
    STAT_ASSOC_FAIL,
    STAT_BEACON_TIMEOUT,
    STAT_CONNECT_FAIL,
    STAT_CONNECTING,
    STAT_GOT_IP,
    STAT_HANDSHAKE_TIMEOUT,
    STAT_IDLE,
    STAT_NO_AP_FOUND,
    STAT_WRONG_PASSWORD,
    WLAN,
    country,
    hostname,
)


def phy_mode(mode=None):
    return None
