"""The CoAP front without a socket: what is answered, what is not, and what is on disk by then."""

import pytest
from oscore_support import ELSEWHERE, HERE, Bench, Sealer, get, keys_of, post

from pave_gateway.core import limits
from pave_wire import coap, model
from pave_wire.coap import ACK, CON, NON, RST, Message
from pave_wire.coap_message import EXCHANGE_LIFETIME_MS
from pave_wire.oscore_options import decode_value


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def device():
    return Sealer()


def only(datagrams):
    assert len(datagrams) == 1, datagrams
    return datagrams[0]


# Reports


def test_a_report_is_answered_2_04_on_its_ack_and_its_window_is_on_disk_with_it(bench, device):
    reply = only(bench.put(device.report(1)))
    answer = device.open(reply)
    assert (answer.type, coap.code_text(answer.code), answer.payload, answer.options) == (ACK, "2.04", b"", [])
    assert list(bench.disk.readings) == [f"{device.device}:1:1"]
    assert bench.disk.windows == {device.device: (0, 1)}


def test_the_bare_2_04_has_the_bytes_that_pave_wire_would_give_it(device):
    for token in (b"", b"t", b"12345678"):
        quick, exact = Bench(), Bench()
        request = post(model.pack_readings(device.device, [model.Reading(device.device, 1, 1, 0, {"occupied": True})]))
        request.token = token
        sealer = Sealer()
        data = sealer.seal(request)
        exact.front.outbox.accept = lambda request, box=exact.front.outbox: box.answer(
            request, Message(ACK, coap.CHANGED, 0), reuse_nonce=True
        )
        assert only(quick.put(data)) == only(exact.put(data))


def test_nothing_is_answered_before_the_commit(device):
    bench = Bench(at_once=False)
    assert bench.put(device.report(1)) == []
    assert bench.disk.readings == {}
    assert device.code(only(bench.flush())) == "2.04"


def test_a_report_in_a_non_is_answered_by_a_non(bench, device):
    answer = device.open(only(bench.put(device.report(1, kind=NON))))
    assert (answer.type, coap.code_text(answer.code)) == (NON, "2.04")


def test_a_device_reports_for_itself_alone(bench, device):
    other = Sealer(0x102)
    pack = model.pack_readings(other.device, [model.Reading(other.device, 1, 1, 0, {"occupied": True})])
    answer = device.open(only(bench.put(device.seal(post(pack)))))
    assert coap.code_text(answer.code) == "4.03"
    assert b"a device sends its own" in answer.payload
    assert bench.disk.readings == {}


@pytest.mark.parametrize(
    ("payload", "content_format", "options", "code"),
    [
        (b"\xff", 112, [], "4.00"),
        (b"", 112, [], "4.00"),
        (b"\xa0", 112, [], "4.00"),
        (b"x", 60, [], "4.15"),
        (b"x", None, [], "4.15"),
        (b"\x80", 112, [(coap.BLOCK1, b"\x08")], "4.13"),
        (b"\x80", 112, [(65001, b"")], "4.02"),
        (b"\x80", 112, [(coap.URI_HOST, b"")], "silence"),
        (b"\x80", 112, [(coap.URI_PATH, b"x")], "aiocoap"),
    ],
)
def test_what_cannot_be_taken_is_answered_with_its_code_after_its_window_is_on_disk(
    device, payload, content_format, options, code
):
    bench = Bench(at_once=False)
    request = post(payload, content_format)
    request.options = coap.ordered([*request.options, *options])
    assert bench.put(device.seal(request)) == []
    out = bench.flush()
    if code == "aiocoap":
        assert (out, len(bench.tokens.requests)) == ([], 1)
    elif code == "silence":  # Uri-Host travels outside, where an empty one is malformed
        assert (out, bench.counters.dropped["malformed"]) == ([], 1)
        return
    else:
        assert device.code(only(out)) == code
    assert bench.disk.windows == {device.device: (0, 1)}


def test_a_used_identity_with_other_values_is_answered_4_09_under_a_number_of_our_own(bench, device):
    bench.put(device.report(1))
    reply = only(bench.put(device.report(1, occupied=False)))
    assert coap.decode(reply).option(coap.OSCORE) != b""
    assert device.code(reply) == "4.09"
    assert bench.disk.windows[device.device] == (1, 3)


def test_a_refusal_is_not_answered_if_its_window_cannot_be_stored(device):
    bench = Bench(at_once=False)
    request = device.seal(post(b"\xff"))
    bench.put(request)
    bench.committer.fault = "the disk is full"
    assert bench.flush() == []
    assert bench.counters.not_stored == 1
    bench.committer.fault = ""
    assert bench.put(request) == []  # the same bytes are a new try
    assert device.code(only(bench.flush())) == "4.00"


