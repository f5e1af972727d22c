"""The tree states the architecture, and this keeps it true: who may import whom, and how large things may grow."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"pave_wire", "pave_gateway", "pave_emulator", "pave_tools", "pave_boards", "simulation", "benchmarks", "fuzz"}
FIRMWARE = {"app", "drivers", "fonts", "net", "roles", "boards"}

# folder -> what of ours it may import; a folder named here is checked whole
ALLOWED = {
    "firmware/lib/pave_wire": {"pave_wire"},
    "firmware/app": {"pave_wire", "app", "fonts"},
    "firmware/drivers": {"drivers"},
    "firmware/net": {"pave_wire", "net"},
    "firmware/roles": {"pave_wire", *FIRMWARE},
    "gateway/pave_gateway/core": {"pave_wire", "pave_gateway.core"},
    "gateway/pave_gateway": {"pave_wire", "pave_gateway"},
    "emulator/pave_emulator": {"pave_emulator", "pave_boards"},
    "tools/pave_boards": {"pave_boards"},
    "tools/pave_tools": {"pave_tools", "pave_boards", "pave_wire"},
}
MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 350
UNFINISHED = ("TODO", "FIXME", "XXX", "HACK", "NotImplementedError")


def sources(folder: str = "") -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"{folder or '.'}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if line.endswith(".py") and (ROOT / line).is_file()]


def is_test(path: Path) -> bool:
    return "tests" in path.parts or path.name == "conftest.py"


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden(folder: str, source: str) -> list[str]:
    ours = OURS | FIRMWARE if folder.startswith("firmware") else OURS
    allowed = ALLOWED[folder]
    return [
        name
        for name in imports(ast.parse(source))
        if name.split(".")[0] in ours and not any(name == a or name.startswith(a + ".") for a in allowed)
    ]


@pytest.mark.parametrize("folder", ALLOWED)
def test_each_folder_imports_only_what_its_layer_may(folder: str) -> None:
    for path in sources(folder):
        if not is_test(path):
            assert not forbidden(folder, path.read_text()), f"{path} imports {forbidden(folder, path.read_text())}"


def test_a_forbidden_import_is_seen() -> None:
    assert forbidden("gateway/pave_gateway/core", "from pave_gateway.store import journal") == [
        "pave_gateway.store.journal"
    ]
    assert forbidden("emulator/pave_emulator", "import pave_gateway.cli") == ["pave_gateway.cli"]
    assert forbidden("firmware/app", "def f():\n    from net import wifi\n") == ["net.wifi"]


def test_the_core_reads_no_clock_and_starts_no_thread() -> None:
    banned = {"threading", "time", "random", "concurrent", "socket"}
    for path in sources("gateway/pave_gateway/core"):
        found = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))} & banned
        assert not found, f"{path} imports {found}"


def test_functions_fit_on_a_screen_and_files_in_a_head() -> None:
    for path in sources():
        source = path.read_text()
        assert is_test(path) or source.count("\n") <= MAX_FILE_LINES, f"{path}: {source.count(chr(10))} lines; split it"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= MAX_FUNCTION_LINES, f"{path}:{node.lineno}: {node.name} has {lines} lines; split it"


def test_nothing_is_left_for_later() -> None:
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = [word for word in UNFINISHED if word in line]
            assert path == Path(__file__) or not found, f"{path}:{number}: {found}"


def test_the_firmware_does_not_know_of_the_emulator() -> None:
    for path in sources("firmware"):
        if not is_test(path):
            assert "emulat" not in path.read_text().lower(), f"{path}: the same bytes run on a board"
