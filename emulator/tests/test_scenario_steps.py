"""Steps and properties: what is done, what is waited for, what is judged."""

import inspect

import pytest

from pave_emulator.scenario.events import world_record
from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.play import Play
from pave_emulator.scenario.properties import Checker
from pave_emulator.scenario.steps import FAULT_ACTIONS, Faults
from pave_emulator.scenario.world import Bay, World
from pave_emulator.trace import Record

HEAD = """\
name: test
seed: 7
earth_field_ut: [20.9, 0.8, 43.7]
"""


class Hooks:
    """Faults that are only written down."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def __getattr__(self, name):
        return lambda **arguments: self.calls.append((name, arguments))


def scenario(tmp_path, text: str):
    path = tmp_path / "s.yaml"
    path.write_text(HEAD + text)
    return load(path)


def play(tmp_path, text: str, until_s: float = 1000.0):
    world = World(scenario(tmp_path, text), [Bay("bay-0", "taxi"), Bay("bay-1", "taxi")], ["k-0"])
    hooks = Hooks()
    running = Play(world, hooks)
    return running.advance(until_s), hooks.calls, running


def verdicts(tmp_path, text: str, records: list[Record], until_s: float = 1000.0):
    checker = Checker(scenario(tmp_path, "properties:\n" + text).properties)
    for record in records:
        checker.feed(record)
    return checker.finish(until_s)


def arrives(t_s: float, bay: str = "bay-0") -> Record:
    return world_record(t_s, "arrives", {"bay": bay, "n": 1})


def sent(t_s: float, device: str = "bay-0", **fields) -> Record:
    return Record(round(t_s * 1e6), device, "datagram", fields)


def test_the_hooks_of_the_protocol_take_what_the_table_of_faults_gives():
    hooks = {name: method for name, method in vars(Faults).items() if inspect.isfunction(method) and name[0] != "_"}
    assert hooks.keys() == FAULT_ACTIONS.keys()
    for name, method in hooks.items():
        assert list(inspect.signature(method).parameters)[1:] == list(FAULT_ACTIONS[name])


def test_steps_are_done_in_order_of_time_and_recorded(tmp_path):
    text = """
steps:
  - {name: later, at_s: 20, do: {power_cut: {device: d, s: 5}}}
  - {at_s: 10, do: {flip_flash_bit: {device: d, address: 0x620100, bit: 3}}}
"""
    events, calls, _ = play(tmp_path, text)
    assert calls == [
        ("flip_flash_bit", {"device": "d", "address": 0x620100, "bit": 3}),
        ("power_cut", {"device": "d", "s": 5.0}),
    ]
    steps = [event.record for event in events if event.source is None]
    assert [(r.t_us, r.fields["name"], r.fields["action"]) for r in steps] == [
        (10_000_000, "step 2", "flip_flash_bit"),
        (20_000_000, "later", "power_cut"),
    ]


def test_a_step_after_an_event_is_done_once_or_every_time_with_what_the_event_was_about(tmp_path):
    text = """
visits:
  - {bay: bay-0, arrive_s: 10, leave_s: 20}
  - {bay: bay-1, arrive_s: 30, leave_s: 40}
  - {bay: bay-0, arrive_s: 50, leave_s: 60}
steps:
  - {after: {arrives: any}, delay_s: 2, do: {reset: {device: "@bay"}}, every_time: true}
  - {name: first, after: {leaves: bay-0}, do: {brown_out: {device: x}}}
  - {after: {step: first}, delay_s: 1, do: {radio_outage: {s: 3}}}
"""
    events, calls, _ = play(tmp_path, text)
    assert calls == [
        ("reset", {"device": "bay-0"}),
        ("brown_out", {"device": "x"}),
        ("radio_outage", {"s": 3.0}),
        ("reset", {"device": "bay-1"}),
        ("reset", {"device": "bay-0"}),
    ]
    done_s = [event.record.t_us / 1e6 for event in events if event.source is None]
    assert done_s == [12, 20, 21, 32, 52]


def test_a_step_waits_for_what_a_device_records(tmp_path):
    text = """
steps:
  - after: {kind: console, device: d, line: {contains: ready}}
    do: {wifi_loss: {share: 0.5, s: 60}}
"""
    _, calls, running = play(tmp_path, text)
    running.observe(Record(5, "d", "console", {"line": "booting"}))
    running.observe(Record(5, "e", "console", {"line": "ready"}))
    assert running.advance(2000) == [] and calls == []
    running.observe(Record(1_500_000_000, "d", "console", {"line": "now ready."}))
    running.advance(1500)
    assert calls == [("wifi_loss", {"share": 0.5, "s": 60.0})]


def test_a_vehicle_that_a_step_brings_is_an_event_for_the_next(tmp_path):
    text = """
steps:
  - {at_s: 100, do: {arrive: {bay: bay-1, manoeuvre: quick}}}
  - {after: {arrives: bay-1}, delay_s: 50, do: {leave: {bay: bay-1}}}
