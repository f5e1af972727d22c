"""Our OSCORE against aiocoap's: what one side seals the other opens, byte by byte through the wire format."""

import random

import aiocoap
import pytest
from aiocoap import oscore as peer_oscore
from aiocoap.message import Direction
from cryptography.hazmat.primitives import hashes

from pave_wire import coap, oscore
from pave_wire.oscore_context import FRESH_WINDOW, Context

REQUESTS = [coap.GET, coap.POST, coap.PUT, coap.DELETE, coap.FETCH, coap.PATCH, coap.IPATCH]
RESPONSES = [0x41, 0x42, 0x43, 0x44, 0x45, 0x5F, 0x80, 0x81, 0x84, 0x8D, 0xA0, 0xA3]
MESSAGES_PER_CONTEXT = 40


class Peer(peer_oscore.CanProtect, peer_oscore.CanUnprotect, peer_oscore.SecurityContextUtils):
    """aiocoap's OSCORE with its state in memory."""

    alg_aead = peer_oscore.AES_CCM_16_64_128()
    hashfun = hashes.SHA256()
    echo_recovery = None

    def __init__(self, secret, salt, sender_id, recipient_id, id_context, sequence):
        self.sender_id, self.recipient_id, self.id_context = sender_id, recipient_id, id_context
        self.sender_sequence_number = sequence
        self.derive_keys(salt, secret)
        self.recipient_replay_window = peer_oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()

    def post_seqnoincrease(self):
        pass


def random_options(rng, codes):
    """Options that aiocoap writes as it reads them: uints without leading zeros, text in UTF-8."""
    pool = [
        (coap.ETAG, lambda: rng.randbytes(rng.randint(1, 8))),
        (coap.URI_PATH, lambda: rng.choice(["r", "s", "f/é", "x" * 40]).encode()),
        (coap.URI_PATH, lambda: b""),
        (coap.CONTENT_FORMAT, lambda: coap.uint(rng.choice([0, 60, 112, 65535]))),
        (coap.MAX_AGE, lambda: coap.uint(rng.randint(0, 2**32 - 1))),
        (coap.URI_QUERY, lambda: b"a=%d" % rng.randint(0, 999)),
        (coap.ACCEPT, lambda: coap.uint(rng.choice([0, 112]))),
        (coap.BLOCK2, lambda: coap.uint(rng.randint(0, 200) << 4 | rng.randint(0, 6))),
        (coap.BLOCK1, lambda: coap.uint(rng.randint(0, 200) << 4 | rng.randint(0, 6))),
        (coap.SIZE1, lambda: coap.uint(rng.randint(0, 2**32 - 1))),
        (coap.NO_RESPONSE, lambda: coap.uint(26)),
        (coap.ECHO, lambda: rng.randbytes(rng.randint(1, 40))),
        (coap.REQUEST_TAG, lambda: rng.randbytes(rng.randint(0, 8))),
        (rng.choice([2049, 3001, 65000]), lambda: rng.randbytes(rng.randint(0, 300))),
    ]
    if codes is RESPONSES:
        pool = [entry for entry in pool if entry[0] not in (coap.URI_PATH, coap.URI_QUERY)]
    seen, chosen = set(), []
    for number, value in rng.sample(pool, rng.randint(0, 5)):
        if number == coap.URI_PATH or number not in seen:
            chosen.append((number, value()))
        seen.add(number)
    return chosen


def random_message(rng, codes, kind=coap.CON):
    payload = rng.randbytes(rng.choice([0, 0, 1, 7, 8, 24, 47, 200, rng.randint(0, 500)]))
    options = coap.ordered(random_options(rng, codes))
    return coap.Message(
        kind, rng.choice(codes), rng.randrange(0x10000), rng.randbytes(rng.randint(0, 8)), options, payload
    )


def to_peer(message, direction=Direction.INCOMING):
    converted = aiocoap.Message.decode(coap.encode(message))
    converted.direction = direction
    return converted


def from_peer(converted, like):
    """What aiocoap sealed, as it would arrive. aiocoap's endpoint sets ID and token later, so they come from `like`."""
    converted.mtype, converted.mid, converted.token = aiocoap.Type(like.type), like.mid, like.token
    return coap.decode(converted.encode())


