"""The technician's command line, as a process."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from typer.testing import CliRunner

from pave_tools.board import board_path, load_board
from pave_tools.cli import app
from pave_tools.image import build_flash_image, first_epoch
from pave_tools.provisioning import public_hex, technician_key
from pave_tools.tree import REPOSITORY

OPTIONS = {
    "--role": "presence",
    "--board": "pave-presence-v1",
    "--device": "24a160fffe000101",
    "--gateway": "10.0.0.2:5683",
    "--wifi-ssid": "pave",
}


def flash(output: Path, *flags: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run `tools/flash.py build`; `changes` replaces option values (`role="..."`)."""
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    arguments = [text for pair in options.items() for text in pair]
    command = [sys.executable, "tools/flash.py", "build", *arguments, *flags, "-o", str(output)]
    environment = os.environ | {"PAVE_WIFI_KEY": "long enough"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_build_writes_an_image_and_says_what_it_is(tmp_path: Path) -> None:
    done = flash(tmp_path / "flash.bin", "--insecure")
    assert done.returncode == 0, done.stderr
    assert "presence 24a160fffe000101 on pave-presence-v1" in done.stdout
    assert (tmp_path / "flash.bin").stat().st_size == 8 * 2**20


def test_an_image_with_keys_leaves_a_record_and_says_nothing_of_them(tmp_path: Path) -> None:
    public = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    content = {"pave_gateway": 1, "site": "lab", "gateway_id": "01" * 7, "public_key": public}
    (tmp_path / "lab.json").write_text(json.dumps(content))
    paths = {"gateway_file": "lab.json", "technician": "my.key", "records": "records"}
    done = flash(tmp_path / "flash.bin", **{name: str(tmp_path / path) for name, path in paths.items()})
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "records").iterdir()
    assert json.loads(record.read_text())["device"] == OPTIONS["--device"]
    assert b"reserved" in (tmp_path / "flash.bin").read_bytes() and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"board": "pave-presence-v2"}, "did you mean 'pave-presence-v1'"),
        ({"role": "presense"}, "no role 'presense'"),
        ({"gateway": "10.0.0.2"}, "should be HOST:PORT"),
        ({"device": "1234"}, "16 lower-case hex digits"),
        ({"role": "kiosk"}, "no pins for board 'pave-presence-v1'"),
        ({"wifi_key": "short"}, "WPA wants 8 to 63"),
        ({}, "--gateway-file, or --insecure"),
        ({"gateway_file": "missing.json"}, "ask the operator"),
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


def test_a_technicians_public_key_is_shown_as_the_site_file_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "technician.key"
    first = CliRunner().invoke(app, ["key", "--technician", str(path)])
    shown = tomllib.loads(first.stdout)["registry"]["technician"][0]
    assert shown["key"] == public_hex(technician_key(path))
    assert CliRunner().invoke(app, ["key", "--technician", str(path)]).stdout == first.stdout
    path.write_text("nothing of the kind")
    assert CliRunner().invoke(app, ["key", "--technician", str(path)]).exit_code == 1


def test_an_image_with_keys_is_its_owners_alone(tmp_path: Path) -> None:
    board = load_board(board_path("pave-presence-v1"))
    build_flash_image(board, {}, {}, {"pave": {"epoch": 1}}, tmp_path / "flash.bin", b"")
    assert (tmp_path / "flash.bin").stat().st_mode & 0o077 == 0
