"""`pave-emulator fault` and `record` on an emulator that runs."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cli_bench
import pytest
from typer.testing import CliRunner

from pave_emulator import fault_list
from pave_emulator.cli.commands import app
from pave_emulator.cli.run import AirFile
from pave_emulator.clock import VirtualClock
from pave_emulator.control import ControlClient, ControlError
from pave_emulator.fault_list import FAULTS, help_of
from pave_emulator.roster import assemble
from pave_emulator.scenario.load import load
from pave_emulator.session import Session, Setting
from pave_emulator.trace import Record, Trace
from pave_emulator.virtual_loop import VirtualLoop

TALKER = "import time, machine\nprint('up', machine.reset_cause())\nwhile True:\n    time.sleep_ms(20)\n"


class Running:
    """An emulator in a process of its own, and what it prints."""

    def __init__(self, folder: Path) -> None:
        self.work_dir = folder / "work"
        scenario = cli_bench.write_site(folder, main=TALKER)
        command = [*cli_bench.COMMAND, "run", str(scenario), "--work-dir", str(self.work_dir), "--for", "60"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cli_bench.environment()
        )

    def until(self, wanted: str) -> str:
        """Read until a line has this; the line."""
        assert self.process.stdout
        heard = []
        for line in self.process.stdout:
            heard.append(line)
            if wanted in line:
                return line
        raise AssertionError(f"it ended without {wanted!r}: {''.join(heard)}")

    def fault(self, *words: str, status: int = 0) -> str:
        """Inject one; what the tool says."""
        result = CliRunner().invoke(app, ["fault", *words, "--work-dir", str(self.work_dir)])
        assert result.exit_code == status, result.output
        return result.output


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    emulator = Running(tmp_path_factory.mktemp("run"))
    emulator.until("| up")
    emulator.until("| up")
    yield emulator
    emulator.process.terminate()
    assert emulator.process.wait(10) == 0


def test_a_fault_happens_to_the_device_that_is_named(running):
    assert running.fault("power_cut", "device=s1", "s=0.2") == "done: power_cut\n"
    running.until("by hand ! power_cut")
    assert running.until("| up").split() == ["s1", "|", "up", "1"]
    running.fault("reset", "device=s2")
    assert running.until("| up").split()[0] == "s2"
    running.fault("arrive", "bay=b2", "manoeuvre=quick")
    assert "b2 * occupied" in running.until("b2 *")


def test_a_fault_is_in_the_trace_which_can_be_followed_meanwhile(running, tmp_path):
    with ControlClient(running.work_dir) as emulator:
        lines = emulator.trace()
        running.fault("lora_attenuation", "device=s1", "db=15")
        record = next(json.loads(line) for line in lines if "by hand" in line)
    assert record[2:] == ["truth", {"what": "step", "name": "by hand", "action": "lora_attenuation",
                                    "device": "s1", "db": 15.0}]  # fmt: skip
    out = tmp_path / "t.ndjson"
    result = CliRunner().invoke(app, ["record", str(out), "--for", "0.3", "--work-dir", str(running.work_dir)])
    assert result.exit_code == 0, result.output
    assert result.output == f"{len(out.read_text().splitlines())} records\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["powercut", "device=s1"], "no fault 'powercut': did you mean 'power_cut'?"),
        (["power_cut", "device=s11"], "no device 's11': did you mean 's1'?"),
        (["power_cut", "devise=s1"], "power_cut has no 'devise': did you mean 'device'?"),
        (["power_cut", "device=s1", "s=long"], "s='long': a number expected"),
        (["power_cut"], "power_cut lacks device; usage: power_cut device=STR [s=FLOAT]"),
        (["stuck_bus", "device=s1", "bus=i2c", "s=1"], "no bus 'i2c': did you mean 'i2c0'?"),
        (["input", "device=s1", "name=buton"], "s1 has no input 'buton': did you mean 'button'?"),
        (["leave", "bay=b12"], "no bay 'b12': did you mean 'b2'?"),
        (["flip_flash_bit", "device=s1", "address=0x99999999", "bit=1"], "lie outside the chip of 8388608 bytes"),
        (["power_cut_at_flash", "device=s1", "operation=0"], "power cut at operation 0"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name_and_nothing_happens(running, words, message):
    said = running.fault(*words, status=2)
    assert message in said
    assert len(said.splitlines()) == 1
    with ControlClient(running.work_dir) as emulator:
        assert {device["state"] for device in emulator.ask("status")["devices"].values()} == {"running"}


def test_what_no_client_of_ours_would_send_is_answered_and_the_emulator_goes_on(running):
    with ControlClient(running.work_dir) as emulator:
        for request in (
            {"do": "dance"},
            {"do": "fault"},
            {"do": "fault", "name": "reset", "arguments": 3},
            {"do": "fault", "name": 3},
            {"do": "serial", "device": []},
        ):
            with pytest.raises(ControlError):
                emulator.ask(**request)
        assert emulator.ask("status")["now_s"] > 0


def test_a_second_emulator_in_the_same_directory_is_refused(running):
    scenario = running.work_dir.parent / "s.yaml"
    before = (running.work_dir / "flash/s1.bin").stat().st_mtime_ns
    said = cli_bench.tool("run", scenario, "--work-dir", running.work_dir, "--for", 1, status=2)
    assert "an emulator runs in" in said
    assert (running.work_dir / "flash/s1.bin").stat().st_mtime_ns == before


def test_without_an_emulator_the_tool_says_how_to_start_one(tmp_path):
    said = cli_bench.tool("fault", "brown_out", "device=s1", "--work-dir", tmp_path, status=2)
    assert said == f"no emulator runs in {tmp_path}: start one with `pave-emulator run SCENARIO`\n"


def test_every_fault_is_listed_with_a_line_of_help():
    result = CliRunner().invoke(app, ["fault"])
    assert [line.split()[0] for line in result.output.splitlines()] == sorted(FAULTS)
    assert all(len(help_of(name)) > 10 for name in FAULTS)


def test_an_antenna_loses_what_was_put_before_it_and_what_is_parked_on_it(tmp_path):
    scenario = load(cli_bench.write_site(tmp_path, main=""))
    placed = replace(scenario, devices=tuple(replace(d, position_m=(100.0, 0.0)) for d in scenario.devices))

    async def losses_db() -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        roster = assemble(placed, [], tmp_path / "w")
        session = Session(placed, roster, VirtualClock(loop), Setting(tmp_path / "w"), Trace(), print)
        await session.start()
        try:
            radio = session.fleet.device("s1").chip("radio")._antenna._radio  # type: ignore[attr-defined]
            free_db = radio.site.extra_loss_db(0.0)
            fault_list.do(session, "lora_attenuation", {"device": "s1", "db": 15.0})
            behind_db = radio.site.extra_loss_db(0.0)
            await asyncio.sleep(8)  # a car has stopped on b1 at 5 s
            return free_db, behind_db, radio.site.extra_loss_db(8.0)
        finally:
            for device in session.fleet.devices.values():
                device.power_cut()
            await session.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        free_db, behind_db, below_db = runner.run(losses_db())
    assert (free_db, behind_db) == (0.0, 15.0)
    assert 25.0 <= below_db <= 35.0  # 10 to 20 dB of the car besides


def test_a_capture_of_the_air_holds_each_packet_once(tmp_path):
    fields = {"frequency_hz": 868_100_000, "sf": 7, "bw_hz": 125_000, "cr": 5, "iq": False, "sync_word": 0x34,
              "crc": True, "implicit": False, "payload": b"hello"}  # fmt: skip
    air = AirFile(tmp_path / "a.pcap", 0.0)
    air(Record(5, "s1", "lora", {"what": "tx", **fields}))
    air(Record(9, "gw", "lora", {"what": "rx", **fields}))
    air(Record(9, "s1", "console", {"line": "hello"}))
    air.close()
    data = (tmp_path / "a.pcap").read_bytes()
    assert data.count(b"hello") == 1
    assert data.endswith(b"hello")


@pytest.mark.parametrize(
    "words",
    [("clock_skew", "device=s1", "ppm=nan"), ("power_cut", "device=s1", "s=-5"), ("rain", "mm_per_h=-3")],
)
def test_a_number_that_cannot_be_is_refused_before_it_is_sent(words):
    with pytest.raises(ValueError, match="expected"):
        fault_list.parse(words[0], words[1:])