def test_a_report_that_could_not_be_stored_is_met_with_silence_and_taken_when_the_disk_is_well(device):
    bench = Bench(at_once=False)
    report = device.report(1)
    bench.put(report)
    bench.committer.fault = "the disk is full"
    bench.committer.flush()  # fails; the window of the refusal is submitted
    assert bench.flush() == []
    assert bench.disk.readings == {} and bench.disk.windows == {}
    bench.committer.fault = ""
    bench.put(report)
    assert device.code(only(bench.flush())) == "2.04"
    assert len(bench.disk.readings) == 1


def test_a_full_queue_is_silence_and_the_retransmission_a_new_try(device):
    bench = Bench(at_once=False)
    bench.committer.max_queued = 0
    report = device.report(1)
    assert bench.put(report) == []
    assert bench.counters.not_stored == 1
    bench.committer.max_queued = 1
    bench.put(report)
    assert device.code(only(bench.flush())) == "2.04"


def test_too_many_readings_in_flight_are_answered_5_03_with_max_age(device):
    bench = Bench(at_once=False)
    bench.ingest._max_in_flight = 0
    bench.put(device.report(1))
    answer = device.open(only(bench.flush()))
    assert coap.code_text(answer.code) == "5.03"
    assert answer.option(coap.MAX_AGE) == bytes((limits.RETRY_AFTER_S,))


# Retransmissions and message IDs


def test_a_retransmission_gets_the_same_reply_and_is_stored_once(bench, device):
    report = device.report(1)
    reply = bench.put(report)
    assert bench.put(report) == reply
    assert len(bench.disk.readings) == 1
    assert bench.counters.retransmissions == 1


def test_a_reply_is_sent_again_no_more_than_a_client_retransmits(bench, device):
    report = device.report(1)
    bench.put(report)
    sent = [len(bench.put(report)) for _ in range(limits.COAP_RESENDS + 3)]
    assert sent == [1] * limits.COAP_RESENDS + [0] * 3


def test_a_retransmission_while_the_commit_is_under_way_is_silence(device):
    bench = Bench(at_once=False)
    report = device.report(1)
    assert bench.put(report) == []
    assert bench.put(report) == []
    assert len(bench.committer.queue) == 1
    assert device.code(only(bench.flush())) == "2.04"


def test_a_slow_commit_is_acknowledged_at_500_ms_and_answered_by_a_message_that_is_repeated(device):
    bench = Bench(at_once=False)
    report = device.report(1)
    bench.put(report)
    assert bench.later(400) == []
    empty = only(bench.later(200))
    assert (coap.decode(empty).type, coap.decode(empty).code) == (ACK, coap.EMPTY)
    assert bench.put(report) == [empty]
    separate = only(bench.flush())
    answer = device.open(separate)
    assert (answer.type, coap.code_text(answer.code)) == (CON, "2.04")
    assert bench.later(3_100) == [separate]
    assert bench.put(coap.encode(Message(ACK, 0, answer.mid))) == []
    assert bench.later(60_000) == []


def test_the_same_message_id_with_another_report_is_another_request(bench, device):
    first = device.report(1)
    bench.put(first)
    request = post(model.pack_readings(device.device, [model.Reading(device.device, 1, 2, 0, {"occupied": True})]))
    request.mid = coap.decode(first).mid
    assert device.code(only(bench.put(device.seal(request)))) == "2.04"
    assert len(bench.disk.readings) == 2
    assert bench.counters.reused_ids == 1


def test_the_same_message_id_with_forged_bytes_is_silence_and_the_reply_is_kept(bench, device):
    report = device.report(1)
    reply = bench.put(report)
    forged = report[:-1] + bytes((report[-1] ^ 1,))
    assert bench.put(forged) == []
    assert bench.counters.reused_ids == 0
    assert bench.put(report) == reply


def test_a_reading_sent_again_under_a_new_partial_iv_is_answered_2_04_and_stored_once(bench, device):
    for _ in range(3):
        assert device.code(only(bench.put(device.report(7)))) == "2.04"
    assert len(bench.disk.readings) == 1
    assert (bench.counters.accepted, bench.counters.repeated) == (3, 2)


def test_a_message_id_is_free_again_after_the_exchange_lifetime(bench, device):
    report = device.report(1)
    bench.put(report)
    bench.later(EXCHANGE_LIFETIME_MS)
    assert bench.put(report) == []
    assert bench.counters.dropped["replay"] == 1


