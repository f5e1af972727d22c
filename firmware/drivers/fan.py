"""A fan with four wires: speed by PWM, revolutions by its tachometer (Intel's "4-Wire Pulse Width Modulation (PWM)
Controlled Fans Specification", rev 1.3, section 2.1).

    fan = Fan(PWM(Pin(17), freq=PWM_HZ, duty_u16=65535), PCNT(0, pin=Pin(18, Pin.IN), falling=PCNT.INCREMENT))
    fan.set_percent(60)
    fan.rpm(now_ms())   # None: begins to count
    ...
    fan.rpm(now_ms())   # since then

The fan pulls its PWM input up: without a signal it runs at full speed, which is the safe side.
"""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from esp32 import PCNT
    from machine import PWM

PWM_HZ = 25_000  # 21 to 28 kHz
COUNT_MAX_MS = 60_000  # the 16 bits of the counter are good for 32,767 pulses: 16,000 rpm

_PULSES = const(2)  # a revolution
_FULL = const(65535)


class Fan:
    """Its PWM (machine.PWM or alike) and its pulse counter (esp32.PCNT or alike), which this starts."""

    def __init__(self, pwm: "PWM", counter: "PCNT"):
        self._pwm = pwm
        self._counter = counter
        self._counted_ms = None
        counter.start()

    def set_percent(self, percent):
        """Set the duty, 0 to 100; below the fan's minimum, 20 to 30, it stops or stays at its minimum."""
        if not 0 <= percent <= 100:
            raise ValueError("%d %% is not 0 to 100" % percent)
        self._pwm.duty_u16(percent * _FULL // 100)

    def rpm(self, now_ms):
        """Return the mean speed since the call before, in 1/min; None the first time and after COUNT_MAX_MS.

        `now_ms` is of any clock that does not wrap in between. A second is good to 30 rpm.
        """
        pulses = self._counter.value(0)  # reads and clears
        counted_ms, self._counted_ms = self._counted_ms, now_ms
        if counted_ms is None or not 0 < now_ms - counted_ms <= COUNT_MAX_MS:
            return None
        return pulses * 60_000 // (_PULSES * (now_ms - counted_ms))
