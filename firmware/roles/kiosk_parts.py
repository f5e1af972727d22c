"""What a kiosk measures and drives beside its screens and its link: one task for each part, each with its own faults.

A part that does not answer is a fault, said in a reading, and asked again next time; the others go on.
"""

import asyncio

import machine
from esp32 import PCNT
from machine import PWM, UART, Pin

from app import limits
from app.kiosk_fan import FanControl
from app.kiosk_light import LightControl
from app.kiosk_pc import PcWatchdog
from drivers import backlight, bh1750, fan
from drivers.debounced_input import DebouncedInput
from drivers.line_heartbeat import LineHeartbeat
from drivers.relay import Relay
from drivers.sht3x import MEASURE_MAX_MS, SHT3x
from net.clock import now_ms
from pave_wire import reading

_PC_BAUD = 115_200
_INPUT_SETTLE_MS = 50
_INPUTS_LOOKS = 12  # after so many without an edge the pins are read all the same
_POLL_MS = 5


class Climate:
    """Temperature and humidity of the housing.

    Attributes:
        temperature_c: measured last, None where it is not known.
    """

    def __init__(self, board, i2c, reports):
        self._sensor = SHT3x(i2c, board.CLIMATE_ADDRESS)
        self._reports = reports
        self.temperature_c = None

    async def run(self, beat):
        """Measure for ever."""
        while True:
            temperature, humidity = await self._measured()
            self.temperature_c = temperature
            self._reports.take(reading.TEMPERATURE, temperature)
            self._reports.take(reading.HUMIDITY, humidity)
            self._reports.fault("climate", temperature is None)
            beat()
            await asyncio.sleep(limits.KIOSK_CLIMATE_EVERY_S)

    async def _measured(self):
        """Return (degrees in steps of 0.5, whole percent), or None twice."""
        try:
            self._sensor.start()
            await asyncio.sleep_ms(MEASURE_MAX_MS)
            for _ in range(3):
                measured = self._sensor.poll()
                if measured is not None:
                    return (measured[0] + 250) // 500 / 2, (measured[1] + 500) // 1000
                await asyncio.sleep_ms(_POLL_MS)
            print("climate: no result", MEASURE_MAX_MS, "ms after the start")
        except OSError as error:
            print("climate:", error)
        return None, None


