"""`pave-emulator` as a user calls it."""

import flash_images
from typer.testing import CliRunner

from pave_emulator.cli import app

SCENARIO = "name: t\nseed: 1\nearth_field_ut: [20.9, 0.6, 42.9]\nvisits: [{bay: b1, arrive_s: 0.2, leave_s: 4}]\n"


def test_run_prints_consoles_truth_and_counts(tmp_path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(SCENARIO)
    image = flash_images.build(tmp_path / "a.bin", {"main.py": "print('hello')"})
    device = f"dut={image}:{flash_images.PRESENCE_BOARD}:b1"
    arguments = ["run", str(scenario), "--device", device, "--for", "0.5", "--log-dir", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "dut | hello" in result.output
    assert "b1 * occupied (change 1, 0.2 s)" in result.output
    assert "boots 1" in result.output
    assert (tmp_path / "dut.log").read_text().startswith("hello\n")


def test_mistakes_end_with_one_line_and_status_2(tmp_path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(SCENARIO)
    for device, message in [
        ("dut", "NAME=FLASH.bin:BOARD.toml"),
        (f"d=none.bin:{flash_images.PRESENCE_BOARD}:b1", "no flash image"),
    ]:
        result = CliRunner().invoke(app, ["run", str(scenario), "--device", device, "--log-dir", str(tmp_path)])
        assert result.exit_code == 2
        assert message in result.output
        assert len(result.output.splitlines()) == 1


def test_list_names_parts_and_boards():
    result = CliRunner().invoke(app, ["list", str(flash_images.PRESENCE_BOARD)])
    assert "LIS2MDL" in result.output
    assert "pave-presence-v1: magnetometer (LIS2MDL at 0x1e)" in result.output
