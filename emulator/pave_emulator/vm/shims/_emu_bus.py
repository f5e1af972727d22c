"""`machine.I2C`, `SoftI2C`, `SPI`, `SoftSPI` (extmod/machine_i2c.c, machine_spi.c and the port's machine_i2c.c).

The firmware's code is charged before a buffer is copied for the host: on the chip the bus reads it where it lies.
"""

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc

_PIECE_BYTES = 32768  # a longer transfer is several calls
_i2c = {}  # bus: (scl, sda, freq, timeout), kept by the port from one I2C() to the next


class I2C:
    """Hardware I2C 0 or 1. A whole transaction, with its repeated start, is one call."""

    def __init__(self, id=0, *, scl=None, sda=None, freq=-1, timeout=-1):
        if id not in (0, 1):
            raise ValueError(f"I2C({id}) doesn't exist")
        old = _i2c.get(id, (9, 8, 400000, 50000))
        _i2c[id] = (
            old[0] if scl is None else _emu_pin.number_of(scl),
            old[1] if sda is None else _emu_pin.number_of(sda),
            old[2] if freq == -1 else freq,
            old[3] if timeout == -1 else timeout,
        )
        self._open(id)

    def _open(self, bus):
        self._bus = bus
        rpc.call(ops.I2C_INIT, (bus,) + _i2c[bus][:3])

    def __repr__(self):
        return "I2C({}, scl={}, sda={}, freq={}, timeout={})".format(self._bus, *_i2c[self._bus])

    def _transfer(self, address, directions, size, data=b""):
        return rpc.call(ops.I2C, (self._bus, address, directions, size), data, charged=True)

    def scan(self):
        found = []
        for address in range(0x08, 0x78):
            rpc.charge()
            try:
                self._transfer(address, 1, 0)
                found.append(address)
            except OSError:
                pass
        return found

    # Without a stop, what follows begins with a repeated start: to a chip the same as after a stop.

    def writeto(self, address, data, stop=True):
        rpc.charge()
        self._transfer(address, 1, 0, bytes(data))
        return len(data)

    def writevto(self, address, parts, stop=True):
        rpc.charge()
        data = b"".join(bytes(part) for part in parts)
        self._transfer(address, 1, 0, data)
        return len(data)

    def readfrom(self, address, size, stop=True):
        rpc.charge()
        return self._transfer(address, 2, size)

    def readfrom_into(self, address, buf, stop=True):
        rpc.charge()
        buf[:] = self._transfer(address, 2, len(buf))

    def writeto_mem(self, address, register, data, *, addrsize=8):
        rpc.charge()
        self._transfer(address, 1, 0, _register(register, addrsize) + bytes(data))

    def readfrom_mem(self, address, register, size, *, addrsize=8):
        rpc.charge()
        return self._transfer(address, 3, size, _register(register, addrsize))

    def readfrom_mem_into(self, address, register, buf, *, addrsize=8):
        buf[:] = self.readfrom_mem(address, register, len(buf), addrsize=addrsize)

    def init(self, *args, **kwargs):
        raise OSError("I2C operation not supported")

    start = stop = readinto = write = init


def _register(register, addrsize):
    if addrsize & 7 or not 0 <= addrsize <= 32:
        raise ValueError("invalid addrsize")
    return (register & (1 << addrsize) - 1).to_bytes(addrsize // 8, "big")


class SoftI2C(I2C):
    """Bit by bit on any pins. Its primitives (start, stop, readinto, write) are not modelled."""

    _next_bus = 16

    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        SoftI2C._next_bus += 1
        self.init(scl, sda, freq=freq, timeout=timeout)

    def init(self, scl, sda, *, freq=400000, timeout=50000):
        self._bus = SoftI2C._next_bus
        _i2c[self._bus] = (_emu_pin.number_of(scl), _emu_pin.number_of(sda), freq, timeout)
        self._open(self._bus)

    def __repr__(self):
        return "SoftI2C(scl={}, sda={}, freq={})".format(*_i2c[self._bus][:3])

    def start(self, *args):
        raise RuntimeError("the primitives of SoftI2C are not modelled by the emulator")

    stop = readinto = write = start


class SPI:
    """Hardware SPI 1 or 2; each call is one transfer."""

    MSB = 0
    LSB = 1
    _defaults = {1: (12, 11, 13), 2: (36, 35, 37)}  # (sck, mosi, miso) of the ESP32-S3 port

    def __init__(self, id, baudrate=500000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        if id not in self._defaults:
            raise ValueError(f"SPI({id}) doesn't exist")
        self._bus = id
        self._settings = (500000, 0, 0, 8, 0)
        self._pins = tuple(
            given if given is not None else own for given, own in zip((sck, mosi, miso), self._defaults[id])
        )
        self.init(baudrate, polarity=polarity, phase=phase, bits=bits, firstbit=firstbit)

    def init(self, baudrate=-1, *, polarity=-1, phase=-1, bits=-1, firstbit=-1, sck=None, mosi=None, miso=None):
        given = (baudrate, polarity, phase, bits, firstbit)
        self._settings = tuple(old if new == -1 else new for new, old in zip(given, self._settings))
        self._pins = tuple(old if new is None else new for new, old in zip((sck, mosi, miso), self._pins))
        baudrate, polarity, phase, bits, firstbit = self._settings
        if bits <= 0:
            raise ValueError("invalid bits")
        if bits != 8 or firstbit != self.MSB:
            raise RuntimeError("SPI of other than bytes, most significant bit first, is not modelled by the emulator")
        numbers = tuple(-1 if pin is None or pin == -1 else _emu_pin.number_of(pin) for pin in self._pins)
        rpc.call(ops.SPI_INIT, (self._bus,) + numbers + (baudrate, polarity << 1 | phase))
        self._open = True

    def deinit(self):
        self._open = False

    def _transfer(self, data):
        if not self._open:
            raise OSError("transfer on deinitialized SPI")
        if len(data) <= _PIECE_BYTES:
            return self._piece(data)
        data = memoryview(data)
        return b"".join(self._piece(data[at : at + _PIECE_BYTES]) for at in range(0, len(data), _PIECE_BYTES))

    def _piece(self, data):
        rpc.charge()
        return rpc.call(ops.SPI, (self._bus,), bytes(data), charged=True)

    def write(self, data):
        if len(data) > _PIECE_BYTES:
            for at in range(0, len(data), _PIECE_BYTES):
                self._transfer(memoryview(data)[at : at + _PIECE_BYTES])
        else:
            self._transfer(data)

    def read(self, size, value=0):
        rpc.charge()
        sent = bytes((value,)) * size
        rpc.settle()
        return self._transfer(sent)

    def readinto(self, buf, value=0):
        buf[:] = self.read(len(buf), value)

    def write_readinto(self, data, buf):
        if len(data) != len(buf):
            raise ValueError("buffers must be the same length")
        buf[:] = self._transfer(data)


class SoftSPI(SPI):
    _next_bus = 16

    def __init__(self, baudrate=500000, *, polarity=0, phase=0, bits=8, firstbit=0, sck, mosi, miso):
        SoftSPI._next_bus += 1
        self._bus = SoftSPI._next_bus
        self._settings = (500000, 0, 0, 8, 0)
        self._pins = (sck, mosi, miso)
        self.init(baudrate, polarity=polarity, phase=phase, bits=bits, firstbit=firstbit)
