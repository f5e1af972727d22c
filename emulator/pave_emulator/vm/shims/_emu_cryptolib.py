"""`cryptolib`: AES in the modes the port has (ECB and CBC), at the chip's speed."""

import _emu_rpc as rpc
import cryptolib as vm_cryptolib

_ECB, _CBC = 1, 2
_BLOCK_BYTES = 16


class aes:
    def __init__(self, key, mode, IV=None):
        if mode not in (_ECB, _CBC):
            raise ValueError("mode")  # CTR is switched off in the port (MICROPY_PY_CRYPTOLIB_CTR)
        self._cipher = vm_cryptolib.aes(key, mode) if IV is None else vm_cryptolib.aes(key, mode, IV)

    def encrypt(self, data, into=None):
        self._charge(data)
        return self._cipher.encrypt(data) if into is None else self._cipher.encrypt(data, into)

    def decrypt(self, data, into=None):
        self._charge(data)
        return self._cipher.decrypt(data) if into is None else self._cipher.decrypt(data, into)

    def _charge(self, data):
        rpc.spend(len(data) // _BLOCK_BYTES * rpc.hello["costs"]["aes_block_ns"] // 1000)
