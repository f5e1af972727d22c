"""The presence sensor's LoRaWAN: what is due is said as soon as the field is at rest, in light sleep, one by one.

A frame and its windows take 2 s, in which nothing is sensed; the interrupt is armed by then, and what it has noticed is
looked at before the next frame. What is due later is another wake-up's.

Without keys, with a counter missing beside them, or with a radio that does not answer, nothing is sent: the sensor
looks again an hour later. Sensing goes on, and the outbox fills.
"""

import machine
from micropython import const

from app import limits, lora_session, lora_talk
from net.clock import now_ms
from net.lora_link import LoraLink
from pave_wire.reading import BATTERY
from roles import lora_board
from roles.lorawan_keys import Keys
from roles.presence_sense import AWAKE_MAX_S

_BATTERY_EVERY_MS = const(86_400_000)
_UNAVAILABLE = const(0xA3)  # 5.03
_UNKNOWN = const(255)  # of DevStatusAns (TS001-1.0.4, 5.5)
# Loaded voltage of a LiSOCl2 cell with its capacitor: flat at 3.6 V, and at the end of what the regulator takes.
_EMPTY_MV = const(2800)
_FULL_MV = const(3600)


class Lora:
    """The link of `sensor`, a `PresenceSensor`; `state` is what `state` gave, or None."""

    def __init__(self, sensor, state):
        self._sensor = sensor
        kept, self._again_ms, self._battery, self._battery_ms = (None, 0, _UNKNOWN, 0) if state is None else state
        self._session_state = kept
        self._session = None
        self._link = None
        self._heard_link = None  # (margin dB, RSSI dBm, SNR dB) of the test answered last
        self._is_asked = False  # by the gateway, in this wake-up
        at_ms = now_ms()
        self._again_ms = min(self._again_ms, at_ms + limits.LORA_REFUSED_S * 1000)
        if at_ms >= self._again_ms:
            self._open(at_ms)

    def state(self):
        """Return the value for RTC memory."""
        if self._session is not None:
            self._session_state = self._session.state()
        return [self._session_state, self._again_ms, self._battery, self._battery_ms]

    def due_ms(self):
        """Return when there is something to do, or None."""
        return self._again_ms if self._link is None else self._link.due_ms()

    def run(self):
        """Sense, and say what is due, until both are done or a wake-up has taken as long as it may."""
        sensor = self._sensor
        until_ms = now_ms() + AWAKE_MAX_S * 1000
        while True:
            if not sensor.sense.is_resting:
                sensor.sense.settle(sensor.feed)
            sensor.absorb()
            if now_ms() > until_ms:
                return
            is_soon = self._waits()
            if self._is_asked:
                sensor.service().tend(not is_soon)
            if not is_soon and sensor.sense.is_resting:
                return
            if is_soon and not sensor.sense.stirs():
                self._say()

    def stop(self):
        """Before deep sleep."""
        if self._link is not None:
            self._link.sleep()
        lora_board.hold(self._sensor.board)

    def fault(self):
        """Return why there is no link at all, in few words, or an empty text."""
        return "no keys or radio" if self._link is None else ""

    def probe(self):
        """Join, or ask the network how well it hears this device, where the duty cycle allows it now.

        Returns (margin dB, and of the answer RSSI dBm and SNR dB), or None.
        """
        self._heard_link = None
        session = self._session
        if session is None or self._link is None:
            return None
        if session.phase != lora_session.JOINING:
            session.check_link()
        due_ms = self._link.due_ms()
        if due_ms is not None and due_ms <= now_ms():
            self._say()
        return self._heard_link

    def _open(self, at_ms):
        sensor = self._sensor
        try:
            radio = lora_board.make_radio(sensor.board)
            if sensor.is_restarted or self._session_state is None:
                radio.start()  # after a power-on it is in standby until it was sent to sleep once
                radio.sleep()
            keys = Keys()
            self._measure_battery(at_ms)
            self._session = lora_session.Session(
                keys,
                sensor.outbox,
                (sensor.board.NAME, sensor.settings.get("version", "unknown"), min(machine.reset_cause(), 4)),
                sensor.random_below,
                sensor.persistent.next_epoch,
                self._session_state,
                at_ms,
                self._battery,
            )
            self._link = LoraLink(radio, self._session, sensor.save, sensor.feed)
        except OSError as error:
            self._failed(error)

    def _waits(self):
        """Wait in light sleep for the next frame, if it is soon; return whether it is."""
        due_ms = self.due_ms()
        wait_ms = 0 if due_ms is None else due_ms - now_ms()
        if self._link is None or due_ms is None or wait_ms > limits.LORA_WAITS_MS:
            return False
        if wait_ms > 0:
            machine.lightsleep(wait_ms)
        return True

    def _say(self):
        try:
            for event in self._link.exchange():  # pyright: ignore[reportOptionalMemberAccess]  `_waits` has looked
                self._heard(event)
        except OSError as error:
            self._failed(error)

    def _heard(self, event):
        if event[0] == lora_talk.REQUEST:
            self._session.respond(event[1], *self._answered(event[1]))  # pyright: ignore[reportOptionalMemberAccess]
        elif event[0] == lora_talk.LINK and self._link is not None:
            self._heard_link = (event[1], self._link.rssi_dbm, self._link.snr_db)
        elif event[0] == lora_talk.REFUSED:
            print("reading %d refused with code 0x%02x" % (event[2], event[1]))

    def _answered(self, request):
        """Return (code, payload); 5.03 where the heap has no room left for what would answer."""
        try:
            answer = self._sensor.service().answer(request)
        except MemoryError as error:
            print("no room to answer:", error)
            return _UNAVAILABLE, b""
        self._is_asked = True
        return answer

    def _failed(self, error):
        print("no LoRaWAN:", error)
        self.state()
        self._link = self._session = None
        self._again_ms = now_ms() + limits.LORA_REFUSED_S * 1000

    def _measure_battery(self, at_ms):
        """Once a day, before the radio draws: the cell's charge as DevStatusAns has it, 1 to 254, and as a reading."""
        board = self._sensor.board
        if self._battery_ms <= at_ms < self._battery_ms + _BATTERY_EVERY_MS and self._battery != _UNKNOWN:
            return
        from roles import cell

        mv = cell.read_mv(board)
        if self._battery != _UNKNOWN:  # the first is commissioning's to say
            self._sensor.outbox.add({BATTERY: mv / 1000}, at_ms)
        self._battery = max(1, min(254, 1 + (mv - _EMPTY_MV) * 253 // (_FULL_MV - _EMPTY_MV)))
        self._battery_ms = at_ms
