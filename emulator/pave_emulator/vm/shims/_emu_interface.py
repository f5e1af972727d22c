"""What `WLAN` and `LAN` share: addresses (ports/esp32/network_common.c)."""

import _emu_rpc as rpc

_dns = None


def numbers(text):
    """Check a dotted address. ValueError as netutils has it."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise ValueError("invalid arguments")
    return text


def ipconfig(*query, **settings):
    """`network.ipconfig`: the DNS server."""
    global _dns
    if settings:
        if query:
            raise TypeError("can't specify pos and kw args")
        for name, value in settings.items():
            if name != "dns":
                raise ValueError("unexpected key")
            try:
                _dns = numbers(value)
            except ValueError:
                raise ValueError("invalid arguments as dns server")
        return None
    if len(query) != 1:
        raise TypeError("must query one param")
    if query[0] != "dns":
        raise ValueError("unexpected key")
    return _dns or "0.0.0.0"


class Addressed:
    """ifconfig and ipconfig. The network gives the address: a static one is shown, and changes nothing on the air."""

    _dhcp = True
    _static = None

    def ifconfig(self, settings=None):
        if settings is None:
            return self._shown()
        if isinstance(settings, (tuple, list)):
            if len(settings) != 4:
                raise ValueError("requested length 4 but object has length {}".format(len(settings)))
            address, mask, gateway, dns = settings
            if isinstance(mask, int):
                bits = 0xFFFFFFFF << (32 - mask) & 0xFFFFFFFF
                mask = ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
            self._static = tuple(numbers(text) for text in (address, mask, gateway, dns))
            self._dhcp = False
        elif settings == "dhcp" and self._has_client:
            self._static, self._dhcp = None, True
        else:
            raise ValueError("invalid arguments")
        return None

    def ipconfig(self, *query, **settings):
        if settings:
            if query:
                raise TypeError("can't specify pos and kw args")
            self._configure(settings)
            return None
        if len(query) != 1:
            raise TypeError("must query one param")
        shown = self._shown()
        if query[0] == "addr4":
            return shown[:2]
        if query[0] == "gw4":
            return shown[2]
        if query[0] == "dhcp4" and self._has_client:
            return self._dhcp
        raise ValueError("unexpected key")

    def _configure(self, settings):
        address, mask, gateway, dns = self._shown()
        for name, value in settings.items():
            if name == "dhcp4" and self._has_client:
                self._dhcp = bool(value)
                if value:
                    self._static = None
                continue
            if name == "addr4":
                if isinstance(value, str) and "/" in value:
                    value, bits = value.split("/")
                    bits = 0xFFFFFFFF << (32 - int(bits)) & 0xFFFFFFFF
                    mask = ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
                elif not isinstance(value, str):
                    value, mask = value
                address = numbers(value)
            elif name == "gw4":
                gateway = numbers(value)
            else:
                raise ValueError("unexpected key")
            self._static, self._dhcp = (address, mask, gateway, dns), False

    def _shown(self):
        shown = self._static or tuple(rpc.call(self._op).decode().split(" "))
        return shown[:3] + (_dns or shown[3],)
