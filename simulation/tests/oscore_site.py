"""One real device that speaks OSCORE, in virtual time, a small gateway made of `pave_wire`, and a ledger of the air."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.flash.nvs import Nvs
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.scenario.load import Scenario, Visit
from pave_emulator.scenario.world import Bay, World
from pave_emulator.virtual_loop import VirtualLoop
from pave_tools import firmware
from pave_tools.board import board_path, load_board
from pave_tools.device_keys import oscore_values
from pave_tools.image import DeviceSettings, build_flash_image, mac_of
from pave_tools.nvs_image import NvsValues
from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, model, oscore
from pave_wire.coap import Message
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Request
from pave_wire.coap_observe import Observers
from pave_wire.errors import OscoreEchoError, WireError
from pave_wire.model import Reading
from pave_wire.oscore_context import Context
from pave_wire.oscore_options import decode_value, oscore_value
from simulation.devices import BOARDS, MICROPYTHON

EUI = "24a160fffe000101"
COAP = ("127.0.0.1", 5683)
SSID, KEY = "net", "eight chars"
BAY = "bay"
EARTH_UT = (20.9, 0.8, 43.7)
FIRST, SECOND, THIRD = b"gateway", b"another", b"a third"
KEYS = OscoreKeys(bytes(range(16)), b"the salt", mac_of(EUI), FIRST)
LOOK_S = 0.02


class Doors:
    """The gateway's `security`: one context for its device; its bare 2.04 takes the request's nonce, as ours does."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.challenges = 0

    def open_request(self, message: Message, address: Any) -> tuple[Message, oscore.Exchange]:
        try:
            return oscore.open_request(self._context.find, message)
        except OscoreEchoError:
            self.challenges += 1
            raise

    def seal_response(self, binding: oscore.Exchange, message: Message) -> Message:
        bare = message.code == coap.CHANGED and binding.nonce_free
        return oscore.seal_response(binding, message, bare, message.code == coap.UNAUTHORIZED)


class Gateway(asyncio.DatagramProtocol):
    """Has the device's keys and an ID of its own, and begins without a window: it asks for Echo, and names itself.

    `answer(readings)` says the response code to a report; None is silence.
    """

    def __init__(self, gateway_id: bytes, insecure: bool, sequence: int) -> None:
        self._loop = asyncio.get_running_loop()
        chance = random.Random(gateway_id)
        context = Context(KEYS.secret, KEYS.salt, gateway_id, KEYS.device_id, sequence, None)
        context.lose_window(chance.randbytes(8))
        context.reserve(1 << 40)
        self.doors = None if insecure else Doors(context)
        self.endpoint = Endpoint(chance.randrange, observers=Observers(), security=self.doors)
        self.taken: list[Reading] = []
        self.answer: Callable[[list[Reading]], int | None] = lambda readings: coap.CHANGED
        self.admits: Callable[[bytes, tuple[str, int]], bool] = lambda data, address: True  # False: it never arrives
        self.free = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.admits(data, addr):
            self._told(self.endpoint.receive_datagram(data, addr, self._now_ms()))

    def close(self) -> None:
        """Be gone."""
        if self._timer:
            self._timer.cancel()
        self.transport.close()

    def tell(self, free: int) -> None:
        """Notify who observes `/a`."""
        self.free = free
        self.endpoint.notify("a", coap.CONTENT, self._now_ms(), self._availability(), 112)
        self._send()

    def _availability(self) -> bytes:
        return model.pack_availability({"delivery": (self.free, 3)})

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _told(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Request):
                self._requested(event)
        self._send()

    def _requested(self, request: Request) -> None:
        if request.path == "a":
            options = [(coap.MAX_AGE, coap.uint(30))]
            self.endpoint.respond(request, coap.CONTENT, self._now_ms(), self._availability(), 112, options, topic="a")
            return
        if request.path != "r":  # it has no settings, and takes no note of who says hello
            self.endpoint.respond(request, coap.NOT_FOUND, self._now_ms())
            return
        readings = model.unpack_readings(request.payload)
        code = self.answer(readings)
        if code is None:
            return
        if code == coap.CHANGED:
            self.taken += readings
        self.endpoint.respond(request, code, self._now_ms())

    def _send(self) -> None:
        for data, address in self.endpoint.datagrams_to_send(self._now_ms()):
            self.transport.sendto(data, address)
        if self._timer:
            self._timer.cancel()
        due_ms = self.endpoint.next_timeout()
        if due_ms is not None:
            self._timer = self._loop.call_at(due_ms / 1000, self._due)

    def _due(self) -> None:
        self._told(self.endpoint.handle_timeout(self._now_ms()))


@dataclass
class Ledger:
    """What the device has sent: under which kid and Partial IV, and so under which key and nonce, which ciphertexts."""

    sealed: dict[tuple[bytes, bytes], set[bytes]] = field(default_factory=dict)
    unsealed: list[Message] = field(default_factory=list)
    up_bytes: list[int] = field(default_factory=list)
    down_bytes: list[int] = field(default_factory=list)

    def heard(self, _device: str, way: str, _now_s: float, data: bytes) -> None:
        (self.up_bytes if way == "up" else self.down_bytes).append(len(data))
        if way == "up":
            self.note(data)

    def note(self, data: bytes) -> None:
        """Take what the device has sent."""
        message = coap.decode(data)
        if message.code == coap.EMPTY:
            return
        try:
            piv, kid, _ = decode_value(oscore_value(message.options))
        except WireError:
            self.unsealed.append(message)
            return
        self.sealed.setdefault((kid or b"", piv), set()).add(message.payload)

    def reused(self) -> int:
        """Return how many (key, nonce) have sealed two messages."""
        return sum(len(sealed) > 1 for sealed in self.sealed.values())


