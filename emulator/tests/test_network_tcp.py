"""TCP sockets, names and the limits of lwIP, as firmware sees them."""

import asyncio

from virtual_bench import JOIN, Site, play


class Server(asyncio.Protocol):
    """Answers in capitals; says goodbye to `quit`."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data.upper())
        if b"quit" in data:
            self.transport.close()


CLIENT = (
    JOIN
    + """
join()
s = socket.socket()
try: s.recv(1)
except OSError as e: print("new", e.errno)
s.connect(("127.0.0.1", %s))
s.send(b"hello\\nworld")
print("line", s.readline(), s.read(5))
s.sendall(b"x" * 20000)
print("long", len(s.read(20000)))
s.write(b"quit")
print("rest", s.read(), s.recv(10), s.recv(10))
s.close()
try: s.send(b"x")
except OSError as e: print("closed", e.errno)
c = socket.socket()
try: c.connect(("127.0.0.1", 1))
except OSError as e: print("refused", e.errno)
print("end")
"""
)


def test_a_client_connects_sends_and_reads_until_the_peer_has_ended(tmp_path):
    async def script(site: Site):
        site.clock.network.streams.listen(Server, 80)
        await site.line("end")

    said = play(tmp_path, CLIENT % 80, script).lines()
    assert said[:-1] == [
        "new 128",
        "line b'HELLO\\n' b'WORLD'",
        "long 20000",
        "rest b'QUIT' b'' b''",
        "closed 9",
        "refused 104",
        "end",
    ]


async def test_the_same_client_over_the_hosts_loopback(bench):
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    b = await bench(CLIENT % port)
    await b.line("end", timeout_s=20)
    assert "long 20000" in b.lines
    assert "rest b'QUIT' b'' b''" in b.lines
    assert "refused 104" in b.lines
    server.close()


SERVER = (
    JOIN
    + """
join()
s = socket.socket()
s.bind(("", 80)); s.listen(1)
s.settimeout(0.3)
try: s.accept()
except OSError as e: print("nobody", e.errno)
s.settimeout(None)
c, peer = s.accept()
print("from", peer[0], c.recv(100))
c.send(b"answer"); c.close()
print("end")
"""
)


async def test_a_server_on_the_device_is_reached_from_the_host(bench):
    b = await bench(SERVER)
    port = int((await b.line("[emu] socket: TCP port 80 of the device is 127.0.0.1:")).split()[0])
    assert await b.line("nobody") == "116"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"question")
    assert await reader.read() == b"answer"
    writer.close()
    assert await b.line("from") == "127.0.0.1 b'question'"


def test_streams_of_asyncio_work_between_two_devices_in_virtual_time(tmp_path):
    server = (
        JOIN
        + """
import asyncio
join()
async def serve(reader, writer):
    while True:
        line = await reader.readline()
        if not line: break
        writer.write(line.upper()); await writer.drain()
    writer.close(); await writer.wait_closed()
    print("served")
async def main():
    await asyncio.start_server(serve, "0.0.0.0", 8080)
    while True: await asyncio.sleep(1)
asyncio.run(main())
"""
    )
    client = (
        JOIN
        + """
import asyncio
join()
time.sleep(1)
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", %d)
    for word in (b"one\\n", b"two\\n"):
        writer.write(word); await writer.drain()
        print("got", await reader.readline())
    writer.close(); await writer.wait_closed()
asyncio.run(main())
print("end")
"""
    )

    async def script(site: Site):
        await site.line("served", "server")
        await site.line("end", "client")

    site = play(tmp_path, {"server": server, "client": client % 49152}, script)  # the first port of a simulation
    assert [line for line in site.lines("client") if line.startswith("got")] == ["got b'ONE\\n'", "got b'TWO\\n'"]


def test_a_connect_that_does_not_block_is_under_way_then_writable(tmp_path):
    main = (
        JOIN
        + """
from errno import EINPROGRESS, ECONNRESET
join()
for port in (80, 81):
    s = socket.socket(); s.setblocking(False)
    p = select.poll(); p.register(s, select.POLLOUT)
    print("before", p.poll(0) == [(s, select.POLLOUT | select.POLLHUP)])
    try: s.connect(("127.0.0.1", port))
    except OSError as e: print("under way", e.errno == EINPROGRESS, p.poll(0))
    got = p.poll(1000)
    print("ready", bool(got[0][1] & select.POLLOUT), bool(got[0][1] & select.POLLERR))
    try: print("wrote", s.write(b"x"))
    except OSError as e: print("error", e.errno == ECONNRESET)
    print("read", s.read(10) if port == 80 else None)
