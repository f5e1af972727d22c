"""P-256 and bundles against OpenSSL, by the `cryptography` package; what a slot takes against LittleFS itself."""

import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pave_tools.errors import ImageError
from pave_tools.littlefs_image import build_littlefs
from pave_wire import bundle, cbor, cose, limits, p256
from pave_wire.errors import BundleSizeError, CoseSignatureError

SEED = 20261123


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def check_signatures(count: int) -> int:
    """Return how many signatures agreed; the first that does not is an error."""
    rng = random.Random(SEED)
    for case in range(count):
        key = ec.derive_private_key(rng.randrange(1, p256._N), ec.SECP256R1())
        message = rng.randbytes(rng.randrange(200))
        signature = raw_signature(key, message)
        assert p256.verify(raw_public(key), message, signature), (SEED, case)
        wrong = bytearray(signature)
        wrong[rng.randrange(64)] ^= 1 << rng.randrange(8)
        assert not p256.verify(raw_public(key), message, bytes(wrong)), (SEED, case)
    return case + 1


def test_what_openssl_signs_we_verify_and_with_a_bit_changed_we_refuse() -> None:
    assert check_signatures(100) == 100


@pytest.mark.long
def test_what_openssl_signs_we_verify_ten_thousand_times() -> None:
    assert check_signatures(10_000) == 10_000


def test_a_bundle_signed_by_openssl_installs_and_another_release_under_its_signature_does_not() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    keys = {b"k": raw_public(key)}
    manifest = bundle.Manifest("pave", "kiosk/pave-kiosk-v1", 7, [("slot/main.mpy", 1, bytes(32))])
    payload, to_be_signed = bundle.encode(manifest, b"k")
    signature = raw_signature(key, to_be_signed)
    good = cose.assemble(b"k", payload, signature)
    assert bundle.verify(good, keys, "pave", "kiosk/pave-kiosk-v1", 6).files == manifest.files
    manifest.sequence = 8
    other = cose.assemble(b"k", bundle.encode(manifest, b"k")[0], signature)
    with pytest.raises(CoseSignatureError):
        bundle.verify(other, keys, "pave", "kiosk/pave-kiosk-v1", 6)


VFS_BYTES = 2 * 1024 * 1024


def is_admitted(sizes: dict[str, int]) -> bool:
    files = [[path, size, bytes(32)] for path, size in sizes.items()]
    try:
        return len(bundle.decode(cbor.dumps({1: 1, 2: "v", 3: "k", 4: 1, 5: files})).files) == len(sizes)
    except BundleSizeError:
        return False


def largest_release(paths: list[str]) -> dict[str, int]:
    """As much as a manifest admits under `paths`: every file fills its blocks, and no file may have one more."""
    sizes = dict.fromkeys(paths, 4096)
    growing = list(paths)
    while growing:
        growing = [path for path in growing if is_admitted(sizes | {path: sizes[path] + 4088})]
        for path in growing:
            grown = sizes | {path: sizes[path] + 4088}
            sizes = grown if is_admitted(grown) else sizes
    return sizes


def in_both_slots(sizes: dict[str, int]) -> dict[str, bytes]:
    return {f"/{slot}{path.removeprefix('slot')}": b"x" * size for slot in "ab" for path, size in sizes.items()}


@pytest.mark.parametrize(
    "paths",
    [
        ["slot/one"],
        [f"slot/{number:02d}{'x' * 57}" for number in range(limits.BUNDLE_FILES)],
        [f"slot/{number:02d}{'x' * 55}/a" for number in range(limits.BUNDLE_FILES)],
        [f"slot/{number % 4}/{number:02d}{'x' * 50}" for number in range(limits.BUNDLE_FILES)],
    ],
    ids=["one large file", "long names", "a directory each", "four directories"],
)
def test_two_of_the_largest_releases_fit_the_file_system(paths: list[str]) -> None:
    sizes = largest_release(paths)
    beside = {"/boot.py": bytes(8 * 4096), "/main.py": bytes(8 * 4096)}
    build_littlefs(in_both_slots(sizes) | beside, VFS_BYTES)
    one_more = {path: size + 4088 for path, size in sizes.items() if path == paths[0]}
    assert not is_admitted(sizes | one_more)


def test_two_slots_of_half_the_partition_each_do_not_fit_the_file_system() -> None:
    with pytest.raises(ImageError):
        build_littlefs(in_both_slots({"slot/one": VFS_BYTES // 2 - 4096}), VFS_BYTES)
