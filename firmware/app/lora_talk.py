"""What the device says over LoRaWAN in an open session, and what it makes of what it is told (docs/WIRE.md).

An event and what answers it have no SCHC residue, that of a hello is its token, and its answer is read here. So the
modules of SCHC and CoAP are loaded only for requests of the gateway.

Events are tuples:

    (JOINED,)                          a new session
    (WELCOME, seconds or None, ETag)   the gateway knows this device; the time, the desired shadow's ETag
    (REQUEST, coap.Message)            of the gateway: POST /x, PUT /s, GET /s; answer with `respond`
    (REFUSED, CoAP code, seq)          a reading that the gateway does not take
    (LINK, margin dB, gateways)        how well the network hears this device
"""

from app import limits
from pave_wire import event_encode
from pave_wire.errors import EventError, WireError
from pave_wire.reading import class_of

JOINED, WELCOME, REQUEST, REFUSED, LINK = 0, 1, 2, 3, 4

_FPORT_BATCH, _FPORT_HELLO, _FPORT_ANSWER, _FPORT_BATCH_OLDEST = 2, 3, 9, 14
_AT_ONCE = ("presence", "alarm")  # classes that the gateway acknowledges at once
_BAD_REQUEST, _FORBIDDEN, _CONFLICT, _TOO_LARGE, _UNSUPPORTED_FORMAT = 0x80, 0x83, 0x89, 0x8D, 0x8F
_CBOR = 60  # Content-Format; `model` has its name, and is loaded for what is no event
_FASTEST_RATE = 5
_SEQ_SPAN = 32_766  # between the outbox's oldest and newest: beyond, low bits would be read as another's
_NONE_SEQ = -1
_NOTHING, _HELLO, _RESPONSE, _READING = 0, 1, 2, 3  # what a frame carries


