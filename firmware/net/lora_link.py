"""The device's LoRaWAN link: a session (`app.lora_session`), a radio, and between them the order that keeps both safe.

    link = LoraLink(radio, session, save, feed)
    while link.due_ms() is not None and link.due_ms() <= now_ms():
        for event in link.exchange(): ...

One `exchange` takes 1 to 3 s, 6 to 8 s when it joins, nearly all of it in light sleep. It blocks: nothing else may
allocate, store, or move the bus meanwhile. Who has time sleeps deeply until `due_ms`.
"""

import random
import time

from net import lora_radio
from net.clock import now_ms

_AGAIN_MS = 1000  # and as much at random: between repetitions of one frame (TS001-1.0.4, 4.3.1.3, RETRANSMIT_TIMEOUT)


class LoraLink:
    """See above.

    Args:
        radio: a `drivers.sx126x.SX1262` or `drivers.sx127x.SX1276`.
        session: an `app.lora_session.Session`.
        save: called without arguments to keep `session.state()`, before anything is sent and after it was heard.
        feed: called between frames, at most 10 s apart: the watchdog's.
        antenna_gain_dbi: of the antenna; a gain takes away from the power, a loss is not made up for.
    """

    def __init__(self, radio, session, save, feed, antenna_gain_dbi=0):
        self._radio = radio
        self._session = session
        self._save = save
        self._feed = feed
        self._antenna_gain_dbi = antenna_gain_dbi
        self._is_started = False

    @property
    def rssi_dbm(self):
        """Level of the downlink heard last."""
        return self._radio.rssi_dbm

    @property
    def snr_db(self):
        """Its signal-to-noise ratio."""
        return self._radio.snr_db

    def due_ms(self):
        """Return when `exchange` has something to send, by `net.clock`, or None."""
        return self._session.due_ms(now_ms())

    def exchange(self):
        """Send the frame that is due, if one is, and listen for the answer; return a list of events (`app.lora_talk`).

        Raises:
            OSError: the radio does not answer (its own RadioError), or memory could not be written: nothing was sent.
        """
        uplink = self._session.next_uplink(now_ms())
        if uplink is None:
            return []
        self._save()
        if not self._is_started:
            self._radio.start()
            self._is_started = True
        while uplink is not None:
            self._feed()
            if lora_radio.exchange(self._radio, uplink, self._session.accepts, self._antenna_gain_dbi):
                break
            uplink = self._repetition()
        events = self._session.finish(self._radio.snr_db, now_ms())
        self._save()
        self._feed()
        return events

    def sleep(self):
        """Send the radio to cold sleep, before deep sleep, if this wake-up has used it.

        After a power-on it is in standby until it was started and sent to sleep once: 600 uA.
        """
        if self._is_started:
            self._radio.sleep()
            self._is_started = False

    def _repetition(self):
        pause_ms = _AGAIN_MS + random.getrandbits(20) % _AGAIN_MS
        uplink = self._session.again(now_ms() + pause_ms)
        if uplink is not None:
            self._save()
            lora_radio.idle_until(time.ticks_add(time.ticks_us(), pause_ms * 1000))
        return uplink
