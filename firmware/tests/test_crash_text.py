from app import crash_text
from pave_wire import model
from pave_wire.reading import Reading, class_of

TRACEBACK = """Traceback (most recent call last):
  File "roles/supervise.py", line 28, in run
  File "asyncio/core.py", line 1, in run_until_complete
  File "roles/presence_sensor.py", line 88, in _save
ValueError: state of 2100 bytes; "RTC" memory holds 2035
"""


def test_a_traceback_becomes_what_and_where_innermost_first():
    assert crash_text.summary(TRACEBACK) == {
        "crash": "ValueError: state of 2100 bytes   RTC  memory holds 2035",
        "crash-at": "presence_sensor:88 _save/core:1 run_until_complete",
        "crash-via": "supervise:28 run",
    }


def test_a_deep_one_is_cut_to_what_a_reading_carries():
    lines = ['  File "a/module%d.py", line %d, in function_of_some_length' % (at, at) for at in range(60)]
    values = crash_text.summary("Traceback:\n" + "\n".join(lines) + "\nRuntimeError: " + "\x00é\n" + "deep " * 99)
    assert values["crash-at"].startswith("module59:59") and len(values) == 3
    pack = model.pack_readings("24a160fffe000101", [Reading("24a160fffe000101", 1, 0, 0, values)])
    assert model.unpack_readings(pack)[0].values == values and class_of(values) == "diagnostics"


def test_anything_else_becomes_something_too():
    for text in ("", "\n\n", "  File", '  File "x", line', '  File "x.py", 7', "Traceback (most recent call last):\n"):
        assert crash_text.summary(text) == {"crash": "unknown"}
    assert crash_text.summary("MemoryError: \n") == {"crash": "MemoryError: "}
    assert crash_text.summary('  File "<stdin>", line 1\nSyntaxError: x') == {
        "crash": "SyntaxError: x",
        "crash-at": " stdin :1",
    }
