"""What the tap makes of datagrams: plain ones as they stand, sealed ones as their two ends meant them."""

from __future__ import annotations

import pytest

from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, coap_client, model, oscore
from pave_wire.coap import Message
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.errors import OscoreError
from pave_wire.oscore_context import FRESH_WINDOW, Context
from simulation.tap import Tap

DEVICE = "24a160fffe000101"
NAME = "bay"
GATEWAY = ("127.0.0.1", 5683)
FIRST, SECOND, THIRD = b"gateway", b"another", b"a third"
KEYS = OscoreKeys(bytes(range(16)), b"the salt", bytes.fromhex("24a160000101"), FIRST)
CHALLENGE = b"8 bytes."


def reading(seq: int, occupied: bool = True) -> model.Reading:
    return model.Reading(DEVICE, 1, seq, 0, {"occupied": occupied, "reason": "field"})


def post(seq: int, occupied: bool = True) -> Message:
    client = coap_client.Client(lambda n: seq)
    client.request(coap.POST, "r", GATEWAY, 0, model.pack_readings(DEVICE, [reading(seq, occupied)]), 112)
    return coap.decode(client.datagrams_to_send(0)[0][0])


def get(path: str, *options: tuple[int, bytes], token: bytes = b"look") -> Message:
    return Message(coap.CON, coap.GET, 77, token, [*options, (coap.URI_PATH, path.encode())])


def identity(seq: int) -> str:
    return f"{DEVICE}:1:{seq}"


# Plain CoAP


def test_a_reading_is_sent_when_it_is_on_the_air_and_acknowledged_with_its_own_2_04() -> None:
    tap = Tap()
    request = post(7)
    tap.from_device(NAME, coap.encode(request))
    assert set(tap.sent) == {identity(7)} and tap.acknowledged == set()
    other = Message(coap.ACK, coap.CHANGED, request.mid, b"\x00\x00")
    tap.to_device(NAME, coap.encode(other))
    refused = Message(coap.ACK, coap.SERVICE_UNAVAILABLE, request.mid, request.token)
    tap.to_device(NAME, coap.encode(refused))
    assert tap.acknowledged == set()
    tap.to_device(NAME, coap.encode(Message(coap.ACK, coap.CHANGED, request.mid, request.token)))
    assert tap.acknowledged == {identity(7)}


def test_what_is_no_report_is_counted_and_otherwise_ignored() -> None:
    tap = Tap()
    tap.from_device(NAME, b"\xff\xff")
    tap.from_device(NAME, coap.encode(get("a")))
    tap.to_device(NAME, b"")
    assert (tap.datagrams, tap.sent, tap.acknowledged, tap.unreadable.total()) == (3, {}, set(), 0)


# OSCORE


class Memory:
    """A device's, of which nothing is kept."""

    def reserve(self, limit: int) -> None: ...

    def used(self, sequence: int) -> None: ...

    def keep_peer(self, peer_id: bytes, window: tuple[int, int]) -> None: ...

    def context(self, peer_id: bytes, sequence: int, window: tuple[int, int]) -> Context:
        return Context(KEYS.secret, KEYS.salt, KEYS.device_id, peer_id, sequence, window)


