"""A presence sensor on LoRaWAN: when it sends, what it uses up for that, and what it does with what it hears.

    JOINING   Join-Requests, paced by `lora_join`, until an accept comes
    GREETING  hello, until the gateway answers it: before that it could not read the low bits of an event
    RUNNING   what is new at once; what stays unacknowledged again, oldest first, one at a time (`lora_talk`)

Uplinks are unconfirmed. The gateway's cumulative acknowledgement clears the outbox; a heartbeat waits for the one that
answers several. Whatever wants an answer and gets none is said again after pauses that double, up to a quarter of an
hour; each time it is sent stronger or slower, with LinkCheckReq beside it; and after `limits.LORA_REJOIN_UNANSWERED`
such frames the device joins again. Nothing leaves the outbox but by an acknowledgement, a refusal, or a more important
reading.

One `Session` is made at each wake-up from the value that `state` gave, which the caller keeps in RTC memory; `memory`
is non-volatile (`roles.lorawan_keys`). Whoever sends does, in this order:

    uplink = session.next_uplink(now_ms)     counters, airtime and pauses move, and are in `memory` where they must be
    keep session.state()                     before a bit of it is on air
    send, and ask session.accepts(phy) for what comes in the windows: nothing is stored meanwhile
    session.again(now_ms)                    once more, as often as the network wants frames repeated: as next_uplink
    events = session.finish(snr_db, now_ms)  when all windows are closed
    keep session.state()
"""

from app import limits, lora_duty, lora_join, lora_mac, lora_talk
from pave_wire import lorawan, lorawan_join, region
from pave_wire.errors import LorawanError
from pave_wire.event_encode import FPORT_ACKNOWLEDGEMENT

JOINING, GREETING, RUNNING = 0, 1, 2
_REQUEST_BYTES = 23  # of a Join-Request
_OVERHEAD_BYTES = 13  # of a frame with a port: MHDR, FHDR, FPort, MIC
_RATE_AFTER_POWER_CUT = 2  # SF10; ADR makes it better, or the pauses worse
_FCNT_END = lorawan.FCNT_MAX - 2 * limits.LORA_FCNT_RESERVE