"""
    events, _, _ = play(tmp_path, text)
    told = [(event.record.t_us / 1e6, event.record.fields["what"]) for event in events]
    assert told == [(100, "step"), (101.5, "arrives"), (151.5, "step"), (153, "leaves")]


def test_within_passes_and_fails_by_the_deadline(tmp_path):
    text = "  - {name: told, within: {after: {arrives: any}, s: 5, expect: {kind: datagram, device: '@bay'}}}\n"
    records = [arrives(10), sent(14.9), arrives(20, "bay-1"), sent(21), sent(25.0, "bay-1")]
    (good,) = verdicts(tmp_path, text, records)
    assert good.passed and good.checked == 2 and good.open == 0
    (bad,) = verdicts(tmp_path, text, [arrives(10), arrives(20, "bay-1"), sent(15.1), sent(21, "bay-1")])
    assert not bad.passed and bad.t_s == 15
    assert bad.reason == "no datagram device=bay-0 within 5 s of arrives bay=bay-0 n=1 at 10 s"


def test_a_deadline_after_the_end_is_open_and_one_before_it_is_missed(tmp_path):
    text = "  - within: {after: {arrives: bay-0}, s: 5, expect: {kind: boot}}\n"
    (open_still,) = verdicts(tmp_path, text, [arrives(10)], until_s=14)
    assert open_still.passed and open_still.open == 1 and open_still.checked == 0
    (missed,) = verdicts(tmp_path, text, [arrives(10)], until_s=15.1)
    assert not missed.passed and missed.name == "within 1"


@pytest.mark.parametrize(
    ("text", "good", "bad", "failed_s", "reason"),
    [
        (
            "never: {kind: console, line: {contains: Traceback}}",
            [Record(1, "d", "console", {"line": "fine"})],
            [Record(2_000_000, "d", "console", {"line": "Traceback (most"})],
            2.0,
            "console d line=Traceback (most at 2 s",
        ),
        (
            "always: {of: {kind: lora, what: tx}, holds: {kind: lora, sf: {least: 7, most: 10}}}",
            [Record(1, "d", "lora", {"what": "tx", "sf": 10}), Record(1, "d", "lora", {"what": "rx", "sf": 12})],
            [Record(1, "d", "lora", {"what": "tx", "sf": 7}), Record(3_000_000, "d", "lora", {"what": "tx", "sf": 11})],
            3.0,
            "tx d sf=11 at 3 s is not lora sf=7..10",
        ),
        (
            "every: {s: 300, expect: {kind: datagram, device: d}}",
            [sent(t_s, "d") for t_s in (250, 500, 790)],
            [sent(t_s, "d") for t_s in (250, 600, 790)],
            550.0,
            "no datagram device=d for 300 s since 250 s",
        ),
        (
            "at_most: {count: 2, event: {kind: boot, cause: deep sleep}, s: 100}",
            [Record(t * 1_000_000, "d", "boot", {"cause": "deep sleep"}) for t in (1, 50, 101, 150)],
            [Record(t * 1_000_000, "d", "boot", {"cause": "deep sleep"}) for t in (1, 50, 100, 150)],
            100.0,
            "3 times boot cause=deep sleep in 100 s",
        ),
    ],
)
def test_each_form_of_property_passes_what_is_good_and_fails_what_is_not(tmp_path, text, good, bad, failed_s, reason):
    (passed,) = verdicts(tmp_path, f"  - {text}\n", good)
    assert passed.passed and passed.checked > 0
    (failed,) = verdicts(tmp_path, f"  - {text}\n", bad)
    assert not failed.passed
    assert failed.t_s == failed_s
    assert failed.reason == reason


def test_true_is_not_one_in_a_pattern(tmp_path):
    text = "  - never: {kind: pin, level: 1}\n"
    assert verdicts(tmp_path, text, [Record(1, "d", "pin", {"level": True})])[0].passed
    assert not verdicts(tmp_path, text, [Record(1, "d", "pin", {"level": 1})])[0].passed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps:\n  - {at_s: 1, do: {power_cat: {device: d}}}", r":5: no action 'power_cat': did you mean 'power_cut'"),
        ("steps:\n  - {at_s: 1, do: {power_cut: {dev: d}}}", r"s.yaml:5: unknown key 'dev': did you mean 'device'\?"),
        ("steps:\n  - {at_s: 1, do: {reset: {}}}", r"s.yaml:5: 'device' is missing"),
        ("steps:\n  - {do: {reset: {device: d}}}", "s.yaml:5: a step has either at_s or after"),
        ("steps:\n  - {at_s: -1, do: {reset: {device: d}}}", "s.yaml:5: -1 where 0 or more is expected"),
        ("steps:\n  - {at_s: 1, do: {reset: {device: '@bay'}}}", "s.yaml:5: a step at a time has no event"),
        ("steps:\n  - {at_s: 1, delay_s: 2, do: {reset: {device: d}}}", "s.yaml:5: delay_s and every_time belong"),
        ("steps:\n  - {after: {arives: any}, do: {reset: {device: d}}}", "no event 'arives': did you mean 'arrives'"),
        ("steps:\n  - {after: {kind: bot}, do: {reset: {device: d}}}", r"no kind of record 'bot': did you mean 'boot'"),
        ("steps:\n  - {at_s: 1, do: {arrive: {bay: bay-0, vehicle: lorry}}}", "no vehicle 'lorry': valid are bus, car"),
        ("properties:\n  - {nevr: {kind: boot}}", r"s.yaml:5: unknown key 'nevr': did you mean 'never'\?"),
        ("properties:\n  - {within: {after: {arrives: any}, expect: {kind: boot}}}", "s.yaml:5: 's' is missing"),
        ("properties:\n  - {never: {kind: boot}, always: {of: {kind: boot}}}", "s.yaml:5: one of within, never"),
        ("properties:\n  - never: {kind: pin, level: {contains: x, most: 3}}", "s.yaml:5: a value is plain"),
    ],
)  # fmt: skip
def test_a_bad_step_or_property_gets_file_line_and_nearest_name(tmp_path, text, message):
    with pytest.raises(ScenarioError, match=message):
        scenario(tmp_path, text)