print("end")
"""
    )

    async def script(site: Site):
        site.clock.network.streams.listen(Server, 80)
        site.air.paths.impair("dut", delay_s=0.2)
        await site.line("end")

    assert play(tmp_path, main, script).lines()[:-1] == [
        "before True", "under way True []", "ready True False", "wrote 1", "read None",
        "before True", "under way True []", "ready True True", "error True", "read None",
        "end",
    ]  # fmt: skip


def test_loss_costs_a_stream_time_and_no_byte_and_a_cut_in_the_end_the_connection(tmp_path):
    main = (
        JOIN
        + """
join()
s = socket.socket()
s.connect(("127.0.0.1", 80))
t = time.ticks_ms()
s.sendall(b"y" * 10000)
print("all", len(s.read(10000)), time.ticks_diff(time.ticks_ms(), t) > 1400)
w.status(); time.sleep(5)  # what was printed is heard at the next call
s.settimeout(100)
s.send(b"more")
t = time.ticks_ms()
try: s.recv(10)
except OSError as e: print("lost", e.errno, time.ticks_diff(time.ticks_ms(), t) // 1000)
"""
    )

    async def script(site: Site):
        site.clock.network.streams.listen(Server, 80)
        site.air.paths.impair("dut", "up", loss=0.5)
        await site.line("all")
        site.air.paths.cut("dut", "up")
        await site.line("lost")

    site = play(tmp_path, main, script)
    assert "all 10000 True" in site.lines()
    (lost,) = [line.split() for line in site.lines() if line.startswith("lost")]
    assert lost[1] == "113"  # ECONNABORTED, after 12 retransmissions
    assert lost[2] == "18"


def test_names_are_found_not_found_and_not_answered(tmp_path):
    main = (
        JOIN
        + """
def look(name):
    t = time.ticks_ms()
    try: print("found", socket.getaddrinfo(name, 5683))
    except OSError as e: print("failed", e.errno, time.ticks_diff(time.ticks_ms(), t) // 100)
look("gateway.example")
join()
look("gateway.example")
look("127.0.0.9")
look("")
look("nowhere.example")
time.sleep(10)
look("gateway.example")
s = udp()
try: s.sendto(b"x", ("gateway.example", 1))
except ValueError as e: print("name", e)
print("end")
"""
    )

    async def script(site: Site):
        await asyncio.sleep(5)
        site.air.paths.cut("dut")
        await site.line("end")

    said = play(tmp_path, main, script, hosts={"gateway.example": "127.0.0.1"}).lines()
    assert [line for line in said if not line.startswith("[emu]")][:-1] == [
        "failed -202 0",
        "found [(2, 1, 0, 'gateway.example', ('127.0.0.1', 5683))]",
        "found [(2, 1, 0, '127.0.0.9', ('127.0.0.9', 5683))]",
        "found [(2, 1, 0, '0.0.0.0', ('0.0.0.0', 5683))]",
        "failed -202 0",
        "failed -202 70",
        "name invalid arguments",
        "end",
    ]


def test_ten_sockets_short_timeouts_and_what_is_not_there(tmp_path):
    main = (
        JOIN
        + """
join()
socks = [udp() for _ in range(9)] + [socket.socket()]
try: udp()
except OSError as e: print("eleventh", e.errno)
for s in socks[1:]: s.close()
s = socks[0]
for seconds in (0.05, 0.1, 0.25):
    s.settimeout(seconds)
    t = time.ticks_ms()
    try: s.recv(1)
    except OSError as e: print("timeout", e.errno, round(time.ticks_diff(time.ticks_ms(), t) / 100))
def fails(f, *a):
    try: print("no error", f(*a))
    except OSError as e: print("errno", e.errno)
fails(s.recvfrom, 10, socket.MSG_DONTWAIT)
fails(s.listen)
fails(s.send, b"x")
fails(socket.socket, socket.AF_INET6)
fails(socks[1].recv, 1)
s.setsockopt(socket.SOL_SOCKET, 99, 1)
p = select.poll(); p.register(socks[1])
print("closed", p.poll(0)[0][1])
s.settimeout(0)
print("select", select.select([s], [s], [], 0.1) == ([], [s], []))
print("end")
"""
    )

    async def script(site: Site):
        await site.line("end")

    said = [line for line in play(tmp_path, main, script).lines() if not line.startswith("[emu]")]
    assert said[:-1] == [
        "eleventh 23", "timeout 11 1", "timeout 116 2", "timeout 116 3",
        "errno 11", "errno 95", "errno 128", "errno 123", "errno 9",
        "Warning: lwip.setsockopt() option not implemented",
        "closed 32", "select True", "end",
    ]  # fmt: skip
