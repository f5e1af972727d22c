"""The kiosk's fonts are what their program makes of DejaVu, which npm installs into build/ on the first run."""

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from pave_tools import fonts


@pytest.fixture(scope="module")
def outlines() -> Path:
    if not shutil.which("npm"):
        pytest.skip("DejaVu needs npm: install Debian's `npm`")
    try:
        return fonts.outlines_dir()
    except fonts.FontError as error:
        pytest.skip(str(error))


def test_the_fonts_are_current(outlines: Path) -> None:
    assert fonts.stale() == []


def test_a_font_that_was_changed_by_hand_is_noticed(outlines: Path, tmp_path: Path) -> None:
    small = fonts.write(tmp_path)[0]
    small.write_text(small.read_text().replace("HEIGHT_PX = ", "HEIGHT_PX = 1"))
    diff = fonts.stale(tmp_path)
    assert any(line.startswith("-HEIGHT_PX") for line in diff) and any(line.startswith("+HEIGHT_PX") for line in diff)


@pytest.mark.parametrize("source", fonts.SOURCES[:2], ids=lambda source: source.name)
def test_a_line_written_with_a_font_is_what_the_outlines_draw(source: fonts.Source, outlines: Path) -> None:
    module: dict = {}
    exec(fonts.render(source, outlines), module)
    text = "À l'évêché : 3 places, Çà et là | gy"  # none that reaches to the left of where it begins
    font = ImageFont.truetype(outlines / source.outlines, source.em_px, layout_engine=ImageFont.Layout.BASIC)
    drawn = Image.new("1", (320, module["HEIGHT_PX"]))
    ours = drawn.copy()
    pen = ImageDraw.Draw(drawn)
    pen.fontmode = "1"
    pen.text((0, module["BASELINE_PX"]), text, fill=1, font=font, anchor="ls")
    x = 0
    for char in text:
        at = 5 * module["CHARS"].index(char)
        start = int.from_bytes(module["INDEX"][at : at + 2], "big")
        width, top, rows = module["INDEX"][at + 2 : at + 5]
        size = (width + 7) // 8
        for row in range(rows):
            bits = int.from_bytes(module["BITMAPS"][start + row * size :][:size], "big")
            for column in range(width):
                if bits >> (8 * size - 1 - column) & 1:
                    ours.putpixel((x + column, top + row), 1)
        x += width
    assert ours.tobytes() == drawn.tobytes()


def test_without_npm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fonts, "INSTALL_DIR", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(fonts.FontError, match="npm"):
        fonts.outlines_dir()
