"""A device's counters are durable before they count, and it follows a gateway that was replaced."""

from checks import raised
from coap_pair import CLIENT, SERVER, Pair
from dice import Dice
from oscore_ends import Ledger, Memory, Naming

from pave_wire import coap, limits, oscore_options
from pave_wire.coap import CON, Message
from pave_wire.coap_client import Client
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Failed, Notification, Response
from pave_wire.coap_observe import Observers, Watching
from pave_wire.errors import OscoreReplayError, OscoreSequenceError, WireError
from pave_wire.oscore_context import FRESH_WINDOW

OLD, NEW, THIRD = b"old one", b"new one", b"third.."


def low(n):
    return 7 % n


def gateway(gateway_id, ledger=None, window=None):
    return Endpoint(low, observers=Observers(), security=Naming(gateway_id, ledger, window))


def ends(memory, server=None, random_below=low):
    """Return a `Pair`: a device that has just booted from `memory`, and its gateway OLD, in the midst of its life."""
    client = Client(random_below, security=memory.boot(), watching=Watching(low))
    return Pair(client, server or gateway(OLD, window=FRESH_WINDOW))


def report(made, payload=b"body", answer=True):
    """Let the device ask and the gateway answer; return the code of the response, or None."""
    made.told.clear()
    made.asked.clear()
    made.client.request(coap.POST, "r", SERVER, made.now_ms, payload)
    made.settle()
    for request in list(made.asked) if answer else []:
        made.server.respond(request, coap.CHANGED, made.now_ms)
    made.settle()
    return made.told[0].code if made.told else None


def recorded(made):
    """Return the list in which `made` puts each response it carries from now on."""
    air = []

    def carry(data, from_client):
        if not from_client:
            air.append(data)
        return data

    made.carry = carry
    return air


def with_kid(data, kid, piv=None, mid=77):
    """Return the response `data` as a message of its own, with another kid, and another Partial IV if one is given."""
    message = coap.decode(data)
    message.type = CON
    message.mid = mid
    value = oscore_options.encode_value(
        oscore_options.decode_value(message.option(coap.OSCORE))[0] if piv is None else piv, kid
    )
    message.options = [(number, value if number == coap.OSCORE else raw) for number, raw in message.options]
    return coap.encode(message)


# Counters


def test_numbers_are_stored_a_block_ahead_before_the_first_of_them_is_used():
    memory = Memory(OLD)
    made = ends(memory)
    blocks = []
    for number in range(limits.OSCORE_RESERVE + 1):
        memory.said.clear()
        made.client.request(coap.POST, "r", SERVER, made.now_ms)
        blocks += [(number, said[1]) for said in memory.said[:-1]]
        assert memory.said[-1] == ("used", number + 1)
        assert len(made.client.datagrams_to_send(made.now_ms)) == 1
        made.client.cancel()
    assert blocks == [(0, limits.OSCORE_RESERVE), (limits.OSCORE_RESERVE, 2 * limits.OSCORE_RESERVE)]


def test_a_number_that_cannot_be_stored_is_not_used_and_the_next_try_goes_on():
    memory = Memory(OLD)
    memory.cut_at = 1
    made = ends(memory)
    error = raised(OscoreSequenceError, made.client.request, coap.POST, "r", SERVER, 0)
    assert "sequence number 0 could not be stored" in str(error)
    assert made.client.datagrams_to_send(0) == [] and made.client.next_timeout() is None
    assert report(made) == coap.CHANGED


def test_after_a_wake_up_numbers_go_on_and_after_a_power_cut_they_begin_where_nothing_was_used():
    memory = Memory(OLD)
    report(ends(memory))
    assert memory.boot()._context.sequence == 1
    memory.volatile = None
    assert memory.boot()._context.sequence == limits.OSCORE_RESERVE


def asked_by_the_gateway(memory, ledger=None):
    """Return a `Pair` whose client is the gateway and whose server the device."""
    return Pair(Client(low, security=Naming(OLD, ledger, FRESH_WINDOW)), Endpoint(low, security=memory.boot()))


