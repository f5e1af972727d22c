"""UARTs, and the kiosk's PC at the other end of one."""

import asyncio

ECHO = """
import machine, time
u = machine.UART(1, 9600, tx=39, rx=40, timeout=2000)
print("ready", u)
print("line", u.readline())
u.write(b"pong\\n")
u.flush()
print("any", u.any(), u.read(), u.txdone())
"""


def test_lines_go_both_ways_and_take_their_time(virtual):
    async def scenario(bench):
        peer = bench.device.uart(1)
        peer.baud = 9600
        expected = "UART(1, baudrate=9600, bits=8, parity=None, stop=1, tx=39, rx=40, timeout=2000, timeout_char=0)"
        assert await bench.line("ready") == expected
        began_s = bench.device._clock.now_s()
        peer.feed(b"ping\n")
        assert await bench.line("line") == "b'ping\\n'"
        assert 0.005 < bench.device._clock.now_s() - began_s < 0.02  # 50 bits at 9,600 baud
        assert await bench.line("any", 10) == "0 None True"
        assert bytes(peer.sent) == b"pong\n"
        assert (peer.settings.tx, peer.settings.rx) == (39, 40)

    virtual(ECHO, scenario)


def test_a_peer_at_another_rate_is_not_understood(virtual):
    async def scenario(bench):
        await bench.line("ready")
        bench.device.uart(1).feed(b"ping\n")  # at 115,200
        assert await bench.line("line") != "b'ping\\n'"

    virtual(ECHO, scenario)


def test_read_waits_as_it_was_told_and_a_full_buffer_loses(either):
    main = """
import machine, time
u = machine.UART(2, 115200, rxbuf=256, timeout=50)
t = time.ticks_ms()
print("nothing", u.read(4), 45 < time.ticks_diff(time.ticks_ms(), t) < 300)
u.init(timeout=1000, timeout_char=100)
print("now")
print("whole", u.read(6))
u.init(timeout=0)
print("flood")
while u.any() < 384: time.sleep_ms(10)
time.sleep_ms(50)
buf = bytearray(8)
print("got", u.readinto(buf), bytes(buf), len(u.read()))
u.deinit()
print("closed", u.read(1), u.write(b"x"))
for wrong in (lambda: machine.UART(3), lambda: machine.UART(1, 9600, bits=9), lambda: machine.UART(1, 9600, stop=3)):
    try: wrong()
    except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        peer = bench.device.uart(2)
        assert await bench.line("nothing") == "None True"
        await bench.line("now")
        for piece in (b"abc", b"def"):
            peer.feed(piece)
            await asyncio.sleep(0.03)
        assert await bench.line("whole") == "b'abcdef'"
        await bench.line("flood")
        peer.feed(bytes(range(200)) * 3)
        assert await bench.line("got") == "8 b'\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07' 376"
        assert any("216 bytes lost" in line for line in bench.lines)
        assert await bench.line("closed") == "None None"
        assert await bench.line("error") == "UART(3) does not exist"
        assert await bench.line("error") == "invalid data bits"
        assert await bench.line("error") == "invalid stop bits"

    either(main, scenario)


def test_rxidle_interrupts_once_when_a_message_has_ended(virtual):
    main = """
import machine, time
u = machine.UART(1, 115200)
seen = []
irq = u.irq(lambda u: seen.append((irq.flags(), u.read())), machine.UART.IRQ_RXIDLE)
print("armed")
while len(seen) < 2: time.sleep_ms(50)
print("seen", seen)
for wrong in (lambda: u.irq(print, 2), lambda: u.irq(7, 1), lambda: u.irq(print, 1, True)):
    try: wrong()
    except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        await bench.line("armed")
        for message in (b"alive 1\n", b"alive 2\n"):
            bench.device.uart(1).feed(message)
            await asyncio.sleep(0.2)
        assert await bench.line("seen") == "[(4096, b'alive 1\\n'), (4096, b'alive 2\\n')]"
        assert await bench.line("error") == "trigger 0x0002 unsupported"
        assert await bench.line("error") == "handler must be None or callable"
        assert await bench.line("error") == "hard IRQ is not supported"

    virtual(main, scenario)


def test_an_asyncio_stream_hears_the_uart(either):
    main = """
import asyncio, machine
async def main():
    u = machine.UART(1, 115200)
    reader = asyncio.StreamReader(u)
    print("waiting")
    print("line", await reader.readline())
asyncio.run(main())
"""

    async def scenario(bench):
        await bench.line("waiting")
        await asyncio.sleep(0.2)
        bench.device.uart(1).feed(b"alive\n")
        assert await bench.line("line") == "b'alive\\n'"

    either(main, scenario)
