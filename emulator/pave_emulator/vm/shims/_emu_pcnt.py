"""`esp32.PCNT` (the port's esp32_pcnt.c): four units of two channels each."""

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc

_UNITS = 4
_units = {}
_UNSET = object()


class PCNT:
    IGNORE = 0
    INCREMENT = 1
    DECREMENT = 2
    NORMAL = 0
    REVERSE = 1
    HOLD = 2
    IRQ_ZERO = 64
    IRQ_THRESHOLD0 = 8
    IRQ_THRESHOLD1 = 4
    IRQ_MIN = 16
    IRQ_MAX = 32

    def __new__(cls, id, **kwargs):
        if not 0 <= id < _UNITS:
            raise ValueError("invalid id")
        if id not in _units:
            _units[id] = object.__new__(cls)
            _units[id]._id = id
            _units[id]._irq = None
            _units[id]._forget()
        return _units[id]

    def __init__(self, id, **kwargs):
        self.init(**kwargs)

    def __repr__(self):
        return f"PCNT({self._id})"

    def _forget(self):
        self._channels = [[-1, -1, 0, 0, 0, 0], [-1, -1, 0, 0, 0, 0]]  # pin, mode pin, rising, falling, low, high
        self._limits = [0, 0, 0, 0]

    def init(
        self, *, channel=0, pin=_UNSET, rising=None, falling=None, mode_pin=_UNSET, mode_low=None, mode_high=None,
        min=None, max=None, filter=None, threshold0=None, threshold1=None, value=None,
    ):  # fmt: skip
        if not 0 <= channel <= 1:
            raise ValueError("channel")
        settings = self._channels[channel]
        if pin is not _UNSET or mode_pin is not _UNSET:
            if pin is _UNSET:
                raise ValueError("pin")
            settings[0] = _number(pin)
            settings[1] = -1 if mode_pin is _UNSET else _number(mode_pin)
        actions = (("rising", rising), ("falling", falling), ("mode_low", mode_low), ("mode_high", mode_high))
        if any(action is not None for _name, action in actions):
            for at, (name, action) in enumerate(actions):
                if action is not None and not 0 <= action <= 2:
                    raise ValueError(name)
                settings[2 + at] = action or 0
        rpc.call(ops.PCNT_CHANNEL, (self._id, channel) + tuple(settings))
        if filter is not None and not 0 <= filter <= 1023:
            raise ValueError("filter")
        if value:
            raise ValueError("value")
        self._limit(min, max, threshold0, threshold1, value)

    def _limit(self, minimum, maximum, threshold0, threshold1, value):
        limits = (
            ("minimum", minimum, -32768, 0),
            ("maximum", maximum, 0, 32767),
            ("threshold0", threshold0, -32768, 32767),
            ("threshold1", threshold1, -32768, 32767),
        )
        clear = value is not None
        for at, (name, limit, low, high) in enumerate(limits):
            if limit is not None:
                if not low <= limit <= high:
                    raise ValueError(name)
                self._limits[at] = limit
                clear = True
        if clear:
            rpc.call(ops.PCNT_LIMITS, (self._id,) + tuple(self._limits))

    def deinit(self):
        self._forget()
        if self._irq:
            self._irq._set(None, 0)
        rpc.call(ops.PCNT_RUN, (self._id, 0))
        for channel in (0, 1):
            rpc.call(ops.PCNT_CHANNEL, (self._id, channel) + tuple(self._channels[channel]))
        rpc.call(ops.PCNT_LIMITS, (self._id,) + tuple(self._limits))

    def start(self):
        rpc.call(ops.PCNT_RUN, (self._id, 1))

    def stop(self):
        rpc.call(ops.PCNT_RUN, (self._id, 0))

    def value(self, *value):
        if value and value[0] != 0:
            raise ValueError("value")
        return rpc.ask(ops.PCNT_VALUE, (self._id, 1 if value else 0))[0]

    def irq(self, *args, **kwargs):
        if self._irq is None:
            self._irq = _Irq(self)
        if args or kwargs:
            self._irq._configure(*args, **kwargs)
        return self._irq


class _Irq:
    def __init__(self, unit):
        self._unit = unit
        self._set(None, 0)

    def _configure(self, handler=None, trigger=PCNT.IRQ_ZERO):
        if not 4 <= trigger < 128:
            raise ValueError("trigger")
        self._set(handler, trigger if handler else 0)

    def _set(self, handler, trigger):
        self._handler = handler
        self._trigger = trigger
        self._flags = 0
        rpc.call(ops.PCNT_IRQ, (self._unit._id, trigger))

    def flags(self):
        flags, self._flags = self._flags, 0
        return flags

    def trigger(self, *events):
        before = self._trigger
        if events:
            self._set(self._handler, events[0])
        return before


def _number(pin):
    return -1 if pin is None else _emu_pin.number_of(pin)


def _ring(number, events):
    irq = _units[number]._irq
    if irq and irq._handler:
        irq._flags |= events
        rpc.schedule(irq._handler, irq._unit)


rpc.on_event(ops.EVENT_PCNT, _ring)
