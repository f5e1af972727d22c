"""One real sensor on the emulator, and a gateway that answers as a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.scenario.load import Scenario, Visit
from pave_emulator.scenario.world import Bay, World
from pave_tools import firmware
from pave_tools.board import board_path, load_board
from pave_tools.image import DeviceSettings, build_flash_image, mac_of
from pave_wire import coap, model
from pave_wire.model import Reading
from simulation.devices import MICROPYTHON

DEVICE = "24a160fffe000101"
BAY = "bay"
EARTH_UT = (20.9, 0.8, 43.7)


class Gateway(asyncio.DatagramProtocol):
    """Keeps every reading it takes; `answer(readings)` says the response code, None is silence."""

    def __init__(self) -> None:
        self.taken: list[Reading] = []
        self.asked: list[list[Reading]] = []
        self.spits = False  # sends an empty datagram before each answer
        self.answer: Callable[[list[Reading]], int | None] = lambda readings: coap.CHANGED

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    @property
    def port(self) -> int:
        return self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = coap.decode(data)
        readings = model.unpack_readings(request.payload)
        self.asked.append(readings)
        if self.spits:
            self._transport.sendto(b"", addr)
        code = self.answer(readings)
        if code is None:
            return
        if code == coap.CHANGED:
            self.taken += readings
        self._transport.sendto(coap.encode(coap.Message(coap.ACK, code, request.mid, request.token)), addr)

    async def until(self, enough: Callable[[list[Reading]], bool], timeout_s: float = 15) -> list[Reading]:
        """Return what was taken once it is `enough`."""
        for _ in range(int(timeout_s / 0.05)):
            if enough(self.taken):
                return self.taken
            await asyncio.sleep(0.05)
        raise AssertionError(f"only {[(r.identity, r.values) for r in self.taken]} after {timeout_s} s")


class Street:
    """One bay with scripted visits, its sensor, and the gateway it reports to."""

    def __init__(self, work_dir: Path, visits: list[tuple[float, float]], heartbeat_s: int = 60) -> None:
        self._work_dir = work_dir
        self._visits = tuple(Visit(BAY, arrive_s, leave_s) for arrive_s, leave_s in visits)
        self._heartbeat_s = heartbeat_s

    async def __aenter__(self) -> Street:
        loop = asyncio.get_running_loop()
        _, self.gateway = await loop.create_datagram_endpoint(Gateway, local_addr=("127.0.0.1", 0))
        clock = WallClock()
        scenario = Scenario("test", 1, EARTH_UT, 0.3, (), self._visits)
        air = WifiAir(clock, AccessPoint("net", "eight chars"), connect_s=0.1)
        self.fleet = Fleet([self._sensor()], World(scenario, [Bay(BAY, "taxi")]), air, clock, self._work_dir)
        await self.fleet.start(hold_world=True)
        await self.gateway.until(lambda taken: len(taken) == 1)  # the report at power-on
        self.fleet.begin_world()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fleet.stop()

    @property
    def sensor(self) -> Device:
        return self.fleet.device("sensor")

    async def asleep(self) -> None:
        """Return when the sensor sleeps."""
        while self.sensor.state != "sleeping":
            await asyncio.sleep(0.02)

    def _sensor(self) -> DeviceSpec:
        board = load_board(board_path("pave-presence-v1"))
        where = ("127.0.0.1", self.gateway.port, "net", "eight chars")
        settings = DeviceSettings(DEVICE, "presence", *where, insecure=True).config(board)
        image = self._work_dir / "flash.bin"
        content = {**settings, "heartbeat_s": self._heartbeat_s}
        build_flash_image(board, firmware.build("presence"), content, {"pave": {"epoch": 1000}}, image, MICROPYTHON)
        return DeviceSpec("sensor", mac_of(DEVICE), board_path(board.name), image, BAY)