class Talk:
    """The arguments are those of `lora_session.Session`.

    Attributes:
        asked: the frame that `content` gave last wants an answer.
        unanswered: such frames in a row that got none.
    """

    def __init__(self, outbox, identity, random_below, next_epoch, state):
        self._outbox = outbox
        self._identity = identity
        self._random_below = random_below
        self._next_epoch = next_epoch
        self._responses = []  # (FPort, packet)
        self._sending = _NOTHING  # what `content` gave last
        self._seq = _NONE_SEQ  # which reading
        self.asked = False
        self.unanswered = self._at_ms = self._pauses = self._token = self._tries = 0
        self._soon_ms = None
        self._newest_sent = self._senml_seq = _NONE_SEQ
        self._heard_seq = 0  # the newest that the gateway has told it knows
        if state is not None:
            self.unanswered, self._at_ms, self._pauses, self._token, self._tries = state[:5]
            self._soon_ms, self._newest_sent, self._senml_seq, self._heard_seq = state[5:]

    def state(self):
        """Return the value for RTC memory."""
        return [
            self.unanswered,
            self._at_ms,
            self._pauses,
            self._token,
            self._tries,
            self._soon_ms,
            self._newest_sent,
            self._senml_seq,
            self._heard_seq,
        ]

    def greet(self, now_ms):
        """Begin with hello, soon."""
        self.unanswered = self._pauses = 0
        self._newest_sent = _NONE_SEQ
        self._at_ms = now_ms + limits.LORA_SOON_MS

    def is_unheard(self):
        """Return whether so many seqs were given without a word of the gateway that it has to be told the number."""
        return self._outbox.state()[1] - self._heard_seq > event_encode.UNHEARD_SEQS

    def due_ms(self, now_ms, greeting):
        """Return when there is something to say, or None."""
        due = [] if self._soon_ms is None else [self._soon_ms]
        if self._responses:
            due.append(now_ms)
        entries = self._outbox.state()[2]
        if greeting or self._says_again(entries):
            due.append(self._at_ms)
        if not greeting and entries and entries[-1][0] > self._newest_sent:
            due.append(now_ms)
        if not due:
            return None
        # Where the clock began again, as after a brown-out, what was due lies far ahead.
        return max(now_ms, min(min(due), now_ms + 2 * limits.LORA_HELLO_PAUSE_MAX_S * 1000))

    def content(self, now_ms, greeting, mac):
        """Return (FPort or None, payload, data rate) of the next frame of `mac`, a `lora_mac.Mac`."""
        self._sending, self.asked = _NOTHING, False
        if greeting and (not self._responses or now_ms >= self._at_ms):
            self._sending, self.asked = _HELLO, True
            return self._fitting(_FPORT_HELLO, self._hello(), mac)
        if self._responses:
            self._sending = _RESPONSE
            port, packet = self._responses[0]
            return self._fitting(port, packet, mac)
        if greeting or not len(self._outbox):
            return None, b"", mac.data_rate
        return self._reading(now_ms, mac)

    def sent(self, port, now_ms):
        """Count the frame that `content` gave as sent; `port` is None where MAC commands took its place."""
        self._soon_ms = None
        if port is None:
            self.asked = False
        elif self._sending == _RESPONSE:
            del self._responses[0]
        else:
            self._wait(now_ms)

    def heard(self, port, payload, pending, now_ms):
        """Take a downlink's message; return a list of events."""
        self.unanswered = 0
        if pending:
            self._soon_ms = now_ms + limits.LORA_SOON_MS + self._random_below(limits.LORA_SOON_MS)
        if not port:
            return []
        try:
            if port == event_encode.FPORT_ACKNOWLEDGEMENT:
                self._acknowledged(payload, now_ms)
                return []
            for refusal, code in event_encode.REFUSALS:
                if port == refusal:
                    return self._refused(code, payload, now_ms)
            if port == _FPORT_ANSWER:
                return self._welcomed(payload, now_ms)
            return self._request(port, payload)
        except WireError as error:
            print("a downlink that says nothing:", error)
            return []

    def respond(self, request, code, payload):
        """Answer `request`, the message of a REQUEST event, with `code` and `payload` (CBOR, or empty), soon.

        Raises:
            WireError: no rule of SCHC fits the answer.
        """
        from pave_wire import coap, schc, schc_rules

        options = [(coap.CONTENT_FORMAT, coap.uint(_CBOR))] if payload else []
        message = coap.Message(coap.NON, code, 0, request.token, options, payload)
        self._responses = self._responses[-limits.LORA_RESPONSES + 1 :] + [schc.compress(message, schc_rules.UP)]

    def _wait(self, now_ms):
        """Pause before the hello, or what is oldest, is said again."""
        first_s, most_s = limits.LORA_HELLO_PAUSE_S, limits.LORA_HELLO_PAUSE_MAX_S
        due_ms = now_ms
        if self._sending == _READING:
            first_s, most_s = limits.LORA_AGAIN_S, limits.LORA_AGAIN_MAX_S
            self._newest_sent = max(self._newest_sent, self._seq)
            if self._seq != self._outbox.state()[2][0][0]:
                due_ms = self._at_ms  # what is new does not put off what is oldest
        pause_ms = min(most_s, first_s << min(self._pauses, 12)) * 1000
        if due_ms <= now_ms:
            self._at_ms = now_ms + pause_ms + self._random_below(pause_ms)
        self._pauses += self.asked
        self.unanswered += self.asked

    # What is said

    def _hello(self):
        from pave_wire import hello  # few wake-ups say one

        self._token = self._token + 1 & 255
        epoch, seq = self._outbox.state()[:2]
        return bytes((self._token,)) + hello.pack_hello(hello.Hello(epoch, seq, *self._identity))

    def _reading(self, now_ms, mac):
        """What is new first, then the oldest."""
        self._drop_strays()
        readings = self._outbox.batch(now_ms, len(self._outbox))
        at = len(readings) - 1 if readings[-1].seq > self._newest_sent else 0
        reading = readings[at]
        again = reading.seq <= self._newest_sent
        self._sending, self._seq = _READING, reading.seq
        self.asked = again or class_of(reading.values) in _AT_ONCE
        if reading.seq != self._senml_seq:
            try:
                return event_encode.FPORT, event_encode.encode(reading, at == 0), mac.data_rate
            except EventError:
                pass
        port = _FPORT_BATCH if at else _FPORT_BATCH_OLDEST
        from pave_wire import model

        packed = model.pack_readings(reading.device, [reading])
        if len(packed) > mac.room_bytes(_FASTEST_RATE) or (again and self._tries >= limits.LORA_SENML_TRIES):
            print("reading %d is too large for this link; given up" % reading.seq)
            self._tries = 0
            self._outbox.given_up([reading])
            self._sending, self.asked = _NOTHING, False
            return None, b"", mac.data_rate
        self._tries += len(packed) > mac.room_bytes()
        return self._fitting(port, packed, mac)

    def _fitting(self, port, payload, mac):
        """Return the frame at the data rate that holds it, the present one if it can be."""
        rate = mac.data_rate
        while rate < _FASTEST_RATE and len(payload) > mac.room_bytes(rate):
            rate += 1
        return port, payload, rate

    def _drop_strays(self):
        """Give up readings so far behind the newest that their low bits would be read as another's."""
        oldest = self._outbox.state()[1] - 1 - _SEQ_SPAN
        strays = [reading for reading in self._outbox.batch(0, len(self._outbox) - 1) if reading.seq < oldest]
        if strays:
            self._outbox.given_up(strays)

    def _says_again(self, entries):
        """Whether what waits for an acknowledgement is to be sent again: not a few heartbeats."""
        waits = len(entries) > limits.LORA_QUIET_READINGS
        return waits or any(class_of(values) in _AT_ONCE for _, _, values in entries)

    # What is heard

    def _acknowledged(self, payload, now_ms):
        epoch, next_seq = self._outbox.state()[:2]
        gone = [
            reading
            for reading in self._outbox.batch(now_ms, len(self._outbox))
            if event_encode.is_acknowledged(payload, reading.epoch, reading.seq, epoch, next_seq - 1)
        ]
        if gone:
            self._outbox.acknowledged(gone)
            self._heard_seq = gone[-1].seq
            self._progressed(now_ms)

    def _progressed(self, now_ms):
        """Something left the outbox: what is behind it need not wait."""
        self._pauses = self._tries = 0
        self._at_ms = now_ms + limits.LORA_SOON_MS

    def _refused(self, code, payload, now_ms):
        named = [
            reading
            for reading in self._outbox.batch(now_ms, len(self._outbox))
            if event_encode.is_refused(payload, reading.epoch, reading.seq)
        ]
        if not named:
            return []
        seq = named[0].seq
        if code in (_BAD_REQUEST, _TOO_LARGE):
            self._outbox.given_up(named)
            self._progressed(now_ms)
        elif code == _CONFLICT:
            self._outbox.renumber(self._next_epoch())
            self._newest_sent = _NONE_SEQ
            self._heard_seq = 0
            self._progressed(now_ms)
        elif code == _UNSUPPORTED_FORMAT:
            self._senml_seq = seq
            self._at_ms = now_ms + limits.LORA_SOON_MS
        else:  # 4.03, 5.03: later
            self._at_ms = now_ms + limits.LORA_AGAIN_MAX_S * 1000
        return [(REFUSED, code, seq)]

    def _welcomed(self, packet, now_ms):
        """Rule 9 of SCHC: one bit for 2.04 or 2.05, the token, CBOR; then bits up to a whole byte."""
        bits = int.from_bytes(packet, "big") >> 7
        size = len(packet) - 2
        if size < 0 or bits >> 8 * size != self._token:  # with the first bit 0: 2.04
            return []
        from pave_wire import hello

        time_s, etag = hello.unpack_welcome((bits & (1 << 8 * size) - 1).to_bytes(size, "big"))
        self._heard_seq = self._outbox.state()[1]
        self._progressed(now_ms)
        return [(WELCOME, time_s, etag)]

    def _request(self, port, packet):
        from pave_wire import coap, schc, schc_rules

        message = schc.decompress(port, packet, schc_rules.DOWN)
        return [(REQUEST, message)] if message.code < coap.CREATED else []
