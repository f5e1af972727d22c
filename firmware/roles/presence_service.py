"""What the gateway may ask of a presence sensor, loaded only when it does: see `roles.service`."""

import machine

from drivers.led import Led
from net.clock import now_ms
from pave_wire import coap, command
from roles.service import Service

_BLINK_MS = (100, 400)


class SensorService:
    """The service of `sensor`, a `PresenceSensor`."""

    def __init__(self, sensor):
        self._sensor = sensor
        self._service = Service(sensor.settings, sensor.persistent, sensor.outbox, sensor.feed)
        acts = self._service.requests.acts
        acts[command.CALIBRATE] = self._calibrate
        acts[command.IDENTIFY] = self._identify
        self._blinks_s = 0

    def heartbeat_s(self):
        """Return the setting that holds."""
        return self._service.settings.get("heartbeat_s")

    def answer(self, request):
        """Carry out a `coap.Message`; return (code, payload) of the answer."""
        try:
            path = request.path
        except coap.CoapError:
            path = ""
        code, payload, _ = self._service.requests.answer(request.code, path, request.payload)
        self._sensor.heartbeat_s = self.heartbeat_s()
        return code, payload

    def tend(self, is_idle):
        """After each turn: what was asked for is done once its answer is out; a restart does not return."""
        if self._blinks_s and is_idle:
            self._blink()
        if self._service.tend(now_ms(), is_idle):
            self._service.act()

    def _calibrate(self, _argument):
        self._sensor.sense.detector.relearn(now_ms())
        self._sensor.sense.is_resting = False
        self._sensor.sense.begin("timer")
        return command.DONE, ""

    def _identify(self, seconds):
        self._blinks_s = seconds
        return command.DONE, ""

    def _blink(self):
        led = Led(machine.Pin(self._sensor.board.LED, machine.Pin.OUT, value=0))
        led.show(_BLINK_MS, now_ms(), self._blinks_s * 1000 // sum(_BLINK_MS))
        self._blinks_s = 0
        while (wait_ms := led.update(now_ms())) is not None:
            self._sensor.feed()
            machine.lightsleep(wait_ms)
