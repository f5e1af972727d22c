"""`esp32`: partitions of the flash image, NVS, wake-up pins.

Blocks are read straight from the image file; erasing and programming are calls to the host, which counts them and
enforces what NOR flash can do.
"""

import _emu_ops as ops
import _emu_rpc as rpc
import machine

WAKEUP_ALL_LOW = False  # the port's name on every chip; with ext1 the ESP32-S3 wakes when any of the pins is low
WAKEUP_ANY_HIGH = True

_SECTOR_BYTES = 4096
_ESP_ERR_INVALID_ARG = -0x102
_ESP_ERR_INVALID_SIZE = -0x104
_RTC_GPIO_MAX = 21  # ESP32-S3: GPIO 0 to 21 are RTC-capable

_image = None


def _read(address, buf):
    """Fill `buf` from the image; what lies beyond the end of a short file is erased flash."""
    _image.seek(address)
    got = _image.readinto(buf) or 0
    if got < len(buf):
        buf[got:] = b"\xff" * (len(buf) - got)


class Partition:
    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_SECTOR_BYTES):
        self._info = _by_role(id) if isinstance(id, int) else _by_label(id)
        self._block_bytes = block_size

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=_SECTOR_BYTES):
        return [
            Partition(info[4], block_size)
            for info in rpc.hello["partitions"]
            if info[0] == type and subtype in (0xFF, info[1]) and label in (None, info[4])
        ]

    def __repr__(self):
        return "<Partition type={}, subtype={}, address={}, size={}, label={}, encrypted={}>".format(*self._info)

    def info(self):
        return tuple(self._info[:5]) + (bool(self._info[5]),)

    def _address(self, offset, size):
        if offset < 0 or offset > self._info[3]:
            _esp_error(_ESP_ERR_INVALID_ARG)
        if offset + size > self._info[3]:
            _esp_error(_ESP_ERR_INVALID_SIZE)
        return self._info[2] + offset

    def readblocks(self, block, buf, offset=0):
        _read(self._address(block * self._block_bytes + offset, len(buf)), memoryview(buf))

    def writeblocks(self, block, buf, offset=None):
        start = block * self._block_bytes
        if offset is None:
            self._erase(start, len(buf))
        rpc.call(ops.FLASH_PROGRAM, (self._address(start + (offset or 0), len(buf)),), bytes(buf))

    def _erase(self, start, size):
        if self._block_bytes < _SECTOR_BYTES:
            raise OSError(ops.EINVAL)  # blocks below the erase size are not modelled
        if start % _SECTOR_BYTES or size % _SECTOR_BYTES:
            _esp_error(_ESP_ERR_INVALID_SIZE)
        rpc.call(ops.FLASH_ERASE, (self._address(start, size), size))

    def ioctl(self, command, argument):
        if command == 4:
            return self._info[3] // self._block_bytes
        if command == 5:
            return self._block_bytes
        if command == 6:
            if self._block_bytes != _SECTOR_BYTES:
                return -ops.EINVAL
            self._erase(argument * _SECTOR_BYTES, _SECTOR_BYTES)
        return 0 if 1 <= command <= 6 else None


def _esp_error(code):
    raise OSError(code, ops.ESP_ERRORS[code])


def _by_role(role):
    if role not in (Partition.BOOT, Partition.RUNNING):
        raise ValueError
    return _by_label(rpc.hello["running" if role == Partition.RUNNING else "boot"])


def _by_label(label):
    for info in rpc.hello["partitions"]:
        if info[4] == label:
            return info
    raise OSError(2)


class NVS:
    def __init__(self, namespace):
        (self._handle,) = rpc.ask(ops.NVS_OPEN, (), namespace.encode())

    def get_i32(self, key):
        return rpc.ask(ops.NVS_GET_I32, (self._handle,), key.encode())[0]

    def set_i32(self, key, value):
        value &= 0xFFFFFFFF
        rpc.call(ops.NVS_SET_I32, (self._handle, value - (value >> 31 << 32)), key.encode())

    def get_blob(self, key, buf):
        blob = rpc.call(ops.NVS_GET_BLOB, (self._handle, len(buf)), key.encode())
        buf[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        name = key.encode()
        rpc.call(ops.NVS_SET_BLOB, (self._handle, len(name)), name + bytes(value))

    def erase_key(self, key):
        rpc.call(ops.NVS_ERASE, (self._handle,), key.encode())

    def commit(self):
        rpc.call(ops.NVS_COMMIT, (self._handle,))


def _wake_pin(pin):
    number = machine._pin_number(pin)
    if number > _RTC_GPIO_MAX:
        raise ValueError("invalid pin")
    return number


def wake_on_ext0(pin=None, level=False):
    rpc.call(ops.WAKE_EXT0, (-1 if pin is None else _wake_pin(pin), int(bool(level))))


def wake_on_ext1(pins=(), level=False):
    mask = 0
    for pin in pins or ():
        mask |= 1 << _wake_pin(pin)
    rpc.call(ops.WAKE_EXT1, (mask, int(bool(level))))
