"""Attacks on virtual time: leases that outlast an event, clocks that go back, traces that depend on the machine."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import flash_images
from virtual_bench import JOIN, Site, play

TESTS = Path(__file__).parent

TWINS = (
    JOIN
    + """
join()
me = w.ifconfig()[0]
s = udp()
s.bind(("0.0.0.0", 5000))
print("at", me)
p = select.poll(); p.register(s, select.POLLIN)
while time.ticks_us() < 20000000 - 10000: time.sleep_us(20000000 - 5000 - time.ticks_us())
"""
)
SPEAKS = TWINS + "time.sleep_ms(100)\nfor n in range(8): s.sendto(b'x', ('%s', 5000)); time.sleep_ms(1000)\n"
HEARS = TWINS + """
for n in range(8):
    t = time.ticks_us()
    got = p.poll(5000)
    print("after", (time.ticks_us() - t) // 1000, len(got))
    if got: s.recvfrom(10)
"""


class _Probe:
    """Answers two VMs in one callback and keeps what each was told."""


def test_two_vms_that_wake_at_one_instant_get_no_lease_over_each_other(tmp_path):
    async def script(site: Site):
        await site.line("ready", "a")
        await site.line("ready", "b")
        wakes_s = site.clock.now_s() + 5
        for name in ("a", "b"):
            site.clock.call_at(wakes_s, lambda name=name: site.fleet.device(name).mcu.pins.drive(5, 1))
        heard = int(await site.line("heard", "b"))
        assert heard < 1000, "b slept over what a sent"

    def main(then: str) -> str:
        return (
            JOIN
            + "import machine, esp32\njoin()\ns = udp()\ns.bind(('0.0.0.0', 5000))\n"
            + "p = select.poll(); p.register(s, select.POLLIN)\n"
            + "pin = machine.Pin(5, machine.Pin.IN)\nesp32.wake_on_ext1([pin], esp32.WAKEUP_ANY_HIGH)\n"
            + "print('at', w.ifconfig()[0])\nprint('ready')\nmachine.lightsleep()\n"
            + then
        )

    play(
        tmp_path,
        {
            "a": main("s.sendto(b'x', ('255.255.255.255', 5000))\ntime.sleep(100)\n"),
            "b": main("t = time.ticks_ms()\ngot = p.poll(50000)\nprint('heard', time.ticks_ms() - t, len(got))\n"),
        },
        script,
    )


def test_a_vm_that_a_press_wakes_sees_the_release_when_it_comes(tmp_path):
    main = """
import machine, esp32, time
pin = machine.Pin(5, machine.Pin.IN)
pin.irq(lambda p: print("edge", time.ticks_ms() - woke), machine.Pin.IRQ_FALLING)
esp32.wake_on_ext1([pin], esp32.WAKEUP_ANY_HIGH)
print("ready")
machine.lightsleep()
woke = time.ticks_ms()
time.sleep(10)
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


READS_TIME = """
import time
last = time.ticks_us()
back = 0
for n in range(3000):
    if n % 7 == 0: time.sleep_us(n)
    now = time.ticks_us()
    if now < last: back += 1
    last = now
print("back", back)
"""


def test_the_clock_of_a_vm_never_goes_back(tmp_path):
    async def tick(site: Site) -> None:
        while True:
            await asyncio.sleep(61.5e-6)  # never a whole microsecond: short leases, answers between two ticks

    async def script(site: Site):
        ticking = asyncio.create_task(tick(site))
        assert await site.line("back") == "0"
        ticking.cancel()

    play(tmp_path, READS_TIME, script)


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
