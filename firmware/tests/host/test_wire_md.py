"""docs/WIRE.md says what the code does: its examples and tables are generated from it."""

import re
from pathlib import Path

import pytest

from pave_tools import wire_examples, wire_examples_bundle, wire_examples_oscore, wire_examples_radio, wire_md
from pave_tools.errors import ToolError
from pave_wire import event_encode, lorawan, oscore_context, region


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


def test_the_keys_and_the_additional_data_are_those_of_rfc_8613() -> None:
    keys = wire_examples_oscore.keys()  # C.1.1
    for line in ("f0910ed7295e6ad4b54fc793154302ff", "ffb14e093c94c9cac9471648b4f98710", "4622d4dd6d944168eefb54987c"):
        assert bytes.fromhex(line).hex(" ") in keys
    assert "4622d4dd6d944168eefb549868" in wire_examples_oscore.nonce().replace(" ", "")  # C.4
    assert "8540f60a634b657910" in keys.replace(" ", "")


def test_the_signature_is_that_of_rfc_6979() -> None:
    assert wire_examples_bundle.sign(b"sample").hex() == (  # A.2.5, SHA-256
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )


def test_every_named_error_of_a_bundle_is_on_the_page() -> None:
    names = {wire_examples_bundle.refused(number) for number in range(len(wire_examples_bundle.FAULTS))}
    assert names == {
        "BundleClassError", "BundleError", "BundlePathError", "BundleSequenceError", "BundleSizeError",
        "BundleVendorError", "BundleVersionError", "CborError", "CoseAlgorithmError", "CoseCriticalError", "CoseError",
        "CoseKeyError", "CoseSignatureError",
    }  # fmt: skip


def test_the_sections_of_oscore_and_the_radio_follow_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (oscore_context, "_AAD_ARRAY", b"\x85\x02\x81\x0a"),
        (region, "SUB_BANDS", tuple((low, high, 5, erp) for low, high, _, erp in region.SUB_BANDS)),
        (lorawan, "ADR", 0),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert wire_md.stale()
    assert wire_md.stale() == []


def test_a_part_of_an_example_that_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="parts"):
        wire_examples.fields(b"abc", ((2, "ab"),))
    assert wire_examples_radio.uplink().count("FRMPayload") == 2
