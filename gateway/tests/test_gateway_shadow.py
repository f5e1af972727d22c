"""Settings: changed by people, fetched or sent in parts, reported, and durable before anything happens."""

import dataclasses
import json
import random

import pytest
from gateway_support import BAY, KIOSK, STRANGER
from hypothesis import given, settings
from hypothesis import strategies as st
from shadow_support import KINDS, START_MS, Gateway, Store, at, keyring

from pave_gateway.core import limits
from pave_gateway.core.change import submit
from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Outdated
from pave_gateway.core.shadow import VersionError
from pave_gateway.core.shadow_resources import Link
from pave_gateway.core.shadow_rows import DesiredRow
from pave_gateway.store import shadow_tables
from pave_wire import cbor, coap, hello, model, region, shadow
from pave_wire.errors import ModelError

WIFI = {"ssid": "Abribus", "key": "correct horse"}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def fetched(gateway: Gateway, device: str, secure: bool = True) -> shadow.Document:
    return shadow.unpack(gateway.resources.desired(device, (), secure).payload)


def test_settings_are_given_by_name_and_travel_by_number(gateway):
    gateway.edit(BAY, heartbeat_s=1800, led="on", radar="ambiguous")
    document = fetched(gateway, BAY)
    assert (document.version, document.values) == (1, {1: 1800, 2: 2, 7: 1})
    view = gateway.shadows.view(BAY)
    assert view.desired == {"heartbeat_s": 1800, "led": "on", "radar": "ambiguous"}
    assert view.differing == ["heartbeat_s", "led", "radar"]
    gateway.edit(BAY, led=None, heartbeat_s=900)
    assert (gateway.shadows.version(BAY), fetched(gateway, BAY).values) == (2, {1: 900, 7: 1})


@pytest.mark.parametrize(
    ("device", "changes", "words"),
    [
        (BAY, {"heartbeat_s": 5}, ("heartbeat_s", "5", "60 to 86400")),
        (BAY, {"heartbeat_s": "60"}, ("heartbeat_s", "'60'")),
        (BAY, {"led": 1}, ("led", "1", "off, button, on")),
        (BAY, {"led": ["on"]}, ("led", "off, button, on")),
        (BAY, {"message_fr": "Bonjour"}, ("message_fr", "this kind")),
        (BAY, {"volume": 1}, ("'volume'", "known: heartbeat_s, led, occupied_nt")),
        (KIOSK, {"message_fr": "x" * 161}, ("message_fr", "160 bytes")),
        (KIOSK, {"message_fr": "a\0b"}, ("message_fr", "control characters")),
        (KIOSK, {"wifi": "secret!!"}, ("wifi", "ssid")),
        (KIOSK, {"wifi": {"ssid": "x"}}, ("wifi", "ssid")),
        (KIOSK, {"wifi": {"ssid": "x", "key": "secret!"}}, ("passphrase",)),
        (KIOSK, {"wifi": {"ssid": "x" * 33, "key": "secret!!"}}, ("SSID",)),
        (KIOSK, {"wifi": {"ssid": 3, "key": 4}}, ("SSID",)),
        (BAY, {"vacant_nt": 8000, "occupied_nt": 8000}, ("vacant_nt is 8000", "less than occupied_nt, 8000")),
    ],
)
def test_a_setting_that_will_not_do_is_refused_with_its_name_its_value_and_what_is_allowed(
    gateway, device, changes, words
):
    with pytest.raises(ModelError) as error:
        gateway.edit(device, **changes)
    for word in words:
        assert word in str(error.value)
    assert "secret" not in str(error.value)
    assert gateway.shadows.version(device) == 0


def test_a_threshold_alone_may_have_any_value_in_its_range(gateway):
    gateway.edit(BAY, vacant_nt=100_000)
    with pytest.raises(ModelError, match="occupied_nt, 9000"):
        gateway.edit(BAY, occupied_nt=9000)


def test_who_decides_on_settings_that_have_changed_since_is_told_so(gateway):
    gateway.edit(BAY, heartbeat_s=1800)
    gateway.commit(gateway.shadows.edit(BAY, shadow.PRESENCE, {"led": "on"}, if_version=1))
    with pytest.raises(VersionError, match="version 1 was read, it is 2 now"):
        gateway.shadows.edit(BAY, shadow.PRESENCE, {"led": "off"}, if_version=1)


