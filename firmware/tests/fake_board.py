"""`machine.RTC` and `esp32.NVS` in memory, for tests of what is kept in them, on either runtime."""

import sys


class Rtc:
    """RTC memory; the class keeps it, as the chip does."""

    kept = b""

    def memory(self, data=None):
        if data is not None:
            Rtc.kept = bytes(data)
        return Rtc.kept


class Nvs:
    """NVS; the class keeps it. `commits` counts."""

    kept = {}
    commits = 0
    reset_cause = 1

    def __init__(self, namespace):
        self._values = Nvs.kept.setdefault(namespace, {})

    def get_i32(self, key):
        return self._found(key)

    def set_i32(self, key, value):
        self._values[key] = value

    def get_blob(self, key, buffer):
        value = self._found(key)
        buffer[: len(value)] = value
        return len(value)

    def set_blob(self, key, value):
        self._values[key] = bytes(value)

    def erase_key(self, key):
        self._found(key)
        del self._values[key]

    def commit(self):
        Nvs.commits += 1

    def _found(self, key):
        if key not in self._values:
            raise OSError(-0x1102)  # ESP_ERR_NVS_NOT_FOUND
        return self._values[key]


class _Machine:
    RTC = Rtc

    @staticmethod
    def reset_cause():
        return Nvs.reset_cause


class _Esp32:
    NVS = Nvs


def power_on(**namespaces):
    """Begin with RTC memory empty and these namespaces in NVS."""
    Rtc.kept = b""
    Nvs.kept = {name: dict(values) for name, values in namespaces.items()}
    Nvs.commits = 0


def imported(name):
    """Import a module of the firmware that is to have these."""
    hidden = {known: sys.modules.get(known) for known in ("machine", "esp32")}
    sys.modules["machine"] = _Machine
    sys.modules["esp32"] = _Esp32
    try:
        return __import__(name, None, None, ("*",))
    finally:
        for known, module in hidden.items():
            if module is None:
                del sys.modules[known]
            else:
                sys.modules[known] = module
