"""What clears a device's outbox over LoRaWAN: only what its gateway has stored, whatever is lost or flashed anew."""

from checks import raised
from dice import Dice

from pave_wire import coap, event, event_encode, model, schc, schc_rules
from pave_wire.errors import EventError

DEVICE = "24a160fffe000101"


def test_an_acknowledgement_covers_all_up_to_and_including_its_number():
    dice = Dice(17)
    for _ in range(3000):
        epoch = 200 + dice.below(1000)
        seq = 0x8000 + dice.below(1 << 20)
        data = event.encode_acknowledgement(epoch, seq)
        assert len(data) == event.ACKNOWLEDGEMENT_BYTES
        ahead = dice.below(0x10000)
        later = dice.below(256)
        for other, number, newest in [
            (epoch, seq, (epoch, seq + ahead)),
            (epoch, seq + 1, (epoch, seq + 1 + dice.below(0xFFFF))),
            (epoch, seq - dice.below(seq), (epoch, seq + ahead)),
            (epoch, seq + ahead, (epoch, seq + ahead)),
            (epoch, seq - dice.below(0x8000), (epoch + later, seq + ahead)),
            (epoch, seq + 1 + dice.below(0x7FFF), (epoch + 1 + dice.below(255), 0)),
            (epoch - 1 - dice.below(199), dice.below(1 << 20), (epoch + later, seq + ahead)),
            (epoch + 1 + later % 255, dice.below(1 << 20), (epoch + 1 + later % 255, 1 << 20)),
        ]:
            covered = event.is_acknowledged(data, other, number, *newest)
            assert covered == ((other, number) <= (epoch, seq)), (epoch, seq, other, number, newest)
    assert "2 bytes" in str(raised(EventError, event.is_acknowledged, b"\x01\x02", 1, 1, 1, 1))


def test_an_acknowledgement_is_never_read_as_one_ahead_of_the_newest_reading():
    for seq in (32769, 40000):  # the gateway's floor stands at seq 0 since then
        assert not event.is_acknowledged(event.encode_acknowledgement(1, 0), 1, seq, 1, 40000)
    # flashed anew, and the low bits of the old epoch are those of the new one
    assert not event.is_acknowledged(event.encode_acknowledgement(5, 500), 5 + 256, 0, 5 + 256, 10)
    assert not event.is_acknowledged(event.encode_acknowledgement(5 + 300, 9), 5, 0, 5, 9)


def test_a_gateway_says_only_what_the_device_will_read_as_it_is_meant():
    for floor, newest, says in [
        ((7, 0), (7, 0), True),
        ((7, 0), (7, 16383), True),
        ((7, 0), (7, 16384), False),
        ((7, -1), (7, 0), False),
        ((7, 3), (7 + 126, 3), True),
        ((7, 3), (7 + 127, 3), False),
        ((7, 3), (7 + 256, 3), False),
        ((7, 3), (6, 3), False),
        ((-1, -1), (0, 0), False),
    ]:
        assert event.can_acknowledge(floor[0], floor[1], newest[0], newest[1]) is says, (floor, newest)
    dice = Dice(43)
    for _ in range(2000):  # a device is ahead of what the gateway knows by what it may leave unheard, and by 126 epochs
        floor = (1000, dice.below(1 << 20))
        epoch, seq = floor[0] + dice.below(127), floor[1] + dice.below(event.FLOOR_SEQS + 1)
        assert event.can_acknowledge(floor[0], floor[1], epoch, seq)
        data = event.encode_acknowledgement(*floor)
        waiting = floor[1] + 1 + dice.below(seq - floor[1] + event.UNHEARD_SEQS)
        newest = (epoch, waiting + dice.below(10)) if epoch == floor[0] else (epoch + dice.below(127), dice.below(10))
        assert not event.is_acknowledged(data, floor[0], waiting, *newest), (floor, waiting, newest)
        assert event.is_acknowledged(data, floor[0], floor[1] - dice.below(min(floor[1] + 1, 0x8000)), *newest)