def test_what_is_remembered_is_bounded_and_the_oldest_gives_way(device):
    bench = Bench()
    bench.front._exchanges.__init__(4)
    reports = [device.report(seq) for seq in range(6)]
    replies = [bench.put(report) for report in reports]
    assert len(bench.front._exchanges) == 4
    assert bench.put(reports[0]) == []  # a replay now
    assert bench.put(reports[5]) == replies[5]


# Addresses and reboots


def test_a_device_that_moved_is_answered_where_it_is(bench, device):
    bench.put(device.report(1))
    assert device.code(only(bench.put(device.report(2), ELSEWHERE))) == "2.04"
    context = bench.contexts.of_device(device.device)
    assert (context.address, bench.counters.moved) == (ELSEWHERE, 1)


def test_a_request_that_was_overtaken_does_not_move_its_device_back(bench, device):
    early, late = device.report(1), device.report(2)
    bench.put(late, ELSEWHERE)
    bench.put(early, HERE)
    assert bench.contexts.of_device(device.device).address == ELSEWHERE


def test_a_captured_request_from_another_address_moves_nothing(bench, device):
    report = device.report(1)
    bench.put(report)
    assert bench.put(report, ELSEWHERE) == []
    assert bench.contexts.of_device(device.device).address == HERE


def test_a_device_that_rebooted_goes_on_with_the_numbers_it_had_reserved(bench):
    bench.put(Sealer().report(1))
    again = Sealer(sequence=256)
    assert again.code(only(bench.put(again.report(2)))) == "2.04"
    assert bench.disk.windows[again.device] == (256, 1)


def test_requests_overtaken_within_the_window_are_taken_and_older_ones_are_not(bench, device):
    reports = [device.report(seq) for seq in range(40)]
    assert bench.put(reports[39])
    assert bench.put(reports[8])
    assert bench.put(reports[7]) == []
    assert bench.counters.dropped["replay"] == 1


def test_a_kid_context_must_be_the_devices_own():
    bench = Bench(devices=1)
    bench.contexts.remove(Sealer().device)
    bench.contexts.add(keys_of(0x101, b"site"), (-1, 0), 0)
    device, stranger = Sealer(0x101, id_context=b"site"), Sealer(0x101, id_context=b"else")
    assert bench.put(stranger.report(1)) == []
    assert bench.counters.dropped["unknown_kid"] == 1
    assert device.code(only(bench.put(device.report(1)))) == "2.04"


# What else may come


def test_a_request_for_something_else_reaches_aiocoap_once_its_window_is_on_disk(device):
    bench = Bench(at_once=False)
    bench.put(device.seal(get("a")))
    assert bench.tokens.requests == []
    bench.flush()
    (request, message), *_ = bench.tokens.requests
    assert (message.code, message.path, request.context.device) == (coap.GET, "a", device.device)
    assert bench.disk.windows == {device.device: (0, 1)}


def test_a_request_through_a_proxy_is_silence_under_oscore_and_5_05_in_insecure_mode(bench, device):
    through = get("a", (coap.PROXY_SCHEME, b"coap"))
    assert bench.put(device.seal(through)) == []  # the option travels outside, where anyone may have added it
    assert bench.counters.dropped["malformed"] == 1
    assert coap.decode(only(Bench(insecure=True).put(coap.encode(through)))).code == coap.PROXYING_NOT_SUPPORTED


def test_a_body_in_several_blocks_is_refused(bench, device):
    request = post(b"x" * 16, 60, path="h")
    request.options = coap.ordered([*request.options, (coap.BLOCK1, b"\x08")])
    answer = device.open(only(bench.put(device.seal(request))))
    assert (coap.code_text(answer.code), answer.option(coap.SIZE1)) == ("4.13", b"\x04\x00")


def test_a_non_with_a_critical_option_unknown_here_is_silence(bench, device):
    assert bench.put(device.seal(get("a", (65001, b""), kind=NON))) == []
    assert bench.tokens.requests == []


@pytest.mark.parametrize("kind", [ACK, RST])
def test_an_ack_or_reset_to_nothing_that_was_sent_is_dropped(bench, kind):
    assert bench.put(coap.encode(Message(kind, 0, 77))) == []
    assert bench.counters.dropped["unexpected"] == 1


# Numbers of our own


