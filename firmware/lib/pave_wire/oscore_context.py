"""OSCORE's security context (RFC 8613, 3): the keys two peers share, and the two counters that keep them safe.

Two numbers must never go back, or a nonce is used twice and a replay is accepted. Both are plain values that the
caller keeps in durable memory beside the keys; neither can be set on a living context.

Sender sequence number (RFC 8613, 7.2 and B.1.1). A context seals only under numbers below `reserved`. The caller asks
`reservation_due`, stores the limit it returns, and only then says `reserve(limit)`. After a boot the stored limit is
where the new context starts, so numbers are skipped and none is used twice.

    sequence < reserved    sealing uses `sequence` and counts on
    sequence = reserved    sealing raises OscoreSequenceError, until `reserve`
    sequence = 2**40       the keys are used up for good

Replay window (RFC 8613, 7.4 and B.1.2). `window` is (highest, seen): the highest Partial IV accepted, -1 for none,
and a mask whose bit n stands for highest - n. It is to be stored before the request that changed it acts or is
answered. A server that lost it passes None: no request is then accepted until one proves, by the Echo option, that it
was made after the boot.

    state                      request                        next             said to the caller
    -------------------------  -----------------------------  ---------------  -------------------------
    (highest, seen)            new Partial IV, authentic      (highest, seen)  the request
    (highest, seen)            seen, or 32 behind             the same         OscoreReplayError
    None, no challenge         any                            the same         OscoreReplayError
    None, challenge            authentic, Echo not challenge  the same         OscoreEchoError: send 4.01 + Echo
    None, challenge            not above one so challenged    the same         OscoreReplayError
    None, challenge            authentic, Echo is challenge   (its PIV, all)   the request

A challenge is answered under a new Partial IV, so who sees an old request again says nothing: each 4.01 costs a
sequence number. The highest Partial IV challenged is kept in memory only.
"""

from pave_wire import cbor, hkdf, limits
from pave_wire.ccm import ccm
from pave_wire.errors import OscoreContextError, OscoreSequenceError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    Window = tuple[int, int]

FRESH_WINDOW = (-1, 0)  # of keys that were never used
KEY_BYTES = 16
NONCE_BYTES = 13
_AES_CCM_16_64_128 = 10  # its number in COSE
_ALL_SEEN = (1 << limits.OSCORE_WINDOW) - 1
_AAD_HEAD = b"\x83\x68Encrypt0\x40"
_AAD_ARRAY = b"\x85\x01\x81\x0a"  # version 1, [AES-CCM-16-64-128], and three strings to follow


def derive(pseudorandom_key: bytes, role_id: bytes, id_context: bytes | None, kind: str, length: int) -> bytes:
    """Return `length` bytes for `kind` "Key" or "IV" (RFC 8613, 3.2.1), from HKDF's extract of salt and secret."""
    info = cbor.dumps([role_id, id_context, _AES_CCM_16_64_128, kind, length])
    return hkdf.expand(pseudorandom_key, info, length)


