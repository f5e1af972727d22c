"""OSCORE on a network that loses, repeats, reorders and alters, against a model that knows what was really sent.

Each check of ours is switched off in turn: the same run must then see the attack succeed, or it proves nothing.
"""

import random

import pytest

from pave_wire import ccm, coap, oscore, oscore_context
from pave_wire.errors import OscoreError
from pave_wire.oscore_context import FRESH_WINDOW, Context

SEED = 20190700


class Sealed:
    """Every (key, nonce) that sealed something, and what: the one thing that must stay unique."""

    def __init__(self):
        self.plaintexts = {}

    def watch(self, context):
        seal, key = context.seal, (context.sender_id, id(self))

        def watched(nonce, plaintext, aad):
            assert (key, nonce) not in self.plaintexts, "a (key, nonce) sealed twice"
            self.plaintexts[key, nonce] = plaintext
            return seal(nonce, plaintext, aad)

        context.seal = watched
        return context


class Site:
    """A device and a gateway that reboot, an attacker between them, and a model of what each may accept."""

    def __init__(self, rng):
        self.rng = rng
        self.sealed = Sealed()
        self.stored = {b"D": [0, FRESH_WINDOW], b"G": [0, FRESH_WINDOW]}  # what is durable: limit, window
        self.device, self.gateway = self.boot(b"D"), self.boot(b"G")
        self.captured = []  # every request that was ever on the air
        self.sent = 0
        self.opened = set()  # numbers of the requests that the gateway acted on
        self.asked = {}  # number -> client's exchange
        self.answers = []  # (number, OSCORE message) of every response that was ever on the air
        self.answered = {}  # number -> how many responses the device took

    def boot(self, own_id):
        limit, window = self.stored[own_id]
        other = b"G" if own_id == b"D" else b"D"
        return self.sealed.watch(Context(bytes(16), b"", own_id, other, limit, window))

    def reserve(self, context, own_id):
        due = context.reservation_due()
        if due is not None:
            self.stored[own_id][0] = due
            context.reserve(due)

    def device_asks(self):
        self.reserve(self.device, b"D")
        self.sent += 1
        message = coap.Message(coap.CON, coap.POST, 1, b"", [(coap.URI_PATH, b"r")], b"%d" % self.sent)
        outer, self.asked[self.sent] = oscore.seal_request(self.device, message)
        self.captured.append(outer)

    def gateway_receives(self):
        """One captured request again, whether it came before or not."""
        outer = self.captured[-1 - min(int(self.rng.expovariate(0.1)), len(self.captured) - 1)]
        try:
            request, exchange = oscore.open_request(self.gateway.find, outer)
        except OscoreError:
            return
        number = int(request.payload)
        assert number not in self.opened, "a replayed request was accepted"
        self.opened.add(number)
        self.stored[b"G"][1] = self.gateway.window
        self.reserve(self.gateway, b"G")
        for _ in range(self.rng.randint(1, 2)):
            message = coap.Message(coap.ACK, coap.CHANGED, 1, b"", [], b"%d" % number)
            reuse_nonce = self.rng.random() < 0.5
            try:
                self.answers.append((number, oscore.seal_response(exchange, message, reuse_nonce)))
            except oscore.OscoreNonceError:
                assert reuse_nonce and exchange.nonce_free is False

    def device_receives(self):
        """A captured response, given to the exchange it belongs to or to any other."""
        number, outer = self.rng.choice(self.answers)
        to = number if self.rng.random() < 0.7 else self.rng.choice(list(self.asked))
        try:
            response = oscore.open_response(self.asked[to], outer)
        except OscoreError:
            return
        assert int(response.payload) == to, "a response was taken for another request's"
        self.answered[to] = self.answered.get(to, 0) + 1
        assert self.answered[to] == 1, "a second response was accepted"

    def attacker_alters(self):
        """One bit wrong, in what is captured, towards either side."""
        towards_gateway = self.rng.random() < 0.5 or not self.answers
        _, outer = (0, self.captured[-1]) if towards_gateway else self.answers[-1]
        value, sealed = bytearray(outer.option(coap.OSCORE)), bytearray(outer.payload)
        bit = self.rng.randrange(8 * (len(value) + len(sealed)))
        part, at = (value, bit >> 3) if bit >> 3 < len(value) else (sealed, (bit >> 3) - len(value))
        part[at] ^= 1 << (bit & 7)
        forged = coap.Message(outer.type, outer.code, 1, b"", [(coap.OSCORE, bytes(value))], bytes(sealed))
        try:
            if towards_gateway:
                oscore.open_request(self.gateway.find, forged)
            else:
                oscore.open_response(self.asked[self.answers[-1][0]], forged)
        except OscoreError:
            return
        raise AssertionError("an altered message was accepted")

    def device_reboots(self):
        self.device = self.boot(b"D")

    def gateway_reboots(self):
        self.gateway = self.boot(b"G")

    def gateway_loses_its_window(self):
        """The backup is old: ask for Echo; the device answers with the next request it makes."""
        self.stored[b"G"][1] = None
        self.stored[b"G"][0] += 1 << 30
        self.gateway = self.boot(b"G")
        challenge = self.rng.randbytes(8)
        self.gateway.lose_window(challenge)
        for _ in range(20):
            outer = self.rng.choice(self.captured)
            with pytest.raises(OscoreError):
                oscore.open_request(self.gateway.find, outer)
        self.reserve(self.device, b"D")
        self.sent += 1
        options = [(coap.URI_PATH, b"r"), (coap.ECHO, challenge)]
        message = coap.Message(coap.CON, coap.POST, 1, b"", options, b"%d" % self.sent)
        outer, self.asked[self.sent] = oscore.seal_request(self.device, message)
        oscore.open_request(self.gateway.find, outer)
        self.stored[b"G"][1] = self.gateway.window
        self.opened.add(self.sent)
        self.captured.append(outer)


