"""The live view and the shell, in a terminal."""

from collections.abc import Callable, Iterator

import cli_bench
import flash_images
import psutil
import pytest

MakeScreen = Callable[..., cli_bench.Screen]
TALKER = "import time\nprint('up')\nwhile True:\n    time.sleep_ms(50)\n"


@pytest.fixture
def screen() -> Iterator[MakeScreen]:
    """A maker of terminals with the tool in them."""
    made: list[cli_bench.Screen] = []

    def make(*arguments: object) -> cli_bench.Screen:
        made.append(cli_bench.Screen(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_live_view_shows_each_device_and_ctrl_c_ends_it_without_leaving_a_process(screen, tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    shown = screen("run", scenario, "--live", "--work-dir", tmp_path / "work")
    text = shown.until("woken by")
    assert "Two sensors" in text
    assert "wall clock" in text
    header = next(line for line in text.splitlines() if "mAh" in line)
    assert [cell.strip() for cell in header.split("┃")[1:-1]] == [
        "device", "state", "up", "wakes", "radio up/down", "flash", "mAh/day", "last line",
    ]  # fmt: skip
    shown.until("sleeping")
    family = psutil.Process(shown.process.pid).children(recursive=True)
    assert len(family) >= 1  # the negative control: while it runs there are processes
    shown.interrupt()
    assert shown.ended() == 0
    assert "boots" in shown.text
    _gone, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_in_virtual_time_the_live_view_says_how_fast_it_is(screen, tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    arguments = ("--clock", "virtual", "--for", "120", "--live", "--work-dir", tmp_path / "work")
    shown = screen("run", scenario, *arguments)
    shown.until("trace sha256", timeout_s=60)
    assert shown.ended() == 0
    title = next(line for line in shown.text.splitlines() if "Two sensors" in line)
    assert title.startswith("Two sensors, 00:02:00, ")
    speed = int(title.split(", ")[2].removesuffix("x"))
    assert speed > 10, title


def test_a_person_types_at_a_device_that_runs(screen, tmp_path):
    scenario = cli_bench.write_site(tmp_path, main=TALKER)
    running = screen("run", scenario, "--work-dir", tmp_path / "work")
    running.until("s2 | up")
    shell = screen("shell", "s2", "--work-dir", tmp_path / "work")
    shell.until("Ctrl-] leaves")
    shell.type("\x03")
    shell.until(">>>")
    shell.type("6*7\r")
    shell.until("\n42")
    shell.type("\x04")
    shell.until("up")
    shell.type("\x1d")
    assert shell.ended() == 0
    running.interrupt()
    assert running.ended() == 0


def test_a_shell_can_start_one_device_of_its_own(screen, tmp_path):
    image = flash_images.build(tmp_path / "a.bin", {"main.py": "print('alone')"})
    before = image.read_bytes()
    shell = screen("shell", "--image", image, "--board", flash_images.PRESENCE_BOARD)
    shell.until("Ctrl-] leaves")
    shell.type("\r")
    shell.until(">>>")
    shell.type("f=open('/x','w'); f.write('y'); f.close(); import machine; machine.unique_id().hex()\r")
    shell.until("24a160fe0001")
    shell.type("\x1d")
    assert shell.ended() == 0
    assert image.read_bytes() == before


def test_a_shell_needs_a_terminal_and_a_device(tmp_path):
    assert "needs a terminal" in cli_bench.tool("shell", "s1", "--work-dir", tmp_path, status=2)


def test_a_shell_names_the_nearest_device(screen, tmp_path):
    scenario = cli_bench.write_site(tmp_path, main=TALKER)
    running = screen("run", scenario, "--work-dir", tmp_path / "work")
    running.until("s2 | up")
    shell = screen("shell", "ss2", "--work-dir", tmp_path / "work")
    shell.until("no device 'ss2': did you mean 's2'?")
    assert shell.ended() == 2
