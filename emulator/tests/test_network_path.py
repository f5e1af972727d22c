"""What happens to datagrams between a device and its network."""

import asyncio
import itertools

import pytest
from virtual_bench import JOIN, Site, play

from pave_emulator.air.path import Path, Paths, Quality

SEND = (
    JOIN
    + """
join()
s = udp()
for i in range(%d):
    s.sendto(b"%%d" %% i, ("127.0.0.1", 5683))
    time.sleep_ms(%d)
time.sleep(2)
print("sent")
"""
)


class Collector(asyncio.DatagramProtocol):
    """Keeps what arrives, with its time."""

    def __init__(self, echo: bool = False) -> None:
        self.got: list[tuple[float, int]] = []
        self.echo = echo

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.got.append((asyncio.get_running_loop().time(), int(data)))
        if self.echo:
            self.transport.sendto(data, addr)


def collect(tmp_path, count: int, every_ms: int, **figures) -> tuple[Collector, Site]:
    """Send numbered datagrams through an impaired path to a collector."""
    collector = Collector()

    async def script(site: Site):
        await site.loop.create_datagram_endpoint(lambda: collector, local_addr=("127.0.0.1", 5683))
        site.air.paths.impair("dut", "up", **figures)
        await site.line("sent")

    return collector, play(tmp_path, SEND % (count, every_ms), script)


def test_a_perfect_path_is_not_felt():
    path = Path("x")
    assert [path.plan(1.0) for _ in range(3)] == [(1.0,)] * 3


def test_loss_delay_and_duplicates_have_the_shares_asked_for():
    path = Path("x", Quality(loss=0.2, delay_s=0.1, jitter_s=0.1, duplicate=0.1))
    plans = [path.plan(float(second)) for second in range(10_000)]
    assert 0.18 < sum(not plan for plan in plans) / 10_000 < 0.22
    assert 0.07 < sum(len(plan) == 2 for plan in plans) / 10_000 < 0.09  # of those that are not lost
    late = [plan[0] - second for second, plan in enumerate(plans) if plan]
    assert min(late) >= 0.1
    assert max(late) <= 0.2 + 1e-6
    assert 0.145 < sum(late) / len(late) < 0.155


def test_jitter_keeps_the_order_and_reordering_does_not():
    jitter = Path("x", Quality(delay_s=0.1, jitter_s=0.5))
    arrivals = [jitter.plan(n * 0.001)[0] for n in range(1000)]
    assert all(one < other for one, other in itertools.pairwise(arrivals))
    mixed = Path("x", Quality(delay_s=0.1, reorder=0.1, reorder_s=0.05))
    arrivals = [mixed.plan(n * 0.01)[0] for n in range(1000)]
    assert 80 < sum(one > other for one, other in itertools.pairwise(arrivals)) < 120


def test_a_change_of_one_figure_leaves_the_fate_of_the_others_alone():
    plain, delayed = Path("x", Quality(loss=0.5)), Path("x", Quality(loss=0.5, delay_s=1.0, jitter_s=1.0))
    assert [bool(plain.plan(0.0)) for _ in range(100)] == [bool(delayed.plan(0.0)) for _ in range(100)]


def test_devices_and_directions_draw_apart_and_the_seed_decides():
    def fates(seed, device, way):
        paths = Paths(seed)
        paths.impair(device, loss=0.5)
        return [bool(paths.of(device, way).plan(0.0)) for _ in range(64)]

    assert fates(1, "a", "up") == fates(1, "a", "up")
    assert (
        len({tuple(fates(*which)) for which in ((1, "a", "up"), (1, "a", "down"), (1, "b", "up"), (2, "a", "up"))}) == 4
    )


@pytest.mark.parametrize("figures", [{"loss": 1.5}, {"duplicate": -0.1}, {"delay_s": -1.0}])
def test_figures_that_make_no_sense_are_refused(figures):
    with pytest.raises(ValueError, match=next(iter(figures))):
        Paths().impair("a", **figures)


