# Both ends of an OSCORE association, and messages for them: shared by the tests of OSCORE.
from binascii import unhexlify

from pave_wire import coap, oscore
from pave_wire.coap import ACK, CON, CONTENT, GET, Message
from pave_wire.oscore_context import FRESH_WINDOW, Context

SECRET = unhexlify("0102030405060708090a0b0c0d0e0f10")
SALT = unhexlify("9e7ca92223786340")
ID_CONTEXT = unhexlify("37cbf3210017a2d3")
RESERVED = 1 << 20


def pair(salt=SALT, client_id=b"", id_context=None, sequence=0, server_window=FRESH_WINDOW):
    client = Context(SECRET, salt, client_id, b"\x01", sequence, FRESH_WINDOW, id_context)
    server = Context(SECRET, salt, b"\x01", client_id, 0, server_window, id_context)
    client.reserve(RESERVED)
    server.reserve(RESERVED)
    return client, server


def request(*options, code=GET, payload=b""):
    return Message(CON, code, 0x1234, b"tk", list(options), payload)


def response(*options, code=CONTENT, payload=b"", kind=ACK):
    return Message(kind, code, 0x1234, b"tk", list(options), payload)


def exchanged(message=None):
    """Return (client's exchange, server's exchange, the OSCORE message between) of one accepted request."""
    client, server = pair()
    outer, asked = oscore.seal_request(client, message or request((coap.URI_PATH, b"a")))
    _, answered = oscore.open_request(server.find, outer)
    return asked, answered, outer


def observed():
    return exchanged(request((coap.OBSERVE, b""), (coap.URI_PATH, b"a")))[:2]


def same(one, other):
    fields = ("type", "code", "mid", "token", "payload")
    return all(getattr(one, f) == getattr(other, f) for f in fields) and list(one.options) == list(other.options)
