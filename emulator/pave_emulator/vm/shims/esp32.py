"""`esp32`: partitions of the flash image, NVS, wake-up pins, pulse counters, what the chip knows of itself.

Blocks are read straight from the image file; erasing and programming are calls to the host, which counts them and
enforces what NOR flash can do.
"""

import gc

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc
import _emu_wake as wake_sources
import uctypes
from _emu_pcnt import PCNT  # noqa: F401

WAKEUP_ALL_LOW = False  # the port's name on every chip; with ext1 the ESP32-S3 wakes when any of the pins is low
WAKEUP_ANY_HIGH = True

_SECTOR_BYTES = 4096
_ESP_ERR_INVALID_ARG = -0x102
_ESP_ERR_INVALID_SIZE = -0x104
HEAP_DATA = 4  # MALLOC_CAP_8BIT
HEAP_EXEC = 1  # MALLOC_CAP_EXEC

_NOT_MODELLED = ("RMT", "ULP", "idf_task_info", "wake_on_touch", "wake_on_ulp")

_image = None
_map = None
_mapped_end = 0


def _open_image(fd, mapped_at, size):
    """Read the flash from now on: from memory where the file is mapped, from the file where it is not or has grown."""
    global _image, _map, _mapped_end
    _image = open(fd, "rb")
    if mapped_at:
        _map, _mapped_end = memoryview(uctypes.bytearray_at(mapped_at, size)), size


def _read_file(address, buf):
    """Fill `buf` from the image file; what lies beyond the end of a short one is erased flash."""
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
        self._info = _by_label(_label_of_role(id) if isinstance(id, int) else id)
        self._block_bytes = block_size
        self._start = self._info[2]
        self._end = self._start + self._info[3]

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

    def readblocks(self, block, buf, offset=0, _flash_reads=rpc.flash_reads):
        # An import reads some thousand times: as few names as can be.
        start = self._start + block * self._block_bytes + offset
        end = start + len(buf)
        if start < self._start or end > self._end:
            self._address(start - self._start, end - start)
        _flash_reads[0] += 1
        _flash_reads[1] += end - start
        if end <= _mapped_end:
            buf[:] = _map[start:end]
        else:
            _read_file(start, memoryview(buf))

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

    def set_boot(self):
        rpc.call(ops.OTA_SET_BOOT, (), self._info[4].encode())

    def get_next_update(self):
        return Partition(rpc.call(ops.OTA_NEXT_UPDATE, (), self._info[4].encode()).decode())

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        rpc.call(ops.OTA_MARK_VALID)


def _esp_error(code):
    raise OSError(code, ops.ESP_ERRORS[code])


def _label_of_role(role):
    if role == Partition.RUNNING:
        return rpc.hello["running"]
    if role == Partition.BOOT:
        return rpc.call(ops.OTA_BOOT_PARTITION).decode()
    raise ValueError


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


# Wake-up pins


def wake_on_ext0(pin=-1, level=None):
    if pin is None:
        pin = -1
    elif pin == -1:
        pin = wake_sources.ext0_pin
    else:
        pin = _wake_pin(pin)
    level = wake_sources.ext0_level if level is None else level
    wake_sources.set_ext0(pin, level, wake_sources.SLEEP | wake_sources.DEEPSLEEP)


def wake_on_ext1(pins=None, level=None):
    mask = wake_sources.ext1_pins if pins is None else _mask(pins, _wake_pin)
    wake_sources.set_ext1(mask, wake_sources.ext1_level if level is None else level)


def wake_on_gpio(pins=None, level=None):
    mask = wake_sources.gpio_pins if pins is None else _mask(pins, _emu_pin.number_of)
    wake_sources.set_gpio(mask, wake_sources.gpio_level if level is None else level)


def gpio_deep_sleep_hold(enable):
    rpc.call(ops.DEEP_SLEEP_HOLD, (1 if enable else 0,))


def _wake_pin(pin):
    number = _emu_pin.number_of(pin)
    if number > wake_sources.RTC_GPIO_MAX:
        raise ValueError("invalid pin")
    return number


def _mask(pins, number_of):
    mask = 0
    for pin in pins:
        mask |= 1 << number_of(pin)
    return mask


# The chip


def mcu_temperature():
    return rpc.ask(ops.TEMPERATURE)[0]


def idf_heap_info(capabilities):
    """One region, the one that MicroPython's heap is in; ESP-IDF's others are not modelled."""
    free = gc.mem_free()
    return [(free + gc.mem_alloc(), free, free, free)] if capabilities == HEAP_DATA else []


def __getattr__(name):
    if name in _NOT_MODELLED:
        raise RuntimeError(f"esp32.{name} is not modelled by the emulator")
    raise AttributeError(f"'module' object has no attribute '{name}'")
