from checks import raised
from fake_framebuf import framebuf, imported

ili9341 = imported("drivers.ili9341")
BAND_BYTES, ILI9341, rgb565 = ili9341.BAND_BYTES, ili9341.ILI9341, ili9341.rgb565

RED, GREEN, BLUE = rgb565(255, 0, 0), rgb565(0, 255, 0), rgb565(0, 0, 255)
COLUMNS, PAGES, MEMORY = 0x2A, 0x2B, 0x2C


class Pin:
    OUT = 3

    def init(self, mode, value):
        self.level = value

    def __call__(self, level):
        self.level = level


class Wires:
    """SPI with one panel: [command, parameters] as it was sent them, `answer` when it is asked."""

    def __init__(self, **given):
        self.cs, self.dc, self.reset = Pin(), Pin(), Pin()
        self.sent = []
        self.largest = 0
        self.answer = 0x9C
        self.panel = ILI9341(self, self.cs, self.dc, self.reset, **given)

    def write(self, data):
        assert self.cs.level == 0
        self.largest = max(self.largest, len(data))
        if self.dc.level == 0:
            assert len(data) == 1
            self.sent.append([data[0], b""])
        else:
            self.sent[-1][1] += bytes(data)

    def readinto(self, data):
        assert self.cs.level == 0 and self.dc.level == 1
        data[:] = bytes((self.answer,)) * len(data)

    def pixels(self):
        """Return what was drawn last: ((columns), (pages), [colours])."""
        assert self.cs.level == 1
        codes = [code for code, _ in self.sent[-3:]]
        assert codes == [COLUMNS, PAGES, MEMORY]
        columns, pages, data = [parameters for _, parameters in self.sent[-3:]]
        return two(columns), two(pages), list(two(data))


def two(data):
    return tuple([data[at] << 8 | data[at + 1] for at in range(0, len(data), 2)])


def test_it_is_reset_woken_and_set_up_with_the_waits_of_the_datasheet():
    wires = Wires()
    steps = []
    for wait_ms in wires.panel.start():
        steps.append((wait_ms, wires.reset.level, [code for code, _ in wires.sent]))
    assert [level for _, level, _ in steps] == [0, 1, 1, 1]
    assert steps[1] == (120, 1, []) and steps[2] == (5, 1, [0x11])
    assert steps[2][0] + steps[3][0] >= 120, "only then may it sleep again"
    assert wires.sent == [[0x11, b""], [0x3A, b"\x55"], [0x36, b"\x48"]], "and it stays off"
    wires.panel.on()
    assert wires.sent[-1] == [0x29, b""]


def test_without_a_reset_pin_it_is_reset_by_a_command():
    wires = Wires()
    panel = ILI9341(wires, wires.cs, wires.dc)
    assert next(panel.start()) == 120
    assert wires.sent[0] == [0x01, b""]


def test_a_colour_goes_out_with_its_high_byte_first():
    wires = Wires()
    wires.panel.fill(0, 0, 1, 1, RED)
    assert wires.sent[-1] == [MEMORY, b"\xf8\x00"]
    wires.panel.fill(0, 0, 1, 1, rgb565(255, 255, 255))
    assert wires.sent[-1] == [MEMORY, b"\xff\xff"]


def test_an_area_is_drawn_in_bands_none_larger_than_the_buffer():
    wires = Wires(band_bytes=800)
    seen = []

    def paint(canvas, x, y):
        seen.append((x, y))
        canvas.fill(BLUE)
        canvas.fill_rect(x + 3, y + 5, 5, 10, GREEN)  # across two bands

    wires.panel.draw(20, 40, 40, 25, paint)
    columns, pages, drawn = wires.pixels()
    assert columns == (20, 59) and pages == (40, 64)
    assert seen == [(0, 0), (0, -10), (0, -20)] and wires.largest == 800
    assert drawn == [0x07E0 if 3 <= x < 8 and 5 <= y < 15 else 0x001F for y in range(25) for x in range(40)]


def test_a_band_is_sixteen_rows_of_an_upright_panel():
    wires = Wires()
    wires.panel.fill(0, 0, 240, 20, RED)
    assert wires.largest == BAND_BYTES == 16 * 240 * 2 and len(wires.sent[-1][1]) == 20 * 240 * 2


def test_the_buffer_may_be_smaller_but_not_than_a_row():
    wires = Wires(band_bytes=640)
    wires.panel.fill(0, 0, 240, 3, RED)
    assert wires.largest == 480 and wires.pixels()[2] == [0xF800] * 720
    assert "639 bytes; at least 640" in str(raised(ValueError, lambda: Wires(band_bytes=639)))


def test_a_picture_of_two_colours_or_sixteen_becomes_one_of_the_panels():
    for form, colours in ((framebuf.MONO_VLSB, 2), (framebuf.GS4_HMSB, 16)):
        source = framebuf.FrameBuffer(bytearray(64), 8, 8, form)
        source.pixel(2, 1, colours - 1)
        palette = framebuf.FrameBuffer(bytearray(32), 16, 1, framebuf.RGB565)
        palette.pixel(0, 0, BLUE)
        palette.pixel(colours - 1, 0, RED)
        wires = Wires()
        wires.panel.blit(0, 0, 8, 8, source, palette)
        drawn = wires.pixels()[2]
        assert drawn[8 + 2] == 0xF800 and drawn.count(0x001F) == 63


def test_turned_by_a_quarter_it_is_wider_than_high():
    orders = []
    for quarters, size in ((0, (240, 320)), (1, (320, 240)), (2, (240, 320)), (3, (320, 240))):
        wires = Wires(quarters=quarters)
        list(wires.panel.start())
        orders.append(wires.sent[-1][1][0])
        assert (wires.panel.width_px, wires.panel.height_px) == size
        wires.panel.fill(0, 0, size[0], 1, RED)
        assert wires.pixels()[0] == (0, size[0] - 1)
    assert [order & 0x20 for order in orders] == [0, 0x20, 0, 0x20] and len(set(orders)) == 4


def test_an_area_off_the_panel_is_refused_and_nothing_is_sent():
    for area in ((0, 0, 241, 1), (239, 0, 2, 1), (0, 319, 1, 2), (-1, 0, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)):
        wires = Wires()
        assert "240 x 320 px" in str(raised(ValueError, wires.panel.fill, *(area + (RED,))))
        assert wires.sent == []


def test_a_painter_that_fails_leaves_the_bus_to_others():
    wires = Wires()

    def paint(canvas, x, y):
        raise KeyError("nothing to paint")

    raised(KeyError, wires.panel.draw, 0, 0, 8, 8, paint)
    assert wires.cs.level == 1


def test_sleep_waking_inversion_and_off_are_commands_of_their_own():
    wires = Wires()
    assert wires.panel.sleep() == 120 and wires.panel.wake() == 5
    wires.panel.invert(True)
    wires.panel.invert(False)
    wires.panel.off()
    assert [code for code, _ in wires.sent] == [0x10, 0x11, 0x21, 0x20, 0x28]


def test_a_panel_that_is_absent_or_was_reset_is_noticed():
    wires = Wires()
    wires.panel.check()
    for answer in (0xFF, 0x00, 0x08):
        wires.answer = answer
        error = raised(OSError, wires.panel.check)
        assert error.args[0] == 5 and "0x%02x" % answer in error.args[1] and wires.cs.level == 1
