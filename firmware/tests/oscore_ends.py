# Both ends of an OSCORE association, and messages for them: shared by the tests of OSCORE.
import hashlib
from binascii import unhexlify

from pave_wire import coap, oscore
from pave_wire.coap import ACK, CON, CONTENT, GET, Message
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.oscore_context import FRESH_WINDOW, Context

SECRET = unhexlify("0102030405060708090a0b0c0d0e0f10")
SALT = unhexlify("9e7ca92223786340")
ID_CONTEXT = unhexlify("37cbf3210017a2d3")
RESERVED = 1 << 20
DEVICE_ID = b"device"


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


class Memory:
    """A device's durable memory (`coap_oscore.Memory`) as a dict; the power may fail at any write.

    Attributes:
        stored: what a boot finds.
        volatile: what RTC memory has; a power cut forgets it.
        writes: how many there were.
        cut_at: the number of the write (1 is the first) that fails and stores nothing, or 0.
        said: everything it was asked to do, in order.
    """

    def __init__(self, gateway_id, ledger=None):
        self.stored = {"reserved": 0, "peer": (gateway_id, FRESH_WINDOW)}
        self.volatile = None
        self.writes = 0
        self.cut_at = 0
        self.said = []
        self._ledger = ledger

    def boot(self):
        """Return the security of a new life."""
        peer_id, window = self.stored["peer"]
        reserved = self.stored["reserved"]
        made = self.context(peer_id, reserved if self.volatile is None else self.volatile, window)
        made.reserve(reserved)
        return OscoreSecurity(made, self)

    def reserve(self, limit):
        self._write("reserved", limit)

    def used(self, sequence):
        self.said.append(("used", sequence))
        self.volatile = sequence

    def keep_peer(self, peer_id, window):
        self._write("peer", (peer_id, window))

    def context(self, peer_id, sequence, window):
        made = Context(SECRET, SALT, DEVICE_ID, peer_id, sequence, window)
        return made if self._ledger is None else self._ledger.watch(made)

    def _write(self, key, value):
        self.writes += 1
        if self.writes == self.cut_at:
            raise OSError(5)
        self.said.append((key, value))
        self.stored[key] = value


class Ledger:
    """What was sealed under which (sender, nonce): as one secret is in use, under which key and nonce.

    Kept as digests of 48 bits in many small dicts: the VM's heap is small, and in pieces.
    """

    def __init__(self):
        self._sealed = [{} for _ in range(64)]
        self.count = 0
        self.reused = 0  # how many have sealed two things

    def watch(self, context):
        """Note what `context` seals from now on; return it."""
        seal = context.seal

        def noted(nonce, plaintext, aad):
            self._note(_digest(context.sender_id + nonce), _digest(aad + plaintext))
            return seal(nonce, plaintext, aad)

        context.seal = noted
        return context

    def _note(self, key, said):
        sealed = self._sealed[key % 64]
        self.count += key not in sealed
        self.reused += sealed.get(key, said) != said
        sealed[key] = said


def _digest(data):
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big")


class Naming:
    """The `security` of a gateway that knows no window: it asks for Echo once, and names itself in that."""

    def __init__(self, gateway_id, ledger=None, window=None):
        self.context = Context(SECRET, SALT, gateway_id, DEVICE_ID, 0, window)
        if window is None:
            self.context.lose_window(b"fresh: " + gateway_id)
        self.context.reserve(RESERVED)
        self.names = window is None
        if ledger is not None:
            ledger.watch(self.context)

    def seal_request(self, message, address):
        return oscore.seal_request(self.context, message)

    def open_response(self, binding, message):
        return oscore.open_response(binding, message)

    def open_request(self, message, address):
        return oscore.open_request(self.context.find, message)

    def seal_response(self, binding, message):
        bare = message.code == coap.CHANGED and not message.payload and binding.nonce_free
        return oscore.seal_response(binding, message, bare, self.names and message.code == coap.UNAUTHORIZED)
