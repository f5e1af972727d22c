"""The tests of this folder once more, inside the MicroPython VM, on the .mpy files that ship."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pave_tools import firmware, manifest
from pave_tools.tree import FIRMWARE_DIR

TESTS_DIR = Path(__file__).parent
MODULES = sorted(path.stem for path in TESTS_DIR.glob("test_*.py") if path.stem != "test_in_vm")
HEAP = "160k"
_RUN_MAIN = "import sys, micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"


def micropython(*arguments: str) -> subprocess.CompletedProcess[str]:
    own = os.environ.get("PAVE_MICROPYTHON")
    command = [own] if own else [sys.executable, "-c", _RUN_MAIN]
    return subprocess.run([*command, "-X", f"heapsize={HEAP}", *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def slot_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every module of the firmware, compiled as `firmware.build` compiles those of a role."""
    out_dir = tmp_path_factory.mktemp("firmware") / "a"
    for source in sorted(path for path in FIRMWARE_DIR.rglob("*.py") if "tests" not in path.parts):
        device_path = manifest.module_path(source.relative_to(FIRMWARE_DIR).as_posix())
        target = out_dir / device_path.removeprefix(f"{manifest.SLOT}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(firmware.compile_module(manifest.Entry(source, device_path), out_dir))
    return out_dir


def run(slot_dir: Path, tests_dir: Path, module: str) -> subprocess.CompletedProcess[str]:
    return micropython(str(TESTS_DIR / "run_in_vm.py"), str(slot_dir), str(tests_dir), module)


@pytest.mark.vm
@pytest.mark.parametrize("module", MODULES)
def test_the_same_tests_pass_inside_the_vm(module: str, slot_dir: Path) -> None:
    finished = run(slot_dir, TESTS_DIR, module)
    written = re.findall(r"^def (test_\w+)", (TESTS_DIR / f"{module}.py").read_text(), re.MULTILINE)
    passed = re.findall(r"^passed (\w+)", finished.stdout, re.MULTILINE)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert sorted(passed) == sorted(written)


@pytest.mark.vm
def test_a_failing_test_inside_the_vm_is_seen(slot_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text("def test_wrong():\n    assert 1 == 2\n")
    finished = run(slot_dir, tmp_path, "test_wrong")
    assert finished.returncode == 1 and "failed test_wrong" in finished.stdout