def test_the_window_is_stored_before_a_request_acts():
    memory = Memory(OLD)
    made = asked_by_the_gateway(memory)
    made.client.request(coap.POST, "x", SERVER, made.now_ms, b"reboot")
    ((data, _),) = made.client.datagrams_to_send(made.now_ms)
    (request,) = made.server.receive_datagram(data, CLIENT, made.now_ms)
    assert request.payload == b"reboot" and memory.stored["peer"] == (OLD, (0, 1))
    again = Endpoint(low, security=memory.boot())
    assert again.receive_datagram(data, CLIENT, made.now_ms) == [], "a replay, to the device's next life"


def test_a_request_whose_window_cannot_be_stored_does_not_act():
    memory = Memory(OLD)
    memory.cut_at = 1
    made = asked_by_the_gateway(memory)
    made.client.request(coap.POST, "x", SERVER, made.now_ms, b"reboot")
    raised(OSError, made.settle)
    assert made.asked == [] and memory.stored["peer"] == (OLD, FRESH_WINDOW)


def test_what_answers_a_gateway_takes_numbers_that_are_stored():
    memory, ledger = Memory(OLD, Ledger()), Ledger()
    made = asked_by_the_gateway(memory, ledger)
    made.client.request(coap.GET, "s", SERVER, made.now_ms)
    made.settle()
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, b"settings")
    made.settle()
    assert made.told[0].payload == b"settings"
    assert memory.stored["reserved"] == limits.OSCORE_RESERVE and memory.volatile == 1


# A replaced gateway


def test_a_device_follows_a_new_gateway_and_has_stored_its_id_before_it_says_another_word():
    memory = Memory(OLD)
    made = ends(memory)
    assert report(made) == coap.CHANGED
    made.server = gateway(NEW)
    memory.said.clear()
    assert report(made) == coap.CHANGED
    assert memory.said == [("used", 2), ("peer", (NEW, (0, 0xFFFFFFFF))), ("used", 3)]
    assert report(made) == coap.CHANGED
    assert report(ends(memory, made.server)) == coap.CHANGED, "its next life knows it too"
    assert [said[0] for said in memory.said].count("peer") == 1


def test_five_gateways_later_no_nonce_has_been_used_twice():
    ledger = Ledger()
    memory = Memory(OLD, ledger)
    made = ends(memory, gateway(OLD, ledger, FRESH_WINDOW))
    for life in range(5):
        for day in range(3):
            assert report(made, b"%d %d" % (life, day)) == coap.CHANGED
        made.server = gateway(b"life %d" % life, ledger)
    assert ledger.reused == 0 and ledger.count > 15


def test_a_stranger_that_names_itself_is_not_believed_and_the_genuine_answer_is_still_taken():
    memory = Memory(OLD)
    made = ends(memory)
    made.client.request(coap.POST, "r", SERVER, made.now_ms)
    made.settle()
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, b"genuine")
    ((data, _),) = made.server.datagrams_to_send(made.now_ms)
    for kid in (NEW, b"", b"12345678", b"device", OLD[:-1]):
        for piv in (None, b"\x09", b""):
            assert made.client.receive_datagram(with_kid(data, kid, piv), SERVER, made.now_ms) == []
    (response,) = made.client.receive_datagram(data, SERVER, made.now_ms)
    assert response.payload == b"genuine" and memory.stored["peer"] == (OLD, FRESH_WINDOW)


def test_few_claims_are_looked_at_for_one_request_and_the_next_finds_the_new_gateway_all_the_same():
    memory = Memory(OLD)
    made = ends(memory)
    made.server = gateway(NEW)
    made.client.request(coap.POST, "r", SERVER, made.now_ms)
    ((data, _),) = made.client.datagrams_to_send(made.now_ms)
    made.server.receive_datagram(data, CLIENT, made.now_ms)
    ((genuine, _),) = made.server.datagrams_to_send(made.now_ms)
    derived = []
    memory.context = lambda kid, *rest: derived.append(kid) or Memory.context(memory, kid, *rest)
    for number in range(20):
        made.client.receive_datagram(with_kid(genuine, b"%d" % number), SERVER, made.now_ms)
    assert made.client.receive_datagram(with_kid(genuine, NEW), SERVER, made.now_ms) == [] and len(derived) == 4
    made.client.cancel()
    assert memory.stored["peer"][0] == OLD
    assert report(made) == coap.CHANGED and memory.stored["peer"][0] == NEW


