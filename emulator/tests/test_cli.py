"""`pave-emulator run`, `list`, `record` and `replay` as a user calls them."""

import json
import re

import cli_bench
import flash_images
import psutil
import pytest
from typer.testing import CliRunner

from pave_emulator.cli import app

VISIT = "name: t\nseed: 1\nearth_field_ut: [20.9, 0.6, 42.9]\nvisits: [{bay: b1, arrive_s: 0.2, leave_s: 4}]\n"


def virtual(scenario, folder, seed, *more) -> str:
    """A run of ten seconds in a process of its own; its output."""
    arguments = ("--clock", "virtual", "--seed", seed, "--for", 10, "--quiet", "--work-dir", folder / "work", *more)
    return cli_bench.tool_process("run", scenario, *arguments)


def digest(output: str) -> str:
    found = re.search(r"trace sha256 ([0-9a-f]{64})", output)
    assert found, output
    return found[1]


def test_run_prints_consoles_truth_and_counts(tmp_path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(VISIT)
    image = flash_images.build(tmp_path / "a.bin", {"main.py": "print('hello')\nopen('/x', 'w').close()"})
    before = image.read_bytes()
    device = f"dut={image}:{flash_images.PRESENCE_BOARD}:b1"
    arguments = ["run", str(scenario), "--device", device, "--for", "0.6", "--work-dir", str(tmp_path / "w")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "dut | hello" in result.output
    assert re.search(r"b1 \* occupied \(change 1, 0\.\d s\)", result.output)
    assert "boots 1" in result.output
    assert (tmp_path / "w/dut.log").read_text().startswith("hello\n")
    assert image.read_bytes() == before  # a run does not change what it was given
    result = CliRunner().invoke(app, [*arguments, "--in-place"])
    assert result.exit_code == 0, result.output
    assert image.read_bytes() != before


def test_one_seed_gives_one_trace_in_every_process_and_another_seed_another(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    one, other = tmp_path / "1.ndjson", tmp_path / "2.ndjson"
    first = digest(virtual(scenario, tmp_path, 7, "--trace", one))
    assert digest(virtual(scenario, tmp_path, 7, "--trace", other)) == first
    assert "the same" in cli_bench.tool("replay", "compare", one, other)
    assert digest(virtual(scenario, tmp_path, 8, "--trace", other)) != first
    said = cli_bench.tool("replay", "compare", one, other, status=1)
    line = int(re.search(r"line (\d+) is the first", said)[1])  # type: ignore[index]
    a, b = one.read_text().splitlines(), other.read_text().splitlines()
    assert a[: line - 1] == b[: line - 1]
    assert a[line - 1] != b[line - 1]
    assert a[line - 1] in said
    kinds = {json.loads(record)[2] for record in a}
    assert {"boot", "sleep", "pin", "flash", "datagram", "console", "truth"} <= kinds


def test_a_property_that_fails_is_status_1_with_its_reason(tmp_path):
    more = "properties:\n  - never: {kind: console, line: {contains: woken}}\n  - never: {kind: fault}\n"
    scenario = cli_bench.write_site(tmp_path, more)
    arguments = ("--clock", "virtual", "--for", 2, "--quiet", "--work-dir", tmp_path / "work")
    said = cli_bench.tool("run", scenario, *arguments, status=1)
    assert "property 'never 1' FAILED" in said
    assert "property 'never 2' held" in said


def test_steps_of_the_scenario_are_done(tmp_path):
    more = "steps:\n  - {name: dark, at_s: 1, do: {power_cut: {device: s2, s: 2}}}\n"
    scenario = cli_bench.write_site(tmp_path, more)
    trace = tmp_path / "t.ndjson"
    cli_bench.tool("record", trace, scenario, "--for", 10, "--work-dir", tmp_path / "work")
    records = [json.loads(line) for line in trace.read_text().splitlines()]
    [off] = [record for record in records if record[1:3] == ["s2", "power"] and not record[3]["on"]]
    assert off[0] == 1_000_000
    boots = [record[0] for record in records if record[1:3] == ["s2", "boot"] and record[3]["cause"] == "power-on"]
    assert boots == [0, 3_000_000]


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("visits:", "visit:"), 7, "unknown key 'visit': did you mean 'visits'?"),
        (("bay: b1", "bay: bb1"), 8, "no bay 'bb1': did you mean 'b1'?"),
        (("pave-presence-v1.toml", "pave-presence-v2.toml"), 6, "did you mean 'pave-presence-v1.toml'?"),
        (("image: s.bin", "image: t.bin"), 6, "t.bin: did you mean 's.bin'?"),
        (("count: 2", "count: 0"), 6, "count is 0: 1 to 10000"),
        (("kind: delivery", "position_m: [1]"), 6, "1 numbers where 2 are expected"),
        (("kind: delivery", "mac: 24-a1"), 6, "'24-a1' is not a MAC address"),
        (("seed: 1", "seed: one"), 2, "'one' is not a whole number"),
    ],
)
def test_a_mistake_in_a_scenario_names_file_line_and_the_nearest_name(tmp_path, change, line, message):
    scenario = cli_bench.write_site(tmp_path)
    scenario.write_text(scenario.read_text().replace(*change))
    result = CliRunner().invoke(app, ["run", str(scenario), "--work-dir", str(tmp_path / "w"), "--for", "1"])
    assert result.exit_code == 2, result.output
    [said] = result.output.splitlines()
    assert said.startswith(f"{scenario}:{line}: "), said
    assert message in said


