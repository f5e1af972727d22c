"""`make demo` as its user runs it, in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.alone  # a whole site at wall clock

DEMO = [sys.executable, "-m", "simulation"]
ROOT = Path(__file__).parents[2]


def free_ports() -> list[str]:
    words: list[str] = []
    for name, kind in (("coap", socket.SOCK_DGRAM), ("http", socket.SOCK_STREAM), ("mqtt", socket.SOCK_STREAM)):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", 0))
            words += [f"--{name}-port", str(probe.getsockname()[1])]
    return words


def wait_until_it_runs(demo: "subprocess.Popen[str]") -> None:
    assert demo.stdout is not None
    assert any(line.startswith("bays on a map") for line in demo.stdout), "it ended before everything ran"


@pytest.fixture
def few(tmp_path: Path) -> list[str]:
    """The demo's words for a site of four devices: it starts sooner than that of 54."""
    whole = (ROOT / "examples/bercy/site.toml").read_text()
    blocks = re.split(r"^(?=\[)", whole, flags=re.MULTILINE)
    some = [block for block in blocks if not block.startswith(("[[bay", "[[kiosk"))]
    for name in ("bercy-l-01", "bercy-t-01", "bercy-d-01", "bercy-k-1"):
        some += [block for block in blocks if f'id = "{name}"' in block]
    (tmp_path / "site.toml").write_text("".join(some))
    return [*DEMO, *free_ports(), "--work-dir", str(tmp_path / "demo"), "--site", str(tmp_path / "site.toml")]


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_run_ends_by_itself_and_its_books_balance(tmp_path: Path) -> None:
    command = [*DEMO, *free_ports(), "--work-dir", str(tmp_path / "demo"), "--for", "12"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    report = json.loads(finished.stdout.splitlines()[-1])
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert report["truth"] > 20 and report["devices"] == 54
    stations = {report[key] for key in ("truth", "sent", "stored", "forwarded", "received")}
    assert stations == {report["truth"]}, report
    assert (report["lost"], report["duplicates"], report["phantom"]) == (0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_is_stopped_no_process_stays_behind(few: list[str], number: signal.Signals) -> None:
    demo = subprocess.Popen(few, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert demo.stdout is not None
    try:
        wait_until_it_runs(demo)
        time.sleep(3)
        started = below(demo.pid)
        assert len(alive(started)) >= 4, "broker, gateway, city and zygote should be seen while they run"
        os.kill(demo.pid, number)
        status = demo.wait(timeout=40)
        assert status == (0 if number == signal.SIGINT else -signal.SIGKILL)
        until_s = time.monotonic() + 10
        while alive(started) and time.monotonic() < until_s:
            time.sleep(0.1)
        assert alive(started) == []
    finally:
        demo.kill()
        demo.stdout.close()


@pytest.mark.parametrize(("name", "kind"), [("coap", socket.SOCK_DGRAM), ("http", socket.SOCK_STREAM)])
def test_a_busy_port_gets_one_line_with_the_next_step(tmp_path: Path, name: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        port = str(holder.getsockname()[1])
        command = [*DEMO, *free_ports(), f"--{name}-port", port, "--work-dir", str(tmp_path / "demo"), "--for", "12"]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert finished.returncode != 0 and len(finished.stderr.strip().splitlines()) == 1
    assert port in finished.stderr and "Next:" in finished.stderr


@pytest.mark.parametrize("words", [["--for", "abc"], ["--for", "0"], ["--for", "nan"], ["--http-port", "99999"]])
def test_a_wrong_number_is_named_with_what_would_do(words: list[str]) -> None:
    finished = subprocess.run([*DEMO, *words], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert finished.returncode != 0 and words[1] in finished.stderr and "Traceback" not in finished.stderr


def test_a_link_that_breaks_by_itself_is_named(few: list[str]) -> None:
    demo = subprocess.Popen([*few, "--for", "60"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None and demo.stderr is not None
    try:
        wait_until_it_runs(demo)
        broker = next(p for p in below(demo.pid) if any("amqtt" in word for word in p.cmdline()))
        broker.kill()
        assert demo.wait(timeout=30) == 2
        assert "the broker ended with status -9" in demo.stderr.read()
    finally:
        demo.kill()
        demo.stdout.close()
        demo.stderr.close()
