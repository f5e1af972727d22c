from checks import raised
from fake_framebuf import framebuf, imported

SSD1306 = imported("drivers.ssd1306").SSD1306

assert framebuf


class Bus:
    """I2C with one panel: what it was sent, commands apart from data."""

    def __init__(self, answers=True):
        self.commands = []
        self.data = []
        self._answers = answers

    def writeto(self, address, message):
        self.writevto(address, (message[:1], message[1:]))

    def writevto(self, address, parts):
        if not self._answers or address != 0x3C:
            raise OSError(19)
        message = b"".join([bytes(part) for part in parts])
        assert message[0] in (0x00, 0x40)
        (self.data if message[0] else self.commands).append(message[1:])


def started(height_px=64):
    bus = Bus()
    panel = SSD1306(bus, 128, height_px)
    panel.start()
    bus.commands.clear()
    bus.data.clear()
    return panel, bus


def test_the_whole_frame_goes_out_in_pages_of_eight_rows():
    panel, bus = started()
    panel.pixel(0, 0, 1)
    panel.pixel(5, 9, 1)
    panel.show()
    assert bus.commands == [bytes((0x21, 0, 127, 0x22, 0, 7))]
    frame = bytearray(1024)
    frame[0] = 0x01
    frame[128 + 5] = 0x02
    assert bus.data == [bytes(frame)]


def test_it_is_set_up_dark_and_cleared_before_it_is_switched_on():
    bus = Bus()
    SSD1306(bus).start()
    assert bus.commands[0][0] == 0xAE and bus.commands[-1] == b"\x8d\x14\xaf"
    assert bus.data == [bytes(1024)]
    assert not any(0xAF in commands for commands in bus.commands[:-1])


def test_rows_and_com_pins_are_those_of_the_panel():
    for height_px, rows, pins in ((64, b"\xa8\x3f", b"\xda\x12"), (32, b"\xa8\x1f", b"\xda\x02")):
        bus = Bus()
        SSD1306(bus, 128, height_px).start()
        assert rows in bus.commands[0] and pins in bus.commands[0]
        assert [len(data) for data in bus.data] == [128 * height_px // 8]


def test_of_an_area_only_its_columns_go_out_in_the_pages_it_touches():
    panel, bus = started()
    panel.fill(1)
    panel.show_area(100, 15, 20, 10)
    assert bus.commands == [bytes((0x21, 100, 119, 0x22, 1, 3))]
    assert bus.data == [b"\xff" * 20] * 3


def test_a_painter_is_told_where_on_the_frame_its_area_lies():
    panel, bus = started(32)
    panel.draw(8, 16, 4, 8, lambda canvas, x, y: canvas.fill_rect(x, y, 4, 8, 1))
    assert bus.data == [b"\xff" * 4]
    assert panel.pixel(8, 16) == 1 and panel.pixel(7, 16) == 0 and panel.pixel(8, 15) == 0


def test_an_area_off_the_panel_is_refused_and_nothing_is_sent():
    for area in ((0, 0, 129, 8), (120, 0, 9, 8), (0, 60, 8, 8), (-1, 0, 8, 8), (0, 0, 0, 8), (0, 0, 8, 0)):
        panel, bus = started()
        assert "128 x 64 px" in str(raised(ValueError, panel.show_area, *area))
        assert bus.commands == [] and bus.data == []


def test_contrast_inversion_and_power_are_commands_of_their_own():
    panel, bus = started()
    panel.contrast(7)
    panel.invert(True)
    panel.invert(False)
    panel.off()
    panel.on()
    assert bus.commands == [b"\x81\x07", b"\xa7", b"\xa6", b"\xae\x8d\x10", b"\x8d\x14\xaf"]
    assert bus.data == []


def test_a_panel_that_does_not_answer_is_an_error_of_the_bus():
    assert raised(OSError, SSD1306(Bus(answers=False)).start).args[0] == 19
