import json

from checks import raised

from pave_wire import limits, model, senml, senml_json
from pave_wire.errors import SenmlError


def test_records_become_json_that_reads_back_to_the_same_fields():
    # RFC 8428, 5.1.5: three types of value, and data in base64url without padding
    records = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.5},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfv-reader", "vd": b"hi \n"},
    ]
    text = senml_json.encode(records)
    assert '"vd":"aGkgCg"' in text
    expected = [dict(record) for record in records]
    expected[3]["vd"] = "aGkgCg"
    assert json.loads(text) == expected


def test_base64_uses_the_url_safe_alphabet():
    assert senml_json.encode([{"n": "a", "vd": b"\xfb\xff\xfe"}]) == '[{"n":"a","vd":"-__-"}]'
    assert senml_json.encode([{"n": "a", "vd": b""}]) == '[{"n":"a","vd":""}]'


def test_text_is_escaped():
    assert json.loads(senml_json.encode([{"n": "a", "vs": 'l\u00e0 "\\\n\x01'}])) == [
        {"n": "a", "vs": 'l\u00e0 "\\\n\x01'}
    ]


def test_a_report_reads_the_same_in_json_as_in_cbor():
    values = {"occupied": True, "reason": "field", "confidence": 0.5, "lasted": 60}
    data = model.pack_readings("24a160fffe000101", [model.Reading("24a160fffe000101", 1, 42, 3, values)])
    records = senml.resolve(senml.decode(data))
    assert json.loads(senml_json.encode(records)) == records


def test_what_json_or_senml_does_not_have_is_refused():
    for record, word in [
        ({"n": "a", "v": float("inf")}, "inf"),
        ({"n": "a", "v": -float("inf")}, "inf"),
        ({"n": "a", "v": float("nan")}, "nan"),
        ({"n": "a", "v": "1"}, "field v"),
        ({"n": "a", "vd": "text"}, "field vd"),
        ({"n": "a", "colour": 1}, "colour"),
    ]:
        error = str(raised(SenmlError, senml_json.encode, [record]))
        assert word in error, error
    many = [{"n": "a", "v": 1}] * (limits.SENML_RECORDS + 1)
    assert "records" in str(raised(SenmlError, senml_json.encode, many))
