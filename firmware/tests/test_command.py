from checks import raised

from pave_wire import cbor, coap, command, limits, model, region, schc, schc_rules
from pave_wire.command import COMMANDS, Command, Result
from pave_wire.errors import CborError, ModelError
from pave_wire.shadow import KIOSK, PRESENCE


def test_a_command_survives_and_the_longest_fits_the_smallest_frame_of_lorawan():
    for sent in (Command(1, command.REBOOT), Command(limits.SEQ_MAX, command.MAINTENANCE, 1440)):
        data = command.pack_command(sent)
        got = command.unpack_command(data)
        assert (got.id, got.code, got.argument) == (sent.id, sent.code, sent.argument)
    assert len(data) == 13
    options = [(coap.URI_PATH, b"x"), (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_CBOR))]
    rule, packet = schc.compress(coap.Message(coap.NON, coap.POST, 0, b"\x51", options, data), schc_rules.DOWN)
    assert (rule, len(packet)) == (12, 14)
    assert len(packet) <= region.max_payload_bytes(0, limits.LORAWAN_FOPTS_BYTES)


def test_a_result_survives_and_fits_too():
    longest = Result(limits.SEQ_MAX, command.FAILED, "x" * limits.COMMAND_DETAIL_CHARS)
    for sent in (Result(1, command.DONE), Result(7, command.STALE, "", limits.SEQ_MAX), longest):
        data = command.pack_result(sent)
        got = command.unpack_result(data)
        for name in ("id", "status", "detail", "newest_id"):
            assert getattr(got, name) == getattr(sent, name)
    answer = coap.Message(coap.NON, coap.CHANGED, 0, b"\x51", [(coap.CONTENT_FORMAT, coap.uint(60))], data)
    rule, packet = schc.compress(answer, schc_rules.UP)
    assert rule == 9 and len(packet) <= region.max_payload_bytes(0)
    assert len(command.pack_result(Result(limits.SEQ_MAX, command.DONE))) == 9


def test_a_word_too_long_is_cut():
    assert command.unpack_result(command.pack_result(Result(1, command.FAILED, "y" * 99))).detail == "y" * 32


def test_each_command_has_its_kinds_and_its_argument():
    for code, kind, argument in ((0, PRESENCE, None), (1, KIOSK, None), (2, KIOSK, 0), (2, KIOSK, 1440), (3, KIOSK, 1)):
        command.check(code, kind, argument)
    for code, kind, argument, word in (
        (0, KIOSK, None, "this kind"),
        (4, PRESENCE, None, "this kind"),
        (-1, PRESENCE, None, "this kind"),
        (1, KIOSK, 0, "reboot takes no argument"),
        (2, KIOSK, None, "minutes is None"),
        (2, KIOSK, 1441, "0 to 1440"),
        (3, KIOSK, True, "seconds is True"),
    ):
        assert word in str(raised(ModelError, command.check, code, kind, argument))


def test_names_and_codes_agree():
    names = [entry[0] for entry in COMMANDS]
    assert names[:4] == ["calibrate", "reboot", "maintenance", "identify"]  # codes that devices out there know
    assert names[4:] == ["log", "unlock", "factory_reset", "erase", "power_cycle_pc"]
    assert names[command.LOG] == "log" and names[command.POWER_CYCLE_PC] == "power_cycle_pc"
    assert names[command.UNLOCK] == "unlock" and names[command.ERASE] == "erase"
    assert names[command.CALIBRATE] == "calibrate" and names[command.IDENTIFY] == "identify"
    assert command.STATUSES[command.STALE] == "stale" and command.STATUSES[command.STARTED] == "started"


def test_what_is_no_command_and_no_result_is_refused():
    raised(CborError, command.unpack_command, b"")
    raised(CborError, command.unpack_result, b"\xff")
    for fields in (
        [],
        {},
        {0: 0, 1: 1},
        {0: 1},
        {0: 1, 1: "x"},
        {0: 1, 1: True},
        {0: 1, 1: 1, 2: None},
        {0: 2**32, 1: 0},
    ):
        raised(ModelError, command.unpack_command, cbor.dumps(fields))
    for fields in (
        7, {0: 1, 1: 5}, {0: 1, 1: 1, 2: 3}, {0: 1, 1: 2, 2: "x" * 33}, {0: 1, 1: 2, 2: "a\nb"}, {0: 1, 1: 4, 3: -1},
    ):  # fmt: skip
        raised(ModelError, command.unpack_result, cbor.dumps(fields))