def peers_view(converted):
    return int(converted.code), [(int(o.number), o.encode()) for o in converted.opt.option_list()], converted.payload


def our_view(message):
    return message.code, list(message.options), message.payload


class Case:
    """A pair of contexts at each side, and the exchange of one request and its responses between them."""

    def __init__(self, rng):
        self.rng = rng
        ids = rng.sample([rng.randbytes(rng.randint(0, 7)) for _ in range(8)], 8)
        client_id, server_id = next((a, b) for a in ids for b in ids if a != b)
        secret, salt = rng.randbytes(rng.choice([16, 32])), rng.randbytes(rng.choice([0, 8, 80]))
        id_context = rng.choice([None, b"", rng.randbytes(8), rng.randbytes(32)])
        first = [rng.choice([0, 20, 200, 65500, 2**24 - 9, 2**32 - 9, 2**39]) for _ in range(2)]
        self.ours_is_client = rng.random() < 0.5
        own, other = (client_id, server_id) if self.ours_is_client else (server_id, client_id)
        self.ours = Context(secret, salt, own, other, first[0], FRESH_WINDOW, id_context)
        self.ours.reserve(2**40)
        self.peer = Peer(secret, salt, other, own, id_context, first[1])

    def exchange(self):
        """Run one request with its response, or a few notifications; return how many messages were opened."""
        return self.we_ask() if self.ours_is_client else self.we_answer()

    def we_ask(self):
        rng = self.rng
        message = random_message(rng, REQUESTS)
        observing = rng.random() < 0.3
        if observing:
            message.options = coap.replaced(message.options, coap.OBSERVE, b"")
        sent = coap.ordered([*message.options, (coap.URI_HOST, b"bercy")]) if rng.random() < 0.2 else message.options
        asked = coap.Message(message.type, message.code, message.mid, message.token, sent, message.payload)
        outer, exchange = oscore.seal_request(self.ours, asked)
        opened, request_id = self.peer.unprotect(to_peer(outer))
        assert peers_view(opened) == our_view(message)
        notifications = rng.randint(1, 4) if observing else 0
        for number in range(max(1, notifications)):
            answer = random_message(rng, RESPONSES)
            if notifications:
                answer.options = coap.replaced(answer.options, coap.OBSERVE, coap.uint(rng.randint(0, 2**24 - 1)))
            sealed, _ = self.peer.protect(to_peer(answer, Direction.OUTGOING), request_id)
            piv = sealed.opt.oscore[1:]
            got = oscore.open_response(exchange, from_peer(sealed, answer))
            assert number == 0 or piv
            order = coap.uint(int.from_bytes(piv, "big") & 0xFFFFFF)
            assert our_view(got) == (
                answer.code,
                coap.replaced(answer.options, coap.OBSERVE, *([order] if notifications else [])),
                answer.payload,
            )
        return 1 + max(1, notifications)

    def we_answer(self):
        rng = self.rng
        message = random_message(rng, REQUESTS)
        observing = rng.random() < 0.3
        if observing:
            message.options = coap.replaced(message.options, coap.OBSERVE, b"")
        sealed, request_id = self.peer.protect(to_peer(message, Direction.OUTGOING))
        opened, exchange = oscore.open_request(self.ours_for, from_peer(sealed, message))
        assert our_view(opened) == our_view(message)
        notifications = rng.randint(1, 4) if observing else 0
        last = -2
        for number in range(max(1, notifications)):
            answer = random_message(rng, RESPONSES)
            plain = our_view(answer)
            if notifications:
                answer.options = coap.replaced(answer.options, coap.OBSERVE, coap.uint(rng.randint(0, 2**24 - 1)))
            outer = oscore.seal_response(exchange, answer, number == 0 and rng.random() < 0.5)
            got, _ = self.peer.unprotect(to_peer(outer), request_id)
            if notifications:
                assert got.opt.observe > last  # aiocoap gives the Partial IV here, -1 for none
                last, got.opt.observe = got.opt.observe, None
            assert peers_view(got) == plain
        return 1 + max(1, notifications)

    def ours_for(self, kid, kid_context):
        return self.ours if (kid, kid_context) == (self.ours.recipient_id, self.ours.id_context) else None


