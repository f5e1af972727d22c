"""`pave-emulator run`, `list`, `record` and `replay` as a user calls them."""

import importlib.metadata
import json
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import cli_bench
import flash_images
import psutil
import pytest
from typer.testing import CliRunner

from pave_emulator.cli.commands import app

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
    line = int(re.search(rf"{one}:(\d+): ", said)[1])  # type: ignore[index]
    a, b = one.read_text().splitlines(), other.read_text().splitlines()
    assert a[1 : line - 1] == b[1 : line - 1]
    assert a[line - 1] != b[line - 1]
    assert a[line - 1] in said
    kinds = {json.loads(record)[2] for record in a}
    assert {"boot", "sleep", "pin", "flash", "datagram", "console", "truth"} <= kinds


def test_two_seeds_have_two_hashes_though_nothing_else_differs(tmp_path):
    scenario = cli_bench.write_site(tmp_path, main="")
    traces, hashes = [tmp_path / "1.ndjson", tmp_path / "2.ndjson"], set()
    for seed, trace in enumerate(traces, start=1):
        arguments = ("--clock", "virtual", "--seed", seed, "--for", 1, "--quiet", "--work-dir", tmp_path / "w")
        hashes.add(digest(cli_bench.tool("run", scenario, *arguments, "--trace", trace)))
    assert len(hashes) == 2
    (header, *records), (_other, *same) = (trace.read_text().splitlines() for trace in traces)
    assert records == same
    version = importlib.metadata.version("pave")
    of_run = {"seed": 1, "scenario": "Two sensors", "boards": ["pave-presence-v1"], "version": version}
    assert json.loads(header) == [0, "", "run", of_run]
    assert cli_bench.tool("replay", "compare", *traces, status=1) == "seed differs: 1 and 2\n"
    old = tmp_path / "old.ndjson"
    old.write_text("\n".join(records) + "\n")
    said = cli_bench.tool("replay", "compare", old, traces[0])
    assert said.startswith(f"{old} has no header (an older emulator's)")
    assert said.endswith("the traces are the same\n")
    old.write_text("\n".join(records[:-1]) + "\n")
    said = cli_bench.tool("replay", "compare", old, traces[0], status=1)
    assert f"{old}:{len(records)}: (has ended)" in said
    assert f"{traces[0]}:{len(records) + 1}: {records[-1]}" in said


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
        (["--device", f"d={image}:{board}:b1", "--vcd", "nowhere/a.vcd"], "nowhere/a.vcd: there is no folder nowhere"),
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


def test_what_is_no_trace_is_refused_in_one_line_that_names_it_once(tmp_path):
    good, bad, binary, empty = (tmp_path / name for name in ("good.ndjson", "bad.ndjson", "a.bin", "empty.ndjson"))
    good.write_text('[0,"s1","boot",{}]\n')
    bad.write_text('[0,"s1","boot",{}]\n{"t": 1}\n')
    binary.write_bytes(b"\xff" * 100)
    empty.write_text("")
    for one, message in [
        (bad, f"{bad}:2: not a record [t_us, device, kind, fields]"),
        (binary, f"{binary}: not text, so no trace"),
        (empty, f"{empty}: the file is empty, no trace"),
        (tmp_path / "god.ndjson", f"there is no trace {tmp_path}/god.ndjson: did you mean 'good.ndjson'?"),
        (tmp_path, f"{tmp_path}: Is a directory"),
    ]:
        said = cli_bench.tool("replay", "compare", one, good, status=2).splitlines()
        [line] = [line for line in said if "no header" not in line]
        assert line.startswith(message)
        assert line.count(str(one)) == 1


def test_a_scenario_or_an_export_that_cannot_be_read_is_one_line_that_names_it_once(tmp_path):
    cli_bench.write_site(tmp_path)
    binary, out = tmp_path / "s.bin", tmp_path / "out.yaml"
    for arguments, message in [
        (("run", tmp_path / "t.yaml"), f"there is no scenario {tmp_path}/t.yaml: did you mean 's.yaml'?"),
        (("run", tmp_path), f"{tmp_path}: Is a directory"),
        (("run", binary), f"{binary}: not text, so no scenario"),
        (("replay", "journal", binary, out, "--bay", "a=b"), f"{binary}: not text, so no export of a journal"),
        (("replay", "journal", binary, out, "--site", binary), f"{binary}: not text, so no site file"),
    ]:
        more = ("--work-dir", tmp_path / "w") if arguments[0] == "run" else ()
        assert cli_bench.tool(*arguments, *more, status=2) == message + "\n"
    assert not out.exists()


