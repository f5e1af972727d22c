"""What one wake-up takes, by what it was for; and what each frame is on air, at every data rate.

What is read from flash is not told by a VM. But it is charged, by the read and by the byte: so the same hours run with
one of the two for nothing, and what code runs less, over the price of one, is how many there were.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _firmware_day as days
from benchmarks import _firmware_images as images
from benchmarks import _firmware_site as sites
from benchmarks import _firmware_world as world
from benchmarks import _payloads
from benchmarks._firmware_wakes import ARRIVAL, DEPARTURE, HEARTBEAT
from pave_emulator.power.costs import Costs

MIDDLE_C = 15.0
HOURS, QUICK_HOURS = 24.0, 2.5
SPREADING_FACTORS = (7, 8, 9, 10, 11, 12)
# Constant of `vm_costs` -> what one costs, s: a read, a byte of it.
READING_S = {"read_ns": Costs().flash_read_s, "read_ns_per_byte": Costs().flash_read_byte_s}
ASKED = (ARRIVAL, DEPARTURE, HEARTBEAT)
# The same event over Wi-Fi, counted: MQTT 3.1.1 at QoS 1 in TCP and IPv4 without options, 802.11 with WPA2 (MAC header
# and FCS 28, LLC/SNAP 8, CCMP 16), at 6 Mbit/s with a preamble of 20 us. Joining the network is not in it, nor TLS.
_TOPIC, _CLIENT_ID = "pave/24a160fffe000101/r", "24a160fffe000101"
_TCP_IP, _WIFI, _WIFI_BIT_US, _PREAMBLE_US, _ACK_US = 40, 52, 1 / 6, 20.0, 60.0


def measure(quick: bool) -> dict[str, Any]:
    """A day, and the same with reads or the bytes read for nothing."""
    hours = QUICK_HOURS if quick else HOURS
    ran = days.run(days.Day(celsius=MIDDLE_C, hours=hours))
    free = {cost: days.run(days.Day(celsius=MIDDLE_C, hours=hours, free=cost)) for cost in READING_S}
    for kind, wake in ran["wakes"].items():
        read = {cost: _less_s(wake, free[cost]["wakes"].get(kind)) / price_s for cost, price_s in READING_S.items()}
        wake["reads"], wake["read_bytes"] = (round(count) for count in read.values())
        wake["by_cause_mc"] = by_cause_mc(wake)
    return ran


def _less_s(wake: dict[str, Any], other: dict[str, Any] | None) -> float:
    """How much less code has run in the other one; 0 where there is none of its kind."""
    return wake["active_s"] - other["active_s"] if other else 0.0


def by_cause_mc(wake: dict[str, Any]) -> dict[str, float]:
    """The typical wake-up's charge at the rail, in mC, by what it went to."""
    costs = Costs()
    parts = {(consumer, state): (charge_mc, seconds) for consumer, state, charge_mc, seconds in wake["parts"]}
    active_mc, active_s = parts.pop(("mcu", "active"), (0.0, 0.0))
    rate_mc = active_mc / active_s if active_s else 0.0
    reading_s = wake["reads"] * costs.flash_read_s + wake["read_bytes"] * costs.flash_read_byte_s
    mount_mc, reading_mc = rate_mc * costs.mount_s, rate_mc * reading_s
    found = {
        "boot and mount": parts.pop(("mcu", "boot"), (0.0, 0.0))[0] + mount_mc,
        "reading flash": reading_mc,
        "running code": active_mc - mount_mc - reading_mc,
    }
    for (consumer, state), (charge_mc, _) in parts.items():
        name = "radio, sending" if (consumer, state[:2]) == ("radio", "tx") else consumer
        name = "waiting" if consumer == "mcu" else name
        found[name] = found.get(name, 0.0) + charge_mc
    return {name: mc for name, mc in found.items() if abs(mc) >= 0.005}