def test_a_mistake_in_a_board_file_names_file_line_and_the_nearest_name(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    board = tmp_path / "board.toml"
    scenario.write_text(scenario.read_text().replace(str(flash_images.PRESENCE_BOARD), board.name))
    good = flash_images.PRESENCE_BOARD.read_text()
    for change, message in [
        (('part = "LIS2MDL"', 'part = "LIS2MDX"'), "'LIS2MDX' is unknown: did you mean 'LIS2MDL'?"),
        (('int = "magnetometer_int"', 'int = "magnetometer_irq"'), "did you mean 'magnetometer_int'?"),
        (('name = "magnetometer"', "name = magnetometer"), "Invalid value"),
        (('cell = "ER34615"', 'cell = "ER34616"'), "'ER34616'"),
    ]:
        assert change[0] in good
        board.write_text(good.replace(*change, 1))
        result = CliRunner().invoke(app, ["run", str(scenario), "--work-dir", str(tmp_path / "w"), "--for", "1"])
        assert result.exit_code == 2, result.output
        [said] = result.output.splitlines()
        wrong = next(n for n, text in enumerate(board.read_text().splitlines(), start=1) if change[1] in text)
        assert said.startswith(f"{board}:{wrong}: "), said
        assert message in said


def test_other_mistakes_are_one_line_and_status_2(tmp_path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(VISIT)
    board = flash_images.PRESENCE_BOARD
    image = flash_images.build(tmp_path / "a.bin", {})
    (tmp_path / "blank.bin").write_bytes(b"\xff" * 65536)
    for arguments, message in [
        ([], "no device: give the scenario 't' `devices`, or say --device"),
        (["--device", "dut"], "NAME=FLASH.bin:BOARD.toml"),
        (["--device", f"d=none.bin:{board}:b1"], "there is no flash image none.bin"),
        (["--device", f"d={tmp_path}/blank.bin:{board}:b1"], "no partition table at 0x8000"),
        (["--device", f"d={image}:{board}:b1", "--report", "a.pdf"], "--report a.pdf: the name ends in .json or .html"),
        (["--device", f"d={image}:{board}:b1", "--device", f"d={image}:{board}"], "'d' appears more than once"),
        (["--device", f"d={image}:{board}:b1", "--clock", "virtual", "--serial", "0"], "no serial ports"),
        (["--device", f"d={image}:{board}:b1", "--vcd", "nowhere/a.vcd"], "nowhere/a.vcd: No such file"),
    ]:
        result = CliRunner().invoke(app, ["run", str(scenario), *arguments, "--work-dir", str(tmp_path / "w")])
        assert result.exit_code == 2, result.output
        assert message in result.output
        assert len(result.output.splitlines()) == 1, result.output


def test_list_names_parts_boards_scenarios_and_faults(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    result = CliRunner().invoke(app, ["list", str(flash_images.PRESENCE_BOARD), str(scenario)])
    assert result.exit_code == 0, result.output
    assert re.search(r"^part +LIS2MDL +\S", result.output, re.MULTILINE)
    assert "pave-presence-v1: magnetometer (LIS2MDL at 0x1e)" in result.output
    assert f"{scenario}: Two sensors (2 devices, 1 visits)" in result.output
    assert "power_cut device=STR [s=FLOAT]" in result.output


def test_a_run_is_recorded_with_what_each_magnetometer_felt_and_that_can_be_played_again(tmp_path):
    sampling = """
import machine, time
bus = machine.I2C(0, scl=machine.Pin(9), sda=machine.Pin(8), freq=400000)
bus.writeto_mem(0x1E, 0x60, b"\\x00")
for _ in range(40):
    time.sleep_ms(100)
    print("xyz", bus.readfrom_mem(0x1E, 0x68, 6).hex())
"""
    scenario = cli_bench.write_site(tmp_path, main=sampling)
    arguments = ("--for", 6, "--work-dir", tmp_path / "work")
    out, fields = tmp_path / "t.ndjson", tmp_path / "fields"
    cli_bench.tool("record", out, scenario, *arguments, "--fields", fields)
    said = [json.loads(line)[3]["line"] for line in out.read_text().splitlines() if '"s1","console"' in line]
    rows = (fields / "b1.csv").read_text().splitlines()
    assert len(rows) >= 30
    again = scenario.read_text().split("visits:")[0] + "recordings:\n  - {bay: b1, file: fields/b1.csv}\n"
    scenario.write_text(again.replace("noise_ut: 0.3", "noise_ut: 0.0"))
    cli_bench.tool("record", out, scenario, *arguments)
    repeated = [json.loads(line)[3]["line"] for line in out.read_text().splitlines() if '"s1","console"' in line]
    assert repeated == said
    assert len({line for line in said if line.startswith("xyz")}) > 5  # there was something to play again


def test_an_exported_journal_becomes_a_scenario_that_runs(tmp_path):
    export, out = tmp_path / "journal.ndjson", tmp_path / "again.yaml"
    start_ms = 1_795_424_400_000
    rows = [(0, False), (30_000, True), (90_000, False)]
    export.write_text(
        "".join(
            json.dumps({"device": "24a160fffe000101", "epoch": 1, "seq": n, "read_ms": start_ms + ms, "occupied": o})
            + "\n"
            for n, (ms, o) in enumerate(rows)
        )
    )
    said = cli_bench.tool("replay", "journal", export, out, "--bay", "24a160fffe000101=b1")
    assert "1 visits from 3 readings" in said
    image = flash_images.build(tmp_path / "a.bin", {"main.py": "import machine\nmachine.deepsleep()"})
    device = f"d={image}:{flash_images.PRESENCE_BOARD}:b1"
    trace = tmp_path / "t.ndjson"
    cli_bench.tool("record", trace, out, "--device", device, "--for", 120, "--work-dir", tmp_path / "w")
    truth = [json.loads(line) for line in trace.read_text().splitlines() if '"truth"' in line]
    assert [(t_us, fields["what"]) for t_us, _, _, fields in truth] == [
        (40_000_000, "arrives"),
        (100_000_000, "leaves"),
    ]
    export.write_text("{}\n")
    refused = cli_bench.tool("replay", "journal", export, out, "--bay", "x=b1", status=2)
    assert refused.startswith(f"{export}:1: 'device' is missing")
    assert "give --site or --bay" in cli_bench.tool("replay", "journal", export, out, status=2)


def test_a_file_that_is_no_trace_is_refused_with_its_line(tmp_path):
    one = tmp_path / "a.ndjson"
    one.write_text('[0,"s1","boot",{}]\n{"t": 1}\n')
    assert cli_bench.tool("replay", "compare", one, one, status=2).startswith(f"{one}:2: not a record")


def test_no_process_is_left_when_bad_input_shows_only_after_the_start(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    arguments = ["run", str(scenario), "--vcd", "nowhere/a.vcd", "--work-dir", str(tmp_path / "w")]
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert {process.pid for process in psutil.Process().children(recursive=True)} == before