def test_what_cannot_be_written_is_refused_before_the_run_begins(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    text, file, work = scenario.read_text(), tmp_path / "file", tmp_path / "w"
    file.write_text("kept")
    for arguments, message in [
        (
            ("--report", tmp_path / "no/a.html"),
            f"--report {tmp_path}/no/a.html: there is no folder {tmp_path}/no; make",
        ),
        (("--trace", tmp_path), f"--trace {tmp_path}: that is a folder; name a file in it"),
        (("--vcd", "/proc/a.vcd"), "--vcd /proc/a.vcd: No such file or directory; name a file that can be written"),
        (("--pcap", file / "a.pcap"), f"--pcap {file}/a.pcap: there is no folder {file}; make it first"),
        (("--trace", scenario), f"--trace {scenario}: that is {scenario} itself, which would be lost; name another"),
        (("--trace", file, "--vcd", file), f"--trace {file}: --vcd writes there; name another file"),
        (("--fields", file), f"--fields {file}: that is a file; name a folder that can be made"),
        (("--work-dir", file), f"--work-dir {file}: that is a file; name a folder that can be made"),
    ]:
        said = cli_bench.tool("run", scenario, "--for", 1, "--work-dir", work, *arguments, status=2)
        assert said.startswith(message), said
        assert len(said.splitlines()) == 1
        assert not (work / "flash").exists()
    assert file.read_text() == "kept"
    assert scenario.read_text() == text
    refused = cli_bench.tool("record", tmp_path / "no/t.ndjson", scenario, "--work-dir", work, status=2)
    assert refused.startswith(f"--trace {tmp_path}/no/t.ndjson: there is no folder")
    board = flash_images.PRESENCE_BOARD
    refused = cli_bench.tool("image", board, tmp_path / "no/a.bin", status=2)
    assert refused.startswith(f"OUT {tmp_path}/no/a.bin: there is no folder")


def test_a_run_in_virtual_time_that_may_never_end_says_so_when_it_starts(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    screen = cli_bench.Screen("run", scenario, "--clock", "virtual", "--work-dir", tmp_path / "w")
    try:
        screen.until("no --for: this run in virtual time goes on until Ctrl-C, and has no hash then")
        screen.until("| woken by")
        screen.interrupt()
        assert screen.ended() == 0
        assert "trace sha256" not in screen.text
    finally:
        screen.close()
    said = cli_bench.tool("run", scenario, "--clock", "virtual", "--for", 1, "--work-dir", tmp_path / "w")
    assert "no --for" not in said
    assert "may never end" in " ".join(cli_bench.tool("run", "--help").split())


def test_ctrl_c_while_the_tool_still_loads_ends_it_without_a_traceback():
    tool = subprocess.Popen(
        [*cli_bench.COMMAND, "run", "none.yaml"], stderr=subprocess.PIPE, text=True, env=cli_bench.environment()
    )
    maps = Path(f"/proc/{tool.pid}/maps")
    until_s = time.monotonic() + 20
    while "_asyncio" not in maps.read_text():  # which the tool imports early
        assert time.monotonic() < until_s
        time.sleep(0.005)
    tool.send_signal(signal.SIGINT)
    said = tool.communicate(timeout=20)[1]
    assert "Traceback" not in said
    assert tool.returncode in (2, 130)  # 2: it was faster, and there is no none.yaml


def test_copies_of_images_which_may_hold_keys_are_their_owners_alone(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    copy = tmp_path / "w/flash/s1.bin"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"")
    copy.chmod(0o644)
    cli_bench.tool("run", scenario, "--clock", "virtual", "--for", 0.1, "--work-dir", tmp_path / "w")
    assert {stat.S_IMODE(file.stat().st_mode) for file in copy.parent.iterdir()} == {0o600}


def test_no_process_is_left_when_bad_input_shows_only_after_the_start(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "in use" in cli_bench.tool("run", scenario, "--serial", port, "--work-dir", tmp_path / "w", status=2)
    assert {process.pid for process in psutil.Process().children(recursive=True)} == before