def test_of_two_changes_on_their_way_to_the_disk_the_second_is_refused_whole(gateway):
    first = gateway.shadows.edit(BAY, shadow.PRESENCE, {"heartbeat_s": 1800}, if_version=0)
    second = gateway.shadows.edit(BAY, shadow.PRESENCE, {"heartbeat_s": 600}, if_version=0)
    assert isinstance(gateway.commit(first), Committed)
    outcome = gateway.commit(second)
    assert isinstance(outcome, Outdated) and "version 1 does not follow 1" in outcome.detail
    assert fetched(gateway, BAY).values == {1: 1800}


def test_nothing_changes_and_nobody_is_told_before_it_is_on_disk(gateway):
    told = []
    gateway.shadows.subscribe(told.append)
    change = gateway.shadows.edit(KIOSK, shadow.KIOSK, {"led": "on"})
    assert (told, gateway.shadows.version(KIOSK)) == ([], 0)
    outcomes = []
    gateway.store.failing = True
    submit(gateway.store, change, outcomes.append)
    assert isinstance(outcomes[0], CommitFailed) and told == [] and gateway.shadows.version(KIOSK) == 0
    gateway.store.failing = False
    submit(gateway.store, change, lambda outcome: outcomes.append((outcome, list(told))))
    assert outcomes[1] == (Committed(()), [KIOSK]) and gateway.shadows.version(KIOSK) == 1


def test_a_busy_committer_takes_nothing(gateway):
    class Busy(Store):
        def submit(self, rows, done, urgent=False) -> None:
            raise CommitterBusy("full")

    with pytest.raises(CommitterBusy):
        submit(Busy(), gateway.shadows.edit(BAY, shadow.PRESENCE, {"led": "on"}), lambda outcome: None)
    assert gateway.shadows.version(BAY) == 0


def test_all_of_it_survives_a_restart(gateway):
    gateway.edit(KIOSK, heartbeat_s=600, message_fr="Arrêt non desservi", wifi=WIFI)
    gateway.report(KIOSK, 1, {1: 600, 15: {0: 0, 1: [0, 1]}}, refused=(16,))
    before = (gateway.shadows.view(KIOSK), gateway.shadows.etag(KIOSK), gateway.shadows.payload(KIOSK, True))
    gateway.restart(at(0))
    assert (gateway.shadows.view(KIOSK), gateway.shadows.etag(KIOSK), gateway.shadows.payload(KIOSK, True)) == before


def test_the_tag_changes_with_the_settings_and_only_with_them(gateway):
    tags = [gateway.shadows.etag(KIOSK)]
    for value in ("on", "off", "on"):
        gateway.edit(KIOSK, led=value)
        tags.append(gateway.shadows.etag(KIOSK))
        gateway.report(KIOSK, 1, {})
        assert gateway.shadows.etag(KIOSK) == tags[-1]
    assert len(set(tags)) == 4 and {len(tag) for tag in tags} == {4}


def test_restored_settings_under_a_version_used_before_have_another_tag(gateway):
    gateway.edit(KIOSK, led="on")
    other = Gateway()
    other.edit(KIOSK, led="off")
    assert gateway.shadows.version(KIOSK) == other.shadows.version(KIOSK)
    assert gateway.shadows.etag(KIOSK) != other.shadows.etag(KIOSK)


# Secrets


def test_a_passphrase_is_sealed_on_disk_and_in_memory_and_shown_to_its_own_device_alone(gateway):
    gateway.edit(KIOSK, wifi=WIFI)
    gateway.edit(KIOSK, led="on")
    stored = b"".join(bytes(row.values) for row in shadow_tables.desired(gateway.store.db))
    for place in (stored, repr(vars(gateway.shadows)).encode(), repr(gateway.shadows.view(KIOSK)).encode()):
        assert b"correct" not in place
    assert "ssid" in json.dumps(dataclasses.asdict(gateway.shadows.view(KIOSK))["desired"])
    assert fetched(gateway, KIOSK).values[15] == {0: 1, 1: "Abribus", 2: "correct horse", 3: True}


def test_wifi_does_not_travel_over_a_link_that_is_not_sealed(gateway):
    gateway.edit(KIOSK, wifi=WIFI, led="on")
    assert fetched(gateway, KIOSK, secure=False).values == {2: 2}


