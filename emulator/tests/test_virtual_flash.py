"""What reading flash costs in virtual time: as on the chip by read and by byte, and nothing of the emulator's own."""

import pytest
from virtual_bench import Site, play

from pave_emulator.power.costs import Costs

READS = 1000
MAIN = f"""
import esp32, time
vfs = esp32.Partition("vfs")
buf = bytearray(64)
read = vfs.readblocks
def timed(n):
    start = time.ticks_us()
    for _ in range(n):
        read(0, buf, 0)
    return time.ticks_diff(time.ticks_us(), start)
timed(1)
print("us", timed({READS}) - timed(0))
"""


@pytest.mark.parametrize("size", [64, 4096])
def test_a_read_costs_its_overhead_and_its_bytes_and_the_shims_own_allocations_are_charged_to_nobody(tmp_path, size):
    async def script(site: Site):
        await site.line("us")

    site = play(tmp_path, MAIN.replace("bytearray(64)", f"bytearray({size})"), script)
    (said,) = [line for line in site.lines() if line.startswith("us")]
    costs = Costs()
    expected_us = 1e6 * READS * (costs.flash_read_s + size * costs.flash_read_byte_s)
    assert float(said.split()[1]) == pytest.approx(expected_us, rel=0.02)
