"""The manifest lists what a role imports, all of it and nothing else: no dead weight, and nothing missing."""

import ast
from collections.abc import Iterator

import pytest

from pave_tools import manifest
from pave_tools.tree import FIRMWARE_DIR

# what a role begins with, and what of the shared supervisor's imports is another role's
ROLES = {
    "presence": (["roles.supervise", "roles.presence_sensor", "boards.pave_presence_v1"], {"roles.kiosk_controller"}),
    "kiosk": (["roles.supervise", "roles.kiosk_controller", "boards.pave_kiosk_v1"], {"roles.presence_sensor"}),
}


def source_of(module: str) -> str | None:
    """Return the path below firmware/ of a module of ours, None for one of MicroPython's."""
    path = module.replace(".", "/")
    candidates = (f"{path}.py", f"lib/{path}.py", f"{path}/__init__.py", f"lib/{path}/__init__.py")
    return next((found for found in candidates if (FIRMWARE_DIR / found).is_file()), None)


def runs(node: ast.AST) -> Iterator[ast.AST]:
    """Walk `node`, leaving out what is there for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from runs(child)


def imported(path: str) -> Iterator[str]:
    for node in runs(ast.parse((FIRMWARE_DIR / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def closure(roots: list[str], without: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        path = None if module in without else source_of(module)
        if path is not None and path not in found:
            found.add(path)
            waiting += [module.rpartition(".")[0], *imported(path)]
    return found


@pytest.mark.parametrize("role", manifest.role_names())
def test_the_manifest_lists_exactly_what_the_role_imports(role: str) -> None:
    wanted = {manifest.module_path(path) for path in closure(*ROLES[role])}
    listed = {entry.device_path for entry in manifest.load_role(role).modules}
    assert listed - wanted == set(), "listed, but nothing imports it"
    assert wanted - listed == set(), "imported, but not listed"
