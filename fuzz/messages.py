"""Properties of CoAP: the codec, the client, the message layer, and what has a format of its own in options."""

from __future__ import annotations

from typing import Any

from fuzz.helpers import ADDRESS, as_steps, fields_of, steps

OTHER_ADDRESS = ("stranger", 5683)


def coap_survives(data: bytes) -> None:
    """A message encodes to the message it was decoded from."""
    from pave_wire import coap

    message = coap.decode(data)
    assert fields_of(coap.decode(coap.encode(message))) == fields_of(message)


def coap_seeds() -> list[bytes]:
    """A request, responses, empty messages, and long options."""
    from pave_wire import coap

    messages = [
        coap.Message(coap.CON, coap.POST, 1, b"\1\2", [(11, b"r"), (12, b"p")], b"payload"),
        coap.Message(coap.ACK, coap.CHANGED, 1, b"\1\2"),
        coap.Message(coap.NON, coap.CONTENT, 2, b"", [(6, b"\5"), (12, b""), (23, b"\x1e")], b"x" * 64),
        coap.Message(coap.RST, coap.EMPTY, 3),
        coap.Message(
            coap.CON, coap.GET, 4, b"12345678", [(3, b"h" * 20), (11, b"s" * 300), (2048, b""), (65000, b"v")]
        ),
    ]
    return [coap.encode(message) for message in messages]


def client_stays_bounded(data: bytes) -> None:
    """Two requests and an observation, then datagrams and time in any order."""
    from pave_wire import coap, coap_block, coap_client, coap_observe

    client = coap_client.Client(few, blocks=coap_block.Blocks(), watching=coap_observe.Watching(few))
    asked = [client.request(coap.POST, "r", ADDRESS, 0, b"x") for _ in range(2)]
    asked.append(client.request(coap.GET, "s", ADDRESS, 0, options=[(coap.OBSERVE, b"")]))
    ended: list[bytes] = []
    now_ms = 0
    for step in steps(data):
        now_ms += step[0] << 6
        ended += endings(taken(client, step[1:], ADDRESS, now_ms))
        check_client(client)
    assert len(set(ended)) == len(ended) and set(ended) <= set(asked)


def check_layer(layer: Any, transmissions: int, remembered: int) -> None:
    """What is open and what is remembered lies within its limits, and what is free is what is not open."""
    sending = [sent for queue in layer._peers.values() for sent in queue]
    assert len(sending) <= transmissions and len(sending) + layer._room == transmissions, (sending, layer._room)
    assert all(sent.data is not None for sent in sending) and all(layer._peers.values()), "over, but kept"
    assert len(layer._known) <= remembered and len(layer._ring) == remembered, (len(layer._known), len(layer._ring))


def check_client(client: Any) -> None:
    """Open exchanges, what they put together, transmissions and memories lie within `limits`."""
    from pave_wire import limits

    check_layer(client.layer, limits.COAP_TRANSMISSIONS, limits.COAP_REMEMBERED)
    assert len(client._exchanges) <= limits.COAP_EXCHANGES, len(client._exchanges)
    for token, exchange in client._exchanges.items():
        assert exchange.token == token
        assert exchange.block is None or len(exchange.block.came) <= limits.COAP_BODY_BYTES, len(exchange.block.came)


def check_server(endpoint: Any) -> None:
    """So do observers, and bodies in blocks: those that come as far as they came."""
    from pave_wire import limits

    check_client(endpoint)
    server, observers = endpoint.block_server, endpoint._observers
    assert len(server._coming) <= limits.COAP_TRANSFERS and len(server._going) <= limits.COAP_TRANSFERS
    assert all(len(body.body) <= limits.COAP_BODY_BYTES for body in server._coming)
    assert len(observers._observers) <= limits.COAP_OBSERVERS
    assert set(observers._latest) <= {observer.topic for observer in observers._observers}


