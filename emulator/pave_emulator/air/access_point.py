"""Access points: what they are called, how they are guarded, and how loud they are where a station is."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

AUTH_OPEN, AUTH_WPA2_PSK = 0, 3  # wifi_auth_mode_t
TRANSMIT_DBM = 20.0  # EIRP limit at 2.4 GHz, ETSI EN 300 328
FIRST_METRE_DB = 40.2  # free space at 2,437 MHz (channel 6)
LOSS_EXPONENT = 3.0  # a building or a street with obstacles, ITU-R P.1238, table 2
SENSITIVITY_DBM = -98  # ESP32-S3 datasheet v2.2, receiver sensitivity 802.11b 1 Mbps (-98.4 dBm)
Position = tuple[float, float]


@dataclass
class AccessPoint:
    """A network that stations may join. An empty key is an open network.

    Attributes:
        rssi_dbm: how stations receive it where it or they have no position.
        position_m: where it stands. on: False while it is without power (`WifiAir.switch` tells the stations).
        bssid: its address; made from the name when it is empty.
    """

    ssid: str = "pave"
    key: str = "pave-demo-key"
    bssid: bytes = b""
    channel: int = 6
    rssi_dbm: int = -60
    position_m: Position | None = None
    hidden: bool = False
    on: bool = True
    stations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.bssid:
            self.bssid = b"\x02" + hashlib.sha256(self.ssid.encode()).digest()[:5]  # locally administered

    @property
    def security(self) -> int:
        """As scan() reports it."""
        return AUTH_WPA2_PSK if self.key else AUTH_OPEN

    def heard_dbm(self, position_m: Position | None) -> int | None:
        """How loud it is there; None when it cannot be heard."""
        if not self.on:
            return None
        level_dbm = self.rssi_dbm
        if self.position_m and position_m:
            distance_m = max(1.0, math.dist(self.position_m, position_m))
            level_dbm = round(TRANSMIT_DBM - FIRST_METRE_DB - 10 * LOSS_EXPONENT * math.log10(distance_m))
        return level_dbm if level_dbm >= SENSITIVITY_DBM else None
