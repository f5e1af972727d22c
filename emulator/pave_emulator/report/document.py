"""A run as one JSON document. Times are seconds of the run's clock, units are in the keys.

scenario, seed, clock ("wall" or "virtual"), seconds, wall_s, records
trace_sha256    hash of the trace; null at wall clock and where the run was broken off
passed          false when a property failed or the VMs were lost; lost: why they were
properties      [{name, passed, checked, open, failed_at_s, reason}], as `scenario.properties.Verdict`
devices         by name:
  counts        boots, wakes, rpc_calls, flash_erases, flash_programs, crashes, watchdog_resets
  awake_s, off_s, wakes (by cause), datagrams (up, down, lost, duplicated, bytes up, bytes down)
  lora          {sent, received, airtime_s, lost (by reason), by_sf}
  energy        {mean_ma (at the rails), battery: as `power.report.as_dict`, null on mains}
  console       the last lines [t_s, line]; notices: what the emulator itself said, and tracebacks
radios          LoRa counts of what is no device: concentrators
bays            by name: {truth, reported}, each a list of [from_s, until_s or null]
events          faults and steps [t_s, device, text]; events_left_out: how many more there were
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pave_emulator.power import report as power_report
from pave_emulator.report.collect import Collector, DeviceLog, Radio
from pave_emulator.runner import Energy, Result


def as_dict(result: Result, seen: Collector) -> dict[str, Any]:
    """Plain values."""
    return {
        "scenario": result.scenario,
        "seed": result.seed,
        "clock": "virtual" if result.virtual else "wall",
        "seconds": result.seconds,
        "wall_s": result.wall_s,
        "records": result.records,
        "trace_sha256": result.digest,
        "passed": result.passed,
        "lost": result.lost,
        "properties": [
            {"name": v.name, "passed": v.passed, "checked": v.checked, "open": v.open, "failed_at_s": v.t_s,
             "reason": v.reason}
            for v in result.verdicts
        ],
        "devices": {
            name: _device(log, result.stats.get(name, {}), result.energy.get(name))
            for name, log in seen.devices.items()
        },
        "radios": {name: _radio(radio) for name, radio in seen.radios.items()},
        "bays": {name: {"truth": bay.truth, "reported": bay.reported} for name, bay in seen.bays.items()},
        "events": seen.events,
        "events_left_out": seen.events_left_out,
    }  # fmt: skip


def _device(log: DeviceLog, counts: dict[str, int], energy: Energy | None) -> dict[str, Any]:
    return {
        "counts": counts,
        "awake_s": sum(until_s - from_s for from_s, until_s in log.awake),
        "off_s": sum(until_s - from_s for from_s, until_s in log.off),
        "wakes": dict(Counter(cause for _, cause in log.wakes)),
        "datagrams": dict(log.datagrams),
        "lora": _radio(log.lora),
        "energy": energy and {
            "mean_ma": energy.mean_a * 1e3,
            "battery": power_report.as_dict(energy.projection) if energy.projection else None,
        },
        "console": list(log.lines),
        "notices": log.notices,
    }  # fmt: skip


def _radio(radio: Radio) -> dict[str, Any]:
    return {
        "sent": radio.sent,
        "received": radio.received,
        "airtime_s": radio.airtime_s,
        "lost": dict(radio.lost),
        "by_sf": {str(sf): count for sf, count in sorted(radio.by_sf.items())},
    }
