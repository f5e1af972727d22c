"""What `benchmarks/wire.py` measures, written for both runtimes; inside the MicroPython VM this file is the program.

A case is (name, build, calls, modules): `build(count)` returns a function that may be called `count` times, and the
bytes on the wire it makes or reads. `calls` says how often to call it in one batch; the best of BATCHES is its figure.
`modules` of `pave_wire`, as words, are what it measures: a case is absent when one of them cannot be imported, and only
then. Any other error ends the program.

    micropython -X heapsize=16M benchmarks/_wire_cases.py SLOT_DIR    prints a JSON line for each case
"""

import sys

DEVICE = "24a160fffe000101"
KEY = bytes(range(16))
OCCUPIED = {"occupied": True, "reason": "field", "confidence": 0.97, "lasted": 5400}
FAST, SLOW = 500, 5
BATCHES = 7


def readings(count):
    """Return readings as a sensor sends them."""
    from pave_wire import model

    return [model.Reading(DEVICE, 3, 4711 + n, 2, dict(OCCUPIED)) for n in range(count)]


def pack_readings(count):
    """One reading into SenML."""
    from pave_wire import model

    sent = readings(1)
    return lambda: model.pack_readings(DEVICE, sent), model.pack_readings(DEVICE, sent)


def unpack_readings(count):
    """One reading out of SenML."""
    from pave_wire import model

    data = model.pack_readings(DEVICE, readings(1))
    return lambda: model.unpack_readings(data), data


def cbor_dumps(count):
    """The same pack, below SenML."""
    from pave_wire import cbor

    data = unpack_readings(1)[1]
    value = cbor.loads(data)
    return lambda: cbor.dumps(value), data


def cbor_loads(count):
    """The same pack, below SenML."""
    from pave_wire import cbor

    data = unpack_readings(1)[1]
    return lambda: cbor.loads(data), data


def senml_decode(count):
    """The same pack, with base fields resolved."""
    from pave_wire import senml

    data = unpack_readings(1)[1]
    return lambda: senml.resolve(senml.decode(data)), data


def report():
    """Return the plain CoAP request that carries one reading."""
    from pave_wire import coap

    payload = pack_readings(1)[1]
    return coap.Message(coap.CON, coap.POST, 7, b"\1\2", [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, b"p")], payload)


def coap_encode(count):
    """POST /r with one reading."""
    from pave_wire import coap

    message = report()
    return lambda: coap.encode(message), coap.encode(message)


def coap_decode(count):
    """POST /r with one reading."""
    from pave_wire import coap

    data = coap.encode(report())
    return lambda: coap.decode(data), data


def contexts():
    """Return the OSCORE contexts of a device and its gateway."""
    from pave_wire.oscore_context import FRESH_WINDOW, Context

    device = Context(KEY, b"salt", b"\1", b"\2", 0, FRESH_WINDOW)
    gateway = Context(KEY, b"salt", b"\2", b"\1", 0, FRESH_WINDOW)
    for context in (device, gateway):
        context.reserve(1 << 20)
    return device, gateway


def sealed_requests(count):
    """Return the gateway's context and `count` sealed requests, each a datagram of 47 bytes."""
    from pave_wire import coap, oscore

    device, gateway = contexts()
    sealed = []
    for n in range(count):
        piv_bytes = 1 if n < 256 else 2
        payload = bytes(23 - piv_bytes)  # the rest is headers, options and tag
        options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, b"p")]
        request = coap.Message(coap.CON, coap.POST, n, b"\1\2", options, payload)
        sealed.append(coap.encode(oscore.seal_request(device, request)[0]))
    return gateway, sealed


def oscore_server(count):
    """open_request and seal_response, message to message."""
    from pave_wire import coap, oscore

    gateway, sealed = sealed_requests(count)
    waiting = [coap.decode(data) for data in sealed]
    waiting.reverse()

    def serve():
        request, exchange = oscore.open_request(gateway.find, waiting.pop())
        answer = coap.Message(coap.ACK, coap.CHANGED, request.mid, request.token)
        oscore.seal_response(exchange, answer, True)

    return serve, sealed[0]


def oscore_datagrams(count):
    """The same, datagram to datagram."""
    from pave_wire import coap, oscore

    gateway, sealed = sealed_requests(count)
    waiting = sealed[::-1]

    def serve():
        request, exchange = oscore.open_request(gateway.find, coap.decode(waiting.pop()))
        answer = coap.Message(coap.ACK, coap.CHANGED, request.mid, request.token)
        return coap.encode(oscore.seal_response(exchange, answer, True))

    return serve, sealed[0]


def oscore_client(count):
    """seal_request, as a device reports one reading."""
    from pave_wire import coap, oscore

    device, _ = contexts()
    message = report()
    seal = lambda: coap.encode(oscore.seal_request(device, message)[0])  # noqa: E731
    return seal, seal()


def session():
    """Return a LoRaWAN session."""
    from pave_wire import lorawan

    return lorawan.Session(0x26011BDA, KEY, KEY)


def lorawan_encode(count):
    """An uplink with 11 bytes of payload."""
    from pave_wire import lorawan

    ours = session()
    return lambda: lorawan.encode_uplink(ours, 42, 1, b"x" * 11), lorawan.encode_uplink(ours, 42, 1, b"x" * 11)