def test_a_refusal_names_one_reading_and_has_16_bytes_of_frame():
    for port, code in event.REFUSALS:
        options = [(coap.CONTENT_FORMAT, coap.uint(event.CONTENT_FORMAT_ACKNOWLEDGEMENT))]
        message = coap.Message(coap.NON, code, 0, b"", options, event.encode_acknowledgement(0x10203, 0x40506))
        assert schc.compress(message, schc_rules.DOWN) == (port, b"\x03\x05\x06")
        assert schc.decompress(port, b"\x03\x05\x06", schc_rules.DOWN).code == code
    assert {coap.code_text(code) for _, code in event.REFUSALS} == {"4.00", "4.03", "4.09", "4.13", "4.15", "5.03"}
    refusal = b"\x03\x05\x06"
    assert event_encode.is_refused(refusal, 0x10203, 0x40506)
    for epoch, seq in ((0x10203, 0x40505), (0x10203, 0x40507), (0x10204, 0x40506), (0x10203, 0x41506)):
        assert not event_encode.is_refused(refusal, epoch, seq)
    raised(EventError, event_encode.is_refused, b"", 1, 1)


def floor_after(steps, rebuilt=()):
    """The floor after `steps` of (epoch, seq, oldest); `rebuilt` lies on disk as well, but never came."""
    floor = (-1, -1)
    stored = set()
    for epoch, seq, oldest in steps:
        stored.add((epoch, seq))
        floor = event.raise_floor(floor, epoch, seq, oldest, lambda e, q: (e, q) in stored and (e, q) not in rebuilt)
    return floor


def test_the_floor_passes_what_is_stored_and_what_was_never_sent_but_no_gap():
    assert floor_after([(3, 5, False)]) == (-1, -1)
    assert floor_after([(3, 5, True)]) == (3, 5)
    assert floor_after([(3, 5, True), (3, 7, False)]) == (3, 5)
    assert floor_after([(3, 5, True), (3, 7, False), (3, 6, False)]) == (3, 7)
    assert floor_after([(3, 5, True), (3, 1007, False), (3, 1006, True)]) == (3, 1007)
    assert floor_after([(3, 5, True), (4, 0, False)]) == (3, 5)
    assert floor_after([(3, 5, True), (4, 0, True)]) == (4, 0)
    assert floor_after([(4, 0, True), (3, 5, True)]) == (4, 0)  # one that was long on its way


def test_a_rebuilt_reading_never_raises_the_floor():
    steps = [(3, 5, True), (3, 6, False), (3, 7, False)]
    assert floor_after(steps) == (3, 7)
    assert floor_after(steps, rebuilt=((3, 6),)) == (3, 5)


class Gateway:
    """The rules of WIRE.md for what may be acknowledged, of one device."""

    def __init__(self, trusts_gaps=False, careless=False, knows_oldest=True):
        self.stored = set()
        self.floor = (-1, -1)
        self.epoch = None  # the newest known; None: nothing is, until the next hello
        self.seqs = {}  # the newest known in each epoch
        self.trusts_gaps = trusts_gaps
        self.careless = careless
        self.knows_oldest = knows_oldest

    def join(self):
        self.epoch = None

    def hello(self, epoch, seq):
        self.epoch = epoch
        self.seqs[epoch] = max(seq, self.seqs.get(epoch, 0))

    def receive_event(self, data):
        if self.epoch is None:
            return None
        got = event.decode(data)
        epoch = event.extend(got.epoch_low, event.EPOCH_BITS, self.epoch)
        seq = event.extend(got.seq_low, event.SEQ_BITS, self.seqs.get(epoch, 0))
        return self.store([(epoch, seq)], got.oldest)

    def receive_senml(self, port, packet):
        message = schc.decompress(port, packet, schc_rules.UP)
        oldest = self.knows_oldest and message.option(coap.URI_QUERY) == model.QUERY_OLDEST.encode()
        readings = model.unpack_readings(message.payload)
        return self.store([(reading.epoch, reading.seq) for reading in readings], oldest)

    def store(self, identities, oldest):
        for epoch, seq in identities:
            self.stored.add((epoch, seq))
            self.seqs[epoch] = max(seq, self.seqs.get(epoch, 0))
            if self.epoch is not None:
                self.epoch = max(epoch, self.epoch)
            flag = oldest or self.trusts_gaps
            self.floor = event.raise_floor(self.floor, epoch, seq, flag, lambda e, q: (e, q) in self.stored)
            oldest = False  # said of the first one
        return self.answer()

    def answer(self):
        epoch, seq = self.floor
        if self.careless:
            return event.encode_acknowledgement(epoch, seq) if seq >= 0 else None
        if self.epoch is None or not event.can_acknowledge(epoch, seq, self.epoch, self.seqs.get(epoch, 0)):
            return None
        return event.encode_acknowledgement(epoch, seq)


