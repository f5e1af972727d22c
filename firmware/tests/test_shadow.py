from checks import raised

from pave_wire import cbor, coap, limits, model, region, schc, schc_rules, shadow
from pave_wire.errors import CborError, ModelError
from pave_wire.shadow import BOTH, KIOSK, PRESENCE, Document

WIFI = {0: 2, 1: "Abribus", 2: "a passphrase", 3: True}


def test_a_document_survives():
    for sent in (
        Document(0, {}),
        Document(
            limits.SEQ_MAX, {1: 3600, 2: 2, 16: "Arrêt non desservi", 15: {0: 1, 1: [0, 1]}, 4: None}, True, (7, 99)
        ),
    ):
        got = shadow.unpack(shadow.pack(sent))
        for name in ("version", "values", "part", "refused"):
            assert getattr(got, name) == getattr(sent, name), name


def test_a_part_fits_the_smallest_frame_of_lorawan_beside_the_longest_mac_commands():
    part = shadow.pack(Document(1000, {1: 86400, 3: 100000, 4: 90000, 6: 3600}, True))
    options = [(coap.URI_PATH, b"s"), (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_CBOR))]
    message = coap.Message(coap.NON, coap.PUT, 0, b"\x51", options, part)
    rule, packet = schc.compress(message, schc_rules.DOWN)
    assert (rule, len(part)) == (13, 31)
    assert len(packet) == 32 <= region.max_payload_bytes(0, limits.LORAWAN_FOPTS_BYTES)


def test_what_answers_a_part_is_a_response_that_schc_knows():
    said = shadow.pack(Document(1000, {1: 86400}, True, (3,)))
    answer = coap.Message(coap.NON, coap.CHANGED, 0, b"\x51", [(coap.CONTENT_FORMAT, coap.uint(60))], said)
    assert schc.compress(answer, schc_rules.UP)[0] == 9


def test_the_largest_document_of_each_kind_fits_in_one_block():
    for kind in (PRESENCE, KIOSK):
        values = {}
        for number, _, kinds, allowed in shadow.SETTINGS:
            if kinds & kind:
                values[number] = largest(allowed)
                shadow.check(number, kind, values[number])
        assert len(shadow.pack(Document(limits.SEQ_MAX, values))) <= limits.SHADOW_BYTES < 1024


def largest(allowed):
    if allowed is None:
        return {0: limits.SEQ_MAX, 1: "s" * 32, 2: "k" * 63, 3: True}
    if isinstance(allowed, int):
        return "x" * allowed
    return len(allowed) - 1 if isinstance(allowed[0], str) else allowed[1]


def test_numbers_and_names_are_given_once_and_take_one_byte():
    numbers = [entry[0] for entry in shadow.SETTINGS]
    names = [entry[1] for entry in shadow.SETTINGS]
    assert len(set(numbers)) == len(set(names)) == len(shadow.SETTINGS) <= limits.SETTINGS_PER_SHADOW
    assert max(numbers) < 24
    for entry in shadow.SETTINGS:
        assert shadow.find(entry[0]) is entry and shadow.find(entry[1]) is entry
    assert shadow.find("volume") is None


def test_values_at_the_ends_of_their_ranges_are_taken_and_those_beyond_refused_by_name():
    for number, value in ((1, 60), (1, 86400), (2, 0), (2, 2), (18, 0), (1, None), (16, ""), (16, "é" * 80)):
        shadow.check(number, KIOSK, value)
    for number, value, words in (
        (1, 59, ("heartbeat_s", "59", "60 to 86400")),
        (1, 86401, ("86401",)),
        (1, True, ("True",)),
        (1, 60.0, ("60.0",)),
        (1, "60", ("'60'",)),
        (2, 3, ("led", "off, button, on")),
        (2, "on", ("led",)),
        (16, "é" * 81, ("message_fr", "160 bytes")),
        (16, "a\nb", ("message_fr", "control")),
        (16, "a\x7f", ("control",)),
        (16, 7, ("message_fr",)),
        (3, 2000, ("occupied_nt", "this kind")),
        (99, 1, ("99", "this kind")),
    ):
        error = str(raised(ModelError, shadow.check, number, KIOSK, value))
        for word in words:
            assert word in error, error


def test_wifi_is_checked_and_its_passphrase_never_shown():
    shadow.check(15, PRESENCE, WIFI)
    shadow.check(15, BOTH, {0: 2, 3: False})
    for value, word in (
        (None, "profile"),
        ("secret!!", "profile"),
        ({}, "profile"),
        ({0: -1, 3: True}, "profile"),
        ({0: 1}, "keep"),
        ({0: 1, 3: 1}, "keep"),
        ({0: 1, 1: "x", 3: True}, "together"),
        ({0: 1, 2: "secret!!", 3: True}, "together"),
        ({0: 1, 1: "", 2: "secret!!", 3: True}, "SSID"),
        ({0: 1, 1: "é" * 17, 2: "secret!!", 3: True}, "SSID"),
        ({0: 1, 1: "x", 2: "secret!", 3: True}, "passphrase"),
        ({0: 1, 1: "x", 2: "secret!!" * 8, 3: True}, "passphrase"),
        ({0: 1, 1: "x", 2: "secret!\u00e9", 3: True}, "passphrase"),
    ):
        error = str(raised(ModelError, shadow.check, 15, KIOSK, value))
        assert word in error and "secret" not in error, error


def test_what_a_device_may_report_of_its_wifi():
    for value in ({0: 1, 1: [0, 1]}, {0: 0, 1: [], 2: 5, 3: 2}):
        shadow.check_reported_wifi(value)
    for value in (None, {}, {0: 1}, {0: 1, 1: ["x"]}, {0: 1, 1: [0], 2: "secret"}, {0: 1, 1: list(range(33))}):
        assert "secret" not in str(raised(ModelError, shadow.check_reported_wifi, value))


def test_what_is_no_document_is_refused():
    for data, error in (
        (b"", CborError),
        (cbor.dumps([]), ModelError),
        (cbor.dumps({0: 1}), ModelError),
        (cbor.dumps({1: {}}), ModelError),
        (cbor.dumps({0: True, 1: {}}), ModelError),
        (cbor.dumps({0: -1, 1: {}}), ModelError),
        (cbor.dumps({0: 1, 1: []}), ModelError),
        (cbor.dumps({0: 1, 1: {"led": 1}}), ModelError),
        (cbor.dumps({0: 1, 1: {}, 2: 1}), ModelError),
        (cbor.dumps({0: 1, 1: {}, 3: 7}), ModelError),
        (cbor.dumps({0: 1, 1: {}, 3: ["x"]}), ModelError),
        (cbor.dumps({0: 1, 1: dict.fromkeys(range(33), 0)}), ModelError),
        (cbor.dumps({0: 1, 1: {1: "x" * limits.SHADOW_BYTES}}), ModelError),
    ):
        raised(error, shadow.unpack, data)
    raised(ModelError, shadow.pack, Document(1, {1: "x" * limits.SHADOW_BYTES}))