def test_lost_datagrams_are_in_the_trace_and_nowhere_else(tmp_path):
    collector, site = collect(tmp_path, 60, 20, loss=0.25)
    records = site.datagrams()
    assert len(records) == 60
    lost = {int(record.fields["data"]) for record in records if record.fields.get("lost")}
    assert 5 < len(lost) < 25
    assert [number for _t, number in collector.got] == [n for n in range(60) if n not in lost]


def test_duplicated_and_delayed_datagrams_arrive_twice_and_late(tmp_path):
    collector, site = collect(tmp_path, 30, 300, duplicate=0.5, delay_s=0.1, jitter_s=0.02)
    twice = {int(r.fields["data"]) for r in site.datagrams() if r.fields.get("duplicated")}
    numbers = [number for _t, number in collector.got]
    assert 5 < len(twice) < 25
    assert all(numbers.count(number) == (2 if number in twice else 1) for number in range(30))
    sent_s = {int(record.fields["data"]): record.t_us / 1e6 for record in site.datagrams()}
    first = {number: when for when, number in reversed(collector.got)}
    assert all(0.1 <= first[number] - sent_s[number] < 0.13 for number in first)


def test_a_partition_lets_nothing_through_until_it_is_healed(tmp_path):
    collector = Collector(echo=True)
    main = (
        JOIN
        + """
join()
s = udp()
s.settimeout(0.1)
for i in range(10):
    s.sendto(b"%d" % i, ("127.0.0.1", 5683))
    try: print("echo", int(s.recv(10)))
    except OSError as e: print("none", i, e.errno)
    time.sleep(1)
print("end")
"""
    )

    async def script(site: Site):
        await site.loop.create_datagram_endpoint(lambda: collector, local_addr=("127.0.0.1", 5683))
        await asyncio.sleep(3.5)
        site.air.paths.cut("dut", "down")
        await asyncio.sleep(3.0)
        site.air.paths.heal("dut")
        site.air.paths.cut("dut", "up")
        await asyncio.sleep(3.0)
        site.air.paths.heal("dut")
        await site.line("end")

    site = play(tmp_path, main, script)
    sent_s = {int(r.fields["data"]): r.t_us / 1e6 for r in site.datagrams() if r.fields["way"] == "up"}
    deaf = [n for n, when in sent_s.items() if 3.5 <= when < 6.5]
    mute = [n for n, when in sent_s.items() if 6.5 <= when < 9.5]
    assert len(deaf) >= 2
    assert len(mute) >= 2
    answered = [n for n in range(10) if n not in deaf + mute]
    said = [line for line in site.lines() if line[:4] in ("echo", "none")]
    assert said == [f"echo {n}" if n in answered else f"none {n} 116" for n in range(10)]
    assert [number for _t, number in collector.got] == [n for n in range(10) if n not in mute]
    lost = {(r.fields["way"], int(r.fields["data"])) for r in site.datagrams() if r.fields.get("lost")}
    assert lost == {("down", n) for n in deaf} | {("up", n) for n in mute}


def test_two_devices_and_an_asyncio_server_talk_in_one_virtual_time(tmp_path):
    collector = Collector(echo=True)
    main = (
        JOIN
        + """
join()
s = udp()
for i in range(3):
    t = time.ticks_us()
    s.sendto(b"%d" % i, ("127.0.0.1", 5683))
    print("got", s.recv(10), 2 <= time.ticks_diff(time.ticks_us(), t) // 1000 <= 20)  # LATENCY_S there and back
print("end")
"""
    )

    async def script(site: Site):
        await site.loop.create_datagram_endpoint(lambda: collector, local_addr=("127.0.0.1", 5683))
        await site.line("end", "a")
        await site.line("end", "b")

    site = play(tmp_path, {"a": main, "b": main}, script)
    for name in "ab":
        assert [line for line in site.lines(name) if line.startswith("got")] == [f"got b'{n}' True" for n in range(3)]
    assert len(collector.got) == 6
