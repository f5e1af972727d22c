"""The same news, "a vehicle has stood on this bay for two seconds", in the formats that compete for the air.

`vendors` holds what makers have published; the sizes are theirs, and nothing of theirs is executed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from benchmarks import _wire_cases as cases

LORAWAN_BYTES = 13  # MHDR 1, DevAddr 4, FCtrl 1, FCnt 2, FPort 1, MIC 4
SF9_DATA_RATE = 3


@dataclass(frozen=True)
class Payload:
    """One format: the application's bytes inside a LoRaWAN frame, what they say, and where that is published."""

    name: str
    size: int | None
    says: str
    source: str


def cayenne(values: list[tuple[int, bytes]]) -> bytes:
    """Return Cayenne LPP: channel, type, data for each value."""
    return b"".join(bytes((channel, kind)) + data for channel, (kind, data) in enumerate(values))


def cayenne_whole() -> bytes:
    """The event's seven values in LPP's own types: presence 102, analog input 2, generic 100, digital input 0."""
    generic = [(100, struct.pack(">I", number)) for number in (3, 4711, 2, 5400)]  # epoch, seq, age, lasted
    return cayenne([(102, b"\1"), (2, struct.pack(">h", 97)), (0, b"\1"), *generic])


def in_json() -> bytes:
    """The pack that `model.pack_readings` makes, as SenML JSON."""
    from pave_wire import senml, senml_json

    return senml_json.encode(senml.decode(cases.pack_readings(1)[1])).encode()


def ours() -> list[Payload]:
    """What is measured from our code and from encoders above."""
    from pave_wire import coap

    whole = "identity, state, reason, confidence, age, length of the state that ended"
    absent = cases.absent("event_encode lorawan model")
    event_size = None if absent else len(cases.presence_uplink(1)[1]) - LORAWAN_BYTES
    return [
        Payload("Pavé: event, SCHC", event_size, whole, "benchmarks/_wire_cases.py"),
        Payload("Cayenne LPP, the same values", len(cayenne_whole()), whole, "myDevicesIoT/CayenneLPP README"),
        Payload("Cayenne LPP, state only", len(cayenne([(102, b"\1")])), "state", "myDevicesIoT/CayenneLPP README"),
        Payload("SenML CBOR in plain CoAP", len(coap.encode(cases.report())), whole, "RFC 8428, 7252"),
        Payload("SenML CBOR, bare", len(cases.pack_readings(1)[1]), whole, "RFC 8428"),
        Payload("SenML JSON, bare", len(in_json()), whole, "RFC 8428"),
    ]


def vendors() -> list[Payload]:
    """Published formats of parking sensors; both give identity, order and delivery to LoRaWAN's counter and ACK."""
    return [
        Payload("Bosch TPS110, parking status", 1, "state", "TheThingsNetwork/lorawan-devices, bosch/tpl110-0292.js"),
        Payload("Bosch TPS110, heartbeat", 2, "state, temperature", "the same"),
        Payload(
            "Nwave NPS405, parking status", 1, "state, length of the state that ended: minutes in 7 bits, to 11 h",
            "TheThingsNetwork/lorawan-devices, nwave/nps405.js",
        ),
    ]  # fmt: skip