def test_a_response_without_a_number_of_its_own_names_nobody():
    made = ends(Memory(OLD))
    made.server = gateway(NEW, window=FRESH_WINDOW)
    air = recorded(made)
    assert report(made) is None
    assert made.client.receive_datagram(with_kid(air[0], NEW, b""), SERVER, made.now_ms) == []


def test_an_id_that_cannot_be_stored_is_not_followed_until_it_can():
    memory = Memory(OLD)
    made = ends(memory)
    report(made)
    made.server = gateway(NEW)
    memory.cut_at = memory.writes + 1
    raised(OSError, report, made)
    made.client.cancel()
    assert memory.stored["peer"][0] == OLD
    assert report(made) == coap.CHANGED and memory.stored["peer"][0] == NEW


def observing(made):
    """Let the device observe `/a`; return the last event."""
    made.client.request(coap.GET, "a", SERVER, made.now_ms, options=[(coap.OBSERVE, b"")])
    made.settle()
    made.server.respond(made.asked[-1], coap.CONTENT, made.now_ms, b"first", options=[(14, b"\x3c")], topic="a")
    made.settle()
    return made.told[-1]


def test_what_an_old_gateway_said_does_not_bring_it_back():
    """The observation is as old as the old gateway, and all that gateway ever said about it was recorded."""
    memory = Memory(OLD)
    made = ends(memory, gateway(OLD))
    air = recorded(made)
    assert isinstance(observing(made), Notification)
    for n in range(3):
        made.server.notify("a", coap.CONTENT, made.now_ms, b"%d" % n)
        made.settle()
    old = list(air)
    made.server = gateway(NEW)
    made.told.clear()
    assert report(made) == coap.CHANGED and memory.stored["peer"][0] == NEW
    for data in old:
        for named in (data, with_kid(data, OLD)):
            assert made.client.receive_datagram(named, SERVER, made.now_ms) == []
    assert memory.stored["peer"][0] == NEW and memory.said.count(("peer", (NEW, (0, 0xFFFFFFFF)))) == 1


def test_a_device_without_that_rule_is_seen_to_go_back():
    """The control of the test above: the one line that says from when a request is."""
    memory = Memory(OLD)
    made = ends(memory, gateway(OLD))
    air = recorded(made)
    observing(made)
    made.server.notify("a", coap.CONTENT, made.now_ms, b"old")
    made.settle()
    old = with_kid(air[-1], OLD)
    made.server = gateway(NEW)
    assert report(made) == coap.CHANGED
    made.client._security._peers = 0
    made.client.receive_datagram(old, SERVER, made.now_ms)
    assert memory.stored["peer"][0] == OLD


def test_an_observation_of_the_old_gateway_goes_on_with_the_new_one():
    memory = Memory(OLD)
    made = ends(memory)
    observing(made)
    made.server = gateway(NEW)
    made.asked.clear()
    made.told.clear()
    made.wait(90_000)  # Max-Age is over: it registers again
    assert memory.stored["peer"][0] == NEW and made.asked
    made.server.respond(made.asked[-1], coap.CONTENT, made.now_ms, b"again", topic="a")
    made.settle()
    made.server.notify("a", coap.CONTENT, made.now_ms, b"news")
    made.settle()
    assert [event.payload for event in made.told] == [b"again", b"news"]


def test_two_requests_on_their_way_meet_the_new_gateway():
    memory = Memory(OLD)
    made = ends(memory)
    made.server = gateway(NEW)
    for name in ("r", "s"):
        made.client.request(coap.GET, name, SERVER, made.now_ms)
    made.settle()
    for _ in range(2):
        for request in made.asked:
            made.server.respond(request, coap.CONTENT, made.now_ms, request.path.encode())
        made.asked.clear()
        made.settle()
    assert sorted(event.payload for event in made.told if isinstance(event, Response)) == [b"r", b"s"]
    assert memory.stored["peer"][0] == NEW


