"""docs/WIRE.md says what the code does: its examples and tables are generated from it."""

import re
from pathlib import Path

import pytest

from pave_tools import wire_examples, wire_md
from pave_tools.errors import ToolError
from pave_wire import event_encode


def test_the_generated_blocks_of_the_page_are_current() -> None:
    assert wire_md.stale() == []
    assert wire_md.main(["--check"]) == 0


def test_a_code_that_changed_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_encode, "REASONS", ("field", "boot", "heartbeat"))
    assert any(line.startswith("+00 78") for line in wire_md.stale())
    assert wire_md.main(["--check"]) == 1


def test_a_block_on_one_side_only_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "WIRE.md"
    page.write_text(re.sub(r"<!-- generated: hello -->\n", "", wire_md.PAGE.read_text()))
    with pytest.raises(ToolError, match="hello"):
        wire_md.stale(page)


def test_every_rule_of_schc_has_an_example_that_comes_back() -> None:
    assert wire_examples.schc_rules_table().count("\n") == 1 + len(wire_examples.schc_rules.RULES)
