r"""An I2C bus that plays a datasheet's byte sequences, for tests of drivers on either runtime; and small pins.

    bus = Wire(0x44, (b"\x24\x00", None), (None, b"\xbe\xef\x92"))

is a chip at 0x44 that wants to be written 24 00, and then to be read. (bytes, bytes) is a write, a repeated start and a
read; an exception in place of the bytes that are read is raised. Anything else than the script fails the test.
"""

import upy  # noqa: F401  before the drivers


class Wire:
    """The bus, as machine.I2C; `script` is what happens on it."""

    def __init__(self, address, *script):
        self._address = address
        self._script = list(script)

    def finish(self):
        """Fail unless all of the script was played."""
        assert not self._script, "not played: %r" % self._script

    def writeto(self, address, data, stop=True):
        self._play(address, bytes(data), 0)
        return len(data)

    def readfrom(self, address, count, stop=True):
        return self._play(address, None, count)

    def readfrom_mem(self, address, register, count, addrsize=8):
        return self._play(address, bytes((register,)), count)

    def writeto_mem(self, address, register, data, addrsize=8):
        self._play(address, bytes((register,)) + bytes(data), 0)

    def _play(self, address, written, count):
        assert address == self._address, "address 0x%02x" % address
        assert self._script, "not in the script: write %r, read %d" % (written, count)
        expected, answer = self._script.pop(0)
        assert written == expected, "wrote %r, not %r" % (written, expected)
        if isinstance(answer, Exception):
            raise answer
        assert len(answer or b"") == count, "read %d, not %d" % (count, len(answer or b""))
        return answer


class Level:
    """A pin, as machine.Pin; `levels` are those it has had."""

    def __init__(self, level=0):
        self.levels = [level]

    def value(self, level=None):
        if level is None:
            return self.levels[-1]
        self.levels.append(level)
        return None
