"""A simulated site: sensors, an air that loses and collides, two concentrators with forwarders, and a gateway that can
be killed. What must never happen is checked while it runs.
"""

import random

from lorawan_sensor import Sensor, is_data
from lorawan_support import FAR, NEAR, Site, airtime_us

from pave_gateway.core.lorawan.radio import REQUIRED_SNR_DB, Downlink, TxResult, Uplink
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import lorawan, region

CAPTURE_DB = 6.0
CAR_DB = 12.0
FORWARDER_MS = 43  # before its time, a downlink must have arrived


class BrokenError(AssertionError):
    """Something happened that must not."""


class Air(Site):
    """See above."""

    def __init__(
        self, sensors: int, seed: int, loss: float = 0.02, delay_ms: int = 30, settings: LorawanSettings | None = None
    ) -> None:
        super().__init__(sensors, settings, delay_ms, seed)
        self.rng, self.loss = random.Random(seed), loss
        self.sensors = [
            Sensor(0x100 + n, self.world, self.emit, random.Random(seed * 1000 + n)) for n in range(sensors)
        ]
        self.by_address: dict[int, Sensor] = {}
        self.level_db = {s.eui: {NEAR: self.rng.uniform(-1, 10), FAR: self.rng.uniform(-8, 8)} for s in self.sensors}
        self.on_air: list[tuple[int, int, int, int, dict[str, float]]] = []  # start, end, Hz, DR, SNR by concentrator
        self.sending: dict[str, list[tuple[int, int, int, int]]] = {NEAR: [], FAR: []}  # start, end, band, us
        self.ends: dict[str, int] = {}  # sensor: end of its last uplink, us
        self.heard_in: dict[str, int] = {}  # sensor: uplink end after which it has heard something
        self.downlinks: dict[tuple[int, int], bytes] = {}
        self.results = self.forward
        self.generation = 0
        self.uplinks = self.collisions = 0
        self.beat()

    def beat(self) -> None:
        """The forwarders ask for downlinks."""
        self.keep_alive()
        self.world.after(10_000, self.beat)

    def power_on(self, spread_ms: int = 1) -> None:
        for sensor in self.sensors:
            self.world.after(self.rng.randrange(spread_ms), sensor.power_on)

    def kill(self) -> None:
        """Kill the gateway and start it again over its disk; what was on its way to the disk is lost."""
        self.generation += 1
        self.store.generation = self.generation  # type: ignore[attr-defined]
        self.start()

    def emit(self, sensor: Sensor, phy: bytes, frequency_hz: int, data_rate: int, tx_power: int) -> None:
        """Put an uplink on air."""
        self.uplinks += 1
        start_us = self.world.now_ms * 1000
        end_us = start_us + region.frame_time_us(data_rate, len(phy))
        end_ms = -(-end_us // 1000)
        level_db = {
            gateway_id: level - CAR_DB * sensor.occupied - 2 * tx_power + self.rng.gauss(0, 2.0)
            for gateway_id, level in self.level_db[sensor.eui].items()
        }
        mine = (start_us, end_us, frequency_hz, data_rate, level_db)
        self.on_air = [one for one in self.on_air if one[1] > start_us - 5_000_000] + [mine]
        self.ends[sensor.eui] = end_ms * 1000
        if sensor.session is not None:
            self.by_address[sensor.session.dev_addr] = sensor
        self.world.at(end_ms, lambda: self._arrive(phy, mine, end_ms * 1000))

    def _arrive(self, phy: bytes, mine: tuple[int, int, int, int, dict[str, float]], tmst: int) -> None:
        start_us, end_us, frequency_hz, data_rate, level_db = mine
        others = [
            one for one in self.on_air
            if one is not mine and one[2:4] == mine[2:4] and one[0] < end_us and start_us < one[1]
        ]  # fmt: skip
        for gateway_id, snr_db in level_db.items():
            met = any(other[4][gateway_id] > snr_db - CAPTURE_DB for other in others)
            deaf = any(s < end_us and start_us < e for s, e, _, _ in self.sending[gateway_id])
            self.collisions += met
            if met or deaf or snr_db < REQUIRED_SNR_DB[data_rate] or self.rng.random() < self.loss:
                continue
            snr = min(snr_db, 9.5)
            uplink = Uplink(
                phy, gateway_id, tmst % (1 << 32), frequency_hz, data_rate, -110 + snr_db, round(snr * 4) / 4
            )
            self.world.after(
                self.rng.randrange(5, 40), lambda uplink=uplink: self.server.receive_uplink(uplink, self.world.now_ms)
            )

    def forward(self, downlink: Downlink) -> TxResult:
        """Take a downlink as a forwarder does, check that it may be, and let its device hear it."""
        start_us = self._start_us(downlink)
        if start_us // 1000 - self.world.now_ms < FORWARDER_MS + 10:
            return TxResult.TOO_LATE
        end_us = start_us + airtime_us(downlink)
        if any(s < end_us and start_us < e for s, e, _, _ in self.sending[downlink.gateway_id]):
            return TxResult.COLLISION_PACKET
        self._check(downlink, start_us, end_us)
        self.world.at(-(-end_us // 1000), lambda: self._deliver(downlink, start_us))
        return TxResult.OK

    def _start_us(self, downlink: Downlink) -> int:
        now_us = self.world.now_ms * 1000
        return now_us + (downlink.tmst - now_us) % (1 << 32)

    def _check(self, downlink: Downlink, start_us: int, end_us: int) -> None:
        band = region.sub_band(downlink.frequency_hz, region.occupied_hz(downlink.data_rate))
        sent = self.sending[downlink.gateway_id]
        sent[:] = [one for one in sent if one[1] > start_us - 3_700_000_000]
        sent.append((start_us, end_us, band, end_us - start_us))
        hour_us = sum(us for s, _, b, us in sent if b == band and s > end_us - 3_600_000_000)
        if hour_us > region.HOUR_MS * region.SUB_BANDS[band][2]:
            raise BrokenError(f"{hour_us} us in an hour of sub-band {band}")
        if is_data(downlink.phy):
            self._check_data(downlink, start_us)
        elif not any(start_us - end in (5_000_000, 6_000_000) for end in self.ends.values()):
            raise BrokenError("a Join-Accept outside its windows")

    def _check_data(self, downlink: Downlink, start_us: int) -> None:
        address = lorawan.dev_addr(downlink.phy)
        key = (address, int.from_bytes(downlink.phy[6:8], "little"))
        if self.downlinks.setdefault(key, downlink.phy) != downlink.phy:
            raise BrokenError(f"FCntDown {key[1]} of {address:08x} sealed two frames")
        sensor = self.by_address[address]
        delay_ms = (start_us - self.ends[sensor.eui]) // 1000
        windows = [] if sensor.state == "joining" else [sensor.window(1), sensor.window(2)]
        if windows and (delay_ms, downlink.frequency_hz, downlink.data_rate) not in windows:
            raise BrokenError(f"{delay_ms} ms, {downlink.frequency_hz} Hz, DR{downlink.data_rate} is none of {windows}")

    def _deliver(self, downlink: Downlink, start_us: int) -> None:
        for sensor in self.sensors:
            delay_ms = (start_us - self.ends.get(sensor.eui, 0)) // 1000
            if sensor.state == "off" or self.heard_in.get(sensor.eui) == self.ends.get(sensor.eui):
                continue
            here = (delay_ms, downlink.frequency_hz, downlink.data_rate)
            if here not in (sensor.window(1), sensor.window(2)):
                continue
            gain_db = downlink.power_dbm - 14
            snr_db = self.level_db[sensor.eui][downlink.gateway_id] - CAR_DB * sensor.occupied + gain_db
            if snr_db < REQUIRED_SNR_DB[downlink.data_rate] or self.rng.random() < self.loss:
                continue
            before = dict(sensor.acknowledged)
            down = sensor.down
            state = sensor.state
            sensor.downlink(downlink.phy)
            if sensor.down != down or sensor.state != state:
                self.heard_in[sensor.eui] = self.ends[sensor.eui]
            self._check_acknowledged(sensor, before)

    def _check_acknowledged(self, sensor: Sensor, before: dict[tuple[int, int], int]) -> None:
        for identity in sensor.acknowledged.keys() - before.keys():
            stored = self.store.readings.get((sensor.eui, *identity))
            if stored is None or stored.get("reason") == "rebuilt":
                raise BrokenError(f"{sensor.eui}:{identity[0]}:{identity[1]} is acknowledged and not on disk")

    def run_h(self, hours: float) -> None:
        self.run(int(hours * 3_600_000))

    def finish(self) -> None:
        """Let nothing new happen, and wait until what is in the outboxes is through."""
        for sensor in self.sensors:
            sensor._change = sensor._heartbeat = lambda: None  # type: ignore[method-assign]
        for _ in range(48):
            self.run_h(0.25)
            for sensor in self.sensors:
                if sensor.outbox and sensor.state == "running":
                    sensor._report(0)
                    sensor.unheard = min(sensor.unheard, 6)
        left = {sensor.eui: sensor.outbox for sensor in self.sensors if sensor.outbox}
        if left:
            raise BrokenError(f"never acknowledged: {left}")
        for sensor in self.sensors:
            for identity in sensor.given - sensor.dropped:
                if (sensor.eui, *identity) not in self.store.readings:
                    raise BrokenError(f"{sensor.eui}:{identity} is nowhere")
