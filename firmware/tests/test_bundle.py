from checks import raised
from signer import Signer

from pave_wire import bundle, cbor, limits
from pave_wire.errors import (
    BundleClassError,
    BundleError,
    BundlePathError,
    BundleSequenceError,
    BundleSizeError,
    BundleVendorError,
    BundleVersionError,
    CborError,
    CoseError,
    CoseKeyError,
    CoseSignatureError,
    WireError,
)

VENDOR = "pave"
KLASS = "presence/pave-presence-v1"
DIGEST = bytes(range(32))
FILES = [("slot/app/presence.mpy", 3070, DIGEST), ("slot/pave_wire/cbor.mpy", 4096, DIGEST)]
SIGNER = Signer(b"release-1", 0xC0FFEE)
KEYS = {b"release-1": SIGNER.public, b"release-2": Signer(b"release-2", 7).public}


def fields(**changes):
    manifest = {1: 1, 2: VENDOR, 3: KLASS, 4: 42, 5: [list(file) for file in FILES]}
    for name, value in changes.items():
        manifest[int(name[1:])] = value
    return manifest


def file(path="slot/main.mpy", size=1, digest=DIGEST):
    return [path, size, digest]


def install(data, installed=41, keys=KEYS):
    return bundle.verify(data, keys, VENDOR, KLASS, installed)


def refused(error, data, *args):
    found = raised(error, install, data, *args)
    assert type(found) is error, found
    return str(found)


def test_a_signed_newer_release_for_this_class_is_accepted_whole():
    manifest = install(SIGNER.bundle(bundle.Manifest(VENDOR, KLASS, 42, FILES)))
    assert (manifest.vendor, manifest.klass, manifest.sequence) == (VENDOR, KLASS, 42)
    assert manifest.files == FILES


def test_a_release_by_an_unknown_key_is_refused():
    assert "release-9" in refused(CoseKeyError, Signer(b"release-9", 0xC0FFEE).wrap(cbor.dumps(fields())))


def test_a_release_by_another_key_under_a_trusted_id_is_refused():
    refused(CoseSignatureError, Signer(b"release-1", 0xBADC0DE).wrap(cbor.dumps(fields())))


def test_a_release_signed_by_one_trusted_key_and_named_after_the_other_is_refused():
    refused(CoseSignatureError, Signer(b"release-2", 0xC0FFEE).wrap(cbor.dumps(fields())))


def test_a_manifest_without_a_signature_is_refused():
    refused(CoseError, cbor.dumps(fields()))


def test_a_release_cut_anywhere_is_refused():
    data = SIGNER.wrap(cbor.dumps(fields()))
    for length in range(0, len(data), 5):
        raised(WireError, install, data[:length])
    refused(CborError, data + b"\0")


def test_a_file_swapped_after_signing_is_refused():
    data = SIGNER.wrap(cbor.dumps(fields()))
    refused(CoseSignatureError, data.replace(b"presence.mpy", b"presencf.mpy"))
    refused(CoseSignatureError, data.replace(DIGEST, bytes(32)))


def test_a_release_for_another_class_is_refused():
    assert "kiosk" in refused(BundleClassError, SIGNER.wrap(cbor.dumps(fields(k3="kiosk/pave-kiosk-v1"))))


def test_a_release_of_another_vendor_is_refused():
    assert "other" in refused(BundleVendorError, SIGNER.wrap(cbor.dumps(fields(k2="other"))))


def test_an_older_or_the_same_release_is_refused():
    for sequence in (1, 40, 41):
        refused(BundleSequenceError, SIGNER.wrap(cbor.dumps(fields(k4=sequence))))
    assert install(SIGNER.wrap(cbor.dumps(fields(k4=42)))).sequence == 42


def test_a_manifest_of_another_format_is_refused():
    for version in (0, 2, True, None, "1"):
        refused(BundleVersionError, SIGNER.wrap(cbor.dumps(fields(k1=version))))
    refused(BundleVersionError, SIGNER.wrap(cbor.dumps({})))


def test_a_path_that_leaves_its_place_is_refused():
    for path in (
        "",
        "slot",
        "slot/",
        "/slot/main.mpy",
        "slot//main.mpy",
        "slot/../boot.py",
        "slot/app/..",
        "slot/./main.mpy",
        "../slot/main.mpy",
        "boot.py",
        "a/main.mpy",
        "SLOT/main.mpy",
        "slot\\main.mpy",
        "slot/a\\..\\boot.py",
        "slot/main.mpy\0.txt",
        "slot/ma in.mpy",
        "slot/\u00e9.mpy",
        "slot/%2e%2e/boot.py",
        "slot/" + "x" * limits.BUNDLE_PATH_CHARS,
    ):
        refused(BundlePathError, SIGNER.wrap(cbor.dumps(fields(k5=[file(path)]))))


def test_a_path_stated_twice_is_refused():
    refused(BundlePathError, SIGNER.wrap(cbor.dumps(fields(k5=[file(), file(size=2)]))))


def test_the_number_of_files_is_bounded():
    many = [file("slot/%d.mpy" % n) for n in range(limits.BUNDLE_FILES)]
    assert len(bundle.decode(cbor.dumps(fields(k5=many))).files) == limits.BUNDLE_FILES
    refused(BundleSizeError, SIGNER.wrap(cbor.dumps(fields(k5=many + [file()]))))
    refused(BundleSizeError, SIGNER.wrap(cbor.dumps(fields(k5=[]))))


