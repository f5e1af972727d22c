"""Memory that is given back is not charged: a large buffer for a small datagram costs no more than it did."""

import asyncio

from virtual_bench import JOIN, Site, play

ECHO = ("127.0.0.1", 7007)
TURNS = 20
MAIN = (
    JOIN
    + f"""
join()
s = udp()
def timed(size):
    start = time.ticks_us()
    for _ in range({TURNS}):
        s.sendto(b"x", {ECHO})
        if s.recvfrom(size)[0] != b"x": raise ValueError("not the echo")
    return time.ticks_diff(time.ticks_us(), start)
timed(1)
print("us", timed(1), timed(1152))
"""
)


def test_a_small_datagram_in_a_large_buffer_costs_about_as_much_as_in_a_small_one(tmp_path):
    async def script(site: Site):
        echo = site.loop.network.open(lambda data, sender: echo.send(data, sender), ECHO[1])
        try:
            await site.line("us")
        finally:
            echo.close()
            await asyncio.sleep(0)

    site = play(tmp_path, MAIN, script)
    (said,) = [line for line in site.lines() if line.startswith("us")]
    small_us, large_us = (int(text) for text in said.split()[1:])
    assert small_us > 0 and abs(large_us - small_us) < 200 * TURNS, said