def test_a_passphrase_that_cannot_be_opened_leaves_the_rest_as_it_is(gateway):
    gateway.edit(KIOSK, wifi=WIFI, led="on")
    gateway.edit(BAY, wifi=WIFI)
    desired = {row.device: row for row in shadow_tables.desired(gateway.store.db)}
    stolen = DesiredRow(KIOSK, 2, desired[BAY].values)  # another device's sealed passphrase
    gateway.store.submit([stolen], lambda outcome: None)
    gateway.restart(at(0))
    assert fetched(gateway, KIOSK).values == {}
    assert gateway.resources.next_for(KIOSK, Link.LORAWAN, at(0), 200) is None


def test_a_report_cannot_smuggle_a_passphrase_into_the_journal(gateway):
    reply = gateway.report(KIOSK, 1, {15: {0: 0, 1: [0], 7: "correct horse"}, 1: 600})
    assert reply and reply.code == coap.CHANGED
    assert b"correct" not in b"".join(row.values for row in shadow_tables.reported(gateway.store.db))
    refused = gateway.report(KIOSK, 1, {15: {0: 0, 1: [0], 2: "correct horse"}})
    assert refused and refused.code == coap.BAD_REQUEST and b"correct" not in refused.payload


# Reports


def test_what_is_reported_as_desired_no_longer_differs(gateway):
    gateway.edit(BAY, heartbeat_s=1800, led="on")
    gateway.report(BAY, 1, {1: 1800, 2: 0})
    view = gateway.shadows.view(BAY)
    assert (view.differing, view.reported, view.reported_version) == (["led"], {"heartbeat_s": 1800, "led": "off"}, 1)
    assert gateway.shadows.setting(BAY, "heartbeat_s") == 1800
    assert gateway.shadows.setting(BAY, "radar") is None and gateway.shadows.setting(BAY, "volume") is None


def test_a_whole_report_forgets_what_it_does_not_name_and_a_part_does_not(gateway):
    gateway.report(BAY, 1, {1: 1800, 2: 0})
    gateway.report(BAY, 1, {2: 1}, part=True)
    assert gateway.shadows.view(BAY).reported == {"heartbeat_s": 1800, "led": "button"}
    gateway.report(BAY, 1, {2: None}, part=True)
    assert gateway.shadows.view(BAY).reported == {"heartbeat_s": 1800}
    gateway.report(BAY, 1, {2: 2})
    assert gateway.shadows.view(BAY).reported == {"led": "on"}


def test_a_refused_setting_is_told_and_not_sent_again_until_it_is_changed(gateway):
    gateway.edit(BAY, heartbeat_s=1800, radar="always")
    gateway.report(BAY, 1, {1: 1800}, part=True, refused=(7,))
    assert (gateway.shadows.view(BAY).refused, gateway.shadows.view(BAY).differing) == (["radar"], [])
    assert gateway.resources.next_for(BAY, Link.LORAWAN, at(0), 50) is None
    gateway.edit(BAY, radar="ambiguous")
    assert gateway.shadows.view(BAY).differing == ["radar"]
    gateway.report(BAY, 2, {1: 1800}, part=True)
    assert gateway.shadows.view(BAY).differing == ["radar"]  # refused in version 1, not in 2


def test_what_a_newer_device_says_of_settings_not_known_here_is_left_out(gateway):
    reply = gateway.report(BAY, 1, {1: 1800, 23: [1, 2], 16: "x"}, refused=(22, 1))
    assert reply and reply.code == coap.CHANGED
    view = gateway.shadows.view(BAY)
    assert (view.reported, view.refused) == ({"heartbeat_s": 1800}, ["heartbeat_s"])


def test_what_a_device_reports_beyond_a_choice_is_shown_as_it_is(gateway):
    gateway.report(BAY, 1, {2: 9})
    assert gateway.shadows.view(BAY).reported == {"led": 9}


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", *map(cbor.dumps, ({0: 1}, {0: 1, 1: {1: [3]}}, {0: 1, 1: {15: 1}}, {0: 1, 1: {1: "a\x1b[2J"}}))],
)
def test_a_report_that_is_none_is_refused_and_changes_nothing(gateway, payload):
    reply = gateway.answer(gateway.resources.reported(BAY, payload, at(0)))
    assert reply and (reply.code, reply.content_format) == (coap.BAD_REQUEST, model.CONTENT_FORMAT_PROBLEM)
    assert list(shadow_tables.reported(gateway.store.db)) == []


# Parts over LoRaWAN


def part_for(gateway: Gateway, now_ms: int, max_bytes: int = 50) -> shadow.Document | None:
    request = gateway.resources.next_for(BAY, Link.LORAWAN, at(now_ms), max_bytes)
    if request is None:
        return None
    assert (request.code, request.path) == (coap.PUT, "s") and len(request.payload) <= max_bytes
    return shadow.unpack(request.payload)


