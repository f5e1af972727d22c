"""A small firmware tree, a small board, and the real MicroPython VM for the tests of the tools."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pave_tools.board import Board, board_path, load_board

MANIFEST = """
[files]
boot = ["boot.py"]
[shared]
modules = ["lib/wire/__init__.py", "lib/wire/codec.py"]
[roles.presence]
modules = ["app/presence.py"]
[roles.kiosk]
modules = []
"""
SOURCES = {
    "manifest.toml": MANIFEST,
    "boot.py": "import sys\nsys.path.insert(0, '/a')\n",
    "lib/wire/__init__.py": "",
    "lib/wire/codec.py": "def double(x):\n    return 2 * x\n",
    "app/presence.py": "from wire.codec import double\n\n\ndef fail():\n    raise ValueError(double(21))\n",
}
VM_TIMEOUT_S = 20


@pytest.fixture
def firmware_dir(tmp_path: Path) -> Path:
    """Return a firmware tree with the roles presence and kiosk."""
    for name, source in SOURCES.items():
        path = tmp_path / "firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path / "firmware"


@pytest.fixture(scope="session")
def board() -> Board:
    """Return the real presence sensor's board."""
    return load_board(board_path("pave-presence-v1"))


@pytest.fixture
def micropython(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a script in the MicroPython VM with arguments, and returns what it printed."""
    pytest.importorskip("micropython_run")

    def run(script: str, *arguments: str) -> str:
        path = tmp_path / "vm_script.py"
        path.write_text(script)
        start = "import sys, micropython_run; micropython_run.run_main(['micropython', *sys.argv[1:]])"
        command = [sys.executable, "-c", start, str(path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=VM_TIMEOUT_S, check=False)
        return done.stdout + done.stderr

    return run
