"""Attacks on virtual time: leases that outlast an event, traces that depend on the machine."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flash_images
from virtual_bench import JOIN, Site, play

TESTS = Path(__file__).parent


class Relay(asyncio.DatagramProtocol):
    """What a says is brought to b, whose address its first datagram has told."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == b"b":
            self._b = addr
        else:
            self._transport.sendto(data, self._b)


def test_two_vms_that_wake_at_one_instant_get_no_lease_over_each_other(tmp_path):
    def main(first: str, then: str) -> str:
        return (
            JOIN
            + f"import machine, esp32\njoin()\ns = udp()\n{first}\n"
            + "p = select.poll(); p.register(s, select.POLLIN)\n"
            + "pin = machine.Pin(5, machine.Pin.IN)\nesp32.wake_on_ext1([pin], esp32.WAKEUP_ANY_HIGH)\n"
            + "print('ready')\nmachine.lightsleep()\n"
            + then
        )

    async def script(site: Site):
        await asyncio.get_running_loop().create_datagram_endpoint(Relay, local_addr=("127.0.0.1", 5700))
        await site.line("ready", "a")
        await site.line("ready", "b")
        wakes_s = site.clock.now_s() + 5
        for name in ("a", "b"):
            pins = site.fleet.device(name).mcu.pins
            site.clock.call_at(wakes_s, lambda pins=pins: pins.drive(5, 1))
        late_ms, got = (await site.line("heard", "b", within_s=500)).split()
        assert got == "1"
        assert int(late_ms) < 100, "b slept over what a sent"

    told = "s.sendto(b'b', ('127.0.0.1', 5700))"
    hears = "t = time.ticks_ms()\ngot = p.poll(3000)\nprint('heard', time.ticks_ms() - t, len(got))\n"
    mains = {"a": main("", "s.sendto(b'x', ('127.0.0.1', 5700))\ntime.sleep(100)\n"), "b": main(told, hears)}
    play(tmp_path, mains, script)


def test_a_vm_that_a_press_wakes_sees_the_release_when_it_comes(tmp_path):
    main = """
import machine, esp32, time
pin = machine.Pin(5, machine.Pin.IN)
pin.irq(lambda p: print("edge", time.ticks_ms() - woke), machine.Pin.IRQ_FALLING)
esp32.wake_on_ext1([pin], esp32.WAKEUP_ANY_HIGH)
print("ready")
machine.lightsleep()
woke = time.ticks_ms()
for n in range(10): time.sleep(1)
"""

    async def script(site: Site):
        await site.line("ready")
        await asyncio.sleep(1)
        pins = site.fleet.device("dut").mcu.pins

        def press() -> None:  # as surroundings.py does it
            pins.drive(5, 1)
            site.clock.call_after(0.2, lambda: pins.drive(5, 0))

        site.clock.call_after(1.0, press)
        await asyncio.sleep(5)  # no timer of the script's before
        assert 199 <= int(await site.line("edge")) <= 201

    play(tmp_path, main, script)


ORDERS = """
class Thing:
    def __init__(self, n): self.n = n
things = {Thing(n) for n in range(40)}
print("order", [thing.n for thing in things])
import gc
gc.collect()
print("used", gc.mem_alloc())
print("done")
"""


def said(folder: str) -> str:
    """What the consoles of a run said and when."""

    async def script(site: Site):
        await site.line("done")

    site = play(Path(folder), ORDERS, script)
    return "\n".join([*site.lines(), site.trace.digest()])


def test_the_order_of_objects_in_a_set_is_the_same_in_two_processes(tmp_path):
    program = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import test_attack_clock as t; print(t.said(%r))"
    running = []
    for number, more in enumerate(({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LONGER": "x" * 20000})):
        folder = tmp_path / str(number)
        folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(flash_images.REPOSITORY / "emulator"), **more}
        command = [sys.executable, "-c", program % str(folder)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    one, same = (process.communicate(timeout=60)[0].strip() for process in running)
    assert "order" in one
    assert one == same