class Session:
    """One device, from one wake-up to the next.

    Args:
        memory: keys and counters, a `roles.lorawan_keys.Keys`.
        outbox: an `app.outbox.Outbox`; what the gateway has on disk leaves it.
        identity: (board, version, reset cause) for the hello.
        random_below: n -> an integer from 0 to n - 1.
        next_epoch: called for a new epoch when the gateway says that an identity is taken.
        state: what `state` gave, or None after a power-on: then it says hello.
        now_ms: of a clock that goes on through deep sleep and is never set.
        battery: as DevStatusAns has it (TS001-1.0.4, 5.5): 1 to 254, 0 external, 255 unknown.

    Attributes:
        phase: JOINING, GREETING or RUNNING.
    """

    def __init__(self, memory, outbox, identity, random_below, next_epoch, state, now_ms, battery=255):
        phase, duty, join, mac, talk = (None,) * 5 if state is None else state
        self._memory = memory
        self._random_below = random_below
        self._battery = battery
        self._duty = lora_duty.Airtime(duty, memory.airtime_ms, now_ms)
        self._join = lora_join.JoinSchedule(random_below, now_ms, join)
        self._talk = lora_talk.Talk(outbox, identity, random_below, next_epoch, talk)
        self._mac: lora_mac.Mac = None  # pyright: ignore[reportAttributeAccessIssue]  there is one but in JOINING
        self._reserved = 0
        self._checks_link = False
        self._not_before_ms = 0  # the law allows the frame that is due
        self._sent = None  # of the frame on its way: (phy, data rate, how often still)
        self._dev_nonce = self._join_rate = 0  # of the request on its way
        self._taken = None  # what `accepts` has found
        stored = None if phase == JOINING else memory.session()
        self.phase = JOINING
        if stored is not None:
            self._take_up(stored, mac)
            self.phase = RUNNING if phase == RUNNING else GREETING

    def state(self):
        """Return the value for RTC memory; some 130 bytes of CBOR."""
        mac = None if self._mac is None else self._mac.state()
        return [self.phase, self._duty.state(), self._join.state(), mac, self._talk.state()]

    def due_ms(self, now_ms):
        """Return when `next_uplink` is to be asked, or None while there is nothing to say."""
        if self.phase == JOINING:
            airtime_us = region.frame_time_us(self._join.data_rate(), _REQUEST_BYTES)
            at_ms = self._join.due_ms(airtime_us, now_ms)
            return min([self._allowed_ms(number, self._join.data_rate(), airtime_us, at_ms) for number in range(3)])
        at_ms = now_ms if self._checks_link else self._talk.due_ms(now_ms, self.phase == GREETING)
        return None if at_ms is None else max(at_ms, self._not_before_ms)

    def next_uplink(self, now_ms):
        """Return the `lora_mac.Uplink` that is due, or None.

        Raises:
            OSError: what it uses up could not be stored; nothing may be sent.
        """
        due_ms = self.due_ms(now_ms)
        if due_ms is None or due_ms > now_ms:
            return None
        self._taken = self._sent = None
        return self._join_request(now_ms) if self.phase == JOINING else self._data(now_ms)

    def again(self, now_ms):
        """Return the frame once more (NbTrans), or None: it was answered, sent often enough, or may not be sent now."""
        if self._sent is None or self._taken is not None or not self._sent[2]:
            return None
        phy, data_rate, left = self._sent
        channel = self._channel(data_rate, region.frame_time_us(data_rate, len(phy)), now_ms)
        if channel is None:
            return None
        self._sent = (phy, data_rate, left - 1)
        return self._counted(self._mac.on_channel(phy, data_rate, channel), now_ms)

    def accepts(self, phy):
        """Return whether `phy`, received in a window, is for this device; `finish` acts on it."""
        try:
            if self.phase == JOINING:
                self._taken = lorawan_join.decode_join_accept(self._memory.app_key, phy, self._memory.join_nonce - 1)
            else:
                self._taken = self._mac.decode(phy)
        except LorawanError:
            return False
        return True

    def finish(self, snr_db, now_ms):
        """Act on what the windows brought, or did not; return a list of events, as `lora_talk` has them.

        Raises:
            OSError: the session could not be stored.
        """
        taken, self._taken = self._taken, None
        if self.phase == JOINING:
            return [] if taken is None else self._joined(taken, now_ms)
        if taken is not None:
            return self._heard(taken, snr_db, now_ms)
        if self._talk.unanswered >= limits.LORA_REJOIN_UNANSWERED:
            self.rejoin(now_ms)
        elif self._talk.asked and self._talk.unanswered >= limits.LORA_STEP_DOWN_UNANSWERED:
            self._mac.step_down()
        return []

    def respond(self, request, code, payload):
        """Answer a REQUEST event with the next frame: see `lora_talk.Talk.respond`."""
        self._talk.respond(request, code, payload)

    def check_link(self):
        """Send a frame as soon as it may be, with LinkCheckReq, whatever there is to say: a LINK event answers."""
        self._checks_link = True

    def rejoin(self, now_ms):
        """Leave the session and join again."""
        self.phase = JOINING
        self._mac = None  # pyright: ignore[reportAttributeAccessIssue]
        self._join.again(now_ms)

    # Joining

    def _join_request(self, now_ms):
        rate = self._join.data_rate()
        airtime_us = region.frame_time_us(rate, _REQUEST_BYTES)
        channel = self._channel(rate, airtime_us, now_ms)
        if channel is None:
            return None
        memory = self._memory
        self._dev_nonce = memory.next_dev_nonce()
        phy = lorawan_join.encode_join_request(memory.app_key, memory.join_eui, memory.dev_eui, self._dev_nonce)
        self._join.sent(airtime_us, now_ms)
        self._join_rate = rate
        self._sent = (phy, rate, 0)
        hz = region.DEFAULT_CHANNELS_HZ[channel]
        windows = (
            (region.JOIN_ACCEPT_DELAY1_MS, hz, rate),
            (region.JOIN_ACCEPT_DELAY2_MS, region.RX2_FREQUENCY_HZ, region.RX2_DATA_RATE),
        )
        return self._counted(lora_mac.Uplink(phy, hz, rate, region.MAX_EIRP_DBM, windows), now_ms)

    def _joined(self, accept, now_ms):
        session = lorawan_join.session_of(self._memory.app_key, accept, self._dev_nonce)  # pyright: ignore[reportArgumentType]
        agreed = lora_mac.agreed_of(accept, session)
        self._reserved = self._memory.joined(agreed)
        self._mac = lora_mac.Mac(agreed, 0, -1, self._join_rate)
        self._duty.set_max_duty_cycle(0)
        self._join.again(now_ms)
        self._talk.greet(now_ms)
        self.phase = GREETING
        return [(lora_talk.JOINED,)]

    def _take_up(self, stored, state):
        """Go on with the session stored, with RTC memory's counters where they cannot have gone back."""
        agreed, self._reserved, fcnt_down = stored
        fcnt_up = self._reserved
        if state is not None and state[0] == agreed[lora_mac.JOIN_NONCE]:
            if fcnt_up - limits.LORA_FCNT_RESERVE <= state[1] <= fcnt_up:
                fcnt_up = state[1]
            fcnt_down = max(fcnt_down, state[2])
        else:
            state = None
        self._mac = lora_mac.Mac(agreed, fcnt_up, fcnt_down, _RATE_AFTER_POWER_CUT, state)
        self._duty.set_max_duty_cycle(agreed[lora_mac.MAX_DUTY_CYCLE])

    # The session

    def _data(self, now_ms):
        mac = self._mac
        if mac.fcnt_up >= _FCNT_END:
            self.rejoin(now_ms)
            return None
        if self._talk.is_unheard():
            self.phase = GREETING
        mac.check_link = self._checks_link or self._talk.unanswered >= limits.LORA_LINK_CHECK_UNANSWERED
        port, payload, rate = self._talk.content(now_ms, self.phase == GREETING, mac)
        if len(payload) > mac.room_bytes(rate):  # MAC commands go first, by themselves
            port, payload, rate = None, b"", mac.data_rate
        size = _OVERHEAD_BYTES + len(payload) + mac.fopts_bytes()
        airtime_us = region.frame_time_us(rate, size)
        channel = self._channel(rate, airtime_us, now_ms)
        if channel is None:
            return None
        self._checks_link = False
        self._reserve()
        uplink = mac.uplink(port, payload, rate, channel)
        self._talk.sent(port, now_ms)
        self._sent = (uplink.phy, rate, mac.nb_trans - 1)
        return self._counted(uplink, now_ms)

    def _heard(self, frame, snr_db, now_ms):
        mac = self._mac
        changed, link = mac.receive(frame, snr_db, self._battery)
        if changed:
            self._memory.keep_agreed(mac.agreed)
            self._duty.set_max_duty_cycle(mac.agreed[lora_mac.MAX_DUTY_CYCLE])
        # A replay of an acknowledgement, after a cut of power, says nothing: a new epoch has begun.
        if frame.fopts or frame.port not in (None, FPORT_ACKNOWLEDGEMENT):
            self._memory.keep_counters(mac.agreed[lora_mac.JOIN_NONCE], self._reserved, mac.fcnt_down)
        events: list = self._talk.heard(frame.port, frame.payload, frame.flags & lorawan.PENDING, now_ms)
        if any(event[0] == lora_talk.WELCOME for event in events):
            self.phase = RUNNING
        if link is not None:
            events.append((lora_talk.LINK, link[0], link[1]))  # pyright: ignore[reportArgumentType]
        return events

    def _reserve(self):
        """Store that the next counter may be used, a block of them at a time."""
        mac = self._mac
        if mac.fcnt_up >= self._reserved:
            reserved = mac.fcnt_up + limits.LORA_FCNT_RESERVE
            self._memory.keep_counters(mac.agreed[lora_mac.JOIN_NONCE], reserved, mac.fcnt_down)
            self._reserved = reserved

    # The law

    def _counted(self, uplink, now_ms):
        if self._duty.record(uplink.frequency_hz, uplink.data_rate, uplink.airtime_us, now_ms):
            self._memory.keep_airtime(self._duty.reserved_ms)
        return uplink

    def _channel(self, rate, airtime_us, now_ms):
        """Return a channel drawn from those that are allowed now, None where there is none: then `due_ms` says when."""
        numbers = range(3) if self.phase == JOINING else self._mac.channels(rate)
        allowed = [(self._allowed_ms(number, rate, airtime_us, now_ms), number) for number in numbers]
        self._not_before_ms = min([at_ms for at_ms, _ in allowed])
        free = [number for at_ms, number in allowed if at_ms <= now_ms]
        return free[self._random_below(len(free))] if free else None

    def _allowed_ms(self, number, rate, airtime_us, now_ms):
        hz = region.DEFAULT_CHANNELS_HZ[number] if self._mac is None else self._mac.agreed[lora_mac.CHANNELS][number][0]
        return self._duty.next_allowed_ms(hz, rate, airtime_us, now_ms)
