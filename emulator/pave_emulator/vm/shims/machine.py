"""`machine` of an ESP32-S3, gathered from its parts; the functions of modmachine.c are here.

What the port has and the emulator does not model raises RuntimeError with its name.
"""

import _emu_ops as ops
import _emu_rpc as rpc
import _emu_wake as wake_sources
from _emu_adc import ADC  # noqa: F401
from _emu_bus import I2C, SPI, SoftI2C, SoftSPI  # noqa: F401
from _emu_pin import Pin, Signal, number_of, time_pulse_us  # noqa: F401
from _emu_pwm import PWM  # noqa: F401
from _emu_timer import RTC, WDT, Timer  # noqa: F401
from _emu_uart import UART  # noqa: F401

_pin_number = number_of

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

PIN_WAKE = 2  # esp_sleep_wakeup_cause_t
EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6

SLEEP = wake_sources.SLEEP
DEEPSLEEP = wake_sources.DEEPSLEEP

_FREQUENCIES_MHZ = (20, 40, 80, 160, 240)
_NOT_MODELLED = (
    "ADCBlock",
    "Counter",
    "Encoder",
    "I2CTarget",
    "I2S",
    "SDCard",
    "TouchPad",
    "bitstream",
    "bootloader",
    "dht_readinto",
    "mem16",
    "mem32",
    "mem8",
    "mem_backup",
)

_freq_hz = 160000000


def __getattr__(name):
    if name in _NOT_MODELLED:
        raise RuntimeError(f"machine.{name} is not modelled by the emulator")
    raise AttributeError(f"'module' object has no attribute '{name}'")


def unique_id():
    return rpc.mac


def reset_cause():
    return rpc.hello["reset_cause"]


def wake_reason():
    return rpc.waking()[0]


def wake_pins():
    return tuple(rpc.waking()[1])


def reset():
    rpc.call(ops.RESET, (HARD_RESET,))


def soft_reset():
    rpc.call(ops.RESET, (SOFT_RESET,))


def deepsleep(ms=-1):
    if wake_sources.gpio_pins:
        raise ValueError("DEEPSLEEP with gpio pins not supported on this chip")
    rpc.call(ops.DEEPSLEEP, (int(ms),))


def lightsleep(ms=-1):
    answer = rpc.call(ops.LIGHTSLEEP, (int(ms),))
    rpc.waking()[0] = answer[0]
    rpc.waking()[1] = list(answer[1:-8])
    rpc.set_rtc_us(int.from_bytes(answer[-8:], "little"))


sleep = lightsleep


def freq(*hz):
    global _freq_hz
    if not hz:
        return _freq_hz
    if hz[0] // 1000000 not in _FREQUENCIES_MHZ:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq_hz = hz[0]
    return None


def idle():
    rpc.call(ops.SYNC)


def disable_irq():
    state = rpc.disabled
    rpc.disabled = True
    return state


def enable_irq(state):
    rpc.disabled = bool(state)
    rpc.run_scheduled()
