"""Properties of the data formats: CBOR, SenML, readings, events."""

from __future__ import annotations

import struct
from typing import Any

from fuzz.helpers import DEVICE, fields_of

_STANDS = struct.Struct(">IIII")  # newest epoch and seq; epochs and seqs that another reading is older


def cbor_survives(data: bytes) -> None:
    """What is decoded encodes to bytes that decode to the same; compared as bytes, for NaN is unequal to itself."""
    from pave_wire import cbor

    encoded = cbor.dumps(cbor.loads(data))
    assert cbor.dumps(cbor.loads(encoded)) == encoded


def cbor_seeds() -> list[bytes]:
    """RFC 8949, Appendix A, in part."""
    texts = (
        "1bffffffffffffffff 3bffffffffffffffff f97bff fa47c35000 fb7e37e43c8800759c f97e00 f4 f6 f7 44010203"
        " 62c3bc 83018202039f0405ff bf61610161629f0203ffff 5f42010243030405ff 7f657374726561646d696e67ff c074"
    )
    return [bytes.fromhex(text) for text in texts.split()]


def senml_survives(data: bytes) -> None:
    """Records decode, resolve, and encode to the same records."""
    from pave_wire import cbor, senml

    records = senml.decode(data)
    again = senml.decode(senml.encode(records))
    assert cbor.dumps(again) == cbor.dumps(records)
    senml.resolve(records)


def readings_survive(data: bytes) -> None:
    """Readings pack to a pack of the same readings."""
    from pave_wire import model

    readings = model.unpack_readings(data)
    again = model.unpack_readings(model.pack_readings(readings[0].device, readings))
    assert [fields_of(reading) for reading in again] == [fields_of(reading) for reading in readings]


def pack_seeds() -> list[bytes]:
    """Packs as devices send them, and the base fields they do not use."""
    from pave_wire import model, senml

    values = {"occupied": True, "reason": "field", "confidence": 0.75, "field": 2.5e-05, "lasted": 86400}
    readings = [model.Reading(DEVICE, 3, seq, seq * 1.5, dict(values)) for seq in (41, 42)]
    base: dict[str, Any] = {"bver": 10, "bn": "urn:dev:mac:" + DEVICE + "_", "bt": -1, "bu": "s", "bv": 1, "n": "a"}
    return [
        model.pack_readings(DEVICE, readings),
        model.pack_readings(DEVICE, [model.Reading(DEVICE, 0, 0, 0, {"screen-free": 7})]),
        senml.encode([base, {"n": "b", "vs": "x", "u": "T"}, {"n": "c", "vd": b"x", "t": 5}, {"n": "d", "s": 1.5}]),
    ]


def availability_survives(data: bytes) -> None:
    """Counts and places pack to the same."""
    from pave_wire import model

    found = model.unpack_availability(data)
    assert model.unpack_availability(model.pack_availability(*found)) == found


def availability_seeds() -> list[bytes]:
    """Three kinds, and where the nearest are."""
    from pave_wire import model

    counts = {"delivery": (3, 20), "taxi": (0, 10), "disabled": (1, 300)}
    nearest = {"delivery": (120, 359), "disabled": (0, 0)}
    return [model.pack_availability(counts), model.pack_availability(counts, nearest)]


def event_survives(data: bytes) -> None:
    """An event that can be expanded encodes to what it was, but for bits that are not used."""
    from pave_wire import event, model

    decoded = event.decode(data)
    values = dict(decoded.values)
    reading = model.Reading(DEVICE, decoded.epoch_low, decoded.seq_low, decoded.age_s, values)
    again = event.decode(event.encode(reading, decoded.oldest))
    assert fields_of(again) == fields_of(decoded)


def event_seeds() -> list[bytes]:
    """An arrival, a departure, and a sensor under snow."""
    from pave_wire import event, model

    told: list[dict[str, Any]] = [
        {"occupied": True, "reason": "field", "confidence": 0.96, "lasted": 5400},
        {"occupied": False, "reason": "radar", "lasted": 60},
        {"blind": True, "reason": "heartbeat"},
    ]
    return [event.encode(model.Reading(DEVICE, 3, 4711, 2, values), True) for values in told]


def acknowledgement_is_judged(data: bytes) -> None:
    """An acknowledgement, and behind it 16 bytes of where the device stands: its newest reading, and an older one.

    Nothing ahead of the newest is ever covered; of the newest epoch, what is at or before the seq that is named; of
    another than the one that is named, all if it is older.
    """
    from pave_wire import event

    stands = _STANDS.unpack(data[-_STANDS.size :].rjust(_STANDS.size, b"\0"))
    newest_epoch, newest_seq, epochs_back, seqs_back = stands
    payload = data[: -_STANDS.size]

    def covers(epoch: int, seq: int) -> bool:
        return event.is_acknowledged(payload, epoch, seq, newest_epoch, newest_seq)

    assert not covers(newest_epoch, newest_seq + 1) and not covers(newest_epoch + 1, 0)
    epoch = _at_or_before(newest_epoch, payload[0], 1 << 8)
    upto = _at_or_before(newest_seq, int.from_bytes(payload[1:], "big"), 1 << 16)
    seq = newest_seq - seqs_back % (newest_seq + 1)
    assert covers(newest_epoch, seq) == (epoch == newest_epoch and seq <= upto)
    older = newest_epoch - 1 - epochs_back % 1000
    if older != epoch:
        assert covers(older, seq) == (older < epoch)


def _at_or_before(newest: int, low: int, size: int) -> int:
    """Return the greatest number up to `newest` that is `low` modulo `size`."""
    number = newest - newest % size + low
    return number if number <= newest else number - size


def acknowledgement_seeds() -> list[bytes]:
    """Of the newest reading and an older one, of a seq that would be ahead, and of an epoch that ended."""
    from pave_wire import event

    told = [(3, 4711, 3, 4712, 0, 2), (3, 4711, 3, 4711, 1, 0), (3, 4720, 3, 70000, 0, 9), (2, 9, 300, 1, 5, 1)]
    return [event.encode_acknowledgement(*stands[:2]) + _STANDS.pack(*stands[2:]) for stands in told]


def json_is_written(data: bytes) -> None:
    """Records that decode are written as JSON that any reader takes, with the same texts."""
    import json

    from pave_wire import senml, senml_json

    records = senml.decode(data)
    written = json.loads(senml_json.encode(records))
    assert [record.get("vs") for record in written] == [record.get("vs") for record in records]


def hello_survives(data: bytes) -> None:
    """A hello packs to the same hello."""
    from pave_wire import hello

    told = hello.unpack_hello(data)
    assert fields_of(hello.unpack_hello(hello.pack_hello(told))) == fields_of(told)


def hello_seeds() -> list[bytes]:
    """A presence sensor's."""
    from pave_wire import hello

    return [hello.pack_hello(hello.Hello(3, 4711, "pave-presence-v1", "0.1.0", 1))]


def welcome_survives(data: bytes) -> None:
    """A welcome packs to the same welcome."""
    from pave_wire import hello

    time_s, etag = hello.unpack_welcome(data)
    assert hello.unpack_welcome(hello.pack_welcome(time_s, etag)) == (time_s, etag)


def welcome_seeds() -> list[bytes]:
    """With the time and without."""
    from pave_wire import hello

    return [hello.pack_welcome(1_795_000_000, b"\1\2\3\4"), hello.pack_welcome(None, b"")]
