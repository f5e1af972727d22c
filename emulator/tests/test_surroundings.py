"""What people and the PC do at a kiosk arrives at the firmware's pins and UART, at its time."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import flash_images

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.steps import Step
from pave_emulator.scenario.world import World
from pave_emulator.trace import CONSOLE, Record, Trace
from pave_emulator.virtual_loop import VirtualLoop

MAIN = """
import time
from machine import Pin, UART
u = UART(1, 115200, tx=39, rx=40)
pins = {"button": Pin(38, Pin.IN), "tamper": Pin(5, Pin.IN), "mains": Pin(6, Pin.IN)}
seen = {name: pin.value() for name, pin in pins.items()}
print("idle", sorted(seen.items()))
def say(name):
    def moved(pin): print(name, pin.value(), time.ticks_ms() // 1000)
    return moved
for name, pin in pins.items():
    pin.irq(say(name), Pin.IRQ_RISING | Pin.IRQ_FALLING)
while True:
    line = u.readline()
    if line: print("pc", line)
    time.sleep_ms(50)
"""

STEPS = (
    Step("press", "press", {"place": "k"}, at_s=20.0),
    Step("open", "lid", {"place": "k", "open": True}, at_s=30.0),
    Step("dark", "mains", {"place": "k", "on": False}, at_s=40.0),
    Step("hang", "pc", {"place": "k", "alive": False}, at_s=60.0),
)


def lines(tmp_path: Path, steps: tuple[Step, ...], for_s: float) -> list[tuple[float, str]]:
    """What a kiosk's firmware has said, with the time."""
    image = flash_images.build(tmp_path / "k.bin", {"main.py": MAIN}, board=flash_images.KIOSK_BOARD)
    heard: list[Record] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock, trace = VirtualClock(loop), Trace()
        trace.subscribers.append(heard.append)
        world = World(Scenario("kiosk", 1, (0.0, 0.0, 0.0), 0.0, steps=steps), [], ["k"])
        spec = DeviceSpec("k", bytes(6), flash_images.KIOSK_BOARD, image, place="k")
        fleet = Fleet([spec], world, WifiAir(clock), clock, tmp_path / "logs", traced=trace)
        await fleet.start()
        await asyncio.sleep(for_s)
        await fleet.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return [(r.t_us / 1e6, r.fields["line"]) for r in heard if r.kind == CONSOLE]


def test_a_button_a_lid_and_the_mains_are_edges_at_their_time(tmp_path):
    said = lines(tmp_path, STEPS, 50.0)
    assert said[0][1] == "idle [('button', 1), ('mains', 1), ('tamper', 0)]"
    edges = [line for _, line in said if line.split()[0] in ("button", "tamper", "mains")]
    assert edges == ["button 0 20", "button 1 20", "tamper 1 30", "mains 0 40"]


def test_the_pc_says_every_five_seconds_that_it_lives_until_it_hangs(tmp_path):
    steps = STEPS[3:]
    beats = [at_s for at_s, line in lines(tmp_path, steps, 120.0) if line == "pc b'alive\\n'"]
    assert len(beats) in (11, 12)
    assert max(beats) < 60.2
    assert all(4.8 < later - earlier < 5.2 for earlier, later in itertools.pairwise(beats))
