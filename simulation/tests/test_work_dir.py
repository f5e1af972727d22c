from pathlib import Path

import pytest

from simulation.work_dir import WorkDirError, take_work_dir


def test_a_folder_with_other_peoples_files_is_left_alone(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.odt"
    thesis.write_text("ten years")
    with pytest.raises(WorkDirError, match=r"Next: name an empty folder"):
        take_work_dir(tmp_path)
    assert thesis.read_text() == "ten years"


def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    with take_work_dir(tmp_path / "demo"):
        (tmp_path / "demo" / "flash").mkdir()
        (tmp_path / "demo" / "flash" / "a.bin").write_bytes(b"x")
        (tmp_path / "demo" / "outside").symlink_to(tmp_path)
    with take_work_dir(tmp_path / "demo"):
        assert [path.name for path in (tmp_path / "demo").iterdir()] == [".pave-demo"]
    assert tmp_path.exists()


def test_a_folder_in_use_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with take_work_dir(tmp_path / "demo"):
        (tmp_path / "demo" / "journal.sqlite").write_bytes(b"x")
        with pytest.raises(WorkDirError, match="in use"):
            take_work_dir(tmp_path / "demo")
        assert (tmp_path / "demo" / "journal.sqlite").exists()
