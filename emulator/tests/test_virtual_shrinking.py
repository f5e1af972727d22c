"""Memory that is given back is not charged: what shrinks between two looks at the clock takes next to no time."""

from virtual_bench import Site, play

MAIN = """
import time
big = [None] * 2000
start = time.ticks_us()
while big:
    big.pop()
print("us", time.ticks_diff(time.ticks_us(), start))
"""


def test_what_gives_memory_back_is_not_charged_as_if_it_had_taken_all_there_is(tmp_path):
    async def script(site: Site):
        assert 0 < int(await site.line("us")) < 1000

    play(tmp_path, MAIN, script)