def few(below: int) -> int:
    """A random source without surprises."""
    return 7 % below


def taken(endpoint: Any, datagram: bytes, address: Any, now_ms: int) -> list[Any]:
    """Give an endpoint a datagram and the time; return its events. It may not raise anything, named or not."""
    from pave_wire.errors import WireError

    try:
        events: list[Any] = endpoint.receive_datagram(datagram, address, now_ms) + endpoint.handle_timeout(now_ms)
    except WireError as error:
        raise AssertionError("an endpoint drops what it does not take") from error
    assert len(events) <= 16 and len(endpoint.datagrams_to_send(now_ms)) <= 32
    endpoint.next_timeout()
    return events


def endings(events: list[Any]) -> list[bytes]:
    """Return the tokens of the requests that are over."""
    from pave_wire import coap_exchange

    over = (coap_exchange.Response, coap_exchange.Failed)
    return [event.token for event in events if isinstance(event, over) and type(event).__name__ != "Notification"]


def endpoint_stays_bounded(data: bytes) -> None:
    """Both roles with every part, two peers: requests, answers, notifications, datagrams and time in any order."""
    from pave_wire import coap, coap_block, coap_block_server, coap_endpoint, coap_exchange, coap_observe

    endpoint = coap_endpoint.Endpoint(
        few, block_server=coap_block_server.BlockServer(), observers=coap_observe.Observers(),
        blocks=coap_block.Blocks(), watching=coap_observe.Watching(few),
    )  # fmt: skip
    waiting: list[Any] = []
    ended: list[bytes] = []
    asked: list[bytes] = []
    now_ms = 0
    for step in steps(data):
        action, address = step[0] & 7, OTHER_ADDRESS if step[0] & 8 else ADDRESS
        now_ms += (step[0] >> 4) * 400
        events = taken(endpoint, step[1:], address, now_ms)
        ended += endings(events)
        waiting += [event for event in events if isinstance(event, coap_exchange.Request)]
        if action == 1:
            asked += [token] if (token := try_to(endpoint.request, coap.PUT, "s", address, now_ms, step * 20)) else []
        elif action == 2:
            try_to(endpoint.notify, "a", coap.CONTENT, now_ms, step * 9, 112)
        elif action > 2 and waiting:
            code = (coap.CONTENT, coap.CHANGED, coap.CONTENT, coap.NOT_FOUND, coap.CONTENT)[action - 3]
            try_to(endpoint.respond, waiting.pop(), code, now_ms, step * 30, 112, (), "a" if action != 5 else None)
        check_server(endpoint)
    assert len(set(ended)) == len(ended) and set(ended) <= set(asked)


def endpoint_seeds() -> list[bytes]:
    """GET, observe, Block1 and Block2, a response and a notification."""
    from pave_wire import coap

    def request(code: int, mid: int, options: list[tuple[int, bytes]], payload: bytes = b"") -> bytes:
        return coap.encode(coap.Message(coap.CON, code, mid, b"\1", options, payload))

    blocks = [
        request(coap.PUT, 20 + n, [(11, b"s"), (27, bytes((n << 4 | (n < 2) << 3,)))], b"x" * 16) for n in range(3)
    ]
    more = [request(coap.GET, 30 + n, [(11, b"a"), (23, bytes((n << 4,)))]) for n in range(3)]
    return [
        as_steps([b"\3" + request(coap.GET, 1, [(6, b""), (11, b"a")]), b"\x12", b"\x42", b"\xf2", b"\xf0"]),
        as_steps([b"\4" + block for block in blocks]),
        as_steps([b"\3" + block for block in more]),
        as_steps([b"\1", b"\0" + coap.encode(coap.Message(coap.ACK, 0x5F, 8, b"\0\x08", [(27, b"\x08")]))]),
        as_steps([b"\0" + request(0x45, 9, [(6, b"\1")], b"x"), b"\0" + request(coap.GET, 5, [(35, b"coap://h")])]),
    ]


