import sys

from fake_board import Nvs, Rtc, imported, power_on

from pave_wire import model
from pave_wire.reading import Reading

start_record = imported("roles.start_record")
persistent = imported("roles.persistent")
if sys.implementation.name != "micropython":
    import traceback

    sys.print_exception = lambda error, file: traceback.print_exception(error, file=file)


def started(cause, crashes=0):
    """Return what is to be said after a start for `cause`, as `machine.reset_cause` has it."""
    Nvs.reset_cause = cause
    kept = persistent.Persistent()
    start_record.begin(kept, crashes)
    return start_record.report(kept)


def crash(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        start_record.keep_crash(persistent.Persistent(), error)


def test_each_start_is_counted_under_its_cause_and_said_once():
    power_on()
    assert started(1) == {"reset": "power-on", "resets-power-on": 1}
    assert started(3) == {"reset": "watchdog", "resets-power-on": 1, "resets-watchdog": 1}
    assert started(2)["resets-hard"] == 1
    assert start_record.report(persistent.Persistent()) is None


def test_a_wake_up_of_a_healthy_device_writes_nothing_and_says_nothing():
    power_on()
    started(1)
    commits = Nvs.commits
    assert started(4) is None and Nvs.commits == commits


def test_memory_that_outlived_a_power_on_tells_a_brown_out():
    power_on()
    started(1)
    Rtc.kept = b"something"
    assert started(1) == {"reset": "brown-out", "resets-power-on": 1, "resets-brown-out": 1}


def test_the_first_crash_of_a_row_is_kept_until_it_is_forgotten_and_all_are_counted():
    power_on()
    started(1)
    for text in ("first", "second", "third"):
        crash(text)
    values = started(4, crashes=3)
    assert (values["reset"], values["crash"], values["resets-crash"]) == ("crash", "ValueError: first", 3)
    values["crash-at"].startswith("test_start_record:")
    pack = model.pack_readings("24a160fffe000101", [Reading("24a160fffe000101", 1, 0, 0, values)])
    assert model.unpack_readings(pack)[0].values == values
    assert started(2)["crash"] == "ValueError: first"
    persistent.Persistent().forget("crash")
    assert "crash" not in started(2)
    crash("fourth")
    assert started(4, crashes=1)["crash"] == "ValueError: fourth"


def test_a_count_stops_at_its_end_and_a_damaged_one_begins_anew():
    power_on(pave={"resets": b"\xff" * 14})
    assert started(1)["resets-power-on"] == 0xFFFF
    power_on(pave={"resets": b"\x01"})
    assert started(1) == {"reset": "power-on", "resets-power-on": 1}


def test_a_crash_of_the_longest_texts_fits_frames_of_lorawan_and_loses_only_its_last_text():
    values = {"reset": "deep-sleep"}
    values.update(
        {"resets-" + cause: 65535 for cause in ("power-on", "hard", "watchdog", "soft", "brown-out", "crash")}
    )
    values.update({"crash": "x" * 64, "crash-at": "y" * 64, "crash-via": "z" * 64})
    start, crash = start_record.parts(values)
    assert start["reset"] == "deep-sleep" and start["resets-crash"] == 65535
    assert sorted(crash) == ["crash", "crash-at"]
    for part in (start, crash):
        packed = model.pack_readings("24a160fffe000101", [Reading("24a160fffe000101", 1 << 31, 60000, 86400.5, part)])
        assert len(packed) <= 242 - 15, len(packed)  # at DR5, beside the longest MAC commands
    assert start_record.parts({"reset": "hard"}) == [{"reset": "hard"}]