def test_a_lora_device_gets_in_parts_what_differs_until_it_has_all(gateway):
    wanted = {
        "heartbeat_s": 1800, "led": "on", "occupied_nt": 9000, "vacant_nt": 6000, "wake_nt": 5000, "hold_off_s": 60,
        "radar": "always", "radar_range_mm": 900,
    }  # fmt: skip
    gateway.edit(BAY, **wanted)
    has, parts = {}, 0
    while (part := part_for(gateway, parts, max_bytes=20)) is not None:
        assert part.part
        has.update(part.values)
        parts += 1
        answer = shadow.pack(shadow.Document(part.version, part.values, part=True))
        assert gateway.answer(gateway.resources.answered(BAY, answer, at(0)))
    assert parts > 2 and has == {entry[0]: gateway.shadows.setting(BAY, entry[1]) for entry in shadow.SETTINGS[:8]}
    assert gateway.shadows.view(BAY).reported == wanted
    gateway.edit(BAY, radar=None)
    part = part_for(gateway, 0)
    assert part and part.values == {7: None}


def test_all_settings_of_a_sensor_but_wifi_fit_in_one_frame_at_sf12(gateway):
    for number, name, kinds, allowed in shadow.SETTINGS:
        if kinds & shadow.PRESENCE and number != shadow.WIFI:
            highest = allowed[-1] if number != shadow.VACANT_NT else allowed[-1] - 1
            gateway.edit(BAY, **{name: highest})
    part = part_for(gateway, 0, max_bytes=region.max_payload_bytes(0) - 1)
    assert part and len(part.values) == 8


def test_a_device_that_does_not_take_what_it_is_told_is_told_ever_more_rarely(gateway):
    gateway.edit(BAY, heartbeat_s=1800)
    told = [second for second in range(0, 86_400, 15) if part_for(gateway, second * 1000)]
    assert told[:5] == [0, 60, 180, 420, 900] and len(told) < 32
    assert told[-1] - told[-2] == limits.RESEND_MAX_MS // 1000
    gateway.report(BAY, 0, {1: 3600})
    assert part_for(gateway, 86_400_000) is not None  # it says something new: once more from the beginning
    gateway.report(BAY, 0, {1: 3600})
    assert part_for(gateway, 86_401_000) is None  # the same again


def test_what_does_not_fit_the_frame_waits_for_a_better_data_rate_and_holds_up_nothing(gateway):
    gateway.edit(BAY, wifi=WIFI, radar="always")
    part = part_for(gateway, 0, max_bytes=20)
    assert part and part.values == {7: 2}
    gateway.report(BAY, 1, {7: 2}, part=True)
    assert part_for(gateway, 0, max_bytes=20) is None
    part = part_for(gateway, 0, max_bytes=region.max_payload_bytes(3) - 1)
    assert part and part.values[15][2] == "correct horse"
    gateway.report(BAY, 1, {15: {0: 0, 1: [0, 1]}}, part=True)
    assert part_for(gateway, 0, max_bytes=114) is None


def test_a_device_on_ip_fetches_its_settings_and_is_sent_none(gateway):
    gateway.edit(KIOSK, led="on")
    assert gateway.resources.next_for(KIOSK, Link.IP, at(0), 1000) is None


# What devices ask


def said(version: str = "0.1.0") -> bytes:
    return hello.pack_hello(hello.Hello(259, 74043, "pave-presence-v1", version, 6))