def test_a_number_is_on_disk_before_it_is_used_and_half_of_them_are_enough_to_ask_for_more(device):
    bench = Bench(at_once=False)
    bench.put(device.seal(post(b"\xff")))
    assert bench.disk.reserved == {}
    assert len(bench.flush()) == 1
    assert bench.disk.reserved == {device.device: 256}
    for _ in range(300):
        bench.put(device.seal(post(b"\xff")))
        assert len(bench.flush()) == 1
        context = bench.contexts.of_device(device.device)
        assert context.sequence <= context.reserved <= bench.disk.reserved[device.device]
    assert bench.disk.reserved[device.device] == 512


def number_of(datagram):
    piv, _, _ = decode_value(coap.decode(datagram).option(coap.OSCORE))
    return int.from_bytes(piv, "big")


def test_no_number_is_used_again_after_a_kill(device):
    bench = Bench()
    bench.put(device.seal(post(b"\xff")))
    used = number_of(bench.put(device.seal(post(b"\xff")))[0])
    after = bench.killed()
    again = number_of(after.put(device.seal(post(b"\xff")))[0])
    assert again >= 256 > used


# Echo


def test_a_lost_window_is_asked_for_echo_once_and_the_report_is_then_taken(device):
    bench = Bench(lost=True)
    reply = only(bench.put(device.report(1)))
    challenge = device.open(reply)
    assert coap.code_text(challenge.code) == "4.01"
    assert coap.decode(reply).option(coap.OSCORE)[0] & 0x08  # it names the sender: see core.keys
    echo = challenge.option(coap.ECHO)
    assert len(echo) == limits.ECHO_BYTES
    assert bench.disk.windows == {} and bench.disk.readings == {}
    request = post(model.pack_readings(device.device, [model.Reading(device.device, 1, 1, 0, {"occupied": True})]))
    request.options = coap.ordered([*request.options, (coap.ECHO, echo)])
    assert device.code(only(bench.put(device.seal(request)))) == "2.04"
    assert bench.disk.windows == {device.device: (1, 0xFFFFFFFF)}
    assert device.code(only(bench.put(device.report(2)))) == "2.04"
    assert bench.counters.echo == 1


def test_a_challenge_is_repeated_to_a_retransmission_and_an_old_request_is_not_challenged(device):
    bench = Bench(lost=True)
    old, new = device.report(1), device.report(2)
    challenge = bench.put(new)
    assert bench.put(new) == challenge
    assert bench.put(old) == []
    assert bench.counters.dropped["replay"] == 1


def test_after_a_plain_kill_no_echo_is_needed(bench, device):
    bench.put(device.report(1))
    after = bench.killed()
    assert device.code(only(after.put(device.report(2)))) == "2.04"
    assert after.counters.echo == 0


def test_the_window_that_an_echo_began_is_stored_even_if_the_first_try_failed(device):
    bench = Bench(lost=True, at_once=False)
    bench.put(device.report(1))
    echo = device.open(only(bench.flush())).option(coap.ECHO)
    request = post(model.pack_readings(device.device, [model.Reading(device.device, 1, 1, 0, {"occupied": True})]))
    request.options = coap.ordered([*request.options, (coap.ECHO, echo)])
    data = device.seal(request)
    bench.put(data)
    bench.committer.fault = "full"
    bench.committer.flush()
    bench.flush()
    bench.committer.fault = ""
    bench.put(data)
    assert device.code(only(bench.flush())) == "2.04"
    assert bench.disk.windows == {device.device: (1, 0xFFFFFFFF)}


# Plain CoAP


def test_plain_coap_is_silence_unless_the_site_file_allows_it(bench, device):
    pack = model.pack_readings(device.device, [model.Reading(device.device, 1, 1, 0, {"occupied": True})])
    plain = post(pack)
    plain.mid = 5
    assert bench.put(coap.encode(plain)) == []
    assert bench.counters.dropped["not_oscore"] == 1
    insecure = Bench(insecure=True)
    assert coap.decode(only(insecure.put(coap.encode(plain)))).code == coap.CHANGED
    assert insecure.put(coap.encode(plain)) and len(insecure.disk.readings) == 1
    assert device.code(only(insecure.put(device.report(2)))) == "2.04"  # OSCORE goes on working
    assert insecure.disk.windows == {device.device: (0, 1)}


def test_plain_requests_displace_nothing_that_is_remembered_of_devices(device):
    bench = Bench(insecure=True)
    bench.front._exchanges.__init__(4)
    bench.front._plain.__init__(4)
    report = device.report(1)
    reply = bench.put(report)
    for mid in range(20):
        plain = get("a")
        plain.mid = mid
        bench.put(coap.encode(plain))
    assert len(bench.front._plain) == 4
    assert bench.put(report) == reply
