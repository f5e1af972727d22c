"""A pin's wake that has sent something was not for nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import flash_images
import pytest
from lora_bench import ManualClock

from pave_emulator.air.wifi import WifiAir
from pave_emulator.board import load
from pave_emulator.power.meter import FALSE_WAKE, Meter


def chip(state: str) -> SimpleNamespace:
    return SimpleNamespace(state=state, supply_current_ua=lambda _now_s: 10.0)


@pytest.mark.parametrize("way", ["nothing", "lora", "wifi"])
def test_only_a_wake_that_sent_nothing_is_a_false_one(way: str) -> None:
    clock, board = ManualClock(), load(flash_images.PRESENCE_BOARD)
    chips = {name: chip("on") for name in board.chips}
    meter = Meter(board, cast(Any, chips), cast(Any, clock), lambda _now_s: 15.0, lambda: None)
    air = WifiAir(cast(Any, clock))
    air.station("d").sent = meter.sent
    meter.woken("pin", by_pin=True)
    meter.mcu("active")
    clock.run_until(1.0)
    if way == "lora":
        chips["radio"].state = "tx-14dbm"
        meter.look()
    elif way == "wifi":
        air.heard("d", "up", b"reading")
    meter.asleep()
    assert (FALSE_WAKE in {entry.cause for entry in meter.snapshot().entries if entry.charge_c}) == (way == "nothing")
