"""The fuzzing harness itself: it counts, it sees a planted bug, it keeps the input and replays it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


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