def test_a_hello_is_answered_with_the_time_and_the_tag_and_is_durable(gateway):
    gateway.edit(BAY, led="on")
    reply, told = gateway.resources.hello(BAY, said(), at(5_500))
    assert gateway.answer(reply) and (reply.code, reply.content_format) == (coap.CHANGED, 60)
    assert hello.unpack_welcome(reply.payload) == ((START_MS + 5_500) // 1000, gateway.shadows.etag(BAY))
    assert told and (told.epoch, told.seq) == (259, 74043)
    stored = shadow_tables.hello_of(gateway.store.db, BAY)
    assert stored and (stored.board, stored.version, stored.reset_cause) == ("pave-presence-v1", "0.1.0", 6)
    assert shadow_tables.hello_of(gateway.store.db, KIOSK) is None


def test_a_gateway_that_does_not_know_the_time_tells_none(gateway):
    reply, _ = gateway.resources.hello(BAY, said(), at(5_500, synchronized=False))
    assert hello.unpack_welcome(reply.payload)[0] is None


def test_a_hello_that_cannot_be_read_is_refused_and_not_stored(gateway):
    reply, told = gateway.resources.hello(BAY, b"\xa0", at(0))
    assert (reply.code, reply.rows, told) == (coap.BAD_REQUEST, (), None)


def test_settings_that_a_device_has_already_are_not_sent_again(gateway):
    first = gateway.resources.desired(KIOSK, (), secure=True)
    assert (first.code, first.content_format, len(first.etag)) == (coap.CONTENT, 60, 4)
    again = gateway.resources.desired(KIOSK, (b"old", first.etag), secure=True)
    assert (again.code, again.payload, again.etag) == (coap.VALID, b"", first.etag)
    gateway.edit(KIOSK, led="on")
    assert gateway.resources.desired(KIOSK, (first.etag,), secure=True).code == coap.CONTENT


def test_a_stranger_reports_nothing(gateway):
    reply = gateway.report(STRANGER, 1, {1: 1800})
    assert reply and reply.code == coap.FORBIDDEN and STRANGER.encode() in reply.payload


def test_a_report_is_answered_only_when_it_is_on_disk(gateway):
    gateway.store.failing = True
    assert gateway.report(BAY, 1, {1: 1800}) is None
    assert gateway.shadows.view(BAY).reported == {}


@pytest.mark.parametrize("seed", range(20))
def test_any_history_of_edits_and_reports_is_the_same_after_a_restart(seed):
    dice, gateway = random.Random(seed), Gateway()
    for _ in range(30):
        device = dice.choice([BAY, KIOSK])
        entry = dice.choice([each for each in shadow.SETTINGS if each[2] & KINDS[device] and each[0] not in (3, 4)])
        if dice.random() < 0.4:
            value = some_value(dice, entry[3])
            try:
                gateway.edit(device, **{entry[1]: value})
            except ModelError:
                assert entry[1] == "wifi" and value is None
        elif entry[1] != "wifi":
            gateway.report(device, dice.randint(0, 9), {entry[0]: dice.randint(0, 99)}, part=dice.random() < 0.5)
        else:
            gateway.report(device, 1, {15: {0: dice.randint(0, 3), 1: [dice.randint(0, 3)]}}, part=True)
    before = [(gateway.shadows.view(device), gateway.shadows.etag(device)) for device in (BAY, KIOSK)]
    gateway.restart(at(0))
    assert [(gateway.shadows.view(device), gateway.shadows.etag(device)) for device in (BAY, KIOSK)] == before


def some_value(dice: random.Random, allowed):
    if dice.random() < 0.2:
        return None
    if allowed is None:
        return WIFI
    if isinstance(allowed, int):
        return "é" * dice.randint(0, allowed // 2)
    return dice.choice(allowed) if isinstance(allowed[0], str) else dice.randint(*allowed)


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 30), st.integers(0, 2**64 - 1), st.floats(), st.text(max_size=5),
    st.binary(max_size=5),
)  # fmt: skip
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.integers(0, 20), inner, max_size=4),
        st.fixed_dictionaries({0: st.integers(0, 3), 1: st.dictionaries(st.integers(0, 20), inner, max_size=4)}),
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(st.one_of(ANYTHING.map(cbor.dumps), st.binary(max_size=40)), st.sampled_from([BAY, KIOSK, STRANGER]))
def test_whatever_a_device_sends_it_is_answered_and_what_is_kept_can_be_shown(payload, device):
    gateway = Gateway()
    gateway.edit(KIOSK, wifi=WIFI)
    resources = gateway.resources
    for reply in (
        resources.reported(device, payload, at(0)), resources.result(device, payload, at(0)),
        resources.answered(device, payload, at(0)), resources.hello(device, payload, at(0))[0],
    ):  # fmt: skip
        assert gateway.answer(reply) and reply.code in (coap.CHANGED, coap.BAD_REQUEST, coap.FORBIDDEN)
    json.dumps(gateway.shadows.view(device).reported)
    gateway.restart(at(0))
    gateway.resources.next_for(device, Link.LORAWAN, at(0), 50)
    json.dumps(gateway.shadows.view(device).reported)


def test_the_keyring_of_these_tests_gives_another_nonce_each_time():
    ring = keyring()
    assert ring.seal(BAY, "wifi", b"x") != ring.seal(BAY, "wifi", b"x")
