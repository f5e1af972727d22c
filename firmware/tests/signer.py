"""An ES256 key for tests that must also run where nothing else signs: not fit for any other use."""

import hashlib

from pave_wire import bundle, cose, p256


class Signer:
    """The private key `number`, known to all; `kid` is its ID and `public` its public key (64 bytes)."""

    def __init__(self, kid, number):
        self.kid = kid
        self._number = number
        x, y = self._times_g(number)
        self.public = x.to_bytes(32, "big") + y.to_bytes(32, "big")

    def _times_g(self, number):
        x, y, z = p256._sum_of_multiples(number, 0, p256._G)
        inverse = pow(z, p256._P - 2, p256._P)
        return x * inverse * inverse % p256._P, y * inverse * inverse * inverse % p256._P

    def sign(self, message):
        """Return r || s; the nonce is a hash of the key and the message (as in RFC 6979, but simpler)."""
        e = int.from_bytes(hashlib.sha256(message).digest(), "big")
        nonce = hashlib.sha256(self._number.to_bytes(32, "big") + message).digest()
        k = int.from_bytes(nonce, "big") % (p256._N - 1) + 1
        r = self._times_g(k)[0] % p256._N
        s = pow(k, p256._N - 2, p256._N) * (e + r * self._number) % p256._N
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def wrap(self, payload):
        """Return `payload` as a COSE_Sign1."""
        return cose.assemble(self.kid, payload, self.sign(cose.to_be_signed(self.kid, payload)))

    def bundle(self, manifest):
        """Return `manifest` as a signed bundle."""
        payload, to_be_signed = bundle.encode(manifest, self.kid)
        return cose.assemble(self.kid, payload, self.sign(to_be_signed))
