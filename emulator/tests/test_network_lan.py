"""`network.LAN` over a W5500: wiring, link, address, a cable that is pulled."""

import asyncio

import flash_images
from virtual_bench import JOIN, Site, play

from pave_emulator.chips.w5500 import W5500

BOARD = flash_images.KIOSK_BOARD  # its W5500: SCK 12, MOSI 11, MISO 13, CS 7, INT 1
LAN = (
    JOIN
    + """
from machine import SPI, Pin
def lan(cs=7, sck=12, **more):
    spi = SPI(1, sck=Pin(sck), mosi=Pin(11), miso=Pin(13))
    return network.LAN(phy_type=network.PHY_W5500, phy_addr=0, spi=spi, cs=Pin(cs), **more)
"""
)


def test_the_link_comes_up_an_address_follows_and_datagrams_go_by_wire(tmp_path):
    main = (
        LAN
        + """
n = lan(int=Pin(1))
print("made", n.status() == network.ETH_INITIALIZED, n.active(), n.config("mac")[5], lan() is n)
n.active(True)
seen = []
while not n.isconnected():
    if n.status() not in seen: seen.append(n.status())
    time.sleep_ms(100)
print("seen", seen, n.ifconfig()[0], w.isconnected())
s = udp()
s.sendto(b"1", ("127.0.0.1", 5683))
print("got", s.recv(10))
while n.isconnected(): time.sleep_ms(100)
print("pulled", n.status() == network.ETH_DISCONNECTED)
try: s.sendto(b"2", ("127.0.0.1", 5683))
except OSError as e: print("errno", e.errno)
while not n.isconnected(): time.sleep_ms(100)
n.active(False)
print("stopped", n.active(), n.status() == network.ETH_STOPPED)
print("end")
"""
    )

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data, addr)

    async def script(site: Site):
        await site.loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 5683))
        await site.line("got")
        chip = site.fleet.device("dut").chip("ethernet")
        assert isinstance(chip, W5500)
        chip.plug(False, site.clock.now_s())
        await site.line("errno")
        chip.plug(True, site.clock.now_s())
        await site.line("end")

    said = play(tmp_path, main, script, board=BOARD).lines()
    assert said[:-1] == [
        "made True False 3 True",
        "seen [1, 3] 127.0.0.1 False",
        "got b'1'",
        "pulled True",
        "errno 118",
        "stopped False True",
        "end",
    ]


def test_wrong_wiring_fails_as_esp_idf_does(tmp_path):
    main = (
        LAN
        + """
def fails(f, **k):
    try: print("no error", f(**k))
    except Exception as e: print(type(e).__name__, e)
fails(lan, cs=8, int=Pin(1))
fails(lan, sck=3, int=Pin(1))
fails(lan)
fails(network.LAN, phy_type=77, phy_addr=0)
fails(network.LAN, phy_type=network.PHY_W5500, phy_addr=40)
fails(network.LAN, phy_type=network.PHY_LAN8720, phy_addr=0)
n = lan(int=Pin(14))
n.active(True)
time.sleep(60)
print("deaf", n.status() == network.ETH_CONNECTED, n.isconnected())
print("end")
"""
    )

    async def script(site: Site):
        await site.line("end")

    said = play(tmp_path, main, script, board=BOARD).lines()
    assert [line for line in said if not line.startswith("[emu]")][:-1] == [
        "OSError esp_eth_driver_install failed",
        "OSError esp_eth_driver_install failed",
        "OSError esp_eth_driver_install failed with invalid argument",
        "ValueError invalid phy type",
        "ValueError invalid phy address",
        "OSError esp_eth_driver_install failed with invalid argument",
        "deaf True False",
        "end",
    ]
    assert any("no W5500 answers at sck=12 mosi=11 miso=13 cs=8" in line for line in said)
    assert any("interrupt is not GPIO 14 but 1:" in line for line in said)


def test_a_board_without_one_has_no_lan(tmp_path):
    main = LAN + "try: lan(int=Pin(1))\nexcept OSError as e: print('none:', e)\n"

    async def script(site: Site):
        assert await site.line("none:") == "esp_eth_driver_install failed"

    play(tmp_path, main, script)
