"""The keys that this device shares with its gateway, and their counters, in NVS under "oscore": one failure domain.

    secret    blob  Master Secret  } made by the technician's tool for this device alone, and never changed
    salt      blob  Master Salt    }
    id        blob  the device's Sender ID: the kid of its requests
    gateway   blob  bytes 0-3 mask, 4-9 highest Partial IV accepted plus 1 (0: none), big-endian; 10- the gateway's ID
    reserved  i32   sender sequence numbers below it may have been used

Numbers that began again at 0 would seal two messages under one nonce. So where anything is missing beside the secret,
nothing is sent until the device is provisioned anew; and plain CoAP is spoken only where there is no secret and
/config.json says `insecure`.

NVS is written when a block of `limits.OSCORE_RESERVE` numbers is used up, at most once in a power-on besides. Within
the block RTC memory knows the next number, also after a crash: it is told before the number is used. Were NVS ever
older than RTC memory, the higher number counts.
"""

from esp32 import NVS

from pave_wire import limits
from roles import rtc_state
from roles.persistent import found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOB_BYTES = 32
_PEER_ID = 10
_RESERVED_MAX = 0x7FFFFFFF  # an i32: 68 years of a message each second


class KeysError(OSError):
    """Without keys this device says nothing; the message says what is missing, and the next step."""


class Keys:
    """The device's keys, and the `Memory` of `pave_wire.coap_oscore`. Make one at a time.

    Attributes:
        security: what a CoapLink takes; None for plain CoAP.

    Raises:
        KeysError: no keys, or a counter is missing beside them.
        OSError: NVS is damaged.
    """

    def __init__(self, settings):
        self._nvs = NVS("oscore")
        self._secret = self._stored("secret")
        self.security = None
        if self._secret is not None:
            self.security = self._made()
        elif not settings["gateway"].get("insecure"):
            raise KeysError("no keys in NVS and no `insecure` in /config.json; provision this device")

    def _made(self):
        # Imported only where there are keys: a device without them need not have the room.
        from pave_wire.coap_oscore import OscoreSecurity

        self._salt = self._needed("salt")
        self._id = self._needed("id")
        peer = self._needed("gateway")
        if len(peer) <= _PEER_ID:
            raise KeysError("NVS oscore gateway has %d bytes; provision this device anew" % len(peer))
        window = int.from_bytes(peer[4:_PEER_ID], "big") - 1, int.from_bytes(peer[:4], "big")
        reserved = self._needed("reserved")
        sequence = rtc_state.sequence()
        if sequence is None or sequence < reserved - limits.OSCORE_RESERVE:
            sequence = reserved
        context = self.context(peer[_PEER_ID:], sequence, window)
        context.reserve(reserved)
        return OscoreSecurity(context, self)

    # Memory

    def context(self, peer_id, sequence, window):
        """Return the context of these keys with the gateway `peer_id` (bytes)."""
        from pave_wire.oscore_context import Context

        return Context(self._secret, self._salt, self._id, peer_id, sequence, window)

    def reserve(self, limit):
        """Store that sequence numbers below `limit` may be used from now on; raises OSError if that fails."""
        if limit > _RESERVED_MAX:
            raise KeysError("sequence numbers are used up; provision this device anew")
        self._nvs.set_i32("reserved", limit)
        self._nvs.commit()

    def used(self, sequence):
        """Keep the number that is next through deep sleep and crashes."""
        rtc_state.set_sequence(sequence)

    def keep_peer(self, peer_id, window):
        """Store the gateway's ID and the replay window of its requests; raises OSError if that fails."""
        highest, seen = window
        self._nvs.set_blob("gateway", seen.to_bytes(4, "big") + (highest + 1).to_bytes(_PEER_ID - 4, "big") + peer_id)
        self._nvs.commit()

    # NVS

    def _needed(self, key) -> "Any":
        value = self._stored(key)
        if value is None:
            raise KeysError("NVS oscore %s is missing beside the secret; provision this device anew" % key)
        return value

    def _stored(self, key) -> "Any":
        if key == "reserved":
            return found(self._nvs.get_i32, key)
        raw = bytearray(_BLOB_BYTES)
        size = found(self._nvs.get_blob, key, raw)
        return None if size is None else bytes(raw[:size])
