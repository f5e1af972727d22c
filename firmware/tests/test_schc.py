from checks import raised
from dice import Dice

from pave_wire import coap, event, event_encode, limits, model, schc, schc_rules
from pave_wire.errors import SchcError
from pave_wire.schc_rules import BOTH, DOWN, ERRORS, RULES, SUCCESSES, UP, VARIABLE

LORAWAN_BYTES = 13  # MHDR 1, DevAddr 4, FCtrl 1, FCnt 2, FPort 1, MIC 4
EVENT = event.encode(model.Reading("24a160fffe000101", 1, 42, 3, {"occupied": True, "reason": "field"}), True)


def message(code, token=b"", options=(), payload=b""):
    return coap.Message(coap.NON, code, 0, token, options, payload)


def event_post(payload=EVENT):
    return message(coap.POST, b"", [(11, b"r"), (12, coap.uint(event.CONTENT_FORMAT))], payload)


def parts(m):
    return (m.type, m.code, m.mid, bytes(m.token), [tuple(option) for option in m.options], m.payload)


def random_message(rule, dice):
    """A message of the kind that `rule` is for, whatever it leaves open chosen at random."""
    header = {}
    token = b""
    options = []
    for field, bits, _, target, action in rule[2]:
        if action == schc_rules.ELIDED:
            value = target
        elif action == schc_rules.MAPPED:
            value = target[dice.below(len(target))]
        else:
            value = dice.bytes(dice.below(40) if bits == VARIABLE else bits // 8)
        if field > 0:
            options.append((field, value))
        elif field == schc_rules.TOKEN:
            token = value
        else:
            header[field] = value
    payload = dice.bytes(1 + dice.below(60)) if schc_rules.MARKER in header else b""
    return message(header[schc_rules.CODE], token, options, payload)


def test_a_presence_event_is_a_frame_of_24_bytes_at_most_and_an_acknowledgement_of_16():
    rule_id, packet = schc.compress(event_post(), UP)
    assert (rule_id, packet) == (event_encode.FPORT, EVENT)
    assert LORAWAN_BYTES + len(packet) <= 24 and LORAWAN_BYTES + limits.EVENT_BYTES <= 24
    payload = event.encode_acknowledgement(1, 42)
    changed = message(coap.CHANGED, b"", [(12, coap.uint(event.CONTENT_FORMAT_ACKNOWLEDGEMENT))], payload)
    rule_id, packet = schc.compress(changed, DOWN)
    assert (rule_id, packet) == (event_encode.FPORT_ACKNOWLEDGEMENT, payload) and LORAWAN_BYTES + len(packet) <= 16


def test_compression_and_decompression_are_inverse_for_every_rule():
    dice = Dice(19)
    for rule in RULES:
        for direction in (UP, DOWN):
            if not rule[1] & direction:
                continue
            for _ in range(60):
                sent = random_message(rule, dice)
                rule_id, packet = schc.compress(sent, direction)
                assert rule_id == rule[0]
                assert parts(schc.decompress(rule_id, packet, direction)) == parts(sent)


def test_every_packet_is_a_message_that_compresses_to_it_again_or_is_refused_by_name():
    dice = Dice(23)
    read = 0
    for _ in range(1500):
        rule_id = 1 + dice.below(20)
        packet = dice.bytes(dice.below(24))
        direction = 1 + dice.below(2)
        try:
            got = schc.decompress(rule_id, packet, direction)
        except SchcError:
            continue
        read += 1
        again_id, again = schc.compress(got, direction)
        assert again_id == rule_id and parts(schc.decompress(again_id, again, direction)) == parts(got)
        assert len(again) <= len(packet), (rule_id, packet, again)
    assert 200 < read < 1500


def test_the_residue_is_as_rfc_8724_packs_it():
    # index 9 of 25 codes in 5 bits, a token of 8, three bits of padding: 01001 10100101 000
    assert schc.compress(message(0x84, b"\xa5"), UP) == (8, b"\x4d\x28")
    # one bit for 2.05 puts token and payload one bit to the right
    content = message(coap.CONTENT, b"\x01", [(12, b"\x3c")], b"\xff\x00")
    assert schc.compress(content, DOWN) == (9, b"\x80\xff\x80\x00")
    # lengths of 1 and 16 bytes in 4 and 12 bits (RFC 8724, 7.4.2)
    digest = bytes(range(16))
    request = message(coap.GET, b"\x07", [(11, b"f"), (11, digest), (23, b"\x22")])
    packed = int.from_bytes(schc.compress(request, UP)[1], "big")
    expected = 0x07F10 << 8 * 16 | int.from_bytes(digest, "big")
    assert packed == (expected << 4 | 1) << 8 | 0x22


def test_what_no_rule_fits_is_refused_by_name():
    good = event_post()
    for changed, word in [
        (coap.Message(coap.CON, good.code, 0, b"", good.options, EVENT), "0.02"),
        (coap.Message(coap.NON, good.code, 1, b"", good.options, EVENT), "no rule"),
        (message(good.code, b"\x01", good.options, EVENT), "no rule"),
        (message(good.code, b"", good.options, b""), "no rule"),
        (message(coap.PUT, b"", good.options, EVENT), "0.03"),
        (message(good.code, b"", [(11, b"q"), good.options[1]], EVENT), "no rule"),
        (message(good.code, b"", list(good.options) + [(60, b"\x01")], EVENT), "60"),
        (message(good.code, b"", list(good.options) + [(15, b"oldest")], EVENT), "15"),
        (message(good.code, b"", [(11, b"r"), (12, b"\x70"), (15, b"newest")], EVENT), "15"),
        (message(good.code, b"", [(12, b"\xfd\xe9")], EVENT), "no rule"),
        (message(coap.CHANGED, b"\x01\x02"), "2.04"),
        (message(0x5E, b"\x01"), "2.30"),
        (message(good.code, b"", [(11, b"r"), (12, b"\x70")], bytes(limits.SCHC_BYTES + 1)), "243 bytes"),
        (message(coap.GET, b"\x01", [(11, b"f"), (11, bytes(255)), (23, b"")]), "no rule"),
    ]:
        error = str(raised(SchcError, schc.compress, changed, UP))
        assert word in error, (word, error)
    raised(SchcError, schc.compress, good, DOWN)


def test_packets_that_are_not_what_their_rule_says_are_refused_by_name():
    for rule_id, packet, direction, word in [
        (1, EVENT, DOWN, "no rule 1"),
        (23, EVENT, UP, "no rule 23"),
        (20, EVENT, UP, "no rule 20"),
        (1, b"", UP, "0 bytes of payload"),
        (4, b"\x01\x02", UP, "1 bytes of payload"),
        (4, b"", UP, "8 are needed"),
        (8, b"\xff\xff", UP, "index 31"),
        (5, b"\x01\xff\xf0\x00", UP, "255"),
        (5, b"\x01\x70", UP, "are needed"),
        (1, bytes(limits.SCHC_BYTES + 1), UP, "243 bytes"),
    ]:
        error = str(raised(SchcError, schc.decompress, rule_id, packet, direction))
        assert word in error, (word, error)


def test_the_rules_leave_20_to_22_free_and_no_two_fit_one_message():
    assert len({rule[0] for rule in RULES}) == len(RULES)
    assert all(0 < rule[0] < 20 and rule[1] in (UP, DOWN, BOTH) for rule in RULES)
    dice = Dice(29)
    for rule in RULES:
        for _ in range(20):
            fields = schc._fields(random_message(rule, dice))
            fitting = [other[0] for other in RULES if other[1] & rule[1] and schc._matches(other[2], fields)]
            assert fitting == [rule[0]], (rule[0], fitting)


def test_the_numbers_in_the_rules_are_those_of_the_contract():
    formats = {coap.uint(number) for number in (42, 60, 112, 257, 65001, 65002)}
    assert {field[3] for rule in RULES for field in rule[2] if field[0] == coap.CONTENT_FORMAT} == formats
    assert coap.uint(event.CONTENT_FORMAT) in formats and coap.uint(model.CONTENT_FORMAT_PROBLEM) in formats
    paths = {field[3] for rule in RULES for field in rule[2] if field[0] == coap.URI_PATH and field[2] == 1}
    assert paths == {path.encode() for path in ("r", "h", "s", "f", "x")}
    queries = {field[3] for rule in RULES for field in rule[2] if field[0] == coap.URI_QUERY}
    assert queries == {model.QUERY_OLDEST.encode()}
    assert [code >> 5 for code in SUCCESSES + ERRORS] == [2] * 5 + [4] * 14 + [5] * 6
