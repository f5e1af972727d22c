"""The fuzzing harness itself: it counts, it sees a planted bug, it keeps the input and replays it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import formats, messages
from fuzz.helpers import as_steps
from fuzz.targets import TARGETS
from pave_wire import coap, coap_block_server, coap_message, event, limits

ROOT = Path(__file__).parents[3]
# Prints, for each module of the wire, whether its functions hold atheris's hook, which is among their constants.
LOADED = """
import json, sys
if sys.argv[1]:
    __import__(sys.argv[1])
from fuzz import one
def functions(module):
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__:
            yield from [thing] if hasattr(thing, "__code__") else vars(thing).values()
def hooked(name):
    codes = [found.__code__ for found in functions(sys.modules[name]) if hasattr(found, "__code__")]
    written = [code for code in codes if code.co_filename == sys.modules[name].__file__]  # not by dataclasses
    return [one.atheris in [const for const in code.co_consts if type(const) is type(sys)] for code in written]
print(json.dumps({name: hooked(name) for name in one.load_wire() + one.load_gateway()}))
"""


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def instrumented(imported_before: str = "") -> dict[str, bool]:
    """Return, for each module under fuzz with functions, whether the runner loads it instrumented."""
    pytest.importorskip("atheris")
    command = [sys.executable, "-c", LOADED, imported_before]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return {name: all(hooks) for name, hooks in json.loads(finished.stdout.splitlines()[-1]).items() if hooks}


def test_every_module_under_fuzz_is_loaded_instrumented() -> None:
    found = instrumented()
    modules = {f"pave_wire.{path.stem}" for path in (ROOT / "firmware/lib/pave_wire").glob("*.py")}
    without_functions = {"pave_wire.__init__", "pave_wire.limits", "pave_wire.errors"}
    assert [name for name, hooked in found.items() if not hooked] == []
    assert found.keys() >= {target.module for target in TARGETS}
    assert found.keys() >= modules - without_functions


def test_a_module_imported_before_is_seen_as_not_instrumented() -> None:
    found = instrumented("pave_wire.cmac")
    assert not found["pave_wire.cmac"] and found["pave_wire.coap"]


def breaks(target, seeds: list[bytes]) -> bool:
    """Say whether a target fails by its own check on one of the inputs."""
    broken = False
    for seed in seeds:
        try:
            target(seed)
        except AssertionError:
            broken = True
    return broken


@pytest.mark.parametrize(
    ("target", "seeds", "limit", "lower"),
    [
        (messages.client_stays_bounded, messages.client_seeds, "COAP_EXCHANGES", 1),
        (messages.client_stays_bounded, messages.client_seeds, "COAP_TRANSMISSIONS", 1),
        (messages.client_stays_bounded, messages.client_seeds, "COAP_REMEMBERED", 1),
        (messages.endpoint_stays_bounded, messages.endpoint_seeds, "COAP_EXCHANGES", 0),
        (messages.endpoint_stays_bounded, messages.endpoint_seeds, "COAP_TRANSFERS", 0),
        (messages.endpoint_stays_bounded, messages.endpoint_seeds, "COAP_BODY_BYTES", 16),
        (messages.endpoint_stays_bounded, messages.endpoint_seeds, "COAP_OBSERVERS", 0),
    ],
)
def test_an_endpoint_beyond_a_limit_is_seen(target, seeds, limit: str, lower: int, monkeypatch) -> None:
    assert not breaks(target, seeds())
    monkeypatch.setattr(limits, limit, lower)  # what was built keeps its own: it is now beyond what is checked
    assert breaks(target, seeds())


def test_a_layer_that_forgets_nothing_is_seen(monkeypatch) -> None:
    requests = [coap.encode(coap.Message(coap.NON, coap.GET, mid)) for mid in range(9)]
    messages.layer_stays_bounded(as_steps([b"\0" + request for request in requests]))
    remember = coap_message.MessageLayer._remember

    def hoard(layer, key, *others):
        known = dict(layer._known)
        remember(layer, key, *others)
        layer._known.update({key: memory for key, memory in known.items() if key not in layer._known})

    monkeypatch.setattr(coap_message.MessageLayer, "_remember", hoard)
    with pytest.raises(AssertionError):
        messages.layer_stays_bounded(as_steps([b"\0" + request for request in requests]))


def test_a_server_that_keeps_every_body_is_seen(monkeypatch) -> None:
    starts = [[(11, b"s"), (27, b"\x08"), (292, bytes((tag,)))] for tag in range(3)]
    asked = [coap.encode(coap.Message(coap.CON, coap.PUT, n, b"", o, bytes(16))) for n, o in enumerate(starts)]
    messages.endpoint_stays_bounded(as_steps([b"\0" + request for request in asked]))
    build = coap_block_server.BlockServer.__init__
    monkeypatch.setattr(coap_block_server.BlockServer, "__init__", lambda server: build(server, transfers=9))
    with pytest.raises(AssertionError):
        messages.endpoint_stays_bounded(as_steps([b"\0" + request for request in asked]))


def test_an_acknowledgement_compared_by_its_low_bits_alone_is_seen(monkeypatch) -> None:
    def nearest(data: bytes, epoch: int, seq: int, newest_epoch: int, newest_seq: int) -> bool:
        epochs = (data[0] - epoch) & 0xFF
        return epochs < 0x80 if epochs else (int.from_bytes(data[1:], "big") - seq) & 0xFFFF < 0x8000

    for seed in formats.acknowledgement_seeds():
        formats.acknowledgement_is_judged(seed)
    monkeypatch.setattr(event, "is_acknowledged", nearest)
    assert breaks(formats.acknowledgement_is_judged, formats.acknowledgement_seeds())
    monkeypatch.setattr(event, "is_acknowledged", lambda *_: True)
    assert breaks(formats.acknowledgement_is_judged, formats.acknowledgement_seeds())


@pytest.mark.long
def test_a_sound_decoder_passes_and_its_inputs_are_counted(tmp_path: Path) -> None:
    finished = fuzz("--for", "3", "--target", "event-ack", "--out", str(tmp_path))
    report = json.loads(finished.stdout.splitlines()[-1])
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert report["blind"] == [] and report["broken"] == []
    assert report["inputs"] == report["targets"][0]["inputs"] > 1000


@pytest.mark.long
def test_a_planted_bug_fails_the_run_and_is_kept_and_replayed(tmp_path: Path) -> None:
    finished = fuzz("--for", "30", "--target", "control-crash", "--out", str(tmp_path))
    report = json.loads(finished.stdout.splitlines()[-1])
    assert finished.returncode == 1 and report["broken"] == ["control-crash"]
    assert "IndexError: planted" in report["targets"][0]["said"]
    replayed = fuzz("--replay", report["targets"][0]["crashes"][0])
    assert replayed.returncode == 1 and "IndexError: planted" in replayed.stderr
