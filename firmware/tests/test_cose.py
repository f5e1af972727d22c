from binascii import unhexlify

from checks import raised
from signer import Signer

from pave_wire import cbor, cose, limits
from pave_wire.errors import (
    CborError,
    CoseAlgorithmError,
    CoseCriticalError,
    CoseError,
    CoseKeyError,
    CoseSignatureError,
)

# COSE working group, github.com/cose-wg/Examples: the key "11" of all of them, ecdsa-examples/ecdsa-sig-01, and
# sign1-tests, where fail-06 and fail-07 change the protected header after signing
KEYS = {
    b"11": unhexlify(
        "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff"
        "20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e"
    )
}
CONTENT = "54546869732069732074686520636f6e74656e742e"
ECDSA_SIG_01 = (
    "d28445a201260300a10442313154546869732069732074686520636f6e74656e742e58406520bbaf2081d7e0ed0f95f76eb0733d667005f746"
    "7cec4b87b9381a6ba1ede8e00df29f32a37230f39a842a54821fdd223092819d7728efb9d3a0080b75380b"
)
SIGNATURE_FAIL = (
    "58408eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b"
    "0916e5a4c345cacb36"
)
REFUSED = [
    (
        "sign-pass-01, whose algorithm is not protected",
        "d28441a0a201260442313154546869732069732074686520636f6e74656e742e584087db0d2e5571843b78ac33ecb2830df7b6e0a4d5b7"
        "376de336b23c591c90c425317e56127fbe04370097ce347087b233bf722b64072beb4486bda4031d27244f",
        CoseAlgorithmError,
    ),
    (
        "sign-pass-02, which has external data",
        "d28443a10126a10442313154546869732069732074686520636f6e74656e742e584010729cd711cb3813d8d8e944a8da7111e7b258c9bd"
        "ca6135f7ae1adbee9509891267837e1e33bd36c150326ae62755c6bd8e540c3e8f92d7d225e8db72b8820b",
        CoseSignatureError,
    ),
    ("sign-pass-03, without a tag", "8443a10126a104423131" + CONTENT + SIGNATURE_FAIL, CoseError),
    ("sign-fail-01", "d903e68443a10126a104423131" + CONTENT + SIGNATURE_FAIL, CoseError),
    ("sign-fail-02", "d28443a10126a104423131" + CONTENT[:-1] + "f" + SIGNATURE_FAIL, CoseSignatureError),
    ("sign-fail-03", "d28445a1013903e6a104423131" + CONTENT + SIGNATURE_FAIL, CoseAlgorithmError),
    ("sign-fail-04", "d2844aa10167756e6b6e6f776ea104423131" + CONTENT + SIGNATURE_FAIL, CoseAlgorithmError),
    ("sign-fail-06", "d28445a201260300a104423131" + CONTENT + SIGNATURE_FAIL, CoseSignatureError),
    ("sign-fail-07", ECDSA_SIG_01.replace("45a201260300", "43a10126"), CoseSignatureError),
]

SIGNER = Signer(b"release-1", 0x1234567890)
OURS = {b"release-1": SIGNER.public}


def parts(protected, unprotected=None, payload=b"x", signature=bytes(64)):
    raw = protected if isinstance(protected, bytes) else cbor.dumps(protected)
    return b"\xd2" + cbor.dumps([raw, {} if unprotected is None else unprotected, payload, signature])


def test_the_working_groups_example_verifies():
    assert cose.verify(unhexlify(ECDSA_SIG_01), KEYS) == b"This is the content."


def test_the_same_signature_without_a_tag_verifies_with_one():
    # sign-pass-03 is refused above for its missing tag alone
    data = unhexlify("d28443a10126a104423131" + CONTENT + SIGNATURE_FAIL)
    assert cose.verify(data, KEYS) == b"This is the content."


def test_the_working_groups_failures_are_refused_each_by_its_name():
    for name, data, error in REFUSED:
        found = raised(error, cose.verify, unhexlify(data), KEYS)
        assert type(found) is error, (name, found)


def test_what_we_assemble_has_the_key_id_protected_and_verifies():
    data = SIGNER.wrap(b"manifest")
    assert cose.verify(data, OURS) == b"manifest"
    protected, kid, payload, signature = cose.decode(data)
    assert cbor.loads(protected) == {1: -7, 4: b"release-1"}
    assert (kid, payload, len(signature)) == (b"release-1", b"manifest", 64)


def test_an_untrusted_key_is_named():
    error = raised(CoseKeyError, cose.verify, SIGNER.wrap(b"x"), {b"release-2": SIGNER.public})
    assert "release-1" in str(error)


def test_another_key_under_a_trusted_id_is_refused():
    impostor = Signer(b"release-1", 0x987654321)
    raised(CoseSignatureError, cose.verify, impostor.wrap(b"x"), OURS)


def test_a_change_of_any_byte_is_refused():
    good = SIGNER.wrap(b"manifest")
    for at in range(len(good)):
        wrong = bytearray(good)
        wrong[at] ^= 0x01
        raised((CoseError, CborError), cose.verify, bytes(wrong), OURS)


def test_headers_outside_the_profile_are_refused_by_name():
    for data, error in [
        (parts({1: -7, 2: [4], 4: b"k"}), CoseCriticalError),
        (parts({1: -7, 4: b"k"}, {2: [1]}), CoseCriticalError),
        (parts({1: -8, 4: b"k"}), CoseAlgorithmError),
        (parts({1: -7.0, 4: b"k"}), CoseAlgorithmError),  # equal in Python
        (parts({1: True, 4: b"k"}), CoseAlgorithmError),
        (parts({4: b"k"}, {1: -7}), CoseAlgorithmError),
        (parts(b""), CoseAlgorithmError),
        (parts({1: -7, 4: b"k"}, {4: b"k"}), CoseError),
        (parts({1: -7, 4: "k"}), CoseError),
        (parts({1: -7}), CoseError),
        (parts([1]), CoseError),
        (parts({1: -7, 4: b"k"}, []), CoseError),
        (parts({1: -7, 4: b"k"}, payload=None), CoseError),
        (parts({1: -7, 4: b"k"}, payload="text"), CoseError),
        (parts({1: -7, 4: b"k"}, signature=None), CoseError),
        (b"\xd2" + cbor.dumps([b"", {}, b""]), CoseError),
        (b"\xd2\xa0", CoseError),
        (b"", CoseError),
        (b"\xd2", CborError),
        (parts(b"\xff"), CborError),
        (parts({1: -7, 4: b"k"}) + b"\0", CborError),
        (b"\xd2" + bytes(limits.COSE_BYTES), CoseError),
    ]:
        found = raised(error, cose.decode, data)
        assert type(found) is error, found


def test_a_signature_of_another_length_is_refused():
    for length in (0, 63, 65, 128):
        data = parts({1: -7, 4: b"release-1"}, signature=bytes(length))
        raised(CoseSignatureError, cose.verify, data, OURS)
