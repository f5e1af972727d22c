import hashlib
from binascii import hexlify, unhexlify

from checks import raised

from pave_wire.ccm import BlockCcm, ccm
from pave_wire.errors import TagError, WireError

# RFC 3610, section 8: the packet vectors with a tag of 8 bytes. Key, nonce, header, packet, sealed.
KEY_1 = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
KEY_13 = "d7828d13b2b0bdc325a76236df93cc6b"
COUNTING = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
VECTORS = [
    (KEY_1, "00000003020100a0a1a2a3a4a5", 8, 23, "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"),
    (KEY_1, "00000004030201a0a1a2a3a4a5", 8, 24, "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"),
    (KEY_1, "00000005040302a0a1a2a3a4a5", 8, 25, "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"),
    (KEY_1, "00000006050403a0a1a2a3a4a5", 12, 19, "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"),
    (KEY_1, "00000007060504a0a1a2a3a4a5", 12, 20, "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"),
    (KEY_1, "00000008070605a0a1a2a3a4a5", 12, 21, "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"),
]
VECTORS = [(k, n, COUNTING[: 2 * a], COUNTING[2 * a :][: 2 * p], sealed) for k, n, a, p, sealed in VECTORS]
VECTORS += [
    (
        KEY_13,
        "00412b4ea9cdbe3c9696766cfa",
        "0be1a88bace018b1",
        "08e8cf97d820ea258460e96ad9cf5289054d895ceac47c",
        "4cb97f86a2a4689a877947ab8091ef5386a6ffbdd080f8e78cf7cb0cddd7b3",
    ),
    (
        KEY_13,
        "0033568ef7b2633c9696766cfa",
        "63018f76dc8a1bcb",
        "9020ea6f91bdd85afa0039ba4baff9bfb79c7028949cd0ec",
        "4ccb1e7ca981befaa0726c55d378061298c85c92814abc33c52ee81d7d77c08a",
    ),
    (
        KEY_13,
        "00103fe41336713c9696766cfa",
        "aa6cfa36cae86b40",
        "b916e0eacc1c00d7dcec68ec0b3bbb1a02de8a2d1aa346132e",
        "b1d23a2220ddc0ac900d9aa03c61fcf4a559a4417767089708a776796edb723506",
    ),
    (
        KEY_13,
        "00764c63b8058e3c9696766cfa",
        "d0d0735c531e1becf049c244",
        "12daac5630efa5396f770ce1a66b21f7b2101c",
        "14d253c3967b70609b7cbb7c499160283245269a6f49975bcadeaf",
    ),
    (
        KEY_13,
        "00f8b678094e3b3c9696766cfa",
        "77b60f011c03e1525899bcae",
        "e88b6a46c78d63e52eb8c546efb5de6f75e9cc0d",
        "5545ff1a085ee2efbf52b2e04bee1e2336c73e3f762c0c7744fe7e3c",
    ),
    (
        KEY_13,
        "00d560912d3f703c9696766cfa",
        "cd9044d2b71fdb8120ea60c0",
        "6435acbafb11a82e2f071d7ca4a5ebd93a803ba87f",
        "009769ecabdf48625594c59251e6035722675e04c847099e5ae0704551",
    ),
    (  # NIST SP 800-38C, C.3: a nonce of 12 bytes
        "404142434445464748494a4b4c4d4e4f",
        "101112131415161718191a1b",
        "000102030405060708090a0b0c0d0e0f10111213",
        "202122232425262728292a2b2c2d2e2f3031323334353637",
        "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951",
    ),
]


def test_the_vectors_of_rfc_3610_and_nist_are_sealed_and_opened():
    for vector in VECTORS:
        key, nonce, aad, plaintext, sealed = (unhexlify(text) for text in vector)
        for cipher in (BlockCcm(key), ccm(key)):
            assert cipher.seal(nonce, plaintext, aad) == sealed, vector
            assert cipher.open(nonce, sealed, aad) == plaintext, vector


def test_the_block_cipher_and_the_runtime_agree_at_every_length():
    key, nonce = bytes(range(16)), bytes(range(13))
    for size in (0, 1, 15, 16, 17, 47, 64, 1023):
        for aad in (b"", b"a", bytes(14), bytes(15), bytes(300)):
            plaintext = bytes(n & 0xFF for n in range(size))
            sealed = BlockCcm(key).seal(nonce, plaintext, aad)
            assert len(sealed) == size + 8
            assert sealed == ccm(key).seal(nonce, plaintext, aad)
            assert BlockCcm(key).open(nonce, sealed, aad) == plaintext


def test_one_wrong_bit_anywhere_is_refused():
    key, nonce, aad = bytes(16), bytes(13), b"header"
    for cipher in (BlockCcm(key), ccm(key)):
        sealed = cipher.seal(nonce, b"seventeen bytes!!", aad)
        for bit in range(8 * len(sealed)):
            wrong = bytearray(sealed)
            wrong[bit >> 3] ^= 1 << (bit & 7)
            raised(TagError, cipher.open, nonce, bytes(wrong), aad)
        raised(TagError, cipher.open, nonce, sealed, b"Header")
        raised(TagError, cipher.open, b"\1" + nonce[1:], sealed, aad)


def test_what_is_shorter_than_a_tag_is_refused():
    for size in range(8):
        for cipher in (BlockCcm(bytes(16)), ccm(bytes(16))):
            raised(TagError, cipher.open, bytes(13), bytes(size), b"")


def test_more_blocks_than_one_byte_counts_are_sealed_as_the_library_does():
    # 5,000 bytes, 313 blocks: what `cryptography` gives for the same
    plaintext = bytes(n * 7 & 0xFF for n in range(5000))
    for cipher in (BlockCcm(bytes(range(16))), ccm(bytes(range(16)))):
        sealed = cipher.seal(bytes(range(13)), plaintext, b"header")
        assert (
            hexlify(hashlib.sha256(sealed).digest())
            == b"e17cd36ae9e38fc29da9e56415ad9be881b04e51a137aa008bf15f9a99d9d2eb"
        )
        assert cipher.open(bytes(range(13)), sealed, b"header") == plaintext


class Long:
    """What says it has so many bytes: as many would not fit the VM."""

    def __init__(self, size):
        self._size = size

    def __len__(self):
        return self._size


def test_what_the_length_field_cannot_hold_is_refused_before_it_is_touched():
    for cipher in (BlockCcm(bytes(16)), ccm(bytes(16))):
        for size in (0x10000, 0x10007, 0x10008, 1 << 20):
            raised(WireError, cipher.seal, bytes(13), Long(size), b"")
            raised(TagError, cipher.open, bytes(13), Long(size + 8), b"")
