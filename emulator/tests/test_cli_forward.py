"""`pave-emulator run --forward`: what a sensor's radio sends reaches a LoRaWAN server as Semtech UDP."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import cli_bench
import flash_images
import pytest
from typer.testing import CliRunner

from pave_emulator.cli.commands import app

SEND = """
import time
from machine import Pin, SPI
spi = SPI(1, 8000000, sck=Pin(12), mosi=Pin(11), miso=Pin(13))
nss, busy = Pin(10, Pin.OUT, value=1), Pin(15, Pin.IN)
Pin(14, Pin.OUT, value=1)
def command(*data):
    while busy.value(): time.sleep_us(50)
    nss(0); spi.write(bytes(data)); nss(1)
frame = b"hello, roof"
command(0x80, 0)                                        # standby
command(0x97, 2, 0, 1, 0x40); command(0x89, 0x7F)       # TCXO on DIO3, calibrate
command(0x98, 0xD7, 0xDB); command(0x9D, 1)             # image, DIO2 switches the antenna
command(0x8A, 1)                                        # LoRa
command(0x86, *int(868100000 * 2**25 / 32e6).to_bytes(4, "big"))
command(0x95, 2, 2, 0, 1); command(0x8E, 22, 4)         # +14 dBm
command(0x0D, 0x07, 0x40, 0x34, 0x44)                   # public sync word
command(0x8B, 7, 4, 1, 0)                               # SF7, 125 kHz, 4/5
command(0x8C, 0, 8, 0, len(frame), 1, 0)
command(0x8F, 0, 0); command(0x0E, 0, *frame)
command(0x83, 0, 0, 0)                                  # transmit
time.sleep(60)
"""
SCENARIO = """\
name: One radio
seed: 3
earth_field_ut: [20.9, 0.6, 42.9]
noise_ut: 0.3
devices:
  - {{name: s1, board: {board}, image: s1.bin, place: b1, kind: delivery, position_m: [30, 0]}}
"""


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        yield listening


def site(folder: Path) -> Path:
    flash_images.build(folder / "s1.bin", {"main.py": SEND})
    path = folder / "site.yaml"
    path.write_text(SCENARIO.format(board=flash_images.PRESENCE_BOARD))
    return path


def test_a_packet_of_the_sensor_reaches_the_server(tmp_path: Path, server: socket.socket) -> None:
    at = f"127.0.0.1:{server.getsockname()[1]}"
    cli_bench.tool_process(
        "run", site(tmp_path), "--forward", at, "--for", 3, "--quiet", "--work-dir", tmp_path / "work"
    )
    kinds, packets = set(), []
    while not packets:
        data = server.recv(4096)
        kinds.add(data[3])
        if data[3] == 0 and b'"rxpk"' in data:
            packets = json.loads(data[12:])["rxpk"]
    assert 2 in kinds  # PULL_DATA: the way back is open
    assert base64.b64decode(packets[0]["data"]) == b"hello, roof"
    assert (packets[0]["datr"], packets[0]["freq"]) == ("SF7BW125", 868.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--forward", "roof"], "HOST:PORT expected"), (["--forward", "h:1", "--clock", "virtual"], "reaches no server")],
)
def test_a_server_that_cannot_be_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["run", str(site(tmp_path)), *arguments])
    assert result.exit_code == 2
    assert message in result.output
