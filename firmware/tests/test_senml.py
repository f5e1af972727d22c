from binascii import unhexlify

from checks import raised

from pave_wire import cbor, limits, senml
from pave_wire.errors import SenmlError


def refused(pack):
    return str(raised(SenmlError, decode_all, pack))


def decode_all(pack):
    return senml.resolve(senml.decode(cbor.dumps(pack)))


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


# The examples of RFC 8428, section 5.1, as records; its times and units are in SI.
OW = "urn:dev:ow:10e2073a01080063"
EXAMPLES = [
    ("5.1.1", [{"n": OW, "u": "Cel", "v": 23.1}], [(OW, "Cel", 0, 23.1)]),
    (
        "5.1.2, a pack of an older version with a base time",
        [
            {
                "bn": "urn:dev:ow:10e2073a0108006:",
                "bt": 1276020076.001,
                "bu": "A",
                "bver": 5,
                "n": "voltage",
                "u": "V",
                "v": 120.1,
            },
            {"n": "current", "t": -5, "v": 1.2},
            {"n": "current", "t": -4, "v": 1.3},
            {"n": "current", "v": 1.7},
        ],
        [
            ("urn:dev:ow:10e2073a0108006:voltage", "V", 1276020076.001, 120.1),
            ("urn:dev:ow:10e2073a0108006:current", "A", 1276020071.001, 1.2),
            ("urn:dev:ow:10e2073a0108006:current", "A", 1276020072.001, 1.3),
            ("urn:dev:ow:10e2073a0108006:current", "A", 1276020076.001, 1.7),
        ],
    ),
    (
        "5.1.2, a long-lived stream of one sensor",
        [{"bn": OW, "bt": 1320067464, "bu": "%RH", "v": 21.2}, {"t": 10, "v": 21.3}, {"t": 92, "v": 21.5}],
        [(OW, "%RH", 1320067464, 21.2), (OW, "%RH", 1320067474, 21.3), (OW, "%RH", 1320067556, 21.5)],
    ),
    (
        "5.1.3, resolved in 5.1.4",
        [
            {"bn": OW, "bt": 1320067464, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621},
            {"u": "lat", "v": 60.07965},
            {"t": 60, "v": 20.3},
            {"u": "lon", "t": 60, "v": 24.30622},
            {"u": "lat", "t": 60, "v": 60.07965},
            {"t": 120, "v": 20.7},
            {"u": "lon", "t": 120, "v": 24.30623},
            {"u": "lat", "t": 120, "v": 60.07966},
            {"u": "%EL", "t": 150, "v": 98},
            {"t": 180, "v": 21.2},
            {"u": "lon", "t": 180, "v": 24.30628},
            {"u": "lat", "t": 180, "v": 60.07967},
        ],
        [
            (OW, "%RH", 1320067464, 20),
            (OW, "lon", 1320067464, 24.30621),
            (OW, "lat", 1320067464, 60.07965),
            (OW, "%RH", 1320067524, 20.3),
            (OW, "lon", 1320067524, 24.30622),
            (OW, "lat", 1320067524, 60.07965),
            (OW, "%RH", 1320067584, 20.7),
            (OW, "lon", 1320067584, 24.30623),
            (OW, "lat", 1320067584, 60.07966),
            (OW, "%EL", 1320067614, 98),
            (OW, "%RH", 1320067644, 21.2),
            (OW, "lon", 1320067644, 24.30628),
            (OW, "lat", 1320067644, 60.07967),
        ],
    ),
    (
        "5.1.5",
        [
            {"bn": OW + ":", "n": "temp", "u": "Cel", "v": 23.1},
            {"n": "label", "vs": "Machine Room"},
            {"n": "open", "vb": False},
            {"n": "nfv-reader", "vd": b"hi \n"},
        ],
        [
            (OW + ":temp", "Cel", 0, 23.1),
            (OW + ":label", None, 0, "Machine Room"),
            (OW + ":open", None, 0, False),
            (OW + ":nfv-reader", None, 0, b"hi \n"),
        ],
    ),
    (
        "5.1.6",
        [
            {"bn": "2001:db8::2/", "bt": 1320078429, "n": "temperature", "u": "Cel", "v": 25.2},
            {"n": "humidity", "u": "%RH", "v": 30},
            {"bn": "2001:db8::1/", "n": "temperature", "u": "Cel", "v": 12.3},
            {"n": "humidity", "u": "%RH", "v": 67},
        ],
        [
            ("2001:db8::2/temperature", "Cel", 1320078429, 25.2),
            ("2001:db8::2/humidity", "%RH", 1320078429, 30),
            ("2001:db8::1/temperature", "Cel", 1320078429, 12.3),
            ("2001:db8::1/humidity", "%RH", 1320078429, 67),
        ],
    ),
    (
        "5.1.7, a record of base fields alone",
        [{"bn": OW + ":"}, {"n": "temp", "u": "Cel", "v": 23.1}, {"n": "heat", "u": "/", "v": 1}],
        [(OW + ":temp", "Cel", 0, 23.1), (OW + ":heat", "/", 0, 1)],
    ),
    (
        "5.1.7, several actuators",
        [{"bt": 1320078429, "bu": "/", "n": "2001:db8::3", "v": 1}, {"n": "2001:db8::4", "v": 1}],
        [("2001:db8::3", "/", 1320078429, 1), ("2001:db8::4", "/", 1320078429, 1)],
    ),
    (
        "5.1.7, a sequence of values",
        [
            {"bt": 1320078429, "bu": "/", "n": "2001:db8::3", "v": 0.5},
            {"n": "2001:db8::4", "v": 0.5},
            {"n": "2001:db8::3", "t": 0.1, "v": 0},
        ],
        [
            ("2001:db8::3", "/", 1320078429, 0.5),
            ("2001:db8::4", "/", 1320078429, 0.5),
            ("2001:db8::3", "/", 1320078429.1, 0),
        ],
    ),
]