class Light:
    """The light on the screen, and the backlight that follows it.

    `night` is called with whether colours for the night are to be shown, when that changes.
    """

    def __init__(self, board, i2c, reports, night):
        self._sensor = bh1750.BH1750(i2c, board.LIGHT_ADDRESS)
        pwm = PWM(Pin(board.LCD_BACKLIGHT), freq=backlight.PWM_HZ, duty_u16=0)
        self._backlight = backlight.Backlight(pwm)
        self._reports = reports
        self._night = night
        self.control = LightControl(100, 100)

    async def run(self, beat):
        """Measure and dim for ever."""
        while True:
            lux = await self._measured()
            was_night = self.control.is_night
            self.control.update(lux, now_ms())
            if self.control.is_night != was_night:
                self._night(self.control.is_night)
            self._reports.take(reading.ILLUMINANCE, lux)
            self._reports.fault("light", lux is None)
            beat()
            await self._dim()
            self._reports.take(reading.BACKLIGHT, self.control.percent * 64 // 100 / 64)
            await asyncio.sleep(limits.KIOSK_LIGHT_EVERY_S)

    async def _measured(self):
        """Return whole lux, or None."""
        try:
            self._sensor.start(bh1750.ONE_TIME_HIGH)
            await asyncio.sleep_ms(self._sensor.measure_max_ms())
            return self._sensor.read_millilux() // 1000
        except OSError as error:
            print("light:", error)
            return None

    async def _dim(self):
        while self.control.percent != self.control.target_percent:
            pause_ms = self.control.step()
            self._backlight.set_percent(self.control.percent)
            await asyncio.sleep_ms(pause_ms or 0)


class Fan:
    """The fan, in a loop on what `climate` has measured."""

    def __init__(self, board, climate, reports):
        pwm = PWM(Pin(board.FAN_PWM), freq=fan.PWM_HZ, duty_u16=65535)
        counter = PCNT(0, pin=Pin(board.FAN_TACH, Pin.IN), falling=PCNT.INCREMENT)
        self._fan = fan.Fan(pwm, counter)
        self._climate = climate
        self._reports = reports
        self._control = FanControl()

    async def run(self, beat):
        """Control it for ever."""
        percent = None
        while True:
            at_ms = now_ms()
            rpm = self._fan.rpm(at_ms)
            self._control.update(self._climate.temperature_c, rpm, at_ms)
            if self._control.percent != percent:
                percent = self._control.percent
                self._fan.set_percent(percent)
            self._reports.take(reading.FAN_RPM, rpm)
            self._reports.fault("fan", self._control.is_stalled)
            beat()
            await asyncio.sleep(limits.KIOSK_FAN_EVERY_S)


class Pc:
    """The kiosk PC: its heartbeat, and the relay in its mains."""

    def __init__(self, board, reports):
        uart = UART(1, _PC_BAUD, tx=Pin(board.PC_TX), rx=Pin(board.PC_RX), timeout=0)
        self._heartbeat = LineHeartbeat(uart, now_ms())
        self._relay = Relay(Pin(board.PC_RELAY, Pin.OUT, value=0), normally_closed=True)
        self._watchdog = PcWatchdog(now_ms())
        self._reports = reports
        self._commanded = None

    def command(self, done):
        """Cycle its power soon, and call `done()` when it is back on; return whether that is not under way already."""
        if self._commanded is not None:
            return False
        self._commanded = done
        return True

    async def run(self, beat):
        """Watch it for ever."""
        self._relay.close()
        while True:
            at_ms = now_ms()
            if self._heartbeat.update(at_ms):
                self._watchdog.heard(at_ms)
            if self._watchdog.is_due(at_ms) or self._commanded is not None:
                await self._cycle()
            self._reports.take(reading.PC_ALIVE, self._watchdog.is_alive)
            self._reports.take(reading.PC_CYCLES, self._watchdog.cycles)
            beat()
            await asyncio.sleep(limits.KIOSK_PC_EVERY_S)

    async def _cycle(self):
        is_commanded = self._commanded is not None
        print("PC: power off for", limits.KIOSK_PC_OFF_S, "s")
        try:
            self._relay.open()
            await asyncio.sleep(limits.KIOSK_PC_OFF_S)
        finally:
            self._relay.close()
        self._watchdog.cycled(now_ms(), is_commanded)
        done, self._commanded = self._commanded, None  # one that came meanwhile has got what it wanted
        if done is not None:
            done()


class Inputs:
    """The lid's contact and the mains detector. An edge makes a look due, so a quiet pin costs nothing."""

    def __init__(self, board, reports):
        self._reports = reports
        self._pins = (
            (reading.TAMPER, Pin(board.TAMPER, Pin.IN), 1),
            (reading.MAINS, Pin(board.MAINS_SENSE, Pin.IN), 1),
        )
        self._has_edge = True

    async def run(self, beat):
        """Look at them for ever."""
        inputs = [(name, DebouncedInput(pin, active, _INPUT_SETTLE_MS)) for name, pin, active in self._pins]
        for _, pin, _ in self._pins:
            pin.irq(self._edge, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
        quiet = _INPUTS_LOOKS
        while True:
            quiet += 1
            if self._has_edge or quiet >= _INPUTS_LOOKS:
                self._has_edge = False
                quiet = 0
                await self._look(inputs)
            beat()
            await asyncio.sleep(limits.KIOSK_INPUTS_EVERY_S)

    def _edge(self, _pin):
        self._has_edge = True

    async def _look(self, inputs):
        for name, debounced in inputs:
            debounced.update(now_ms())
            while debounced.wait_ms(now_ms()) is not None:
                await asyncio.sleep_ms(_INPUT_SETTLE_MS)
                debounced.update(now_ms())
            self._reports.take(name, debounced.is_active)