def half_the_range(data, epoch, seq, newest_epoch, newest_seq):
    """How acknowledgements were read before: as the nearest number, behind or ahead."""
    epochs = (data[0] - epoch) & 0xFF
    if epochs:
        return epochs < 0x80
    return ((data[1] << 8 | data[2]) - seq) & 0xFFFF < 0x8000


class Life:
    """A device of which half the frames are lost each way, acknowledgements come late, and that is flashed anew."""

    def __init__(self, gateway, dice, is_acknowledged=event.is_acknowledged, anew=0, says_hello=True):
        self.gateway = gateway
        self.dice = dice
        self.is_acknowledged = is_acknowledged
        self.anew = anew  # a flashing in how many readings; 0: none
        self.says_hello = says_hello
        self.epoch, self.seq = dice.below(1000), 0
        self.newest = (self.epoch, 0)
        self.outbox = []
        self.given = set()
        self.cleared = []
        self.flashings = 0
        self.late = []
        self.join()

    def join(self):
        """Another session: no downlink of the last one is understood, and nothing goes out before the hello."""
        self.late = []
        self.gateway.join()
        self.welcome = False

    def happen(self):
        """What a street does to a device."""
        if self.anew and not self.dice.below(self.anew):
            whole = 256 * (1 + self.dice.below(4000))  # the worst: the same low bits
            self.epoch += whole + self.dice.below(3) if self.dice.below(2) else 1 + self.dice.below(1 << 20)
            self.seq, self.outbox = 0, []
            self.flashings += 1
            self.join()
        elif not self.dice.below(20):
            self.seq += 1000  # a crash
        elif not self.dice.below(40):
            self.epoch, self.seq = self.epoch + 1, 0

    def give(self):
        self.newest = (self.epoch, self.seq)
        self.outbox.append(self.newest)
        self.given.add(self.newest)
        self.seq += 1
        if len(self.outbox) > 8:
            del self.outbox[self.dice.below(8)]

    def turn(self, gives):
        if gives:
            self.happen()
            self.give()
        if not self.welcome and self.says_hello:
            if self.dice.below(2):
                self.gateway.hello(*self.newest)
                self.welcome = bool(self.dice.below(2))
            return
        if not self.outbox:
            return
        data = self.send(self.outbox[-1] if gives else self.outbox[0])  # what is new goes first, repetitions alone
        if data is not None:
            self.late.append(data)
        while self.late and self.dice.below(2):
            heard = self.late.pop(self.dice.below(len(self.late)))
            if self.dice.below(2):
                self.clear(heard)

    def send(self, identity):
        oldest = identity == self.outbox[0]
        lost = not self.dice.below(2)
        reading = model.Reading(DEVICE, identity[0], identity[1], 3, {"occupied": True, "reason": "field"})
        if self.dice.below(8):
            data = event.encode(reading, oldest)
            return None if lost else self.gateway.receive_event(data)
        port, packet = batch([reading], oldest)
        return None if lost else self.gateway.receive_senml(port, packet)

    def clear(self, data):
        gone = [entry for entry in self.outbox if self.is_acknowledged(data, *(entry + self.newest))]
        self.cleared += gone
        self.outbox = [entry for entry in self.outbox if entry not in gone]

    def live(self, readings):
        for turn in range(readings * 12):
            self.turn(turn < readings * 4 and not self.dice.below(4))
        return self

    def false(self):
        return [entry for entry in self.cleared if entry not in self.gateway.stored]


