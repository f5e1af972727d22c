"""Wi-Fi and UDP as firmware sees them."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

CONNECT = """
import network, time, socket, select
w = network.WLAN(network.STA_IF)
w.active(True)
def join(ssid, key):
    w.disconnect()
    w.connect(ssid, key)
    while w.status() in (network.STAT_IDLE, network.STAT_CONNECTING): time.sleep_ms(10)
    return w.status()
"""


class Echo(asyncio.DatagramProtocol):
    """A UDP server that answers in capitals."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data.upper(), addr)


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")[1]
    transport.close()


async def test_a_datagram_goes_out_and_comes_back_and_the_tap_sees_both(bench, echo_port):
    main = f"""{CONNECT}
print("joined", join("pave", "pave-demo-key"), w.isconnected(), w.ifconfig()[0], w.status("rssi") < 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"hello", ("127.0.0.1", {echo_port}))
print("got", s.recvfrom(100))
s.connect(socket.getaddrinfo("127.0.0.1", {echo_port})[0][-1])
s.send(b"again")
print("got", s.recv(3))
"""
    b = await bench(main)
    seen = []
    b.air.tap = lambda device, direction, t_s, data: seen.append((device, direction, data))
    assert await b.line("joined") == "1010 True 127.0.0.1 True"
    assert await b.line("got") == f"(b'HELLO', ('127.0.0.1', {echo_port}))"
    assert await b.line("got") == "b'AGA'"
    assert seen[:2] == [("dut", "up", b"hello"), ("dut", "down", b"HELLO")]


async def test_a_wrong_key_and_an_unknown_network_are_told_apart_and_nothing_is_sent(bench, echo_port):
    main = f"""{CONNECT}
print("key", join("pave", "wrong"), w.isconnected())
print("ssid", join("elsewhere", "x"))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.sendto(b"hello", ("127.0.0.1", {echo_port}))
except OSError as e: print("errno", e.errno)
"""
    b = await bench(main)
    assert await b.line("key") == "202 False"
    assert await b.line("ssid") == "201"
    assert await b.line("errno") == "118"


async def test_waiting_for_a_datagram_that_does_not_come_times_out_with_the_boards_errno(bench):
    main = f"""{CONNECT}
from errno import ETIMEDOUT
join("pave", "pave-demo-key")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.1)
try: s.recv(10)
except OSError as e: print("errno", e.errno, e.errno == ETIMEDOUT)
s.setblocking(False)
try: s.recv(10)
except OSError as e: print("errno", e.errno)
p = select.poll(); p.register(s, select.POLLIN)
print("poll", p.poll(50))
p.modify(s, select.POLLIN | select.POLLOUT)
print("poll", p.poll(50) == [(s, select.POLLOUT)])
try: socket.socket(socket.AF_INET, socket.SOCK_RAW)
except OSError as e: print("raw", e.errno)
"""
    b = await bench(main)
    assert await b.line("errno") == "116 True"
    assert await b.line("errno") == "11"
    assert await b.line("poll") == "[]"
    assert await b.line("poll") == "True"
    assert await b.line("raw") == "123"


async def test_asyncio_waits_for_a_socket_and_for_time_at_once(bench, echo_port):
    main = f"""{CONNECT}
import asyncio
join("pave", "pave-demo-key")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
async def receive():
    while True:
        yield asyncio.core._io_queue.queue_read(s)
        print("got", s.recv(100))
async def tick():
    for i in range(3):
        s.sendto(b"n%d" % i, ("127.0.0.1", {echo_port}))
        await asyncio.sleep_ms(50)
async def slow():
    try: await asyncio.sleep(10)
    except asyncio.CancelledError: print("cancelled"); raise
async def main():
    reader = asyncio.create_task(receive())
    event = asyncio.Event()
    asyncio.create_task(tick())
    try: await asyncio.wait_for_ms(slow(), 100)
    except asyncio.TimeoutError: print("timeout")
    await asyncio.sleep_ms(120)
    async def fail(): raise ValueError("x")
    print("gather", await asyncio.gather(tick(), fail(), return_exceptions=True))
    reader.cancel()
    print("done", reader.done())
asyncio.run(main())
print("end")
"""
    b = await bench(main)
    await b.line("cancelled")
    await b.line("timeout")
    assert await b.line("gather") == "[None, ValueError('x',)]"
    await b.line("end")
    assert [line for line in b.lines if line.startswith("got")] == ["got b'N0'", "got b'N1'", "got b'N2'"] * 2


async def test_a_reset_closes_the_sockets_and_drops_the_association(bench, echo_port):
    main = f"""
import machine
print("connected", __import__("network").WLAN().isconnected())
{CONNECT}
join("pave", "pave-demo-key")
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10)]
try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
except OSError as e: print("errno", e.errno)
if machine.reset_cause() == 1: machine.reset()
"""
    b = await bench(main)
    for _ in range(2):
        assert await b.line("connected") == "False"
        assert await b.line("errno") == "23"  # ENFILE, lwIP's sockets.c


async def test_an_empty_datagram_closes_a_socket_for_reading_as_on_the_board_until_it_is_connected_anew(bench):
    main = f"""{CONNECT}
join("pave", "pave-demo-key")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.bind(("", 5683))
while True:
    data, sender = s.recvfrom(10)
    print("got", data)
    if not data: break
time.sleep_ms(200)
t = time.ticks_ms()
print("closed", s.recvfrom(10)[0], s.recv(10), s.readinto(bytearray(9)), time.ticks_diff(time.ticks_ms(), t) < 500)
p = select.poll(); p.register(s, select.POLLIN)
print("ready", len(p.poll(0)))
s.connect(sender)
print("again", s.recv(10))
"""
    b = await bench(main)
    port = int((await b.line("[emu] socket: port 5683 of the device is 127.0.0.1:")).split()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in (b"one", b"", b"two"):
            peer.sendto(data, ("127.0.0.1", port))
        assert await b.line("got") == "b'one'"
        assert await b.line("got") == "b''"
        assert await b.line("closed") == "b'' b'' 0 True"
        assert await b.line("ready") == "1"  # what has come is still there, and polls as ready for ever
        assert await b.line("again") == "b'two'"


async def test_a_datagram_longer_than_the_buffer_loses_its_end_without_a_word(bench, echo_port):
    main = f"""{CONNECT}
join("pave", "pave-demo-key")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for data in (b"longer", b"next"): s.sendto(data, ("127.0.0.1", {echo_port}))
print("got", s.recv(4), s.recv(10))
"""
    b = await bench(main)
    assert await b.line("got") == "b'LONG' b'NEXT'"


async def test_a_socket_keeps_six_datagrams_and_drops_the_rest(bench, echo_port):
    main = f"""{CONNECT}
join("pave", "pave-demo-key")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(9): s.sendto(b"%d" % i, ("127.0.0.1", {echo_port}))
time.sleep_ms(100)
s.setblocking(False)
got = b""
try:
    while True: got += s.recv(10)
except OSError: print("kept", got)
"""
    b = await bench(main)
    assert await b.line("kept") == "b'012345'"