def test_a_path_through_another_file_is_refused_in_either_order():
    for above, below in (("slot/app", "slot/app/a.mpy"), ("slot/app", "slot/app/x/y"), ("slot/a/b", "slot/a/b/c")):
        for files in ([file(above), file(below)], [file(below), file("slot/z"), file(above)]):
            assert above in refused(BundlePathError, SIGNER.wrap(cbor.dumps(fields(k5=files))))
    beside = [file("slot/app/a"), file("slot/app.mpy"), file("slot/ap"), file("slot/app/ab")]
    assert len(bundle.decode(cbor.dumps(fields(k5=beside))).files) == 4


def test_ota_takes_one_image_of_one_name_that_is_not_empty():
    image = "ota/micropython.bin"
    assert bundle.decode(cbor.dumps(fields(k5=[file(image, 1)]))).files == [(image, 1, DIGEST)]
    most = limits.BUNDLE_OTA_BYTES
    assert most == 2 * 1024 * 1024
    assert bundle.decode(cbor.dumps(fields(k5=[file(image, most)]))).files[0][1] == most
    for path in ("ota/other.bin", "ota/micropython.bin.bin", "ota/a/micropython.bin", "ota/micropython.bin/a"):
        refused(BundlePathError, SIGNER.wrap(cbor.dumps(fields(k5=[file(path)]))))
    refused(BundlePathError, SIGNER.wrap(cbor.dumps(fields(k5=[file(image), file(image)]))))
    for size in (0, most + 1, 2**64 - 1):
        refused(BundleSizeError, SIGNER.wrap(cbor.dumps(fields(k5=[file(image, size)]))))


def test_a_slot_is_counted_in_the_blocks_that_its_files_and_directories_take():
    blocks = limits.BUNDLE_SLOT_BYTES // 4096
    assert limits.BUNDLE_SLOT_BYTES % 4096 == 0

    def room_beside(*files):
        """Return how many blocks one more file of the slot's own directory may have, found by trying."""
        fits, over = 0, blocks + 1
        while over - fits > 1:
            middle = (fits + over) // 2
            try:
                bundle.decode(cbor.dumps(fields(k5=list(files) + [file("slot/last", 8 + middle * 4088)])))
                fits = middle
            except BundleSizeError:
                over = middle
        return fits

    empty = room_beside()
    assert empty == blocks - 2  # of the slot's own directory
    for files, cost in (
        ([file("slot/a", 0)], 1),
        ([file("slot/a", 1)], 1),
        ([file("slot/a", 4096)], 1),
        ([file("slot/a", 4097)], 2),
        ([file("slot/a", 4096 + 4088)], 2),
        ([file("slot/a", 4096 + 4089)], 3),
        ([file("slot/a", 1), file("slot/b", 1)], 2),
        ([file("slot/d/a", 1)], 3),
        ([file("slot/d/a", 1), file("slot/d/b", 1)], 4),
        ([file("slot/d/e/a", 1), file("slot/d/b", 1), file("slot/f/b", 1)], 9),
        ([file("ota/micropython.bin", 1 << 20)], 0),
    ):
        assert empty - room_beside(*files) == cost, files


def test_a_release_too_large_for_a_slot_is_refused():
    room = limits.BUNDLE_SLOT_BYTES
    small = [file("slot/%d/%d" % (n, n), 1) for n in range(limits.BUNDLE_FILES)]  # 3 blocks each, and 2
    assert len(bundle.decode(cbor.dumps(fields(k5=small))).files) == limits.BUNDLE_FILES
    deep = [file("slot/%d/d/%d" % (n, n), 1) for n in range(limits.BUNDLE_FILES)]  # 5 blocks each: 64 bytes in all
    for files in (
        [file(size=room)],
        [file("slot/a", room // 2), file("slot/b", room // 2)],
        [file(size=2**64 - 1)],
        deep,
    ):
        refused(BundleSizeError, SIGNER.wrap(cbor.dumps(fields(k5=files))))


def test_the_longest_manifest_fits_a_signed_bundle():
    longest = [file("slot/%02d%s" % (n, "x" * 57), 10000) for n in range(limits.BUNDLE_FILES)]
    data = SIGNER.wrap(cbor.dumps(fields(k2="v" * 64, k3="k" * 64, k5=longest)))
    assert len(longest[0][0]) == limits.BUNDLE_PATH_CHARS and len(data) <= limits.COSE_BYTES


def test_anything_but_a_manifest_is_refused():
    for value in (
        [],
        1,
        fields(k6=1),
        fields(k2=""),
        fields(k2=b"pave"),
        fields(k3="x" * 65),
        fields(k4=0),
        fields(k4=True),
        fields(k4=1.0),
        fields(k4=limits.SEQ_MAX + 1),
        fields(k5={}),
        fields(k5=[1]),
        fields(k5=[["slot/a", 1]]),
        fields(k5=[file(1)]),
        fields(k5=[file(size=-1)]),
        fields(k5=[file(size=True)]),
        fields(k5=[file(digest=DIGEST[1:])]),
        fields(k5=[file(digest="x" * 32)]),
    ):
        found = raised(BundleError, bundle.decode, cbor.dumps(value))
        assert type(found) is BundleError, found
    missing = fields()
    del missing[4]
    raised(BundleError, bundle.decode, cbor.dumps(missing))
    raised(CborError, bundle.decode, b"\xff")


def test_what_a_device_would_refuse_is_not_encoded():
    raised(BundlePathError, bundle.encode, bundle.Manifest(VENDOR, KLASS, 1, [("boot.py", 1, DIGEST)]), b"k")
    raised(BundleError, bundle.encode, bundle.Manifest(VENDOR, KLASS, 0, FILES), b"k")
