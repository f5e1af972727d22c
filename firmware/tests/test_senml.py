from checks import raised

from pave_wire import cbor, limits, senml
from pave_wire.errors import SenmlError


def refused(pack):
    return str(raised(SenmlError, decode_all, pack))


def decode_all(pack):
    return senml.resolve(senml.decode(cbor.dumps(pack)))


def test_the_multiple_datapoints_example_of_rfc_8428_resolves_to_full_records():
    # RFC 8428, 5.1.2
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "u": "A", "v": 1.2},
    ]
    assert senml.resolve(senml.decode(senml.encode(pack))) == [
        {"n": "urn:dev:ow:10e2073a01080063:voltage", "t": 0, "u": "V", "v": 120.1},
        {"n": "urn:dev:ow:10e2073a01080063:current", "t": 0, "u": "A", "v": 1.2},
    ]


def test_base_time_unit_and_value_hold_until_they_change():
    records = senml.resolve(
        [
            {"bn": "a:", "bt": -10, "bu": "Cel", "bv": 20, "n": "x", "v": 1},
            {"n": "y", "t": 2},
            {"bt": -3, "n": "z", "vb": True},
        ]
    )
    assert [(r["n"], r["t"]) for r in records] == [("a:x", -10), ("a:y", -8), ("a:z", -3)]
    assert records[0]["v"] == 21 and records[1]["v"] == 20 and records[1]["u"] == "Cel"
    assert records[2]["vb"] is True and "v" not in records[2]


def test_an_unknown_field_is_ignored_unless_its_name_says_it_must_be_understood():
    assert decode_all([{0: "a", 2: 1, "extra": 7}]) == [{"n": "a", "t": 0, "v": 1}]
    assert "extra_" in refused([{0: "a", 2: 1, "extra_": 7}])


def test_malformed_packs_are_refused_with_what_was_wrong():
    for pack, word in [
        (7, "array"),
        ([], "non-empty"),
        ([1], "map"),
        ([{0: 7, 2: 1}], "field n"),
        ([{0: "a", 2: "1"}], "field v"),
        ([{0: "a", 2: True}], "field v"),
        ([{0: "a", 4: 1}], "field vb"),
        ([{0: "a"}], "no value"),
        ([{0: "a", 2: 1, 4: True}], "several values"),
        ([{2: 1}], "name of 0"),
        ([{0: "-a", 2: 1}], "character"),
        ([{0: "a b", 2: 1}], "character"),
        ([{0: "a" * (limits.SENML_NAME_CHARS + 1), 2: 1}], "name of 65"),
        ([{-1: 11, 0: "a", 2: 1}], "version"),
        ([{0: "a", 2: 1}] * (limits.SENML_RECORDS + 1), "records"),
    ]:
        assert word in refused(pack), (pack, refused(pack))