def run_site(seed, steps):
    rng = random.Random(seed)
    site = Site(rng)
    site.device_asks()
    moves = [(site.device_asks, 30), (site.gateway_receives, 40), (site.attacker_alters, 10)]
    moves += [(site.device_reboots, 1), (site.gateway_reboots, 1), (site.gateway_loses_its_window, 0.3)]
    for _ in range(steps):
        move = rng.choices([m for m, _ in moves], [w for _, w in moves])[0]
        try:
            move()
            if site.answers:
                site.device_receives()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    return site


def test_no_attack_succeeds_and_honest_messages_pass():
    site = run_site(SEED, 4_000)
    assert len(site.opened) > 500 and len(site.answered) > 300
    assert len(site.sealed.plaintexts) > 1_500


@pytest.mark.long
def test_no_attack_succeeds_over_many_sites():
    total = 0
    for seed in random.Random().sample(range(2**32), 50):
        total += len(run_site(seed, 4_000).sealed.plaintexts)
    print(f"{total} messages sealed")
    assert total > 50_000


def no_replay_check(patch):
    patch.setattr(Context, "is_new", lambda self, number: True)
    patch.setattr(Context, "accept", lambda self, number: None)


def window_not_persisted(patch):
    patch.setattr(Context, "window", property(lambda self: FRESH_WINDOW))


def tag_not_checked(patch):
    class Unchecked(ccm.BlockCcm):
        def open(self, nonce, sealed, aad):
            return self.seal(nonce, sealed[: -ccm.TAG_BYTES], aad)[: -ccm.TAG_BYTES]  # CTR mode is its own inverse

    patch.setattr(oscore_context, "ccm", Unchecked)


def nonce_given_out_again(patch):
    patch.setattr(oscore.Exchange, "nonce_free", property(lambda self: True, lambda self, value: None))


def numbers_not_reserved(patch):
    def taken(self):
        self.sequence += 1
        return self.sequence - 1

    patch.setattr(Context, "take_number", taken)
    patch.setattr(Context, "reservation_due", lambda self: None)


def responses_not_bound(patch):
    patch.setattr(Context, "own_request_aad", lambda self, piv: b"")
    patch.setattr(Context, "peer_request_aad", lambda self, piv: b"")


def any_echo_will_do(patch):
    real = Context.accept_fresh
    patch.setattr(Context, "accept_fresh", lambda self, number, echo: real(self, number, self.challenge))


def second_response_allowed(patch):
    patch.setattr(oscore, "_CLOSED", -2)


FAULTS = [
    (no_replay_check, "replayed"),
    (window_not_persisted, "replayed"),
    (tag_not_checked, "altered message|another request's"),
    (nonce_given_out_again, "sealed twice"),
    (numbers_not_reserved, "sealed twice"),
    (responses_not_bound, "another request's|altered"),
    (any_echo_will_do, "DID NOT RAISE"),
    (second_response_allowed, "second response"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_the_attack_succeeds_where_its_check_is_switched_off(fault, said, monkeypatch):
    fault(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
        run_site(SEED, 4_000)


def test_every_bit_of_an_oscore_message_matters_at_every_size():
    rng = random.Random(SEED)
    flips = 0
    for _ in range(40):
        ids = (rng.randbytes(rng.randint(0, 3)), b"\xff" * 4)
        id_context = rng.choice([None, b"", rng.randbytes(5)])
        client = Context(bytes(16), b"", *ids, rng.choice([0, 255, 256, 2**39]), FRESH_WINDOW, id_context)
        server = Context(bytes(16), b"", *ids[::-1], 0, FRESH_WINDOW, id_context)
        client.reserve(2**40)
        payload = rng.randbytes(rng.randint(0, 40))
        outer, _ = oscore.seal_request(client, coap.Message(coap.CON, coap.POST, 1, b"", [], payload))
        value, sealed = outer.option(coap.OSCORE), outer.payload
        whole = value + sealed
        for bit in range(8 * len(whole)):
            wrong = bytearray(whole)
            wrong[bit >> 3] ^= 1 << (bit & 7)
            options = [(coap.OSCORE, bytes(wrong[: len(value)]))]
            with pytest.raises(OscoreError):
                forged = coap.Message(coap.CON, coap.POST, 1, b"", options, bytes(wrong[len(value) :]))
                oscore.open_request(server.find, forged)
            flips += 1
        assert server.window == FRESH_WINDOW
        oscore.open_request(server.find, outer)
    assert flips > 5_000


def test_random_bytes_raise_named_errors_only():
    rng = random.Random(SEED)
    context = Context(bytes(16), b"", b"", b"\x01", 0, FRESH_WINDOW)
    context.reserve(1)
    _, exchange = oscore.seal_request(context, coap.Message(coap.CON, coap.GET, 1))
    for _ in range(5_000):
        value = rng.randbytes(rng.randint(0, 12))
        options = [(rng.choice([3, 6, 9, 9, 9, 11, 35]), value) for _ in range(rng.randint(0, 3))]
        message = coap.Message(0, rng.randrange(256), 1, b"", coap.ordered(options), rng.randbytes(rng.randint(0, 30)))
        with pytest.raises(OscoreError):
            oscore.open_request(context.find, message)
        with pytest.raises(OscoreError):
            oscore.open_response(exchange, message)
