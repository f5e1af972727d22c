# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (decoded data may be of any type; isinstance narrows it as far as it goes)
"""COSE_Sign1 with ES256 (RFC 9052, 4.2; RFC 9053, 2.1): bytes signed by one of a few keys known beforehand.

    18([<<{1: -7, 4: kid}>>, {}, payload, r || s])

The tag is required and the payload is inside. The algorithm must be in the protected header. The key ID, which only
chooses among keys that are all trusted, is written there and read from either header. There is no external data;
"crit" (RFC 9052, 3.1) is refused, since no extension is understood; other unknown labels are ignored.
"""

from pave_wire import cbor, limits, p256
from pave_wire.errors import CoseAlgorithmError, CoseCriticalError, CoseError, CoseKeyError, CoseSignatureError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    Keys = dict[bytes, bytes]  # key ID: public key, 64 bytes (x || y)

ES256 = -7
_TAG = 0xD2  # 18, COSE_Sign1
_ALG, _CRIT, _KID = 1, 2, 4


def to_be_signed(kid: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure (RFC 9052, 4.4) whose ES256 signature `assemble` takes."""
    return _structure(_protected(kid), payload)


def assemble(kid: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the COSE_Sign1 bytes of `payload`; `signature` is r || s (64 bytes) over `to_be_signed(kid, payload)`."""
    return bytes((_TAG,)) + cbor.dumps([_protected(kid), {}, payload, signature])


def verify(data: bytes, keys: "Keys") -> bytes:
    """Return the payload (bytes) of the COSE_Sign1 `data`, which one of `keys` has signed.

    Raises:
        CborError, CoseError: not a COSE_Sign1 with its payload inside.
        CoseAlgorithmError: not ES256, or not said in the protected header.
        CoseCriticalError: a header that must be understood is not.
        CoseKeyError: the key ID is not in `keys`.
        CoseSignatureError: the key did not sign this.
    """
    protected, kid, payload, signature = decode(data)
    key = keys.get(kid)
    if key is None:
        raise CoseKeyError("signed by key %r, which is not among the %d trusted" % (kid, len(keys)))
    if not p256.verify(key, _structure(protected, payload), signature):
        raise CoseSignatureError("not signed by key %r" % kid)
    return payload


def decode(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return (protected header, key ID, payload, signature) of `data`; the signature is *not* verified.

    Raises: as `verify`, but for the last two.
    """
    if len(data) > limits.COSE_BYTES:
        raise CoseError("%d bytes; at most %d" % (len(data), limits.COSE_BYTES))
    if not data or data[0] != _TAG:
        raise CoseError("does not begin with tag 18, COSE_Sign1")
    parts = cbor.loads(data[1:])
    if not isinstance(parts, list) or len(parts) != 4:
        raise CoseError("COSE_Sign1 is an array of 4")
    protected, unprotected, payload, signature = parts
    if not (isinstance(protected, bytes) and isinstance(unprotected, dict)):
        raise CoseError("headers are not a byte string and a map")
    if not (isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise CoseError("payload (detached?) or signature is not a byte string")
    kid = _check_headers(cbor.loads(protected) if protected else {}, unprotected)
    return protected, kid, payload, signature


def _check_headers(protected: "Any", unprotected: "dict[Any, Any]") -> bytes:
    """Return the key ID."""
    if not isinstance(protected, dict):
        raise CoseError("the protected header is not a map")
    for label in unprotected:
        if label in protected:  # RFC 9052, 3
            raise CoseError("header %r is in both maps" % label)
    if _CRIT in protected or _CRIT in unprotected:
        raise CoseCriticalError("critical headers %r are not understood" % (protected.get(_CRIT),))
    algorithm = protected.get(_ALG)
    if not isinstance(algorithm, int) or algorithm != ES256:  # -7.0 is equal, and another algorithm's name
        raise CoseAlgorithmError("algorithm %r in the protected header; only %d, ES256" % (algorithm, ES256))
    kid = protected.get(_KID, unprotected.get(_KID))
    if not isinstance(kid, bytes):
        raise CoseError("key ID %r is not a byte string" % (kid,))
    return kid


def _protected(kid: bytes) -> bytes:
    return cbor.dumps({_ALG: ES256, _KID: kid})


def _structure(protected: bytes, payload: bytes) -> bytes:
    return cbor.dumps(["Signature1", protected, b"", payload])
