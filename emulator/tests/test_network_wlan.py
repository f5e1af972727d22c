"""WLAN as ports/esp32/network_wlan.c has it: scanning, failing, losing the access point, being one."""

import asyncio

from virtual_bench import JOIN, Site, play

from pave_emulator.air.access_point import AccessPoint


def test_a_scan_lists_what_can_be_heard_the_loudest_first(tmp_path):
    main = """
import network, time
w = network.WLAN(network.STA_IF)
try: w.scan()
except OSError as e: print("off", e)
w.active(True)
t = time.ticks_ms()
for found in w.scan(): print("found", found)
print("took", time.ticks_diff(time.ticks_ms(), t))
"""
    neighbours = [
        AccessPoint("far", "", bytes([2, 0, 0, 0, 0, 9]), channel=11, position_m=(300.0, 0.0)),
        AccessPoint("near", "12345678", bytes([2, 0, 0, 0, 0, 8]), channel=1, position_m=(10.0, 0.0)),
        AccessPoint("secret", "x", bytes([2, 0, 0, 0, 0, 7]), hidden=True, rssi_dbm=-80),
        AccessPoint("off", on=False),
        AccessPoint("beyond", position_m=(5000.0, 0.0)),
    ]

    async def script(site: Site):
        await site.line("took")

    site = play(tmp_path, main, script, neighbours=neighbours, positions_m={"dut": (0.0, 0.0)})
    assert "off STA must be active" in site.lines()
    found = [line.removeprefix("found ") for line in site.lines() if line.startswith("found")]
    assert found == [
        "(b'near', b'\\x02\\x00\\x00\\x00\\x00\\x08', 1, -50, 3, False)",
        f"(b'pave', {site.air.access_point.bssid!r}, 6, -60, 3, False)",
        "(b'', b'\\x02\\x00\\x00\\x00\\x00\\x07', 6, -80, 3, False)",
        "(b'far', b'\\x02\\x00\\x00\\x00\\x00\\t', 11, -95, 0, False)",
    ]
    assert 1560 <= int(next(line for line in site.lines() if line.startswith("took")).split()[1]) <= 1640


def test_failures_are_told_as_the_port_tells_them_and_a_second_connect_meanwhile_is_an_error(tmp_path):
    main = (
        JOIN
        + """
try: network.WLAN(0).active(False); w.connect("pave", "x")
except OSError as e: print("off:", e)
try: w.status("rssi")
except OSError as e: print("rssi:", e)
w.active(True)
print("idle", w.status(), w.isconnected(), w.ifconfig())
print("key", join("pave", "wrong", (202,)))
try: w.connect("pave", "pave-demo-key")
except OSError as e: print("meanwhile:", e)
w.disconnect(); print("left", w.status())
print("ssid", join("elsewhere", "x", (201,)))
w.disconnect()
w.config(reconnects=2)
t = time.ticks_ms()
print("none", join("elsewhere", "x", (201,)))
time.sleep(10)
w.connect("pave", "pave-demo-key"); print("stale", w.status()); time.sleep(1)
print("joined", w.status(), w.isconnected(), w.status("rssi"), w.config("ssid"), w.config("channel"))
print("end")
"""
    )

    async def script(site: Site):
        await site.line("end")

    said = play(tmp_path, main, script).lines()
    for line in (
        "off: Wifi Not Started",
        "rssi: Wifi Not Connected",
        "idle 1000 False ('0.0.0.0', '0.0.0.0', '0.0.0.0', '0.0.0.0')",
        "key 202",
        "meanwhile: Wifi Internal Error",
        "left 1000",
        "ssid 201",
        "none 201",
        "stale 201",  # the last failure is told until an address is there
        "joined 1010 True -60 pave 6",
    ):
        assert line in said


BEACONS = (
    JOIN
    + """
w.config(reconnects=%d)
join()
last = 1010
while True:
    if w.status() != last:
        last = w.status(); print("status", last, time.ticks_ms() // 1000)
    time.sleep_ms(100)
"""
)


def test_an_access_point_that_falls_silent_is_missed_after_six_seconds_and_found_again(tmp_path):
    async def script(site: Site):
        await asyncio.sleep(10)
        site.air.switch("pave", False)
        await asyncio.sleep(20)
        site.air.switch("pave", True)
        await site.line("status 1010")

    site = play(tmp_path, BEACONS % -1, script)
    statuses = [line.split()[1:] for line in site.lines() if line.startswith("status")]
    assert [int(status) for status, _s in statuses] == [1001, 201, 1010]
    assert 15 <= int(statuses[0][1]) <= 16  # 10 s + 6 s, less the boot
    assert 29 <= int(statuses[2][1]) <= 32