class Air:
    """A device and its gateway, both of `pave_wire`, a tap between them."""

    def __init__(self) -> None:
        self.tap = Tap()
        self.tap.know(NAME, KEYS)
        memory = Memory()
        self.device = OscoreSecurity(memory.context(FIRST, 0, FRESH_WINDOW), memory)
        self.replace_gateway(FIRST, FRESH_WINDOW)

    def replace_gateway(self, gateway_id: bytes, window: tuple[int, int] | None = None) -> None:
        self.gateway = Context(KEYS.secret, KEYS.salt, gateway_id, KEYS.device_id, 0, window)
        if window is None:
            self.gateway.lose_window(CHALLENGE)
        self.gateway.reserve(1 << 20)

    def says(self, request: Message) -> tuple[bytes, object]:
        """The device says it, sealed; return what is on the air, and what opens the answers at the device."""
        sealed, binding = self.device.seal_request(request, GATEWAY)
        data = coap.encode(sealed)
        self.tap.from_device(NAME, data)
        return data, binding

    def answer(self, data: bytes, code: int = coap.CHANGED, *, bare: bool = True, payload: bytes = b"") -> bytes:
        """Return the gateway's answer to what it has heard."""
        try:
            request, exchange = oscore.open_request(self.gateway.find, coap.decode(data))
        except oscore.OscoreEchoError as error:
            asked = coap.decode(data)
            echo = Message(coap.ACK, coap.UNAUTHORIZED, asked.mid, asked.token, [(coap.ECHO, self.gateway.challenge)])
            return coap.encode(oscore.seal_response(error.exchange, echo, name_sender=True))
        response = Message(coap.ACK, code, request.mid, request.token, payload=payload)
        return coap.encode(oscore.seal_response(exchange, response, bare and exchange.nonce_free))

    def hears(self, data: bytes, binding: object) -> Message | None:
        """It is delivered to the device; return what the device takes from it."""
        self.tap.to_device(NAME, data)
        try:
            return self.device.open_response(binding, coap.decode(data))  # pyright: ignore[reportArgumentType]
        except OscoreError:
            return None

    def report(self, seq: int) -> bool:
        """One report with its answer, and again with the Echo if that is wanted; return whether the device is content.

        The tap is to know what the device knows.
        """
        data, binding = self.says(post(seq))
        heard = self.hears(self.answer(data), binding)
        if heard is not None and heard.code == coap.UNAUTHORIZED:
            request = post(seq)
            request.options = coap.ordered([*request.options, (coap.ECHO, heard.option(coap.ECHO) or b"")])
            data, binding = self.says(request)
            heard = self.hears(self.answer(data), binding)
        content = heard is not None and heard.code == coap.CHANGED
        assert (identity(seq) in self.tap.acknowledged) is content
        return content


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.mark.parametrize("bare", [True, False])
def test_a_sealed_report_counts_as_the_plain_one_does(air: Air, bare: bool) -> None:
    data, binding = air.says(post(7))
    assert air.tap.sent == {identity(7): reading(7).values} and air.tap.acknowledged == set()
    air.hears(air.answer(data, bare=bare), binding)
    assert air.tap.acknowledged == {identity(7)} and air.tap.unreadable.total() == 0


def test_the_code_that_is_sealed_counts_and_not_the_one_outside(air: Air) -> None:
    data, binding = air.says(post(7))
    refusal = air.answer(data, coap.SERVICE_UNAVAILABLE)
    assert coap.decode(refusal).code == coap.CHANGED, "from outside it looks like what it is not"
    air.hears(refusal, binding)
    assert air.tap.acknowledged == set() and air.tap.unreadable.total() == 0


def test_an_answer_that_was_tampered_with_or_is_plain_is_none(air: Air) -> None:
    data, binding = air.says(post(7))
    answer = air.answer(data)
    asked = coap.decode(data)
    plain = coap.encode(Message(coap.ACK, coap.CHANGED, asked.mid, asked.token))
    for wrong in (answer[:-1] + bytes([answer[-1] ^ 1]), plain):
        assert air.hears(wrong, binding) is None
    assert air.tap.acknowledged == set() and air.tap.unreadable == {"down": 2}
    assert air.hears(answer, binding) is not None
    assert air.tap.acknowledged == {identity(7)}


def test_an_answer_to_one_report_acknowledges_no_other(air: Air) -> None:
    first, _ = air.says(post(7))
    answer = coap.decode(air.answer(first))
    second, binding = air.says(post(8))
    answer.token = coap.decode(second).token
    assert air.hears(coap.encode(answer), binding) is None
    assert air.tap.acknowledged == set() and air.tap.unreadable == {"down": 1}


def test_what_comes_twice_is_heard_twice_and_means_the_same(air: Air) -> None:
    data, binding = air.says(post(7))
    air.tap.from_device(NAME, data)
    answer = air.answer(data)
    for _ in range(2):
        air.hears(answer, binding)
    assert air.tap.acknowledged == set(air.tap.sent) == {identity(7)}
    assert (air.tap.datagrams, air.tap.unreadable.total(), air.tap.altered) == (4, 0, set())


def test_other_values_under_one_identity_are_seen_through_the_seal(air: Air) -> None:
    air.says(post(7, occupied=True))
    air.says(post(7, occupied=False))
    assert air.tap.altered == {identity(7)}


def test_a_2_04_to_something_else_acknowledges_nothing(air: Air) -> None:
    elsewhere = post(7)
    elsewhere.options = [(number, b"s" if number == coap.URI_PATH else value) for number, value in elsewhere.options]
    data, binding = air.says(elsewhere)
    air.hears(air.answer(data), binding)
    assert (air.tap.sent, air.tap.acknowledged, air.tap.unreadable.total()) == ({}, set(), 0)


