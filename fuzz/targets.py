"""What is fuzzed: one line of `TARGETS` for each decoder.

A target takes any bytes. It returns, or raises a `WireError`; anything else is a bug. Where a decoder has an encoder,
the target also checks that what was decoded survives encoding and decoding, and fails by AssertionError when not.
A target whose module does not exist is named as absent, not passed over.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fuzz import control, formats, gateway, gateway_control, helpers, messages, radio, sealed, settings, signatures

_FRONT = "pave_gateway.ingress.coap_front"
MAX_BYTES = 1400  # a little over the longest datagram


@dataclass(frozen=True)
class Target:
    """A decoder: `run(data)` under the rules above, valid examples to start from, and the module it needs."""

    name: str
    module: str
    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]] = helpers.no_seeds
    max_bytes: int = MAX_BYTES

    @property
    def exists(self) -> bool:
        """Whether the module is there."""
        return importlib.util.find_spec(self.module) is not None


TARGETS = [
    Target("cbor", "pave_wire.cbor", formats.cbor_survives, formats.cbor_seeds),
    Target("senml", "pave_wire.senml", formats.senml_survives, formats.pack_seeds),
    Target("senml-json", "pave_wire.senml_json", formats.json_is_written, formats.pack_seeds),
    Target("readings", "pave_wire.model", formats.readings_survive, formats.pack_seeds),
    Target("availability", "pave_wire.model", formats.availability_survives, formats.availability_seeds),
    Target("event", "pave_wire.event", formats.event_survives, formats.event_seeds, 16),
    Target("event-ack", "pave_wire.event", formats.acknowledgement_is_judged, formats.acknowledgement_seeds, 20),
    Target("hello", "pave_wire.hello", formats.hello_survives, formats.hello_seeds, 200),
    Target("welcome", "pave_wire.hello", formats.welcome_survives, formats.welcome_seeds, 64),
    Target("shadow", "pave_wire.shadow", settings.shadow_survives, settings.shadow_seeds, 1100),
    Target("command", "pave_wire.command", settings.command_survives, settings.command_seeds, 64),
    Target("command-result", "pave_wire.command", settings.result_survives, settings.result_seeds, 128),
    Target("coap", "pave_wire.coap", messages.coap_survives, messages.coap_seeds),
    Target("coap-client", "pave_wire.coap_client", messages.client_stays_bounded, messages.client_seeds),
    Target("coap-message", "pave_wire.coap_message", messages.layer_stays_bounded, messages.layer_seeds),
    Target("coap-endpoint", "pave_wire.coap_endpoint", messages.endpoint_stays_bounded, messages.endpoint_seeds),
    Target("link-format", "pave_wire.link_format", messages.links_survive, messages.link_seeds),
    Target("oscore-option", "pave_wire.oscore_options", sealed.option_survives, sealed.option_seeds, 32),
    Target("oscore-outside", "pave_wire.oscore", sealed.outside_is_refused, sealed.outside_seeds),
    Target("oscore-named", "pave_wire.coap_oscore", sealed.named_is_not_believed, sealed.named_seeds, 300),
    Target("oscore-request", "pave_wire.oscore", sealed.inside_request_is_read, sealed.inside_seeds, 300),
    Target("oscore-response", "pave_wire.oscore", sealed.inside_response_is_read, sealed.inside_seeds, 300),
    Target("lorawan-raw", "pave_wire.lorawan_join", radio.raw_frame_is_refused, radio.frame_seeds, 260),
    Target("lorawan-up", "pave_wire.lorawan", radio.uplink_survives, radio.frame_seeds, 255),
    Target("lorawan-down", "pave_wire.lorawan", radio.downlink_survives, radio.frame_seeds, 255),
    Target("join-accept", "pave_wire.lorawan_join", radio.join_accept_survives, radio.join_accept_seeds, 32),
    Target("mac-commands", "pave_wire.mac_commands", radio.commands_survive, radio.command_seeds, 64),
    Target("schc", "pave_wire.schc", radio.packet_survives, radio.packet_seeds, 260),
    Target("cose", "pave_wire.cose", signatures.cose_is_refused, signatures.cose_seeds, 8400),
    Target("bundle", "pave_wire.bundle", signatures.bundle_survives, signatures.bundle_seeds, 8400),
    Target("p256", "pave_wire.p256", signatures.p256_is_refused, signatures.p256_seeds, 200),
    Target("gateway-pack", "pave_gateway.ingress.coap_pack", gateway.pack_is_read_alike, gateway.pack_seeds, 700),
    Target("gateway-outside", "pave_gateway.ingress.coap_parse", gateway.outside_is_found_alike, gateway.outside_seeds),
    Target("gateway-front", _FRONT, gateway.stranger_meets_silence, gateway.stranger_seeds, 800),
    Target("gateway-inside", _FRONT, gateway.inside_is_answered_to_its_device, gateway.plaintexts, 700),
    Target("gateway-plain", _FRONT, gateway.plain_is_bounded, gateway.plain_seeds, 800),
]

CONTROLS = [
    Target("control-crash", "fuzz.control", control.crash),
    Target("control-stall", "fuzz.control", control.stall),
    Target("control-gateway-pack", "pave_gateway", gateway_control.pack, gateway.pack_seeds, 700),
    Target("control-gateway-outside", "pave_gateway", gateway_control.outside, gateway.outside_seeds),
    Target("control-gateway-front", "pave_gateway", gateway_control.stranger, gateway.stranger_seeds, 800),
    Target("control-gateway-inside", "pave_gateway", gateway_control.inside, gateway.plaintexts, 700),
]


def find(name: str) -> Target:
    """Return the target or control of this name; raises SystemExit."""
    for target in [*TARGETS, *CONTROLS]:
        if target.name == name:
            return target
    raise SystemExit(f"no target {name}; they are {', '.join(target.name for target in TARGETS)}")
