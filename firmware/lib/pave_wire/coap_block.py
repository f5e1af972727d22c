"""Bodies longer than a message, in blocks (RFC 7959), and the client's end of them; `coap_block_server` has the other.

A body that is sent goes in Block1 (from the client) or Block2 (from the server), one block per request. Both ends state
a size of block, 16 << szx bytes; the smaller one wins. Every block travels in a message of its own, so each is
retransmitted, deduplicated and sealed like any other.

Client: `Client` asks `start` before it sends, and gives each response to `received`.

    state      response                              next       sent
    ---------  ------------------------------------  ---------  ------------------------------------
    UPLOAD     2.xx, Block1 of the block just sent   UPLOAD     the next block (2.31, or of a stateless server any)
    UPLOAD     4.13, Block1 smaller than the first   UPLOAD     the first block anew, in that size
    UPLOAD     4.01 with Echo, the first time        UPLOAD     the first block anew, with the Echo
    UPLOAD     any other                             DOWNLOAD
    DOWNLOAD   no Block2, or no more to come         done
    DOWNLOAD   Block2 with more, the next in order   DOWNLOAD   a request for the next block
    DOWNLOAD   out of order, too long, other ETag    failed

A request that carries a Block2 option of its caller's is left alone: who asks for one block gets one block, so a device
can take a long file to its flash piece by piece. The blocks after the first of a notification are fetched by a request
beside the observation; a newer notification, or the last response, stops it.
"""

from pave_wire import coap, limits
from pave_wire.coap import Message
from pave_wire.errors import CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.coap import Options
    from pave_wire.coap_client import Client
    from pave_wire.coap_exchange import Exchange
    from pave_wire.coap_message import RandomBelow

SZX_MAX = 6  # 1,024 bytes
_TAGS = 1 << 24  # values of Request-Tag: 3 bytes


def pack(num: int, more: bool, szx: int) -> bytes:
    """Return the value of a Block1 or Block2 option: block number, whether more follow, size 16 << szx bytes."""
    return coap.uint(num << 4 | more << 3 | szx)


def unpack(raw: bytes) -> tuple[int, bool, int]:
    """Return (num, more, szx) of an option's value; raises CoapError for more than 3 bytes or the reserved szx 7."""
    value = coap.uint_value(raw)
    if len(raw) > 3 or value & 7 > SZX_MAX:
        raise CoapError("block option %r" % raw)
    return value >> 4, bool(value & 8), value & 7


def without(options: "Options", *numbers: int) -> "list[tuple[int, bytes]]":
    """Return `options` without those of these numbers."""
    return [option for option in options if option[0] not in numbers]


class Download:
    """The client's end of one body: what is to be sent, and what came."""

    __slots__ = ("at", "body", "came", "etag", "options", "szx")

    def __init__(self, options: "Options", szx: int) -> None:
        self.options = options  # of the request, without blocks
        self.szx = szx
        self.body: bytes | None = None  # while it is sent
        self.at = 0  # where in it the block begins that was sent last
        self.came = bytearray()
        self.etag: bytes | None = None


