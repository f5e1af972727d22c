from binascii import unhexlify

from pave_wire import hkdf

# RFC 5869, appendix A.1 to A.3: secret, salt, info, length, PRK, OKM
CASES = [
    (
        b"\x0b" * 22,
        bytes(range(13)),
        bytes(range(0xF0, 0xFA)),
        42,
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        82,
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        b"\x0b" * 22,
        b"",
        b"",
        42,
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


def test_the_cases_of_rfc_5869_give_their_keys():
    for secret, salt, info, length, pseudorandom_key, output in CASES:
        key = hkdf.extract(salt, secret)
        assert key == unhexlify(pseudorandom_key)
        assert hkdf.expand(key, info, length) == unhexlify(output)


def test_a_key_longer_than_a_block_is_hashed_first():
    # RFC 4231, test case 6
    code = hkdf.hmac_sha256(b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First")
    assert code == unhexlify("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")


def test_a_key_that_is_a_bytearray_stays_as_it_is():
    secret, salt, _, _, pseudorandom_key, _ = CASES[0]
    salt = bytearray(salt)
    assert hkdf.extract(salt, secret) == unhexlify(pseudorandom_key)
    assert salt == bytearray(range(13))