@cache
def compiled(role: str) -> dict[str, bytes]:
    return firmware.build(role)


class Site:
    """The device, its air, its gateway. Times are of the virtual clock, s."""

    def __init__(self, work_dir: Path, role: str, image: Path, visits: list[tuple[float, float]], metered: bool):
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.ledger = Ledger()
        clock = VirtualClock(loop)
        self.air = WifiAir(clock, AccessPoint(SSID, KEY), seed=1, tap=self.ledger.heard)
        spec = DeviceSpec("device", mac_of(EUI), board_path(BOARDS[role]), image, BAY if role == "presence" else None)
        scenario = Scenario("test", 1, EARTH_UT, 0.3, (), tuple(Visit(BAY, *visit) for visit in visits))
        world = World(scenario, [Bay(BAY, "taxi")]) if role == "presence" else None
        self.fleet = Fleet([spec], world, self.air, clock, work_dir / "consoles", metered=metered)
        self.lines: list[str] = []
        self.fleet.subscribe(lambda _device, line: self.lines.append(line))
        self.gateway: Gateway | None = None
        self.taken: list[Reading] = []

    @property
    def device(self) -> Device:
        return self.fleet.device("device")

    async def open_gateway(self, gateway_id: bytes = FIRST, insecure: bool = False, sequence: int = 0) -> Gateway:
        """Let a gateway that knows nothing but the keys take the place of the one there was."""
        self.close_gateway()
        _, gateway = await self.loop.create_datagram_endpoint(
            lambda: Gateway(gateway_id, insecure, sequence), local_addr=COAP
        )
        self.gateway = gateway
        return gateway

    def close_gateway(self) -> None:
        if self.gateway is not None:
            self.gateway.close()
        self.gateway = None

    async def until(self, condition: Callable[[], object], within_s: float) -> None:
        """Return when `condition` holds."""
        end_s = self.loop.time() + within_s
        while not condition():
            assert self.loop.time() < end_s, f"not within {within_s} s; the device said {self.lines[-5:]}"
            await asyncio.sleep(LOOK_S)

    async def taken_more(self, gateway: Gateway, count: int = 1, within_s: float = 300) -> None:
        """Return when `gateway` has taken so many readings more."""
        enough = len(gateway.taken) + count
        await self.until(lambda: len(gateway.taken) >= enough, within_s)

    async def asleep(self, within_s: float = 120) -> None:
        await self.until(lambda: self.device.state == "sleeping", within_s)

    def power_cycle(self) -> None:
        self.device.power_cut()
        self.device.power_on()

    def nvs(self, key: str) -> Any:
        """What the device has in NVS under "oscore"."""
        store = Nvs(self.device.flash, *self._nvs_part)
        space = store.namespace("oscore")
        return store.get_i32(space, key) if key == "reserved" else store.get_blob(space, key, 99)

    def set_nvs(self, key: str, value: int | bytes | None) -> None:
        """Change that, behind the back of a device that is off; None takes it away."""
        self.device.flash.power_on()
        store = Nvs(self.device.flash, *self._nvs_part)
        space = store.namespace("oscore")
        if value is None:
            store.erase_key(space, key)
        elif isinstance(value, int):
            store.set_i32(space, key, value)
        else:
            store.set_blob(space, key, value)

    @property
    def _nvs_part(self) -> tuple[int, int]:
        part = self.device.flash.partition("nvs")
        return part.offset, part.size


def image(
    path: Path,
    role: str,
    *,
    nvs: Mapping[str, int | bytes] | None = None,
    insecure: bool = False,
    heartbeat_s: int = 60,
    replaced: Mapping[str, str] | None = None,
) -> None:
    """Write the flash of the device. `nvs` is its namespace "oscore" ({}: none), `replaced` other source of modules."""
    board = load_board(board_path(BOARDS[role]))
    files = dict(compiled(role))
    for module, source in (replaced or {}).items():
        del files[f"/a/{module}.mpy"]
        files[f"/a/{module}.py"] = source.encode()
    settings = DeviceSettings(EUI, role, *COAP, SSID, KEY, insecure).config(board)
    values: NvsValues = {"pave": {"epoch": 1000}}
    keys = oscore_values(KEYS) if nvs is None else nvs
    if keys:
        values = {**values, "oscore": keys}
    build_flash_image(board, files, {**settings, "heartbeat_s": heartbeat_s}, values, path, MICROPYTHON)


def play(
    work_dir: Path,
    role: str,
    script: Callable[[Site], Awaitable[None]],
    *,
    visits: list[tuple[float, float]] | None = None,
    metered: bool = False,
    **made: Any,
) -> Site:
    """Let `script` act on a device that has been powered on, its gateway being FIRST; return the site."""
    image(work_dir / "flash.bin", role, **made)

    async def run() -> Site:
        site = Site(work_dir, role, work_dir / "flash.bin", visits or [], metered)
        await site.open_gateway()
        await site.fleet.start()
        try:
            await script(site)
        finally:
            await site.fleet.stop()
            site.close_gateway()
        return site

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
