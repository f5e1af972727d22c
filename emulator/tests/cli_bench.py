"""For tests of the tool: a scenario with a small fleet, the tool as a process of its own, and a screen to read."""

from __future__ import annotations

import fcntl
import functools
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import flash_images
import pyte
from typer.testing import CliRunner

from pave_emulator.cli.commands import app

COMMAND = [sys.executable, "-m", "pave_emulator.cli"]
ROWS, COLUMNS = 24, 110
TIMEOUT_S = 20.0

SLEEPER = """
import machine, network, random, socket, time
led = machine.Pin(21, machine.Pin.OUT)
led.value(1)
time.sleep_ms(20)
led.value(0)
print("woken by", machine.wake_reason())
with open("/n", "w") as f:
    f.write(str(random.getrandbits(30)))
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("pave", "pave-demo-key")
while not wlan.isconnected():
    time.sleep_ms(50)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"hello", ("127.0.0.1", 5999))
s.close()
machine.deepsleep(2000 + random.getrandbits(9))
"""
SCENARIO = """\
name: Two sensors
seed: 1
earth_field_ut: [20.9, 0.6, 42.9]
noise_ut: 0.3
devices:
  - {{name: s, count: 2, board: {board}, image: s.bin, place: b, kind: delivery}}
visits:
  - {{bay: b1, arrive_s: 5, leave_s: 15}}
"""


def write_site(folder: Path, more: str = "", main: str = SLEEPER) -> Path:
    """A scenario with the sensors s1 and s2 on the bays b1 and b2, in a file beside their image."""
    (folder / "s.bin").write_bytes(_image(main))
    scenario = folder / "s.yaml"
    scenario.write_text(SCENARIO.format(board=flash_images.PRESENCE_BOARD) + more)
    return scenario


@functools.cache
def _image(main: str) -> bytes:
    """A flash image with this main.py; each is built once."""
    with tempfile.TemporaryDirectory() as folder:
        return flash_images.build(Path(folder) / "a.bin", {"main.py": main}).read_bytes()


def environment() -> dict[str, str]:
    """What the tool needs to be found."""
    path = os.pathsep.join([str(flash_images.REPOSITORY / "emulator"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": str(COLUMNS)}


def tool(*arguments: object, status: int = 0) -> str:
    """Run the tool in this process; its output. AssertionError when its status is another one."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == status, f"status {done.exit_code}: {done.output}{done.exception!r}"
    return done.output


def tool_process(*arguments: object, status: int = 0) -> str:
    """The same in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == status, f"status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Screen:
    """The tool in a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        command = [*COMMAND, *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(), start_new_session=True
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def until(self, wanted: str, timeout_s: float = TIMEOUT_S) -> str:
        """Read until the screen shows this; the screen."""
        end_s = time.monotonic() + timeout_s
        while wanted not in self.text:
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"{wanted!r} is not on the screen:\n{self.text}"
            if not self._read(left_s):
                assert wanted in self.text, f"it ended without {wanted!r}:\n{self.text}"
        return self.text

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, as the terminal sends it to the process in front."""
        self.process.send_signal(signal.SIGINT)

    def ended(self, timeout_s: float = TIMEOUT_S) -> int:
        """Read until it has ended; its status."""
        end_s = time.monotonic() + timeout_s
        while self._read(max(0.0, end_s - time.monotonic())):
            pass
        return self.process.wait(max(0.1, end_s - time.monotonic()))

    def close(self) -> None:
        """Let go of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._fd)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self._stream.feed(data)
        return bool(data)