def test_without_reconnects_the_status_says_beacon_timeout_and_stays(tmp_path):
    async def script(site: Site):
        await asyncio.sleep(5)
        site.air.switch("pave", False)
        await site.line("status 200")
        site.air.switch("pave", True)
        await asyncio.sleep(30)

    site = play(tmp_path, BEACONS % 0, script)
    assert [line.split()[1] for line in site.lines() if line.startswith("status")] == ["200"]


def test_a_short_silence_costs_datagrams_and_no_association(tmp_path):
    main = (
        JOIN
        + """
join()
s = udp()
for i in range(10):
    s.sendto(b"%d" % i, ("127.0.0.1", 9)); time.sleep(1)
print("still", w.status())
"""
    )

    async def script(site: Site):
        await asyncio.sleep(4)
        site.air.switch("pave", False)
        await asyncio.sleep(3)
        site.air.switch("pave", True)
        await site.line("still")

    site = play(tmp_path, main, script)
    assert "still 1010" in site.lines()
    assert [bool(r.fields.get("lost")) for r in site.datagrams()].count(True) == 3


def test_a_device_is_an_access_point_that_another_joins(tmp_path):
    host = """
import network, time
ap = network.WLAN(network.AP_IF)
ap.config(ssid="kiosk", key="12345678", security=network.AUTH_WPA2_PSK, channel=3)
print("before", ap.active(), ap.isconnected())
ap.active(True)
print("up", ap.active(), ap.ifconfig(), ap.config("ssid"), ap.config("mac")[5])
try: ap.status("rssi")
except OSError as e: print("no", e)
while not ap.isconnected(): time.sleep_ms(100)
print("stations", len(ap.status("stations")), len(ap.status("stations")[0][0]))
while ap.isconnected(): time.sleep_ms(100)
print("gone")
"""
    guest = (
        JOIN
        + """
time.sleep(2)
print("sees", [f[0] for f in w.scan()])
print("in", join("kiosk", "12345678"))
time.sleep(3)
w.disconnect()
"""
    )

    async def script(site: Site):
        await site.line("gone", "host")

    site = play(tmp_path, {"host": host, "guest": guest}, script)
    assert site.lines("host")[:3] == [
        "before False False",
        "up True ('192.168.4.1', '255.255.255.0', '192.168.4.1', '0.0.0.0') kiosk 1",
        "no STA required",
    ]
    assert "stations 1 6" in site.lines("host")
    assert "sees [b'pave', b'kiosk']" in site.lines("guest")
    assert "in 1010" in site.lines("guest")


def test_settings_and_their_errors(tmp_path):
    main = """
import network
w = network.WLAN()
print("same", network.WLAN(network.STA_IF) is w, network.WLAN.IF_AP)
def fails(f, *a, **k):
    try: print("no error", f(*a, **k))
    except Exception as e: print(type(e).__name__, e)
fails(network.WLAN, 5)
fails(w.config, "nonsense")
fails(w.config, nonsense=1)
fails(w.config, "mac", pm=0)
fails(w.config)
fails(w.config, ssid="x")
fails(w.status, "stations")
fails(w.status, "x")
fails(w.config, mac=b"123")
fails(w.ipconfig, "addr6")
fails(network.country, "FRA")
w.config(pm=w.PM_POWERSAVE, txpower=8.6)
print("pm", w.config("pm"), w.config("txpower"), w.config("reconnects"), w.config("mac")[0])
network.hostname("bay-7"); network.country("FR")
print("names", network.hostname(), w.config("hostname"), network.country(), network.phy_mode())
w.ifconfig(("10.0.0.2", 24, "10.0.0.1", "1.1.1.1"))
print("static", w.ifconfig(), w.ipconfig("addr4"), w.ipconfig("dhcp4"))
w.ifconfig("dhcp"); print("dhcp", w.ifconfig()[0], w.ipconfig("dhcp4"))
w.ipconfig(addr4="10.0.0.3/16", gw4="10.0.0.1"); print("ip", w.ipconfig("addr4"), w.ipconfig("gw4"))
print("end")
"""

    async def script(site: Site):
        await site.line("end")

    assert play(tmp_path, main, script).lines()[:-1] == [
        "same True 1",
        "ValueError invalid WLAN interface identifier",
        "ValueError unknown config param",
        "ValueError unknown config param",
        "TypeError either pos or kw args are allowed",
        "TypeError can query only one param",
        "OSError AP required",
        "OSError AP required",
        "ValueError unknown status param",
        "ValueError invalid buffer length",
        "ValueError unexpected key",
        "ValueError ",
        "pm 2 8.5 -1 2",
        "names bay-7 bay-7 FR None",
        "static ('10.0.0.2', '255.255.255.0', '10.0.0.1', '1.1.1.1') ('10.0.0.2', '255.255.255.0') False",
        "dhcp 0.0.0.0 True",
        "ip ('10.0.0.3', '255.255.0.0') 10.0.0.1",
        "end",
    ]