def show(console: Console, found: dict[str, Any]) -> None:
    """Print a row for each kind of wake-up, then where its charge goes."""
    table = Table(title="One wake-up at 15 degrees, SF9: medians; charge at the 3.3 V rail")
    for column in ("what for", "of them", "s", "longest", "code, s", "I2C", "SPI", "flash reads, KB", "frames", "mC"):
        table.add_column(column, justify="left" if column == "what for" else "right")
    for kind, wake in found["wakes"].items():
        read = f"{wake['reads']:,}, {wake['read_bytes'] / 1024:,.0f}"
        table.add_row(
            kind, str(wake["count"]), f"{wake['seconds']:.2f}", f"{wake['longest_s']:.2f}", f"{wake['active_s']:.2f}",
            str(wake["buses"].get("I2C", 0)), str(wake["buses"].get("SPI", 0)), read, f"{wake['frames_each']:.1f}",
            f"{wake['charge_mc']:.1f}",
        )  # fmt: skip
    console.print(table)
    causes = sorted({name for wake in found["wakes"].values() for name in wake["by_cause_mc"]})
    parts = Table(title="Where the charge of one goes, mC")
    for column in ("what for", *causes):
        parts.add_column(column, justify="left" if column == "what for" else "right")
    for kind, wake in found["wakes"].items():
        parts.add_row(kind, *(f"{wake['by_cause_mc'].get(name, 0.0):.2f}" for name in causes))
    console.print(parts)


def air(quick: bool) -> dict[str, Any]:
    """Frames of an arrival, a departure and a heartbeat, run at each spreading factor."""
    wanted = SPREADING_FACTORS[2:3] if quick else SPREADING_FACTORS
    return {"lora": {str(sf): _frames(sf) for sf in wanted}, "wifi": wifi_json()}


def _frames(sf: int) -> dict[str, Any]:
    """Bytes and ms on air of each kind, where all frames were at this spreading factor; empty if one never came."""
    setting = sites.Setting(
        images.PRESENCE, world.short([(5000.0, 6500.0), (7200.0, 8700.0)]), sf, {"heartbeat_s": 1200}
    )

    async def script(site: sites.Site) -> dict[str, Any]:
        def heard() -> dict[str, Any]:
            sent = {w.kind: w.frames for w in site.wakes.all if w.frames and all(at == sf for _, at, _ in w.frames)}
            return {
                kind: {"bytes": sum(size for size, _, _ in frames), "ms": 1e3 * sum(air_s for _, _, air_s in frames)}
                for kind, frames in sent.items()
            }

        await site.until(lambda: all(kind in heard() for kind in ASKED), 4 * sites.HOUR_S)
        return {kind: heard()[kind] for kind in ASKED}

    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        try:
            return sites.play(setting, Path(folder), script)
        except sites.LateError:
            return {}


def wifi_json() -> dict[str, Any]:
    """The event as SenML JSON over MQTT: counted from the formats, not run."""
    payload = _payloads.in_json()
    publish = 2 + (len(_TOPIC) + 2) + 2 + len(payload)
    publish += 1 if publish - 2 > 127 else 0
    connect, small = 2 + 10 + 2 + len(_CLIENT_ID), 4
    segments = [20, 20, 0, connect, small, publish, small, 2, 0, 0, 0]  # SYNs have options; the last are FIN, FIN, ACK
    on_air = [segment + _TCP_IP + _WIFI for segment in segments]
    ms = sum(8 * size * _WIFI_BIT_US + _PREAMBLE_US + _ACK_US for size in on_air) / 1e3
    return {"payload": len(payload), "bytes": sum(on_air), "packets": len(on_air), "ms": ms}


def show_air(console: Console, found: dict[str, Any]) -> None:
    """Print bytes and time on air."""
    table = Table(title="On air per event, EU868; uplinks of the device")
    table.add_column("")
    for kind in ASKED:
        table.add_column(f"{kind}, bytes", justify="right")
        table.add_column("ms", justify="right")
    for sf, kinds in found["lora"].items():
        if not kinds:
            console.print(f"SF{sf}: an arrival, a departure or a heartbeat never came")
            continue
        cells = [cell for kind in ASKED for cell in (str(kinds[kind]["bytes"]), f"{kinds[kind]['ms']:.0f}")]
        table.add_row(f"SF{sf}", *cells)
    console.print(table)
    wifi = found["wifi"]
    console.print(
        f"The same event as SenML JSON over MQTT on Wi-Fi, counted and not run: {wifi['payload']} B inside, "
        f"{wifi['bytes']:,} B in {wifi['packets']} packets, {wifi['ms']:.1f} ms, joining and TLS not in it."
    )