def links_survive(data: bytes) -> None:
    """Links encode to a document of the same links."""
    from pave_wire import link_format

    links = link_format.parse(data)
    assert link_format.parse(link_format.encode(links)) == links


def link_seeds() -> list[bytes]:
    """RFC 6690, 5."""
    return [
        b'</sensors>;ct=40;title="Sensor Index",</sensors/temp>;rt="temperature-c";if="sensor"',
        b'<http://www.example.com/sensors/t123>;anchor="/sensors/temp";rel="describedby",</t>;obs',
    ]


def client_seeds() -> list[bytes]:
    """Answers to the two requests: piggy-backed, empty and separate, reset."""
    from pave_wire import coap

    encode, message = coap.encode, coap.Message
    return [
        as_steps([b"\0" + encode(message(coap.ACK, coap.CHANGED, 8, b"\0\x08"))]),
        as_steps([b"\0" + encode(message(coap.ACK, 0, 8)), b"\1" + encode(message(coap.CON, 0x44, 99, b"\0\x08"))]),
        as_steps([b"\1" + encode(message(coap.RST, 0, 9)), b"\xff" + encode(message(coap.NON, 0x84, 5, b"\0\x09"))]),
    ]


def layer_stays_bounded(data: bytes) -> None:
    """Datagrams, answers and time in any order: memory within its caps, and no transmission ends twice."""
    from pave_wire import coap, coap_message

    layer = coap_message.MessageLayer(lambda below: 7 % below, transmissions=4, remembered=8)
    ended: list[Any] = []
    received: list[Any] = []
    now_ms = 0
    for step in steps(data):
        action, address = step[0] & 7, OTHER_ADDRESS if step[0] & 8 else ADDRESS
        now_ms += (step[0] >> 4) * 400
        events = layer.receive_datagram(step[1:], address, now_ms) + layer.handle_timeout(now_ms)
        received += [event for event in events if isinstance(event, coap_message.Received)]
        ended += [event.sent for event in events if isinstance(event, coap_message.Delivery) and event.sent]
        if action == 1:
            try_to(layer.send, coap.Message(coap.CON, coap.POST, 0, b"\1", [], step[1:]), address)
        elif action > 1 and received:
            answer(layer, received.pop(), action)
        assert len(layer.datagrams_to_send(now_ms)) <= 16
        layer.next_timeout()
        check_layer(layer, 4, 8)
    assert len({id(sent) for sent in ended}) == len(ended)


def answer(layer: Any, event: Any, action: int) -> None:
    """Respond, acknowledge, reject or forget, by `action`."""
    from pave_wire import coap

    if action < 4:
        response = coap.Message(coap.CON, coap.CHANGED, 0, event.message.token)
        try_to(layer.respond, response, event.message.mid, event.address)
    else:
        [layer.acknowledge, layer.reject, layer.forget, layer.reject][action - 4](event.message, event.address)


def try_to(call: Any, *arguments: Any) -> Any:
    """Call; there may be no room, or what is asked may be too long."""
    from pave_wire.errors import CoapError

    try:
        return call(*arguments)
    except CoapError:
        return None


def layer_seeds() -> list[bytes]:
    """A request and its duplicate, an answer, a RST, a ping."""
    from pave_wire import coap

    encode, message = coap.encode, coap.Message
    request = encode(message(coap.CON, coap.POST, 9, b"\1", [(11, b"r")], b"x"))
    return [
        as_steps([b"\2" + request, b"\0" + request, b"\xf4" + encode(message(coap.NON, coap.GET, 10))]),
        as_steps([b"\1x", b"\1x", b"\0" + encode(message(coap.ACK, 0, 7)), b"\0" + encode(message(coap.RST, 0, 8))]),
        as_steps([b"\0" + encode(message(coap.CON, 0, 5)), b"\xf0\x40", b"\5" + request, b"\4" + request]),
    ]
