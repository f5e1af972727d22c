"""Named errors of the wire. Every decoder raises one of these, and nothing else, whatever bytes it is given."""


class WireError(ValueError):
    """Bytes or values that the contract does not allow; `str(error)` says what was found and what is allowed."""


class CborError(WireError):
    """Not the CBOR (RFC 8949) this contract accepts."""


class SenmlError(WireError):
    """CBOR, but not SenML (RFC 8428)."""


class ModelError(WireError):
    """SenML, but not Pavé's readings or availability."""


class CoapError(WireError):
    """Not a CoAP message (RFC 7252), or one this endpoint does not send."""