def test_notifications_are_read_in_whatever_order_they_come(air: Air) -> None:
    data, _ = air.says(get("a", (coap.OBSERVE, b"")))
    request, exchange = oscore.open_request(air.gateway.find, coap.decode(data))
    told = [
        coap.encode(oscore.seal_response(exchange, Message(coap.NON, coap.CONTENT, mid, request.token, options)))
        for mid, options in ((1, [(coap.OBSERVE, b"\x01")]), (2, [(coap.OBSERVE, b"\x02")]))
    ]
    for data in (told[1], told[0], told[0]):
        air.tap.to_device(NAME, data)
    assert air.tap.unreadable.total() == 0 and air.tap.datagrams == 4


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff", coap.encode(post(7)), coap.encode(Message(coap.ACK, coap.CONTENT, 1, b"t"))],
    ids=["no CoAP", "a plain report", "a plain answer"],
)
def test_what_a_device_with_keys_says_without_them_is_counted(air: Air, data: bytes) -> None:
    air.tap.from_device(NAME, data)
    assert air.tap.unreadable == {"up": 1} and air.tap.sent == {}


def test_what_is_sealed_under_other_keys_is_counted(air: Air) -> None:
    stranger = Context(bytes(16), KEYS.salt, KEYS.device_id, FIRST, 0, FRESH_WINDOW)
    stranger.reserve(1)
    air.tap.from_device(NAME, coap.encode(oscore.seal_request(stranger, post(7))[0]))
    assert air.tap.unreadable == {"up": 1} and air.tap.sent == {}


def test_an_empty_message_says_nothing_and_is_not_counted(air: Air) -> None:
    for way in (air.tap.from_device, air.tap.to_device):
        way(NAME, coap.encode(Message(coap.RST, coap.EMPTY, 1)))
    assert air.tap.unreadable.total() == 0


def test_what_the_gateway_asks_of_a_device_and_its_answer_open_too(air: Air) -> None:
    sealed, exchange = oscore.seal_request(air.gateway, get("s"))
    air.tap.to_device(NAME, coap.encode(sealed))
    request, binding = air.device.open_request(sealed, GATEWAY)
    answer = air.device.seal_response(binding, Message(coap.ACK, coap.CONTENT, request.mid, request.token, [], b"on"))
    air.tap.from_device(NAME, coap.encode(answer))
    assert oscore.open_response(exchange, answer).payload == b"on" and air.tap.unreadable.total() == 0
    answer.payload = bytes(len(answer.payload))
    air.tap.from_device(NAME, coap.encode(answer))
    assert air.tap.unreadable == {"up": 1}


# A gateway that was replaced


def test_a_replaced_gateway_is_followed_as_the_device_follows_it_and_its_challenge_counted(air: Air) -> None:
    assert air.report(1) and air.tap.challenges == {}
    for gateway_id in (SECOND, THIRD):
        air.replace_gateway(gateway_id)
        assert air.report(2) and air.report(3)
    air.replace_gateway(FIRST)
    assert air.report(4)
    assert air.tap.unreadable.total() == 0
    assert [gateway_id for gateway_id, _ in sorted(air.tap.challenges[NAME])] == sorted([FIRST, SECOND, THIRD])


def test_a_challenge_that_is_repeated_is_one_and_a_second_one_is_two(air: Air) -> None:
    air.replace_gateway(SECOND)
    data, binding = air.says(post(1))
    challenge = air.answer(data)
    for _ in range(2):
        air.hears(challenge, binding)
    assert len(air.tap.challenges[NAME]) == 1
    data, binding = air.says(post(1))
    air.hears(air.answer(data), binding)
    assert len(air.tap.challenges[NAME]) == 2


def test_a_recorded_response_brings_no_older_gateway_back(air: Air) -> None:
    data, _ = air.says(post(1))
    air.replace_gateway(SECOND)
    recorded = air.answer(data)
    air.replace_gateway(THIRD)
    assert air.report(2)
    air.tap.to_device(NAME, recorded)
    assert air.tap.unreadable == {"down": 1}
    assert air.report(3), "the tap still knows the third, as the device does"


def test_who_claims_to_be_the_gateway_without_the_keys_is_not_believed(air: Air) -> None:
    data, binding = air.says(post(1))
    air.gateway = Context(bytes(16), KEYS.salt, SECOND, KEYS.device_id, 0, FRESH_WINDOW)
    air.gateway.reserve(10)
    exchange = oscore.Exchange(air.gateway, bytes(13), b"", False)
    asked = coap.decode(data)
    claim = Message(coap.ACK, coap.CHANGED, asked.mid, asked.token)
    assert air.hears(coap.encode(oscore.seal_response(exchange, claim, name_sender=True)), binding) is None
    assert air.tap.acknowledged == set() and air.tap.unreadable == {"down": 1}
    air.replace_gateway(FIRST, FRESH_WINDOW)
    assert air.report(2)
