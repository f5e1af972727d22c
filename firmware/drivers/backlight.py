"""A backlight dimmed by PWM, as bright as the eye finds it.

light = Backlight(PWM(Pin(16), freq=PWM_HZ, duty_u16=0))
light.set_percent(40)
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import PWM

PWM_HZ = 1000  # no flicker, and 16 bits of resolution at 80 MHz


class Backlight:
    """The PWM (machine.PWM or alike) of its driver, high for light."""

    def __init__(self, pwm: "PWM"):
        self._pwm = pwm

    def set_percent(self, percent):
        """Set the brightness, 0 to 100: the duty is its square, since eyes are nearly logarithmic."""
        if not 0 <= percent <= 100:
            raise ValueError("%d %% is not 0 to 100" % percent)
        self._pwm.duty_u16(percent * percent * 65535 // 10_000)
