"""A device with OSCORE keys on a real socket: made of `pave_wire` alone, it sends, answers Echo, and takes requests."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, model, oscore
from pave_wire.coap import ACK, CON, Message
from pave_wire.oscore_context import FRESH_WINDOW, Context
from pave_wire.oscore_options import decode_value, oscore_value

TIMEOUT_S = 2.0


class OscoreDevice(asyncio.DatagramProtocol):
    """Knows one gateway; `answer(path, payload)` says what it answers to a request from there."""

    def __init__(self, device: str, keys: OscoreKeys, sequence: int = 0) -> None:
        self.device = device
        self.keys = keys
        self.gateway_id = keys.gateway_id
        self.context = self._context(sequence)
        self.challenges = 0
        self.named = 0  # times another gateway named itself
        self.sent: list[bytes] = []  # every datagram
        self.asked: list[tuple[str, bytes]] = []  # requests of the gateway
        self.answer: Callable[[str, bytes], bytes] = lambda path, payload: b""
        self._mids = itertools.count(1)
        self._waiting: dict[bytes, tuple[oscore.Exchange, asyncio.Future[Message]]] = {}

    def _context(self, sequence: int) -> Context:
        keys = self.keys
        made = Context(keys.secret, keys.salt, keys.device_id, self.gateway_id, sequence, FRESH_WINDOW)
        made.reserve(1 << 38)
        return made

    async def open(self, address: tuple[str, int]) -> "OscoreDevice":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=address)
        return self

    def close(self) -> None:
        self._transport.close()

    async def report(self, seq: int, epoch: int = 1, **values: Any) -> str:
        """Send a report of one reading; return the code of the answer."""
        reading = model.Reading(self.device, epoch, seq, 0, values or {"occupied": bool(seq & 1), "reason": "field"})
        answer = await self.request(coap.POST, "r", model.pack_readings(self.device, [reading]), 112)
        return coap.code_text(answer.code)

    async def request(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        content_format: int | None = None,
        echo: bytes = b"",
        query: str = "",
    ) -> Message:
        """Send a request and return its answer, after a challenge too; raises TimeoutError."""
        options = [(coap.URI_PATH, path.encode())]
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint(content_format)))
        if query:
            options.append((coap.URI_QUERY, query.encode()))
        if echo:
            options.append((coap.ECHO, echo))
        mid = next(self._mids)
        message = Message(CON, code, mid, mid.to_bytes(4, "big"), options, payload)
        outer, exchange = oscore.seal_request(self.context, message)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[message.token] = (exchange, future)
        self.send(coap.encode(outer))
        async with asyncio.timeout(TIMEOUT_S):
            answer = await future
        challenge = answer.option(coap.ECHO)
        if answer.code == coap.UNAUTHORIZED and challenge and not echo:
            self.challenges += 1
            return await self.request(code, path, payload, content_format, challenge, query)
        return answer

    def send(self, data: bytes) -> None:
        """Send a datagram as it is."""
        self.sent.append(data)
        self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        message = coap.decode(data)
        if message.code == coap.EMPTY:
            return
        if message.code >> 5 == 0:
            self._requested(message)
            return
        if message.type == CON:
            self._transport.sendto(coap.encode(Message(ACK, coap.EMPTY, message.mid)))
        waiting = self._waiting.get(message.token)
        if waiting is not None and not waiting[1].done():
            self._waiting.pop(message.token)
            waiting[1].set_result(self._opened(waiting[0], message))

    def _opened(self, exchange: oscore.Exchange, message: Message) -> Message:
        _, kid, _ = decode_value(oscore_value(message.options))
        if kid is None or kid == self.gateway_id:
            return oscore.open_response(exchange, message)
        self.gateway_id = kid  # it names itself: another gateway (`core.keys`)
        self.named += 1
        self.context = self._context(self.context.sequence)
        exchange.context = self.context
        return oscore.open_response(exchange, message)

    def _requested(self, message: Message) -> None:
        inner, exchange = oscore.open_request(lambda kid, context: self.context, message)
        self.asked.append((inner.path, inner.payload))
        payload = self.answer(inner.path, inner.payload)
        options = [(coap.CONTENT_FORMAT, coap.uint(60))] if payload else []
        answer = Message(ACK, coap.CHANGED, message.mid, message.token, options, payload)
        self._transport.sendto(coap.encode(oscore.seal_response(exchange, answer, False, False)))
