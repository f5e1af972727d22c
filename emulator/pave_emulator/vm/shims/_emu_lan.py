"""`network.LAN`, after ports/esp32/network_lan.c: a W5500 on SPI, as the ESP32-S3 has no Ethernet of its own."""

import _emu_ops as ops
import _emu_rpc as rpc
from _emu_interface import Addressed

ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP = range(6)
PHY_LAN8710, PHY_LAN8720, PHY_IP101, PHY_RTL8201, PHY_DP83848, PHY_KSZ8041, PHY_KSZ8081 = range(7)
PHY_GENERIC = 7
PHY_KSZ8851SNL, PHY_DM9051, PHY_W5500 = 100, 101, 102
_KNOWN = (
    PHY_LAN8710, PHY_LAN8720, PHY_IP101, PHY_RTL8201, PHY_DP83848, PHY_KSZ8041, PHY_KSZ8081, PHY_GENERIC,
    PHY_KSZ8851SNL, PHY_DM9051, PHY_W5500,
)  # fmt: skip
_ETH_MAC_OFFSET = 3  # ESP-IDF, four universal addresses

_lan = None


def LAN(id=None, *, phy_addr, phy_type, spi=None, cs=None, **pins):
    global _lan
    if _lan is None:
        _lan = _open(id, phy_addr, phy_type, spi, cs, pins)
    return _lan


def _open(id, phy_addr, phy_type, spi, cs, pins):
    import machine

    for name in pins:
        if name not in ("mdc", "mdio", "reset", "power", "int", "ref_clk_mode", "ref_clk"):
            raise TypeError("unexpected keyword argument '{}'".format(name))
    if id not in (None, 0):
        raise ValueError("invalid LAN interface identifier")
    if not 0 <= phy_addr <= 0x1F:
        raise ValueError("invalid phy address")
    if phy_type not in _KNOWN:
        raise ValueError("invalid phy type")
    if pins.get("power") is not None:
        machine.Pin(pins["power"], machine.Pin.OUT, value=1)
    if phy_type in (PHY_KSZ8851SNL, PHY_DM9051):
        raise OSError("the emulator has a W5500 only")
    interrupt = pins.get("int")
    if phy_type != PHY_W5500 or interrupt is None:
        raise OSError("esp_eth_driver_install failed with invalid argument")  # no MAC was made
    if spi is None:
        raise TypeError("expecting an SPI object")
    lines = tuple(machine._pin_number(pin) for pin in spi._pins) + (
        machine._pin_number(cs),
        machine._pin_number(interrupt),
    )
    try:
        rpc.call(ops.LAN_OPEN, lines)
    except OSError:
        raise OSError("esp_eth_driver_install failed")
    return _Lan()


class _Lan(Addressed):
    _has_client = True
    _op = ops.LAN_IFCONFIG
    _mac = None

    def active(self, on=None):
        return bool(rpc.ask(ops.LAN_ACTIVE, (-1 if on is None else int(bool(on)),))[0])

    def status(self):
        return rpc.ask(ops.LAN_STATUS)[0]

    def isconnected(self):
        return self.status() == ETH_GOT_IP

    def config(self, *query, **settings):
        if query and settings:
            raise TypeError("either pos or kw args are allowed")
        if "mac" in settings:
            if len(settings["mac"]) != 6:
                raise ValueError("invalid buffer length")
            if settings["mac"][0] & 1:
                raise OSError("failed setting MAC address")
            self._mac = bytes(settings["mac"])
        if settings:
            return None
        if len(query) != 1:
            raise TypeError("can query only one param")
        if query[0] != "mac":
            raise ValueError("unknown config param")
        return self._mac or rpc.mac[:5] + bytes((rpc.mac[5] + _ETH_MAC_OFFSET & 255,))
