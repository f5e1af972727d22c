"""`machine.ADC` (the port's machine_adc.c and adc.c): 12 bits, ADC1 on GPIO 1 to 10, ADC2 on GPIO 11 to 20."""

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc

_BITS = 12
_EPERM = 1
_attenuation = {}  # GPIO: attenuation
_open = [False, False]  # ADC1, ADC2


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_12BIT = _BITS

    def __init__(self, pin, *, atten=-1):
        self._pin = _emu_pin.number_of(pin)
        if not 1 <= self._pin <= 20:
            raise ValueError("invalid pin")
        self._block = (self._pin - 1) // 10
        self.init(atten=atten)

    def __repr__(self):
        return f"ADC(Pin({self._pin}), atten={_attenuation[self._pin]})"

    def init(self, *, atten=-1):
        _open[self._block] = True
        self.atten(ADC.ATTN_11DB if atten == -1 else atten)

    def deinit(self):
        _open[self._block] = False

    def atten(self, value):
        if not 0 <= value <= 3:
            raise ValueError("invalid attenuation")
        _attenuation[self._pin] = value

    def width(self, bits):
        if bits != _BITS:
            raise ValueError("invalid bit-width")

    def _convert(self):
        if not _open[self._block]:
            raise OSError(_EPERM)
        return rpc.ask(ops.ADC, (self._pin, _attenuation[self._pin]))

    def read(self):
        return self._convert()[0]

    def read_u16(self):
        steps = self._convert()[0]
        return steps << 16 - _BITS | steps >> 2 * _BITS - 16

    def read_uv(self):
        return self._convert()[1]