def run_campaign(seed, cases):
    rng = random.Random(seed)
    done = 0
    while done < cases:
        case = Case(rng)
        for _ in range(MESSAGES_PER_CONTEXT // 2):
            try:
                done += case.exchange()
            except Exception as error:
                raise AssertionError(f"seed {seed}, after {done} messages: {error!r}") from error
    return done


def test_messages_cross_between_our_oscore_and_aiocoaps():
    assert run_campaign(seed=8613, cases=2_000) >= 2_000


@pytest.mark.long
def test_a_hundred_thousand_messages_cross_between_our_oscore_and_aiocoaps():
    seed = random.randrange(2**32)
    done = run_campaign(seed, cases=100_000)
    print(f"seed {seed}: {done} messages")
    assert done >= 100_000


@pytest.mark.parametrize("part", ["ccm", "nonce", "aad", "inner options"])
def test_the_campaign_sees_a_fault_in_any_part(part, monkeypatch):
    if part == "nonce":
        real = Context.recipient_nonce
        monkeypatch.setattr(Context, "recipient_nonce", lambda self, n: real(self, n & 0xFFFF))
    elif part == "aad":
        monkeypatch.setattr(Context, "own_request_aad", lambda self, piv: self.peer_request_aad(piv))
    elif part == "inner options":
        monkeypatch.setattr(oscore, "seal_options", lambda options, response: ([], list(options)[1:]))
    else:
        monkeypatch.setattr(oscore, "encode", lambda message: coap.encode(message)[:-1])
    with pytest.raises(AssertionError, match="after"):
        run_campaign(seed=8613, cases=2_000)


def test_aiocoap_recovers_our_lost_window_with_echo():
    secret, salt = bytes(16), b"salt"
    peer = Peer(secret, salt, b"\x01", b"", None, 500)
    ours = Context(secret, salt, b"", b"\x01", 0, None)
    ours.reserve(256)
    ours.lose_window(b"8 random")
    plain = coap.Message(coap.CON, coap.GET, 1, b"t", [(coap.URI_PATH, b"s")])
    sealed, request_id = peer.protect(to_peer(plain, Direction.OUTGOING))
    with pytest.raises(oscore.OscoreEchoError) as caught:
        oscore.open_request(ours.find, from_peer(sealed, plain))
    unauthorized = coap.Message(coap.ACK, coap.UNAUTHORIZED, 1, b"t", [(coap.ECHO, ours.challenge)])
    got, _ = peer.unprotect(to_peer(oscore.seal_response(caught.value.exchange, unauthorized)), request_id)
    assert got.code == aiocoap.UNAUTHORIZED and got.opt.echo == b"8 random"
    plain.options = [*plain.options, (coap.ECHO, got.opt.echo)]
    sealed, _ = peer.protect(to_peer(plain, Direction.OUTGOING))
    oscore.open_request(ours.find, from_peer(sealed, plain))
    assert ours.window is not None


def test_we_recover_aiocoaps_lost_window_with_echo():
    secret, salt = bytes(16), b"salt"
    peer = Peer(secret, salt, b"\x01", b"", None, 500)
    peer.recipient_replay_window = peer_oscore.ReplayWindow(32, lambda: None)
    peer.echo_recovery = b"8 random"
    ours = Context(secret, salt, b"", b"\x01", 0, FRESH_WINDOW)
    ours.reserve(256)
    plain = coap.Message(coap.CON, coap.GET, 1, b"t", [(coap.URI_PATH, b"s")])
    outer, exchange = oscore.seal_request(ours, plain)
    with pytest.raises(peer_oscore.ReplayErrorWithEcho) as caught:
        peer.unprotect(to_peer(outer))
    got = oscore.open_response(exchange, from_peer(caught.value.to_message(), plain))
    assert got.code == coap.UNAUTHORIZED
    plain.options = [*plain.options, (coap.ECHO, got.option(coap.ECHO))]
    opened, _ = peer.unprotect(to_peer(oscore.seal_request(ours, plain)[0]))
    assert opened.opt.uri_path == ("s",)