def test_the_examples_of_rfc_8428_resolve_to_their_resolved_form():
    for section, pack, expected in EXAMPLES:
        records = senml.resolve(senml.decode(senml.encode(pack)))
        assert len(records) == len(expected), section
        for record, (name, unit, time, value) in zip(records, expected):
            found = [record[label] for label in ("v", "vs", "vb", "vd") if label in record]
            assert (record["n"], record.get("u"), found) == (name, unit, [value]), (section, record)
            assert abs(record["t"] - time) < 1e-5, (section, record)
            assert record.get("bver") == (5 if "older version" in section else None)


def test_the_cbor_of_rfc_8428_section_6_decodes_to_its_records():
    data = unhexlify(
        "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c"
        "7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302"
        "fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a300676375"
        "7272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"
    )
    assert len(data) == 0xC3
    records = senml.resolve(senml.decode(data))
    assert [(r["t"] - 1276020076, r["v"]) for r in records[1:]] == [
        (n - 5 + records[0]["t"] - 1276020076, v) for n, v in enumerate((1.2, 1.3, 1.4, 1.5, 1.6, 1.7))
    ]
    assert records[0] == {
        "n": "urn:dev:ow:10e2073a0108006:voltage",
        "u": "V",
        "t": 1276020076.001,
        "v": 120.1,
        "bver": 5,
    }


def test_sums_and_update_times_are_kept_and_a_base_sum_is_added():
    records = senml.resolve([{"bn": "a:", "bs": 100, "n": "x", "s": 5, "ut": 60}, {"n": "y", "v": 1}, {"n": "z"}])
    assert records[0] == {"n": "a:x", "t": 0, "s": 105, "ut": 60}
    assert records[1] == {"n": "a:y", "t": 0, "v": 1, "s": 100}
    assert records[2] == {"n": "a:z", "t": 0, "s": 100}


def test_a_pack_that_no_receiver_would_accept_is_not_sent():
    assert "records" in str(raised(SenmlError, senml.encode, [{"n": "a", "v": 1}] * (limits.SENML_RECORDS + 1)))