class Context:
    """What two peers share: keys for both directions, the next sequence number, the replay window.

    Args:
        master_secret: bytes; as `master_salt`, `id_context` the same at both peers.
        master_salt: bytes, b"" for none.
        sender_id: 0 to 7 bytes, unique under one secret, salt and ID context.
        recipient_id: the peer's sender_id.
        sequence: first number not yet reserved by an earlier life of these keys: 0 for new keys.
        window: the stored window, `FRESH_WINDOW` for new keys, None if it was lost.
        id_context: bytes or None. If there is one, requests carry it as kid context.

    Raises:
        OscoreContextError: an ID is too long, or both peers have the same.
    """

    __slots__ = (
        "_challenge",
        "_challenged",
        "_kid_in_request",
        "_kid_of_peer",
        "_recipient_iv",
        "_sender_iv",
        "_window",
        "id_context",
        "open",
        "recipient_id",
        "reserved",
        "seal",
        "sender_id",
        "sequence",
    )

    def __init__(
        self,
        master_secret: bytes,
        master_salt: bytes,
        sender_id: bytes,
        recipient_id: bytes,
        sequence: int,
        window: "Window | None",
        id_context: bytes | None = None,
    ) -> None:
        if max(len(sender_id), len(recipient_id)) > limits.OSCORE_ID_BYTES or sender_id == recipient_id:
            raise OscoreContextError("IDs are two different strings of at most %d bytes" % limits.OSCORE_ID_BYTES)
        if id_context is not None and len(id_context) > limits.OSCORE_ID_CONTEXT_BYTES:
            raise OscoreContextError("ID context of at most %d bytes" % limits.OSCORE_ID_CONTEXT_BYTES)
        key = hkdf.extract(master_salt, master_secret)
        self.seal = ccm(derive(key, sender_id, id_context, "Key", KEY_BYTES)).seal
        self.open = ccm(derive(key, recipient_id, id_context, "Key", KEY_BYTES)).open
        common_iv = int.from_bytes(derive(key, b"", id_context, "IV", NONCE_BYTES), "big")
        self._sender_iv = common_iv ^ _padded_id(sender_id)
        self._recipient_iv = common_iv ^ _padded_id(recipient_id)
        self._kid_in_request = _AAD_ARRAY + bytes((0x40 | len(sender_id),)) + sender_id
        self._kid_of_peer = _AAD_ARRAY + bytes((0x40 | len(recipient_id),)) + recipient_id
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.id_context = id_context
        self.sequence = sequence
        self.reserved = sequence
        self._window = window
        self._challenge = b""
        self._challenged = -1  # highest Partial IV that was asked for Echo

    def find(self, kid: bytes, kid_context: bytes | None) -> "Context | None":
        """Return this context if a request with these names it: the look-up of an endpoint with a single peer."""
        return self if kid == self.recipient_id else None

    # Sender sequence numbers

    def reservation_due(self) -> int | None:
        """Return the limit that should be stored durably now, then be given to `reserve`; None if there is no need."""
        if self.reserved - self.sequence > limits.OSCORE_RESERVE // 2 or self.reserved == limits.OSCORE_SEQUENCE_END:
            return None
        return min(self.sequence + limits.OSCORE_RESERVE, limits.OSCORE_SEQUENCE_END)

    def reserve(self, limit: int) -> None:
        """Allow the sequence numbers below `limit`. Only once a later boot is sure to start at `limit` or above."""
        self.reserved = max(self.reserved, min(limit, limits.OSCORE_SEQUENCE_END))

    def take_number(self) -> int:
        """Return the next sender sequence number, which no one gets again.

        Raises:
            OscoreSequenceError: it is not reserved.
        """
        number = self.sequence
        if number >= self.reserved:
            raise OscoreSequenceError("sequence number %d is not reserved; store a limit, then reserve" % number)
        self.sequence = number + 1
        return number

    # Nonces and additional data

    def sender_nonce(self, number: int) -> bytes:
        """Return the nonce under this endpoint's Partial IV `number` (RFC 8613, 5.2)."""
        return (self._sender_iv ^ number).to_bytes(NONCE_BYTES, "big")

    def recipient_nonce(self, number: int) -> bytes:
        """Return the nonce under the peer's Partial IV `number`."""
        return (self._recipient_iv ^ number).to_bytes(NONCE_BYTES, "big")

    def own_request_aad(self, piv: bytes) -> bytes:
        """Return the additional data of a request from here and its responses (RFC 8613, 5.4)."""
        return _aad(self._kid_in_request, piv)

    def peer_request_aad(self, piv: bytes) -> bytes:
        """Return the additional data of a request from the peer and its responses."""
        return _aad(self._kid_of_peer, piv)

    # Replay window

    @property
    def window(self) -> "Window | None":
        """The window, to be stored before what changed it takes effect; None while it is lost."""
        return self._window

    @property
    def challenge(self) -> bytes:
        """The value of the Echo option that is being waited for, b"" for none."""
        return self._challenge

    def lose_window(self, challenge: bytes) -> None:
        """Accept nothing until a request echoes `challenge`: random bytes of this boot, 8 to 40 (RFC 9175, 2.2)."""
        if not 8 <= len(challenge) <= limits.COAP_ECHO_BYTES:
            raise OscoreContextError("Echo challenge of %d bytes; 8 to 40" % len(challenge))
        self._window = None
        self._challenge = challenge

    def is_new(self, number: int) -> bool:
        """Say whether a request with this Partial IV may still be accepted or, the window lost, challenged."""
        if self._window is None:
            return bool(self._challenge) and number > self._challenged
        highest, seen = self._window
        behind = highest - number
        return behind < 0 or (behind < limits.OSCORE_WINDOW and not seen >> behind & 1)

    def accept(self, number: int) -> None:
        """Mark a Partial IV that `is_new`, whose request is authentic."""
        highest, seen = self._window or FRESH_WINDOW
        ahead = number - highest
        if ahead <= 0:
            self._window = highest, seen | 1 << -ahead
        elif ahead < limits.OSCORE_WINDOW:
            self._window = number, (seen << ahead | 1) & _ALL_SEEN
        else:
            self._window = number, 1

    def accept_fresh(self, number: int, echo: bytes | None) -> bool:
        """Start the window anew at `number` if `echo` is the challenge: everything up to it is seen (B.1.2).

        If not, `number` has had its challenge; only for an authentic request.
        """
        if not self._challenge:
            return False
        if echo != self._challenge:
            self._challenged = max(self._challenged, number)
            return False
        self._window = number, _ALL_SEEN
        self._challenge = b""
        return True


def _padded_id(role_id: bytes) -> int:
    """Return the size and ID of RFC 8613, figure 8, in the place they have in the nonce."""
    return len(role_id) << 8 * (NONCE_BYTES - 1) | int.from_bytes(role_id, "big") << 40


def _aad(array_with_kid: bytes, piv: bytes) -> bytes:
    """Return the Enc_structure around [1, [10], kid, piv, h'']; every length in it is below 24, one byte."""
    size = len(piv)
    return _AAD_HEAD + bytes((0x42 + len(array_with_kid) + size,)) + array_with_kid + bytes((0x40 | size,)) + piv + b"@"