class Blocks:
    """One client's bodies in blocks.

    Args:
        szx: the size of block to use, 16 << szx bytes, 0 to 6.
        body_bytes: the longest body to put together.
    """

    def __init__(self, szx: int = SZX_MAX, body_bytes: int = limits.COAP_BODY_BYTES) -> None:
        self._szx = szx
        self._body_bytes = body_bytes
        self._tag = 0  # of the last upload

    def draw_tag(self, random_below: "RandomBelow") -> None:
        """Let the Request-Tags begin anywhere: a restarted client does not repeat those of before (RFC 9175, 3.3)."""
        self._tag = random_below(_TAGS)

    def start(self, exchange: "Exchange") -> Message:
        """Return the first message of a request: the whole of it, or its first block."""
        message = exchange.message
        if message.option(coap.BLOCK1) is not None or message.option(coap.BLOCK2) is not None:
            return message
        block = Download(message.options, self._szx)
        exchange.block = block
        if len(message.payload) > 16 << self._szx:
            self._tag = (self._tag + 1) % _TAGS
            block.options = coap.replaced(message.options, coap.REQUEST_TAG, self._tag.to_bytes(3, "big"))
            block.body = message.payload
            return self._upload(exchange, block, 0)
        if self._szx < SZX_MAX:  # small blocks are wanted: say so at once (RFC 7959, 2.4)
            message.options = coap.replaced(message.options, coap.BLOCK2, pack(0, False, self._szx))
        return message

    def received(self, client: "Client", exchange: "Exchange", message: Message, now_ms: int) -> Message | None:
        """Return the whole response, or None while more of it, or of the request, is under way; raises CoapError."""
        block = exchange.block
        if block is None:
            return message
        if block.body is not None:
            at = self._next_at(block, message)
            if at is not None:
                client.follow(exchange, self._upload(exchange, block, at), now_ms)
                return None
            block.body = None
        for older in client.fetching(exchange):  # the rest of a state that is no longer the newest
            client.close(older)
        raw = message.option(coap.BLOCK2)
        if raw is None:
            return message
        if exchange.watch is not None:
            exchange, block = self._beside(client, exchange, block)
        return self._download(client, exchange, block, message, raw, now_ms)

    def echoed(self, exchange: "Exchange", block: Download, echo: bytes) -> Message:
        """Return the request to repeat with `echo`, an upload from its first block on: the server kept none of it."""
        block.options = coap.replaced(block.options, coap.ECHO, echo)
        if block.body is not None:
            return self._upload(exchange, block, 0)
        last = exchange.message
        return Message(last.type, last.code, 0, b"", coap.replaced(last.options, coap.ECHO, echo), last.payload)

    def _upload(self, exchange: "Exchange", block: Download, at: int) -> Message:
        """Return the request with the block of the body that begins at `at`."""
        body = block.body or b""
        size = 16 << block.szx
        block.at = at
        options = coap.replaced(block.options, coap.BLOCK1, pack(at // size, at + size < len(body), block.szx))
        if at == 0:
            options = coap.replaced(options, coap.SIZE1, coap.uint(len(body)))
        request = exchange.message
        return Message(request.type, request.code, 0, b"", options, body[at : at + size])

    def _next_at(self, block: Download, message: Message) -> int | None:
        """Return where the next block to send begins, or None when the response is the last word."""
        raw = message.option(coap.BLOCK1)
        if raw is None:
            return None
        num, _, szx = unpack(raw)
        sent = 16 << block.szx
        if message.code == coap.TOO_LARGE and block.at == 0 and szx < block.szx:
            block.szx = szx
            return 0
        if message.code >> 5 != 2 or block.at + sent >= len(block.body or b""):
            return None
        if num != block.at // sent:
            raise CoapError("block %d acknowledged, %d was sent" % (num, block.at // sent))
        block.szx = min(szx, block.szx)
        return block.at + sent

    def _beside(self, client: "Client", exchange: "Exchange", block: Download) -> "tuple[Exchange, Download]":
        """Return what fetches the rest of a notification: an exchange of its own, the only one."""
        child = type(exchange)(client.new_token(), exchange.message, exchange.address)
        child.id = exchange.id
        child.parent = exchange
        child.block = Download(without(block.options, coap.OBSERVE), block.szx)
        return child, child.block

    def _download(
        self, client: "Client", exchange: "Exchange", block: Download, message: Message, raw: bytes, now_ms: int
    ) -> Message | None:
        num, more, szx = unpack(raw)
        etag = message.option(coap.ETAG)
        if num == 0:
            block.etag = etag
        elif etag != block.etag:
            if exchange.parent is not None:  # the notification of the change is on its way
                client.close(exchange)
                return None
            raise CoapError("the resource changed while it was read; ask again")
        size = 16 << szx
        if num * size != len(block.came) or (more and len(message.payload) != size):
            raise CoapError("block %d of %d bytes after %d bytes" % (num, len(message.payload), len(block.came)))
        if len(block.came) + len(message.payload) > self._body_bytes:
            raise CoapError("body of more than %d bytes" % self._body_bytes)
        block.came.extend(message.payload)
        if more:
            szx = min(szx, block.szx) if num == 0 else szx
            options = coap.replaced(block.options, coap.BLOCK2, pack(len(block.came) >> (szx + 4), False, szx))
            request = exchange.message
            client.follow(exchange, Message(request.type, request.code, 0, b"", options), now_ms)
            return None
        message.payload = bytes(block.came)
        message.options = without(message.options, coap.BLOCK1, coap.BLOCK2, coap.SIZE2)
        return message
