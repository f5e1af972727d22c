from checks import raised

from pave_wire import cbor, limits, model, senml
from pave_wire.errors import ModelError, WireError

DEVICE = "24a160fffe000101"
URN = "urn:dev:mac:" + DEVICE + "_"


def reading(seq, age_s=0, **values):
    return model.Reading(DEVICE, 3, seq, age_s, values or {model.OCCUPIED: True, model.REASON: "field"})


def pack(*records):
    return senml.encode([{"bn": URN, "n": "epoch", "v": 3}] + list(records))


def test_readings_survive_the_wire_with_their_identity_age_and_values():
    sent = [reading(41, 12.5, occupied=True, reason="field", confidence=0.75), reading(42, 0, occupied=False)]
    got = model.unpack_readings(model.pack_readings(DEVICE, sent))
    assert [r.identity for r in got] == [DEVICE + ":3:41", DEVICE + ":3:42"]
    assert [r.age_s for r in got] == [12.5, 0]
    assert got[0].values == {"occupied": True, "reason": "field", "confidence": 0.75}
    assert got[1].values == {"occupied": False}


def test_a_generic_senml_consumer_reads_names_units_and_times():
    records = senml.resolve(senml.decode(model.pack_readings(DEVICE, [reading(1, 7, confidence=0.5)])))
    value = next(r for r in records if r["n"] == URN + "confidence")
    assert value["v"] == 0.5 and value["u"] == "/" and value["t"] == -7


def test_a_presence_change_fits_one_unfragmented_lora_free_datagram():
    values = {"occupied": True, "reason": "field", "confidence": 0.99, "field": 2.5e-05, "lasted": 86400}
    assert len(model.pack_readings(DEVICE, [model.Reading(DEVICE, 65535, limits.SEQ_MAX, 86400, values)])) < 160


def test_packs_outside_the_contract_are_refused_with_the_value():
    seq = {"n": "seq", "v": 1}
    free = {"n": "occupied", "vb": False}
    for data, word in [
        (pack(), "0 readings"),
        (pack(seq), "0 values"),
        (pack(free), "before the first seq"),
        (senml.encode([{"bn": URN, "n": "seq", "v": 1}]), "before the epoch"),
        (pack({"n": "epoch", "v": 4}), "twice"),
        (senml.encode([{"bn": URN, "n": "epoch", "v": 2**32}]), "4294967296"),
        (senml.encode([{"bn": URN, "n": "epoch", "v": 1.5}]), "1.5"),
        (pack({"n": "seq", "v": -1}), "-1"),
        (pack(dict(seq, bt=5), free), "time 5"),
        (pack(dict(seq, bt=-(2**28)), free), "time"),
        (pack(seq, free, free), "twice"),
        (pack(seq, {"n": "occupied", "v": 1}), "boolean"),
        (pack(seq, {"n": "field", "v": float("inf")}), "inf"),
        (pack(seq, {"n": "reason", "vs": "x" * 65}), "65 characters"),
        (pack(seq, {"n": "blob", "vd": b"x"}), "neither"),
        (pack(seq, {"n": "big", "v": 2**64 - 1}), "either way"),
        (pack(seq, {"n": "field", "v": 25, "u": "uT"}), "sent in T"),
        (pack(seq, {"n": "confidence", "v": 1.5}), "from 0 to 1"),
        (pack(seq, {"n": "confidence", "vb": True}), "from 0 to 1"),
        (pack(seq, {"n": "reason", "vs": "</script>"}), "letters"),
        (pack(seq, {"n": "reason", "vs": "a\nb"}), "letters"),
        (pack(seq, dict(free, t=-1)), "time of its own"),
        (pack(seq, {"n": "", "v": 1}), "without a name"),
        (pack(seq, free, seq, free), "seq 1 stated twice"),
        (pack(seq, free, {"bn": "urn:dev:mac:24a160fffe000102_", "n": "reason", "vs": "x"}), "in a pack of"),
        (senml.encode([{"bn": "urn:dev:mac:24A160fffe000101_", "n": "epoch", "v": 3}]), "hexadecimal"),
        (pack(*[dict(r) for n in range(17) for r in ({"n": "seq", "v": n}, free)]), "17 readings"),
        (pack(seq, *[{"n": "v%d" % n, "v": n} for n in range(13)]), "13 values"),
    ]:
        error = raised(WireError, model.unpack_readings, data)
        assert word in str(error), str(error)