def lorawan_decode(count):
    """The same as the network server."""
    from pave_wire import lorawan

    ours = session()
    data = lorawan.encode_uplink(ours, 42, 1, b"x" * 11)
    return lambda: lorawan.decode_uplink(ours, data, 41), data


def presence_uplink(count):
    """From a reading to the radio's bytes, as a sensor builds them: event and LoRaWAN."""
    from pave_wire import event_encode, lorawan

    ours = session()
    reading = readings(1)[0]

    def build():
        return lorawan.encode_uplink(ours, 42, event_encode.FPORT, event_encode.encode(reading, True))

    return build, build()


def presence_by_schc(count):
    """The same bytes by way of a CoAP message and SCHC, as the gateway understands them."""
    from pave_wire import coap, event, lorawan, schc, schc_rules

    ours = session()
    reading = readings(1)[0]

    def build():
        options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, coap.uint(event.CONTENT_FORMAT))]
        message = coap.Message(coap.NON, coap.POST, 0, b"", options, event.encode(reading, True))
        port, packet = schc.compress(message, schc_rules.UP)
        return lorawan.encode_uplink(ours, 42, port, packet)

    if build() != presence_uplink(1)[1]:
        raise AssertionError("a sensor's short cut is not what SCHC makes")
    return build, build()


def acknowledgement(count):
    """From "everything up to and including" to the radio's bytes."""
    from pave_wire import coap, event, lorawan, schc, schc_rules

    ours = session()

    def build():
        options = [(coap.CONTENT_FORMAT, coap.uint(event.CONTENT_FORMAT_ACKNOWLEDGEMENT))]
        payload = event.encode_acknowledgement(3, 4711)
        message = coap.Message(coap.NON, coap.CHANGED, 0, b"", options, payload)
        port, packet = schc.compress(message, schc_rules.DOWN)
        return lorawan.encode_downlink(ours, 42, port, packet)

    return build, build()


def es256_verify(count):
    """A signature of RFC 6979, A.2.5."""
    from binascii import unhexlify

    from pave_wire import p256

    key = unhexlify(
        b"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        b"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    signature = unhexlify(
        b"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        b"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    if not p256.verify(key, b"sample", signature):
        raise AssertionError("does not verify")
    return lambda: p256.verify(key, b"sample", signature), signature


CASES = [
    ("cbor.dumps", cbor_dumps, FAST, "cbor model"),
    ("cbor.loads", cbor_loads, FAST, "cbor model"),
    ("senml.decode + resolve", senml_decode, FAST, "senml model"),
    ("model.pack_readings", pack_readings, FAST, "model"),
    ("model.unpack_readings", unpack_readings, FAST, "model"),
    ("coap.encode", coap_encode, FAST, "coap model"),
    ("coap.decode", coap_decode, FAST, "coap model"),
    ("oscore open + seal", oscore_server, FAST, "coap oscore oscore_context"),
    ("the same with coap codec", oscore_datagrams, FAST, "coap oscore oscore_context"),
    ("oscore seal_request", oscore_client, FAST, "coap oscore oscore_context model"),
    ("lorawan.encode_uplink", lorawan_encode, FAST, "lorawan"),
    ("lorawan.decode_uplink", lorawan_decode, FAST, "lorawan"),
    ("presence uplink, whole", presence_uplink, FAST, "event_encode lorawan model"),
    ("the same through SCHC", presence_by_schc, FAST, "event lorawan model schc schc_rules"),
    ("acknowledgement, whole", acknowledgement, FAST, "event lorawan schc schc_rules"),
    ("p256.verify (ES256)", es256_verify, SLOW, "p256"),
]


def absent(modules):
    """Return why the first of the modules (words) cannot be imported, or None."""
    for module in modules.split():
        try:
            __import__("pave_wire." + module)
        except ImportError as error:
            return str(error)
    return None


def best_us(build, calls):
    """Inside the VM: microseconds per call, in the best of BATCHES."""
    import gc
    import time

    best = None
    for _ in range(BATCHES):
        call, _ = build(calls + 1)
        call()
        gc.collect()
        start_us = time.ticks_us()
        for _ in range(calls):
            call()
        spent_us = time.ticks_diff(time.ticks_us(), start_us) / calls
        best = spent_us if best is None else min(best, spent_us)
    return best


def allocated(build):
    """Inside the VM: bytes allocated by one call while nothing is collected, and the bytes on the wire."""
    import gc

    call, wire = build(2)
    call()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    size = gc.mem_alloc() - before
    gc.enable()
    return size, len(wire)


def main(slot_dir):
    """Inside the VM: print the row of each case."""
    import json

    sys.path.insert(0, slot_dir)
    for name, build, calls, modules in CASES:
        row = {"name": name}
        why = absent(modules)
        if why is None:
            row["us"] = best_us(build, calls)
            row["allocated"], row["wire"] = allocated(build)
        else:
            row["absent"] = why
        print(json.dumps(row))


if __name__ == "__main__" and sys.implementation.name == "micropython":
    main(sys.argv[1])
