"""`machine.Pin` and `machine.Signal` (ports/esp32/machine_pin.c, extmod/machine_signal.c)."""

import _emu_ops as ops
import _emu_rpc as rpc
import _emu_wake as wake_sources

_GPIO_COUNT = 49
_NO_GPIO = (22, 23, 24, 25)  # ESP32-S3 datasheet v2.0, table 2-1
_MODES = {1: "IN", 3: "OUT", 7: "OPEN_DRAIN"}
_known = {}
_handlers = {}


def number_of(pin):
    """GPIO number of a Pin, or of what Pin() takes."""
    if isinstance(pin, Pin):
        return pin._number
    if isinstance(pin, int) and 0 <= pin < _GPIO_COUNT and pin not in _NO_GPIO:
        return pin
    raise ValueError("invalid pin")


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    class board:
        pass

    def __new__(cls, id, *args, **kwargs):
        number = number_of(id)
        if number not in _known:
            _known[number] = object.__new__(cls)
            _known[number]._set_up(number)
        return _known[number]

    def __init__(self, id, *args, **kwargs):
        if args or kwargs:
            self.init(*args, **kwargs)

    def _set_up(self, number):
        self._number = number
        self._mode = 1
        self._pull = 0
        self._drive = 2
        self._irq = None

    def __repr__(self):
        pull = ", pull=Pin.PULL_UP" if self._pull & 2 else ", pull=Pin.PULL_DOWN" if self._pull else ""
        drive = f", drive=Pin.DRIVE_{self._drive}" if self._drive != 2 else ""
        return f"Pin({self._number}, mode=Pin.{_MODES[self._mode]}{pull}{drive})"

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self.value(value)
        if drive is not None and 0 <= drive <= 3:
            self._drive = drive
        if mode is not None:
            if mode not in _MODES:
                raise RuntimeError(f"Pin mode {mode} is not modelled by the emulator")
            self._mode = mode
        if pull != -1:
            self._pull = pull or 0
        if mode is not None or pull != -1 or hold is not None:
            held = -1 if hold is None else 1 if hold else 0
            rpc.call(ops.PIN_MODE, (self._number, mode or 0, -1 if pull == -1 else self._pull, held))

    def value(self, *level):
        if not level:
            return rpc.ask(ops.PIN_GET, (self._number,))[0]
        rpc.call(ops.PIN_SET, (self._number, 1 if level[0] else 0))
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        rpc.call(ops.PIN_TOGGLE, (self._number,))

    def irq(self, *args, **kwargs):
        if args or kwargs:
            self._set_irq(*args, **kwargs)
        if self._irq is None:
            self._irq = _PinIrq(self)
        return self._irq

    def _set_irq(self, handler=None, trigger=3, wake=None):
        if trigger in (Pin.WAKE_LOW, Pin.WAKE_HIGH) and wake is not None:
            self._wake_by(trigger, wake)
            return
        if wake_sources.ext0_pin == self._number:
            wake_sources.set_ext0(-1, wake_sources.ext0_level, 0)
        _handlers[self._number] = handler
        _arm(self._number, 0 if handler is None else trigger)

    def _wake_by(self, trigger, wake):
        if not isinstance(wake, int) or not 2 <= wake <= 7:
            raise ValueError("bad wake value")
        if self._number > wake_sources.RTC_GPIO_MAX:
            raise ValueError("invalid pin for wake")
        if wake_sources.ext0_pin not in (-1, self._number):
            raise ValueError("no resources")
        wake_sources.set_ext0(self._number, trigger == Pin.WAKE_HIGH, wake)


class _PinIrq:
    def __init__(self, pin):
        self._pin = pin
        self._trigger = 0

    def __call__(self):
        _run(self._pin._number, 0)

    def trigger(self, trigger=None):
        number = self._pin._number
        before = _triggers.get(number, 0)
        if trigger is not None:
            _arm(number, trigger)
        return before


_triggers = {}


def _arm(number, trigger):
    if trigger & ~3:
        raise RuntimeError("level interrupts are not modelled by the emulator: they repeat while the level lasts")
    _triggers[number] = trigger
    rpc.call(ops.PIN_IRQ, (number, trigger))


def _run(number, _level):
    handler = _handlers.get(number)
    if handler is not None:
        rpc.schedule(handler, _known[number])


rpc.on_event(ops.EVENT_PIN, _run)


class Signal:
    """A pin, inverted or not: made from a Pin, or with what Pin() takes."""

    def __init__(self, pin, *args, invert=False, **kwargs):
        self._invert = bool(invert)
        if isinstance(pin, int):
            if invert and "value" in kwargs:
                kwargs["value"] = not kwargs["value"]
            pin = Pin(pin, *args, **kwargs)
        elif args or kwargs:
            raise TypeError
        self._pin = pin

    def value(self, *level):
        if not level:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(level[0]) ^ self._invert)
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


def time_pulse_us(pin, level, timeout_us=1000000):
    """Length of a pulse, us; -2 when it did not begin in time, -1 when it did not end."""
    level = 1 if level else 0
    changes = 2
    start = rpc.now_us()
    while True:
        now = rpc.now_us()
        if pin.value() == level:
            level = 1 - level
            changes -= 1
            if changes == 0:
                return now - start
            start = now
        elif now - start >= timeout_us:
            return -changes
