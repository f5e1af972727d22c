"""A cell's voltage behind a divider that a switch connects, so that it does not drain the cell.

    battery = Battery(ADC(Pin(1), atten=ADC.ATTN_11DB), Pin(2, Pin.OUT, value=0), ratio=2)
    battery.connect()
    time.sleep_ms(SETTLE_MS)
    print(battery.read_mv())
    battery.disconnect()

Connected or not is the caller's: a cell shows its condition under load, while something else draws current.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import ADC, Pin

SETTLE_MS = 5  # ten time constants of 500 kohm and 1 nF
SAMPLES = 16


class Battery:
    """The converter (machine.ADC or alike), the output that connects the divider, and the divider's ratio."""

    def __init__(self, adc: "ADC", switch: "Pin", ratio: int = 2):
        self._adc = adc
        self._switch = switch
        self._ratio = ratio

    def connect(self):
        """Connect the divider."""
        self._switch.value(1)

    def disconnect(self):
        """Disconnect it."""
        self._switch.value(0)

    def read_mv(self):
        """Return the mean of SAMPLES in mV, by the converter's calibration (read_uv)."""
        total_uv = 0
        for _ in range(SAMPLES):
            total_uv += self._adc.read_uv()
        return total_uv * self._ratio // (SAMPLES * 1000)
