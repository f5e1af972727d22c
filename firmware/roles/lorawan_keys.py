"""The keys this device shares with its LoRaWAN network, and their counters, in NVS under "lora": one failure domain.

    dev_eui     blob  8 bytes      } made by the technician's tool; never changed
    join_eui    blob  8 bytes      }
    app_key     blob  16 bytes     }
    dev_nonce   i32   the next one that was never used
    join_nonce  i32   the lowest that a Join-Accept may have
    airtime_ms  i32   time on air that the hour of no sub-band exceeds (see app/lora_duty.py)
    session     blob  CBOR: what was agreed with the network, and the session's keys (see app/lora_mac.py)
    counters    blob  JoinNonce of the session they belong to, FCntUp below which any may have been used, FCntDown
                      accepted last plus 1; 4 bytes each, big-endian

Numbers that began again at 0 would seal two frames under one key stream, and use a DevNonce twice. So where anything is
missing beside the AppKey, nothing is sent until the device is provisioned anew. A session whose counters are missing,
damaged or another session's is over: the device joins, which gives new keys.

NVS is written before each Join-Request; at a join; when a block of `limits.LORA_FCNT_RESERVE` counters is used up,
after a cut of power as well; when the network changes what is agreed, or has said more than an acknowledgement. Within
the block RTC memory knows the next counter. So a bay with 64 frames a day writes once a day.
"""

import struct

from esp32 import NVS

from app import limits
from pave_wire import cbor
from pave_wire.errors import WireError
from roles.persistent import found

_COUNTERS = ">III"
_SESSION_BYTES = 512
_DEV_NONCE_END = 0x10000


class KeysError(OSError):
    """Without keys this device says nothing; the message says what is missing, and the next step."""


class Keys:
    """The device's keys, and the memory of `app.lora_session`.

    Attributes:
        dev_eui, join_eui, app_key: bytes.
        join_nonce: the lowest that a Join-Accept may have.
        airtime_ms: as above.

    Raises:
        KeysError: no keys, or something is missing beside them.
        OSError: NVS is damaged; in every method.
    """

    def __init__(self):
        self._nvs = NVS("lora")
        self.app_key = self._blob("app_key", 16)
        if self.app_key is None:
            raise KeysError("no LoRaWAN keys in NVS; provision this device")
        self.dev_eui = self._needed("dev_eui", self._blob("dev_eui", 8))
        self.join_eui = self._needed("join_eui", self._blob("join_eui", 8))
        self._dev_nonce = self._needed("dev_nonce", found(self._nvs.get_i32, "dev_nonce"))
        self.join_nonce = self._needed("join_nonce", found(self._nvs.get_i32, "join_nonce"))
        self.airtime_ms = self._needed("airtime_ms", found(self._nvs.get_i32, "airtime_ms"))

    def next_dev_nonce(self):
        """Return a DevNonce that was never used, and is not given again.

        Raises:
            KeysError: all 65,536 are used up.
        """
        dev_nonce = self._dev_nonce
        if not 0 <= dev_nonce < _DEV_NONCE_END:
            raise KeysError("DevNonce %d: all are used up; provision this device anew" % dev_nonce)
        self._nvs.set_i32("dev_nonce", dev_nonce + 1)
        self._nvs.commit()
        self._dev_nonce = dev_nonce + 1
        return dev_nonce

    def session(self):
        """Return (agreed, FCntUp reserved, FCntDown accepted last or -1) of the session, or None for none."""
        raw = self._blob("counters", struct.calcsize(_COUNTERS), exact=False)
        stored = self._blob("session", _SESSION_BYTES, exact=False)
        if raw is None or stored is None or len(raw) != struct.calcsize(_COUNTERS):
            return None
        join_nonce, reserved, down = struct.unpack(_COUNTERS, raw)
        try:
            agreed = cbor.loads(stored)
        except WireError:
            return None
        return (agreed, reserved, down - 1) if agreed[0] == join_nonce else None

    def joined(self, agreed):
        """Store a new session, its counters first: cut short, it leaves one without counters, which is over."""
        join_nonce = agreed[0]
        self._nvs.set_i32("join_nonce", join_nonce + 1)
        self._nvs.set_blob("counters", struct.pack(_COUNTERS, join_nonce, limits.LORA_FCNT_RESERVE, 0))
        self._nvs.commit()
        self.join_nonce = join_nonce + 1
        self.keep_agreed(agreed)
        return limits.LORA_FCNT_RESERVE

    def keep_agreed(self, agreed):
        """Store what the network has changed."""
        self._nvs.set_blob("session", cbor.dumps(agreed))
        self._nvs.commit()

    def keep_counters(self, join_nonce, reserved, fcnt_down):
        """Store that FCntUp below `reserved` may have been used, and that `fcnt_down` was accepted."""
        self._nvs.set_blob("counters", struct.pack(_COUNTERS, join_nonce, reserved, fcnt_down + 1))
        self._nvs.commit()

    def keep_airtime(self, airtime_ms):
        """Store the bound of time on air."""
        self._nvs.set_i32("airtime_ms", airtime_ms)
        self._nvs.commit()
        self.airtime_ms = airtime_ms

    def _blob(self, key, size, exact=True):
        raw = bytearray(size)
        got = found(self._nvs.get_blob, key, raw)
        if got is not None and exact and got != size:
            raise KeysError("NVS lora %s has %d bytes, not %d; provision this device anew" % (key, got, size))
        return None if got is None else bytes(raw[:got])

    def _needed(self, key, value):
        if value is None:
            raise KeysError("NVS lora %s is missing beside the AppKey; provision this device anew" % key)
        return value
