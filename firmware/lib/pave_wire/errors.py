"""Named errors of the wire. Every decoder raises one of these, and nothing else, whatever bytes it is given."""

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.oscore import Exchange


class WireError(ValueError):
    """Bytes or values that the contract does not allow; `str(error)` says what was found and what is allowed."""


class CborError(WireError):
    """Not the CBOR (RFC 8949) this contract accepts."""


class SenmlError(WireError):
    """CBOR, but not SenML (RFC 8428)."""


class ModelError(WireError):
    """SenML, but not Pavé's readings or availability."""


class EventError(WireError):
    """Not a presence event or its acknowledgement, or a reading that does not fit an event: that one goes as SenML."""


class SchcError(WireError):
    """No SCHC rule (RFC 8724) fits the message, or the bytes are not what their rule says."""


class CoapError(WireError):
    """Not a CoAP message (RFC 7252), or one this endpoint does not send."""


class CoapBusyError(CoapError):
    """Local: too many requests or confirmable messages are open; one must end first."""


class TagError(WireError):
    """AES-CCM: the tag is not that of this key, nonce, associated data and ciphertext."""


class OscoreError(WireError):
    """A message that OSCORE (RFC 8613) refuses; nothing of it may act. Subclasses below say why."""


class OscoreFormatError(OscoreError):
    """Not an OSCORE message, or one that cannot be ("Failed to decode COSE", RFC 8613, 8.2)."""


class OscoreContextError(OscoreError):
    """No security context for its kid and kid context ("Security context not found")."""


class OscoreReplayError(OscoreError):
    """Its Partial IV was received before, or is older than the replay window ("Replay detected")."""


class OscoreTagError(OscoreError):
    """Not from the peer that holds the key, or not in answer to this request ("Decryption failed")."""


class OscoreEchoError(OscoreError):
    """Authentic, but the replay window was lost: `exchange` is for the 4.01 that asks for Echo."""

    exchange: "Exchange"


class OscoreSequenceError(OscoreError):
    """Local: the sender sequence number that is next is not reserved in durable memory, or there are none left."""


class OscoreNonceError(OscoreError):
    """Local: the nonce of the request may not seal this response."""


class LinkFormatError(WireError):
    """Not a list of links (RFC 6690)."""


class CoseError(WireError):
    """Not a COSE_Sign1 (RFC 9052) with its payload inside."""


class CoseAlgorithmError(CoseError):
    """Signed with something other than ES256, or the protected header does not say with what."""


class CoseCriticalError(CoseError):
    """A header that must be understood is not."""


class CoseKeyError(CoseError):
    """Signed by a key that is not trusted here."""


class CoseSignatureError(CoseError):
    """The signature is not that of the key it names over these bytes."""


class BundleError(WireError):
    """Signed, but no manifest of an update."""


class BundleVersionError(BundleError):
    """A manifest of another format version."""


class BundleVendorError(BundleError):
    """An update for another vendor's device."""


class BundleClassError(BundleError):
    """An update for another role or board."""


class BundleSequenceError(BundleError):
    """An update no newer than what is installed."""


class BundlePathError(BundleError):
    """A file that would be written where it may not."""


class BundleSizeError(BundleError):
    """More files or bytes than there is room for."""


class LorawanError(WireError):
    """Not a LoRaWAN 1.0.4 frame or MAC command, or one this contract does not send."""


class MicError(LorawanError):
    """The message integrity code is not the one this session or root key gives."""


class AddressError(LorawanError):
    """A frame for another device address."""


class ReplayError(LorawanError):
    """An authentic frame whose counter was used before; equal to the last one, it is the sender's own repetition."""

    counter: int = -1


class RegionError(WireError):
    """A frequency, data rate, power or airtime that the regional plan does not allow."""