def batch(readings, oldest):
    options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_SENML_CBOR))]
    if oldest:
        options.append((coap.URI_QUERY, model.QUERY_OLDEST.encode()))
    payload = model.pack_readings(DEVICE, readings)
    return schc.compress(coap.Message(coap.NON, coap.POST, 0, b"", options, payload), schc_rules.UP)


def test_over_a_lossy_link_nothing_is_cleared_that_was_not_stored_and_all_is_in_the_end():
    for seed in range(1, 6):
        life = Life(Gateway(), Dice(seed)).live(60)
        assert len(life.cleared) > 12 and not life.outbox, (seed, len(life.cleared), life.outbox)
        assert not life.false() and life.gateway.stored <= life.given, seed


def test_a_device_that_is_flashed_anew_again_and_again_loses_nothing_to_old_acknowledgements():
    flashings = 0
    for seed in range(1, 12):
        life = Life(Gateway(), Dice(seed), anew=12).live(60)
        flashings += life.flashings
        assert not life.false(), (seed, life.false())
        assert life.gateway.stored <= life.given and not life.outbox, seed
    assert flashings > 20


def count_false(careless, rule, seeds=12):
    return sum(
        [len(Life(Gateway(careless=careless), Dice(s), rule, anew=12).live(60).false()) for s in range(1, seeds)]
    )


def test_the_rule_as_it_was_is_caught_by_the_test_above():
    assert count_false(True, half_the_range) > 0


def test_a_gateway_keeps_silent_where_an_old_epoch_has_the_low_bits_of_the_new_one():
    for careless in (True, False):
        gateway = Gateway(careless=careless)
        gateway.hello(7, 0)
        assert gateway.store([(7, 0)], True) == event.encode_acknowledgement(7, 0)
        gateway.join()
        assert careless or gateway.store([(7, 0)], True) is None  # nothing before the hello
        gateway.hello(7 + 256, 0)
        answer = gateway.store([(7 + 256, 1)], False)  # seq 0 was lost on its way
        if careless:
            assert event.is_acknowledged(answer, 7 + 256, 0, 7 + 256, 1)  # the device alone cannot know better
        else:
            assert answer is None
            assert gateway.store([(7 + 256, 0)], True) == event.encode_acknowledgement(7 + 256, 1)


def test_a_gateway_that_trusts_gaps_is_caught():
    assert Life(Gateway(trusts_gaps=True), Dice(1)).live(60).false()


def test_a_life_whose_first_reading_goes_as_senml_is_acknowledged():
    first = model.Reading(DEVICE, 20000000, 0, 3, {"fault": "radar"})  # an event cannot say it
    raised(EventError, event.encode, first, True)
    assert batch([first], True)[0] == 14 and batch([first], False)[0] == 2
    assert len(batch([first], True)[1]) == len(batch([first], False)[1])  # it costs nothing on the air
    after = event.encode(model.Reading(DEVICE, 20000000, 1, 3, {"occupied": True, "reason": "field"}), False)
    for knows in (True, False):  # a gateway without the rule never gets past the first
        gateway = Gateway(knows_oldest=knows)
        gateway.hello(20000000, 0)
        answer = gateway.receive_senml(*batch([first], True))
        assert answer == (event.encode_acknowledgement(20000000, 0) if knows else None)
        assert gateway.receive_event(after) == (event.encode_acknowledgement(20000000, 1) if knows else None)


def test_oldest_is_said_of_the_first_reading_of_a_batch_alone():
    gateway = Gateway()
    gateway.hello(5, 0)
    values = {"fault": "radar"}
    readings = [model.Reading(DEVICE, 5, seq, 3, values) for seq in (4, 5, 7)]
    assert gateway.receive_senml(*batch(readings, True)) == event.encode_acknowledgement(5, 5)
