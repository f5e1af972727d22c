"""What may end a sleep, as the port keeps it (machine_rtc_config): set by `esp32.wake_on_*` and by `Pin.irq(wake=)`."""

import _emu_ops as ops
import _emu_rpc as rpc

SLEEP = 1
DEEPSLEEP = 2
RTC_GPIO_MAX = 21  # ESP32-S3: GPIO 0 to 21 are RTC-capable

ext0_pin = -1
ext0_level = False
ext1_pins = 0
ext1_level = False
gpio_pins = 0
gpio_level = False


def set_ext0(pin, level, kinds):
    global ext0_pin, ext0_level
    ext0_pin, ext0_level = pin, bool(level)
    rpc.call(ops.WAKE_EXT0, (pin, int(ext0_level), kinds))


def set_ext1(pins, level):
    global ext1_pins, ext1_level
    ext1_pins, ext1_level = pins, bool(level)
    rpc.call(ops.WAKE_EXT1, (pins, int(ext1_level)))


def set_gpio(pins, level):
    global gpio_pins, gpio_level
    gpio_pins, gpio_level = pins, bool(level)
    rpc.call(ops.WAKE_GPIO, (pins, int(gpio_level)))
