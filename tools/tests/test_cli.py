"""The technician's command line, as a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pave_tools.image import first_epoch
from pave_tools.tree import REPOSITORY

OPTIONS = {
    "--role": "presence",
    "--board": "pave-presence-v1",
    "--device": "24a160fffe000101",
    "--gateway": "10.0.0.2:5683",
    "--wifi-ssid": "pave",
}


def flash(output: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run `tools/flash.py build`; `changes` replaces option values (`role="..."`)."""
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    arguments = [text for pair in options.items() for text in pair]
    command = [sys.executable, "tools/flash.py", "build", *arguments, "-o", str(output)]
    environment = os.environ | {"PAVE_WIFI_KEY": "long enough"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_build_writes_an_image_and_says_what_it_is(tmp_path: Path) -> None:
    done = flash(tmp_path / "flash.bin")
    assert done.returncode == 0, done.stderr
    assert "presence 24a160fffe000101 on pave-presence-v1" in done.stdout
    assert (tmp_path / "flash.bin").stat().st_size == 8 * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"board": "pave-presence-v2"}, "did you mean 'pave-presence-v1'"),
        ({"role": "presense"}, "no role 'presense'"),
        ({"gateway": "10.0.0.2"}, "should be HOST:PORT"),
        ({"device": "1234"}, "16 lower-case hex digits"),
        ({"role": "kiosk"}, "no pins for board 'pave-presence-v1'"),
        ({"wifi_key": "short"}, "WPA wants 8 to 63"),
    ],
)
def test_a_mistake_gives_one_line_and_exit_status_1(tmp_path: Path, change: dict[str, str], message: str) -> None:
    done = flash(tmp_path / "flash.bin", **change)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_device_flashed_again_begins_at_a_later_epoch(tmp_path: Path) -> None:
    assert first_epoch(1767225600 + 10) == 10
    earlier, later = first_epoch(1_800_000_000), first_epoch(1_800_000_000 + 3600)
    assert later - earlier == 3600, "more than the power-ons an hour has room for"