def test_readings_of_two_epochs_do_not_share_a_pack():
    other = model.Reading(DEVICE, 4, 1, 0, {"occupied": True})
    assert "epochs" in str(raised(ModelError, model.pack_readings, DEVICE, [reading(1), other]))


def test_classes_rank_a_change_above_a_heartbeat():
    assert model.class_of({"occupied": True, "reason": "field"}) == "presence"
    assert model.class_of({"occupied": True, "reason": "heartbeat"}) == "health"
    assert model.class_of({"screen-free": 3}) == "health"
    assert model.class_of({"resets": 3}) == "diagnostics"


def test_availability_survives_the_wire():
    counts = {"delivery": (12, 24), "taxi": (0, 12), "disabled": (7, 14)}
    assert model.unpack_availability(model.pack_availability(counts)) == (counts, {})
    nearest = {"delivery": (0, 359), "disabled": (20040000, 0)}
    assert model.unpack_availability(model.pack_availability(counts, nearest)) == (counts, nearest)


def test_the_longest_availability_stays_under_one_block():
    counts = dict.fromkeys(model.KINDS, (65535, 65535))
    nearest = dict.fromkeys(model.KINDS, (20040000, 359))
    assert len(model.pack_availability(counts, nearest)) < 400


def test_a_nearest_bay_that_cannot_be_is_refused():
    counts = {"taxi": (1, 3), "delivery": (0, 2)}
    for where in ((-1, 0), (20040001, 0), (5, 360), (5, -1), (5.5, 0)):
        data = model.pack_availability(counts, {"taxi": where})
        assert "nearest of taxi" in str(raised(ModelError, model.unpack_availability, data)), where
    half = senml.encode(senml.decode(model.pack_availability(counts)) + [{"n": "taxi/distance", "v": 5}])
    assert "nearest of taxi" in str(raised(ModelError, model.unpack_availability, half))
    for kind in ("delivery", "disabled"):
        data = model.pack_availability(counts, {kind: (5, 5)})
        assert kind in str(raised(ModelError, model.unpack_availability, data))


def test_half_an_availability_is_refused():
    data = senml.encode([{"n": "taxi/free", "v": 3}])
    assert "taxi" in str(raised(ModelError, model.unpack_availability, data))
    for free, total in ((-1, 3), (4, 3)):
        data = model.pack_availability({"taxi": (free, total)})
        assert "taxi" in str(raised(ModelError, model.unpack_availability, data))
    data = senml.encode([{"n": "taxi/free", "v": 1}, {"n": "taxi/total", "v": 3}, {"n": "taxi/free", "v": 2}])
    assert "twice" in str(raised(ModelError, model.unpack_availability, data))
    data = senml.encode([{"n": "taxi/maybe", "v": 3}])
    assert "taxi/maybe" in str(raised(ModelError, model.unpack_availability, data))


def test_problem_details_carry_title_and_detail():
    # RFC 9290, table 1: title is -1, detail is -2
    assert cbor.loads(model.problem("Bad CBOR", "truncated")) == {-1: "Bad CBOR", -2: "truncated"}


def test_a_pack_that_the_gateway_would_refuse_is_not_made():
    for readings, word in [
        ([], "0 readings"),
        ([reading(n) for n in range(17)], "17 readings"),
        ([model.Reading(DEVICE, 3, 1, 0, {"v%d" % n: n for n in range(13)})], "13 values"),
        ([reading(1, occupied=1)], "boolean"),
        ([reading(1, blind="yes")], "boolean"),
    ]:
        assert word in str(raised(ModelError, model.pack_readings, DEVICE, readings)), word


def test_the_limits_allow_the_fullest_pack():
    records = 1 + limits.READINGS_PER_PACK * (1 + limits.VALUES_PER_READING)
    assert records <= limits.SENML_RECORDS
    assert 1 + records * 7 <= limits.CBOR_ITEMS  # a map of three fields is seven values


def test_a_blind_sensor_reports_no_occupancy_and_a_tilted_one_raises_an_alarm():
    got = model.unpack_readings(model.pack_readings(DEVICE, [reading(1, blind=True, reason="field")]))
    assert got[0].values == {"blind": True, "reason": "field"}
    assert model.class_of(got[0].values) == "presence"
    assert model.class_of({"occupied": True, "reason": "tilt"}) == "alarm"
