"""`machine.UART` 1 and 2 (the port's machine_uart.c); 0 is the console."""

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc

_DEFAULT_PINS = {1: (10, 9), 2: (17, 16)}
_POLL, _POLLIN, _POLLOUT = 3, 1, 4  # MP_STREAM_POLL*
_IRQ_POLL = 0x8000
_ALLOWED = 0x1101
_ESP_FAIL = -1
_ports = {}


class UART:
    INV_TX = 0x20
    INV_RX = 0x04
    INV_RTS = 0x40
    INV_CTS = 0x08
    RTS = 1
    CTS = 2
    IRQ_RX = 0x01
    IRQ_RXIDLE = 0x1000
    IRQ_BREAK = 0x100

    def __new__(cls, id, *args, **kwargs):
        if not 0 <= id <= 2:
            raise ValueError(f"UART({id}) does not exist")
        if id == 0:
            raise RuntimeError("UART(0) is the console; using it as a UART is not modelled by the emulator")
        if id not in _ports:
            _ports[id] = object.__new__(cls)
            _ports[id]._id = id
            _ports[id]._irq = None
            _ports[id]._forget()
        return _ports[id]

    def __init__(self, id, *args, **kwargs):
        self.init(*args, **kwargs)

    def _forget(self):
        self._open = False
        self._baud = 115200
        self._bits, self._parity, self._stop = 8, None, 1
        self._tx, self._rx = _DEFAULT_PINS[self._id]
        self._rxbuf = self._txbuf = 256
        self._timeout = self._timeout_char = 0
        self._mask = 0

    def init(
        self, baudrate=0, bits=0, parity=-1, stop=0, *, tx=None, rx=None, rts=None, cts=None,
        txbuf=-1, rxbuf=-1, timeout=-1, timeout_char=-1, invert=0, flow=0,
    ):  # fmt: skip
        if bits not in (0, 5, 6, 7, 8):
            raise ValueError("invalid data bits")
        if stop not in (0, 1, 2):
            raise ValueError("invalid stop bits")
        if invert or flow or rts is not None or cts is not None:
            raise RuntimeError("inversion and flow control of a UART are not modelled by the emulator")
        self._baud = baudrate or (self._baud if self._open else 115200)
        self._bits = bits or self._bits
        self._stop = stop or self._stop
        self._parity = self._parity if parity == -1 else parity
        self._tx = self._tx if tx is None else _emu_pin.number_of(tx)
        self._rx = self._rx if rx is None else _emu_pin.number_of(rx)
        self._txbuf = self._txbuf if txbuf < 0 else txbuf
        self._rxbuf = self._rxbuf if rxbuf < 0 else rxbuf
        self._timeout = self._timeout if timeout < 0 else timeout
        self._timeout_char = self._timeout_char if timeout_char < 0 else timeout_char
        frame = 1 + self._bits + (self._parity is not None) + self._stop
        sizes = (self._rxbuf, self._txbuf)
        rpc.call(ops.UART_OPEN, (self._id, self._tx, self._rx, self._baud, frame) + sizes)
        self._open = True

    def deinit(self):
        rpc.call(ops.UART_CLOSE, (self._id,))
        self._forget()

    def __repr__(self):
        parity = None if self._parity is None else 1 - (self._parity & 1)
        text = "UART({}, baudrate={}, bits={}, parity={}, stop={}, tx={}, rx={}, timeout={}, timeout_char={})"
        frame = (self._bits, parity, self._stop)
        return text.format(self._id, self._baud, *frame, self._tx, self._rx, self._timeout, self._timeout_char)

    def any(self):
        return rpc.ask(ops.UART_ANY, (self._id,))[0]

    def txdone(self):
        return bool(rpc.ask(ops.UART_ANY, (self._id,))[1])

    def flush(self):
        while not self.txdone():
            rpc.sleep_us(100)

    def _take(self, room):
        """Up to `room` bytes; None when nothing came in time."""
        fields = (self._id, min(room, 0xFFFF), self._timeout * 1000, self._timeout_char * 1000)
        try:
            while True:
                data = rpc.call(ops.UART_READ, fields)
                if data is not None:  # else an interrupt has been served
                    return data
        except OSError as error:
            if error.errno in (ops.EAGAIN, _ESP_FAIL):
                return None
            raise

    def read(self, size=-1):
        if size >= 0:
            return self._take(size) if size else b""
        whole = b""
        while True:
            piece = self._take(256)
            if not piece:
                return whole or None
            whole += piece

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self._take(1)
            if not byte:
                return line or None
            line += byte
        return line

    def readinto(self, buf, size=-1):
        data = self._take(len(buf) if size < 0 else min(size, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, data):
        data = bytes(data)
        try:
            rpc.call(ops.UART_WRITE, (self._id,), data)
        except OSError as error:
            if error.errno == _ESP_FAIL:
                return None
            raise
        return len(data)

    def sendbreak(self):
        raise RuntimeError("UART.sendbreak is not modelled by the emulator")

    def irq(self, handler=None, trigger=0, hard=False):
        if self._irq is None:
            self._irq = _Irq(self)
        if trigger & ~_ALLOWED:
            raise ValueError(f"trigger 0x{trigger & ~_ALLOWED:04x} unsupported")
        if hard:
            raise ValueError("hard IRQ is not supported")
        if handler is not None and not callable(handler):
            raise ValueError("handler must be None or callable")
        self._irq._handler = handler
        self._arm(trigger if handler else 0)
        return self._irq

    def _arm(self, mask):
        self._mask = mask
        rpc.call(ops.UART_IRQ, (self._id, mask))

    def ioctl(self, request, argument):
        if request != _POLL:
            return -ops.EINVAL
        if argument & _POLLIN and not self._mask & _IRQ_POLL:
            self._arm(self._mask | _IRQ_POLL)  # so that what comes ends a wait
        return (_POLLIN if argument & _POLLIN and self.any() else 0) | argument & _POLLOUT


class _Irq:
    def __init__(self, uart):
        self._uart = uart
        self._handler = None
        self._flags = 0

    def flags(self):
        return self._flags

    def trigger(self, *mask):
        before = self._uart._mask & _ALLOWED
        if mask:
            self._uart._arm(mask[0])
        return before


def _ring(number, flags):
    irq = _ports[number]._irq
    if flags and irq and irq._handler:
        irq._flags = flags
        rpc.schedule(irq._handler, irq._uart)


rpc.on_event(ops.EVENT_UART, _ring)
