"""Files made by a program: the command line that all of these programs share."""

from pathlib import Path

import pytest

from pave_tools import generated
from pave_tools.errors import ToolError


def run(texts: dict[Path, str], *arguments: str) -> int:
    return generated.main("pave_tools.x", "Generate x.", lambda: texts, arguments)


def test_it_writes_and_then_finds_nothing_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {tmp_path / "new/a.py": "A = 1\n", tmp_path / "b.py": "é\n"}
    assert run(texts) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path}/new/a.py\nwrote {tmp_path}/b.py\n"
    assert (tmp_path / "b.py").read_text(encoding="utf-8") == "é\n"
    assert run(texts, "--check") == 0


def test_a_stale_or_missing_file_fails_the_check_with_its_diff_and_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    assert run({path: "A = 1\n"}, "--check") == 1
    assert not path.exists()
    path.write_text("A = 2\n")
    assert run({path: "A = 1\n"}, "--check") == 1
    said = capsys.readouterr().err
    assert "-A = 2\n+A = 1\nstale: run `python -m pave_tools.x`\n" in said
    assert path.read_text() == "A = 2\n"


def test_what_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def make() -> dict[Path, str]:
        raise ToolError("no outlines: install them")

    for arguments in ([], ["--check"]):
        assert generated.main("pave_tools.x", "Generate x.", make, arguments) == 1
        assert capsys.readouterr().err == "no outlines: install them\n"
