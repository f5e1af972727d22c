"""The benchmark of the wire: what is absent is said to be, and what is broken is not taken for absent."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _wire_cases, wire

CASES_DIR = Path(_wire_cases.__file__).parent
IN_VM = """
import sys
sys.path.insert(0, sys.argv[1])
import _wire_cases as cases
def broken(count):
    raise AttributeError("renamed")
def slow_at_first(count):
    import time
    built.append(count)
    pause_ms = 20 if len(built) == 1 else 0
    return lambda: time.sleep_ms(pause_ms), b"wire"
built = []
cases.CASES = [("case", %s, 2, "%s")]
cases.main(sys.argv[2])
print(len(built))
"""


def in_vm(tmp_path: Path, build: str, modules: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("micropython_run")
    wire.compiled(tmp_path)
    (tmp_path / "main.py").write_text(IN_VM % (build, modules))
    command = [sys.executable, "-c", wire._RUN_MAIN, str(tmp_path / "main.py"), str(CASES_DIR), str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def broken(count):
    raise AttributeError("renamed")


def test_a_case_is_absent_when_its_module_is_and_not_when_it_is_broken(monkeypatch) -> None:
    monkeypatch.setattr(_wire_cases, "CASES", [("case", broken, 2, "cbor never_written")])
    assert wire.cpython_us() == {}
    monkeypatch.setattr(_wire_cases, "CASES", [("case", broken, 2, "cbor")])
    with pytest.raises(AttributeError, match="renamed"):
        wire.cpython_us()


@pytest.mark.vm
def test_inside_the_vm_too(tmp_path: Path) -> None:
    absent = in_vm(tmp_path, "broken", "cbor never_written")
    assert absent.returncode == 0, absent.stderr
    assert "never_written" in json.loads(absent.stdout.splitlines()[0])["absent"]
    (tmp_path / "again").mkdir()
    failed = in_vm(tmp_path / "again", "broken", "cbor")
    assert failed.returncode != 0 and "AttributeError: renamed" in failed.stdout + failed.stderr


@pytest.mark.vm
def test_the_best_of_seven_batches_counts_inside_the_vm(tmp_path: Path) -> None:
    finished = in_vm(tmp_path, "slow_at_first", "cbor")
    row, built = finished.stdout.splitlines()
    assert json.loads(row)["us"] < 10_000
    assert int(built) >= 7


def test_each_case_names_the_modules_of_the_wire_that_it_measures() -> None:
    for name, _, _, modules in _wire_cases.CASES:
        assert modules and _wire_cases.absent(modules) is None, name


def test_a_missed_goal_is_printed(capsys) -> None:
    measured: dict[str, float | None] = dict.fromkeys(wire.GOALS, 1)
    measured["presence event, PHY bytes"] = 25
    assert wire.show_goals(measured) == ["presence event, PHY bytes"]
    assert "goals missed: 1; presence event, PHY bytes" in capsys.readouterr().out