def test_commands_of_a_gateway_that_had_been_here_before_are_not_carried_out_again():
    memory, ledger = Memory(OLD), Ledger()
    made = asked_by_the_gateway(memory, ledger)
    old = made.client._security
    air = []
    for _ in range(3):
        sealed, _ = old.seal_request(Message(CON, coap.POST, 1, b"t", [(coap.URI_PATH, b"x")], b"reboot"), None)
        air.append(sealed)
    for server in (gateway(NEW), gateway(OLD)):  # the second is restored from a backup: its numbers leap
        context = server._security.context
        context.reserve(1 << 31)
        context.sequence = 1 << 30
        assert report(ends(memory, server)) == coap.CHANGED
    assert memory.stored["peer"] == (OLD, (1 << 30, 0xFFFFFFFF))
    security = memory.boot()
    for sealed in air:
        raised(OscoreReplayError, security.open_request, sealed, None)
    context.take_number()
    sealed, _ = server._security.seal_request(air[0].__class__(CON, coap.POST, 1, b"t", [], b"reboot"), None)
    assert security.open_request(sealed, None)[0].payload == b"reboot"


def test_nothing_unprotected_and_no_reset_teaches_a_device_anything():
    memory = Memory(OLD)
    made = ends(memory)
    token = made.client.request(coap.POST, "r", SERVER, made.now_ms)
    ((data, _),) = made.client.datagrams_to_send(made.now_ms)
    mid = data[2] << 8 | data[3]
    for options in ([], [(coap.ECHO, b"12345678")], [(coap.OSCORE, b"")], [(coap.OSCORE, b"\x09\x01" + NEW)]):
        for code in (coap.UNAUTHORIZED, coap.CHANGED, coap.CONTENT):
            forged = Message(CON, code, 77, token, coap.ordered(options), b"12345678 payload")
            assert made.client.receive_datagram(coap.encode(forged), SERVER, made.now_ms) == []
    (event,) = made.client.receive_datagram(coap.encode(Message(coap.RST, 0, mid)), SERVER, made.now_ms)
    assert isinstance(event, Failed) and event.why == "reset"
    assert memory.stored["peer"] == (OLD, FRESH_WINDOW) and report(made) == coap.CHANGED


# Power cuts


class Careless(Memory):
    """A device that stores its reservation once the numbers are used up, not before."""

    def reserve(self, limit):
        if limit > limits.OSCORE_RESERVE:
            super().reserve(limit - limits.OSCORE_RESERVE)


def lives(memory, ledger, dice, count):
    """Live lives cut at random writes, among gateways that come and go; return how many reports each outcome had."""
    server = gateway(OLD, ledger, FRESH_WINDOW)
    outcomes = {coap.CHANGED: 0, None: 0}
    for life in range(count):
        memory.cut_at = memory.writes + 1 + dice.below(4)
        if dice.below(2):
            memory.volatile = None
        made = ends(memory, server, dice.below)
        try:
            for turn in range(1 + dice.below(20)):
                if dice.below(12) == 0:
                    made.server = server = gateway(dice.bytes(7), ledger)
                outcomes[report(made, b"%d %d" % (life, turn))] += 1
                memory.said.clear()
                made.carried.clear()
        except (OSError, WireError):
            memory.volatile = None
    return outcomes


def test_whenever_the_power_fails_no_nonce_is_used_twice_and_the_device_follows_in_the_end():
    for seed in range(1, 11):
        ledger, dice = Ledger(), Dice(seed)
        memory = Memory(OLD, ledger)
        outcomes = lives(memory, ledger, dice, 30)
        assert outcomes[coap.CHANGED] > 50 and outcomes[None] == 0
        assert ledger.reused == 0 and memory.writes > 25


def test_a_device_that_reserves_after_use_is_seen():
    ledger = Ledger()
    lives(Careless(OLD, ledger), ledger, Dice(1), 30)
    assert ledger.reused > 0
