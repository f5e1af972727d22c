"""A whole site in virtual time: fifty sensors, losses, two concentrators, a gateway that is killed, storms of joins.

`lorawan_air` checks all the while that no downlink counter seals two frames, that nothing is sent outside a receive
window or the duty cycle, and that what a sensor takes for acknowledged is on disk; `finish` that every reading is on
disk and acknowledged in the end. The last tests break the gateway on purpose: each of those checks must see it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from lorawan_air import Air, BrokenError
from lorawan_sensor import Sensor
from lorawan_support import FAR, NEAR

from pave_gateway.core.committer import Committed
from pave_gateway.core.lorawan.capacity import join_capacities
from pave_gateway.core.lorawan.concentrators import Concentrator
from pave_gateway.core.lorawan.rows import LoraDownRow
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import region


def joined(air: Air) -> list[float]:
    """Return when sensors joined, in seconds since the air began."""
    return sorted((sensor.joined_ms - 1_000_000) / 1000 for sensor in air.sensors if sensor.joined_ms is not None)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 21))])
def test_a_site_with_losses_and_kills_loses_nothing_it_acknowledged_and_acknowledges_all(seed: int) -> None:
    air = Air(50, seed, loss=0.05)
    air.power_on(60_000)
    air.run_h(1.5)
    for _ in range(6):  # in the middle of whatever goes on
        air.kill()
        air.run(air.rng.randrange(400_000))
    air.store.failing = True  # the disk is full for a while
    air.run_h(0.2)
    air.store.failing = False
    air.server.concentrator_lost(FAR)
    air.power_on(5_000)  # the whole site was without power
    air.run_h(1.5)
    air.finish()
    counters = air.server.counters
    assert counters.forged == counters.malformed == 0
    assert sum(len(sensor.given) for sensor in air.sensors) > 400
    assert sum(len(sensor.dropped) for sensor in air.sensors) == 0
    assert air.collisions > 10 and counters.frames_missed > 10  # the air was not kind


def test_one_seed_gives_one_course_of_events() -> None:
    courses = []
    for _ in range(2):
        air = Air(10, 5)
        air.power_on(10_000)
        air.run_h(1)
        courses.append((air.uplinks, sorted(air.downlinks.items()), air.store.readings, air.server.counters))
    assert courses[0] == courses[1]


def slow(self: Sensor) -> None:
    """Join at SF12 alone, whatever comes."""
    if self.state == "joining":
        self.data_rate, self.tries = 0, self.tries + 1
        self._transmit(self.join_request())  # pyright: ignore[reportPrivateUsage]
        pause_ms = min(300_000, 15_000 << min(self.tries, 4))
        self._later(8_000 + self.rng.randrange(pause_ms), self._join)  # pyright: ignore[reportPrivateUsage]


def test_fifty_sensors_that_join_at_once_are_all_in_within_minutes() -> None:
    """A minute or two with the usual mixture of data rates."""
    air = Air(50, 1)
    air.power_on(10_000)
    air.run(120_000)
    assert len(joined(air)) == 50 and joined(air)[44] < 90
    assert all(sensor.join_nonce >= 0 for sensor in air.sensors)


def test_fifty_sensors_that_join_at_sf12_are_in_within_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sensor, "_join", slow)
    air = Air(50, 1)
    air.power_on(10_000)
    air.run(900_000)
    least_s = join_capacities(air.settings)[-1].storm_s(50, concentrators=2)
    assert len(joined(air)) == 50 and least_s < joined(air)[-1] < 900
    accepts_us = region.frame_time_us(0, 33, crc=False)
    for gateway_id in (NEAR, FAR):  # half of each sub-band was left for acknowledgements
        for band in (2, 4):
            spent_us = sum(us for _, _, b, us in air.sending[gateway_id] if b == band and us == accepts_us)
            assert spent_us <= 0.5 * region.HOUR_MS * region.SUB_BANDS[band][2]


def test_in_a_storm_of_joins_running_sensors_are_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    air = Air(60, 4)
    for sensor in air.sensors[:10]:
        sensor.power_on()
    air.run(300_000)
    assert all(sensor.state == "running" for sensor in air.sensors[:10])
    monkeypatch.setattr(Sensor, "_join", slow)
    for sensor in air.sensors[10:]:
        sensor.power_on()
    started_ms = air.world.now_ms
    air.run(900_000)
    waits_s = sorted(
        (sensor.acknowledged.get(identity, air.world.now_ms) - sensor.born[identity]) / 1000
        for sensor in air.sensors[:10]
        for identity in sensor.given
        if started_ms < sensor.born[identity] < started_ms + 600_000
    )
    assert len(waits_s) > 5 and waits_s[len(waits_s) // 2] < 10
    assert sum(sensor.state == "running" for sensor in air.sensors) == 60


def test_more_sensors_than_an_hour_has_room_for_join_in_the_hours_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """At SF12 one concentrator answers 42 an hour in a fifth of its duty cycle."""
    monkeypatch.setattr(Sensor, "_join", slow)
    air = Air(60, 2, settings=LorawanSettings(join_share=0.2))
    air.level_db = {sensor: {NEAR: 6.0, FAR: -60.0} for sensor in air.level_db}
    air.power_on(10_000)
    air.run_h(0.9)
    slowest = join_capacities(air.settings)[-1]
    assert 38 < len(joined(air)) <= slowest.rx1_per_hour + slowest.rx2_per_hour == 42
    air.run_h(0.6)
    assert len(joined(air)) == 60 and air.server.counters.joins_deferred > 0


@pytest.mark.long
def test_a_week_of_the_site() -> None:
    air = Air(50, 9, loss=0.03)
    air.power_on(60_000)
    for day in range(7):
        air.run_h(23)
        air.kill()
        air.run_h(1)
        if day == 3:
            air.power_on(5_000)
    air.finish()


def test_a_counter_that_is_used_before_it_is_reserved_is_seen() -> None:
    """The control: a gateway that forgets what it reserved."""
    air = Air(10, 1)
    for kind in (LoraDownRow,):
        air.store.writers[kind] = lambda db, row: None
    air.power_on(1_000)
    with pytest.raises(BrokenError, match="sealed two frames"):
        for _ in range(40):
            air.run_h(0.25)
            air.kill()
            air.store.db.execute("UPDATE lora_device SET fcnt_down = 0")
            air.start()


def test_an_acknowledgement_before_the_commit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a committer that calls back at once and writes later, and a gateway that is killed in between."""
    air = Air(20, 1)

    def eager(rows: Sequence[Any], done: Callable[[Any], None], urgent: bool = False) -> None:
        generation, rows = air.store.generation, list(rows)
        air.world.after(20_000, lambda: air.store.write(rows) if generation == air.store.generation else None)
        done(Committed(()))

    air.power_on(60_000)
    air.run_h(0.5)
    monkeypatch.setattr(air.store, "submit", eager)
    with pytest.raises(BrokenError, match="acknowledged and not on disk"):
        for _ in range(40):
            air.run(200_000)
            air.kill()


def test_a_gateway_that_keeps_no_duty_cycle_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a server that believes the hour to be empty."""
    monkeypatch.setattr(Sensor, "_join", slow)
    monkeypatch.setattr(Concentrator, "can_send", lambda self, *arguments: True)
    air = Air(100, 1)
    air.power_on(10_000)
    with pytest.raises(BrokenError, match="us in an hour of sub-band"):
        air.run_h(1)


def test_a_downlink_outside_its_window_is_seen() -> None:
    """The control: a sensor that listens elsewhere than it agreed."""
    air = Air(5, 1)
    air.power_on(1_000)
    air.run_h(0.2)
    for sensor in air.sensors:
        sensor.delay_s = 4
    with pytest.raises(BrokenError, match="is none of"):
        air.run_h(2)
