"""Attacks on the host's side: its control socket, its work directory, and a disk that is full."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cli_bench
import psutil
import pytest
import typer

from pave_emulator.cli.mistakes import mistakes
from pave_emulator.control import SOCKET

TIMEOUT_S = 10.0


class Host:
    """The tool as a process of its own, running two sensors."""

    def __init__(self, folder: Path, *more: object) -> None:
        scenario = cli_bench.write_site(folder)
        self.work_dir = folder / "w"
        command = [*cli_bench.COMMAND, "run", scenario, "--quiet", "--work-dir", self.work_dir, *more]
        self.process = subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=cli_bench.environment(),
        )  # fmt: skip

    def client(self) -> socket.socket:
        end_s = time.monotonic() + TIMEOUT_S
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(TIMEOUT_S)
            try:
                client.connect(str(self.work_dir / SOCKET))
                return client
            except OSError:
                client.close()
                assert time.monotonic() < end_s and self.process.poll() is None, self.process.communicate()[0]
                time.sleep(0.02)

    def ask(self, line: bytes) -> bytes:
        with self.client() as client:
            try:
                client.sendall(line)
                return client.makefile("rb").readline()
            except ConnectionError:
                return b""

    def end(self) -> str:
        """Ctrl-C; what it has said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)[0]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    running = Host(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


GARBAGE = [
    b"\n", b"garbage\n", b"\xff\xfe\x00\n", b"[]\n", b"null\n", b"5\n", b'{"do": []}\n', b'{"do": {}}\n',
    b'{"do": "fault"}\n', b'{"do": "fault", "name": 5}\n', b'{"do": "fault", "name": "%s"}\n' % (b"x" * 50000),
    b'{"do": "fault", "name": "power_cut", "arguments": {"device": "s1", "s": 1e999}}\n',
    b'{"do": "picture", "device": "s1", "chip": "", "path": ""}\n', b'{"do": "serial", "device": 5}\n',
    b"[" * 60000 + b"\n", b'{"a":' * 10000 + b"\n", b"1" * 60000 + b"\n",
]  # fmt: skip


def test_a_client_that_sends_garbage_gets_errors_and_the_run_goes_on(host):
    status = b'{"do": "status"}\n'
    assert b"devices" in host.ask(status)
    for line in GARBAGE:
        assert list(json.loads(host.ask(line))) == ["error"], line[:60]
    assert host.ask(b"x" * (1 << 20)) == b""  # a line without end: let go
    flood = host.client()
    flood.settimeout(0.5)
    with pytest.raises(TimeoutError):  # it is asked no further while it reads no answers
        while True:
            flood.sendall(status * 1000)
    follower = host.client()
    follower.sendall(b'{"do": "trace"}\n' * 5)
    answers = follower.makefile("rb")
    assert [json.loads(answers.readline())["trace"] for _ in range(5)] == [True] * 5
    for device in (b"s1", b"s2"):
        host.ask(b'{"do": "fault", "name": "power_cut", "arguments": {"device": "%s", "s": 60}}\n' % device)
    records = [answers.readline() for _ in range(4)]
    assert len(set(records)) == 4, records  # each once
    for client in (flood, follower):
        client.close()
    assert b"devices" in host.ask(status)
    said = host.end()
    assert host.process.returncode == 0
    assert "Traceback" not in said and "exception" not in said, said


def test_of_two_emulators_that_start_at_once_in_one_directory_one_runs_and_when_it_is_killed_another_may(tmp_path):
    hosts = [Host(tmp_path) for _ in range(2)]
    end_s = time.monotonic() + TIMEOUT_S
    while all(host.process.poll() is None for host in hosts) and time.monotonic() < end_s:
        time.sleep(0.02)
    loser, winner = sorted(hosts, key=lambda host: host.process.poll() is None)
    assert loser.end() == f"an emulator runs in {tmp_path / 'w'} already: use another --work-dir\n"
    assert loser.process.returncode == 2
    assert b"devices" in winner.ask(b'{"do": "status"}\n')
    winner.process.kill()
    winner.process.communicate()
    assert (winner.work_dir / SOCKET).exists()
    assert "records" in cli_bench.tool("run", tmp_path / "s.yaml", "--for", 0.1, "--work-dir", winner.work_dir)


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("what", ["vcd", "pcap"])
def test_a_run_whose_output_cannot_be_written_ends_and_names_the_file(tmp_path, what):
    scenario = cli_bench.write_site(tmp_path)
    before = threading.active_count()
    arguments = ("--clock", "virtual", "--for", 10, "--quiet", "--work-dir", tmp_path / "w", f"--{what}", FULL)
    assert cli_bench.tool("run", scenario, *arguments, status=2) == "/dev/full: No space left on device\n"
    assert psutil.Process().children() == []  # the zygote has gone all the same
    assert not (tmp_path / "w" / SOCKET).exists()
    assert threading.active_count() == before


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_trace_that_fills_the_disk_in_the_middle_is_no_panic_of_a_device(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    arguments = ("--clock", "virtual", "--for", 100000, "--quiet", "--work-dir", tmp_path / "w", "--trace", FULL)
    assert cli_bench.tool("run", scenario, *arguments, status=2) == "/dev/full: No space left on device\n"
    assert "defect" not in (tmp_path / "w/s1.log").read_text()  # it ends soon: a day would take longer than this test


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_console_log_that_cannot_be_written_is_said_once_and_the_run_goes_on(tmp_path, caplog):
    scenario, log = cli_bench.write_site(tmp_path), tmp_path / "w/s1.log"
    log.parent.mkdir()
    log.symlink_to(FULL)
    said = cli_bench.tool("run", scenario, "--clock", "virtual", "--for", 10, "--work-dir", tmp_path / "w")
    assert [record.getMessage() for record in caplog.records] == [
        f"{log}: No space left on device: nothing more is logged"
    ]
    assert said.count("s1 | woken by") > 2


def test_a_directory_that_cannot_be_written_to_is_said_in_one_line(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    (tmp_path / "file").write_text("")
    for folder in (Path("/proc/pave"), tmp_path / "file"):
        said = cli_bench.tool("run", scenario, "--work-dir", folder, status=2)
        assert said.startswith(f"--work-dir {folder}: ") and said.count("\n") == 1, said


def test_a_disk_without_room_for_the_images_is_said_with_both_names(tmp_path, monkeypatch):
    scenario = cli_bench.write_site(tmp_path)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, os.strerror(28), str(source), None, str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    said = cli_bench.tool("run", scenario, "--work-dir", tmp_path / "w", status=2)
    assert said == f"{tmp_path}/s.bin to {tmp_path}/w/flash/s1.bin: No space left on device\n"


def test_too_few_descriptors_are_said_with_what_to_do(capsys):
    with pytest.raises(typer.Exit) as ended, mistakes():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    assert ended.value.exit_code == 2
    assert "each device that is awake takes 4: say `ulimit -n`" in capsys.readouterr().err
